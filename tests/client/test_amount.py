"""Amounts as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.client.amount import MAX_AMOUNT, format_amount, parse_amount
from node.client.errors import AmountInvalid


@given(st.integers(0, MAX_AMOUNT), st.integers(0, 18))
def test_formatting_and_parsing_are_inverse(amount: int, decimals: int) -> None:
    assert parse_amount(format_amount(amount, decimals), decimals) == amount


@pytest.mark.parametrize(
    ("text", "decimals", "amount"),
    [("12.5", 2, 1_250), ("12", 2, 1_200), (" 0.01 ", 2, 1), ("7", 0, 7), ("007", 0, 7)],
)
def test_amounts_are_read_exactly(text: str, decimals: int, amount: int) -> None:
    assert parse_amount(text, decimals) == amount


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is not an amount such as 12 or 12.50"),
        ("-1", "'-1' is not an amount such as 12 or 12.50"),
        ("1e3", "'1e3' is not an amount such as 12 or 12.50"),
        ("1,000", "'1,000' is not an amount such as 12 or 12.50"),
        (".5", "'.5' is not an amount such as 12 or 12.50"),
        ("5.", "'5.' is not an amount such as 12 or 12.50"),
        ("١", "'١' is not an amount such as 12 or 12.50"),
        ("nan", "'nan' is not an amount such as 12 or 12.50"),
        ("1.005", "'1.005' has more than 2 decimal places"),
        ("184467440737095517", "'184467440737095517' exceeds the largest amount of a note"),
    ],
)
def test_what_is_not_an_amount_is_refused(text: str, message: str) -> None:
    with pytest.raises(AmountInvalid) as caught:
        parse_amount(text, 2)
    assert str(caught.value) == message


def test_negative_differences_keep_their_sign() -> None:
    assert (format_amount(-5, 2), format_amount(-500, 0)) == ("-0.05", "-500")
