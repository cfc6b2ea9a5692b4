"""Text form of addresses (IDX1 3.1)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from crypto.note import Address, SessionKeys
from node.client.address import TEXT_CHARACTERS, decode_address, encode_address
from node.client.errors import AddressInvalid

ADDRESS = SessionKeys.derive(bytes(range(32)), 0).address


def test_an_address_survives_its_text_form() -> None:
    text = encode_address(ADDRESS)
    assert (len(text), text[:4], text) == (TEXT_CHARACTERS, "idx1", text.lower())
    assert decode_address(text) == ADDRESS
    assert decode_address(f" {text.upper()}\n") == ADDRESS


def test_every_single_typing_error_is_found() -> None:
    text = encode_address(ADDRESS)
    for position in range(4, len(text)):
        wrong = "b" if text[position] == "a" else "a"
        with pytest.raises(AddressInvalid) as caught:
            decode_address(text[:position] + wrong + text[position + 1 :])
        assert str(caught.value) == "the checksum does not match: the address has a typing error"


def test_neighbours_that_change_places_are_found() -> None:
    text = encode_address(ADDRESS)
    for position in range(4, len(text) - 1):
        if text[position] != text[position + 1]:
            swapped = text[position + 1] + text[position]
            with pytest.raises(AddressInvalid):
                decode_address(text[:position] + swapped + text[position + 2 :])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda text: text[4:], "an address begins with idx1"),
        (lambda text: text[:-1], f"an address has {TEXT_CHARACTERS} characters, not 219"),
        (lambda text: text + "a", f"an address has {TEXT_CHARACTERS} characters, not 221"),
        (lambda text: text[:-1] + "0", "an address consists of the letters a-z and the digits 2-7"),
        (lambda text: text[:-1] + "é", "an address consists of the letters a-z and the digits 2-7"),
        (lambda text: text[:9] + "A" + text[10:], "an address is all lower case or all upper case"),
        (lambda text: "", "an address begins with idx1"),
    ],
)
def test_what_is_not_an_address_is_refused_with_the_cause(
    spoil: Callable[[str], str], message: str
) -> None:
    with pytest.raises(AddressInvalid) as caught:
        decode_address(spoil(encode_address(ADDRESS)))
    assert str(caught.value) == message


def test_a_spend_key_outside_the_group_is_refused() -> None:
    """IDX1 3.1: a payer decodes S with `strict`."""
    text = encode_address(Address(bytes(96), ADDRESS.view_public))
    with pytest.raises(AddressInvalid, match="the address names no valid key"):
        decode_address(text)
