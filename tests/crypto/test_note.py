"""Wallet keys, sealing and scanning: IDX1 3."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.curve import decode_curve, encode_point, multiply
from crypto.errors import AddressInvalid, NotMine, ProvingError
from crypto.generators import key_generator
from crypto.note import Address, ReceivedNote, SessionKeys, scan_output, seal_output
from crypto.randomness import Coins
from crypto.scalar import decode_scalar
from crypto.spend import nullifier_point
from crypto.transaction import Output, decode_transaction
from tests.crypto.universe import ALICE, BOB, CHAIN_ID, EURO, GOLD, torsion_point, vectors

MEMO = b"memo of thirty-two bytes, padded"
WALLETS = [
    SessionKeys.derive(bytes.fromhex(entry["seed"]), entry["session"])
    for entry in vectors()["wallets"]
]
VECTOR_CHAIN = bytes.fromhex(vectors()["chain_id"])


def _seal(coins: bytes = b"coins", **changes: Any) -> Output:
    arguments = {
        "address": ALICE.address,
        "value": 250,
        "memo": MEMO,
        "index": 1,
        "asset": EURO,
        "chain_id": CHAIN_ID,
        **changes,
    }
    return seal_output(random_bytes=Coins(coins).take, **arguments).output


def _why_not_mine(output: Output, keys: SessionKeys = ALICE, **changes: Any) -> str:
    arguments = {"index": 1, "asset": EURO, "chain_id": CHAIN_ID, **changes}
    with pytest.raises(NotMine) as caught:
        scan_output(output, keys=keys, **arguments)
    return str(caught.value)


@given(st.integers(0, 2**64 - 1), st.binary(min_size=32, max_size=32), st.integers(0, 255))
@settings(max_examples=15, deadline=None)
def test_the_payee_opens_what_the_payer_sealed_3_2(value: int, memo: bytes, index: int) -> None:
    sealed = seal_output(
        address=ALICE.address, value=value, memo=memo, index=index, asset=EURO, chain_id=CHAIN_ID
    )
    received = scan_output(sealed.output, index, EURO, CHAIN_ID, ALICE)
    assert received == ReceivedNote(
        value,
        memo,
        received.spend_key,
        sealed.blinding,
        encode_point(nullifier_point(received.spend_key)),
    )
    own_key = encode_point(multiply(key_generator(), received.spend_key))
    assert own_key == sealed.output.one_time_key


def test_nobody_else_opens_it_and_nowhere_else_3_3() -> None:
    output = _seal()
    assert _why_not_mine(output, BOB) == "another view tag"
    assert _why_not_mine(output, index=2) == "another view tag"
    assert _why_not_mine(output, asset=GOLD) == "another view tag"
    assert _why_not_mine(output, chain_id=bytes(32)) == "another view tag"


def test_a_changed_output_is_no_payment_3_3() -> None:
    output = _seal()
    shifted = encode_point(decode_curve(output.one_time_key) + torsion_point(3))
    assert _why_not_mine(replace(output, view_tag=output.view_tag ^ 1)) == "another view tag"
    for changed in (
        replace(output, ciphertext=output.ciphertext[:-1] + b"\0"),
        replace(output, one_time_key=shifted),
        replace(output, commitment=_seal(value=251).commitment),
    ):
        assert _why_not_mine(changed) == "the ciphertext does not open"
    assert _why_not_mine(replace(output, ephemeral_key=bytes(32))) == (
        "the ephemeral key has small order or a wrong size"
    )


def _scan_vectors() -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in vectors()["scan"]]


@pytest.mark.parametrize("case", _scan_vectors())
def test_scan_vectors_3_3(case: dict[str, Any]) -> None:
    output = Output.decode(bytes.fromhex(case["output"]))
    place = (case["index"], bytes.fromhex(case["asset"]), VECTOR_CHAIN, WALLETS[case["wallet"]])
    if not case["mine"]:
        with pytest.raises(NotMine):
            scan_output(output, *place)
        return
    spend_key = decode_scalar(bytes.fromhex(case["x"]))
    assert scan_output(output, *place) == ReceivedNote(
        case["value"],
        bytes.fromhex(case["memo"]),
        spend_key,
        decode_scalar(bytes.fromhex(case["b"])),
        encode_point(nullifier_point(spend_key)),
    )


def test_session_keys_of_the_vectors_3_1() -> None:
    for keys, entry in zip(WALLETS, vectors()["wallets"], strict=True):
        assert keys == SessionKeys(
            decode_scalar(bytes.fromhex(entry["s"])),
            bytes.fromhex(entry["S"]),
            bytes.fromhex(entry["v"]),
            bytes.fromhex(entry["V"]),
        )
        assert keys.address.encode().hex() == entry["address"]


def test_sessions_and_seeds_give_unrelated_keys_3_1() -> None:
    keys = [SessionKeys.derive(seed, session) for seed in (b"a", b"b") for session in (0, 1)]
    assert len({item.spend_public for item in keys}) == 4
    assert len({item.view_public for item in keys}) == 4


def test_outputs_received_in_the_vectors() -> None:
    for case in vectors()["transactions"][:12]:
        transaction = decode_transaction(bytes.fromhex(case["bytes"]))
        for entry in case["received"]:
            received = scan_output(
                transaction.outputs[entry["index"]],
                entry["index"],
                transaction.asset,
                VECTOR_CHAIN,
                WALLETS[entry["wallet"]],
            )
            assert (received.value, received.memo.hex()) == (entry["value"], entry["memo"])


def test_every_sealing_takes_a_fresh_ephemeral_key_3_2() -> None:
    address = ALICE.address
    outputs = [
        seal_output(address=address, value=1, memo=MEMO, index=0, asset=EURO, chain_id=CHAIN_ID)
        for _ in range(3)
    ]
    assert len({item.output.ephemeral_key for item in outputs}) == 3
    assert len({item.output.one_time_key for item in outputs}) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"value": -1}, "the value lies outside 0 .. 2^64 - 1"),
        ({"value": 2**64}, "the value lies outside 0 .. 2^64 - 1"),
        ({"memo": b"short"}, "a memo has 32 bytes, not 5"),
    ],
)
def test_the_payer_is_told_its_mistakes(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ProvingError) as caught:
        _seal(**changes)
    assert str(caught.value) == message


def test_addresses_that_cannot_be_paid_3_1_3_2() -> None:
    outside = encode_point(decode_curve(ALICE.spend_public) + torsion_point(3))
    with pytest.raises(AddressInvalid, match=r"the spend key is no valid point \(subgroup\)"):
        _seal(address=Address(outside, ALICE.view_public))
    with pytest.raises(AddressInvalid, match="the view key has small order or a wrong size"):
        _seal(address=Address(ALICE.spend_public, bytes(32)))


def test_secrets_do_not_show_in_representations() -> None:
    received = scan_output(_seal(), 1, EURO, CHAIN_ID, ALICE)
    shown = repr(ALICE) + repr(received)
    for secret in (ALICE.spend_secret, received.spend_key, received.blinding):
        assert str(int(secret)) not in shown
    assert repr(ALICE.view_secret) not in shown
