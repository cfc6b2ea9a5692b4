"""Building transactions: what a prover makes verifies, and what it must not make it refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from crypto.batch import verify_transaction
from crypto.build import Payment, SpendableNote, build_issue, build_transfer
from crypto.curve import decode_curve, encode_point
from crypto.errors import AddressInvalid, ProvingError
from crypto.layout import Kind
from crypto.note import Address, scan_output
from crypto.ring import ClosedBin, close_bin
from crypto.transaction import Mint, Transfer, decode_transaction
from tests.crypto.universe import (
    ALICE,
    BOB,
    CHAIN_ID,
    EURO,
    EXPIRY,
    ISSUER_SECRET,
    issue,
    torsion_point,
    universe,
)

ACCOUNT = b"account of a bank, 32 bytes long"


def _pay(*values: int) -> list[Payment]:
    return [Payment(BOB.address, value) for value in values]


@pytest.mark.parametrize("ring_base", [4, 8, 16])
@pytest.mark.parametrize(
    ("positions", "output_count", "fee", "redeem"),
    [([0], 1, 0, 0), ([1], 2, 7, 0), ([2, 3], 2, 0, 9), ([4, 5, 6, 7], 4, 1, 2)],
)
def test_transfers_verify(
    ring_base: int, positions: list[int], output_count: int, fee: int, redeem: int
) -> None:
    world = universe(ring_base)
    notes = [world.notes[1][position] for position in positions]
    total = sum(note.value for note in notes) - fee - redeem
    payments = [*_pay(*[1] * (output_count - 1)), Payment(ALICE.address, total - output_count + 1)]
    account = ACCOUNT if redeem else bytes(32)
    data = world.transfer(notes, payments, fee=fee, redeem=redeem, account=account)
    transaction = verify_transaction(data, world.view).transaction
    assert isinstance(transaction, Transfer)
    assert (transaction.fee, transaction.redeem, transaction.account, transaction.expiry) == (
        fee,
        redeem,
        account,
        EXPIRY,
    )
    received = [
        scan_output(output, index, EURO, CHAIN_ID, keys).value
        for index, (output, keys) in enumerate(
            zip(transaction.outputs, [*[BOB] * (output_count - 1), ALICE], strict=True)
        )
    ]
    assert received == [payment.value for payment in payments]


def test_inputs_of_several_bins_and_values_of_zero() -> None:
    world = universe()
    notes = [world.notes[1][0], world.notes[2][1]]
    total = sum(note.value for note in notes)
    verify_transaction(world.transfer(notes, _pay(0, total)), world.view)


@pytest.mark.parametrize("kind", [Kind.ISSUE, Kind.PAYOUT])
def test_mints_verify_7_6(kind: Kind) -> None:
    data = issue(2**64 - 1, kind, payments=_pay(2**64 - 4, 0, 1, 2))
    transaction = verify_transaction(data, universe().view).transaction
    assert isinstance(transaction, Mint)
    assert (transaction.kind, transaction.amount) == (kind, 2**64 - 1)


def _false_note(note: SpendableNote, **changes: Any) -> dict[str, Any]:
    return {"inputs": [replace(note, **changes)]}


def _transfer_mistakes() -> dict[str, tuple[dict[str, Any], str]]:
    world = universe()
    note = world.notes[1][0]
    gold = world.notes[3][0]
    other_base = universe(4).notes[1][1]
    outside = "lies outside 0 .. 2^64 - 1"
    account = "an account of 32 bytes belongs to a redeemed amount, and only to one"
    return {
        "too little paid": ({"payments": _pay(999)}, "the inputs do not sum to"),
        "too much paid": ({"payments": _pay(1001)}, "the inputs do not sum to"),
        "fee not paid for": ({"fee": 1}, "the inputs do not sum to"),
        "negative change": ({"payments": _pay(1001, -1)}, f"a payment's value {outside}"),
        "huge payment": ({"payments": _pay(2**64)}, f"a payment's value {outside}"),
        "negative fee": ({"fee": -1, "payments": _pay(1001)}, f"fee or redeem {outside}"),
        "no input": ({"inputs": []}, "0 inputs are outside 1 .. 4"),
        "five inputs": ({"inputs": world.notes[1][:5]}, "5 inputs are outside 1 .. 4"),
        "no payment": ({"payments": []}, "0 payments are outside 1 .. 4"),
        "five payments": ({"payments": _pay(*[200] * 5)}, "5 payments are outside 1 .. 4"),
        "a note twice": (
            {"inputs": [note, note], "payments": _pay(2000)},
            "a note is listed twice",
        ),
        "another asset": ({"inputs": [gold], "payments": _pay(3000)}, "bin 3 is of another asset"),
        "mixed bases": (
            {"inputs": [note, other_base], "payments": _pay(2001)},
            "the rings have different bases",
        ),
        "padding": (_false_note(note, position=10), "position 10 holds no real note"),
        "another value": (
            {**_false_note(note, value=1001), "payments": _pay(1001)},
            "value and blinding do not open the note",
        ),
        "another key": (_false_note(note, spend_key=7), "the spend key does not open the note"),
        "no key": (_false_note(note, spend_key=0), "the spend key is zero"),
        "account without redeem": ({"account": ACCOUNT}, account),
        "redeem without account": ({"redeem": 1, "payments": _pay(999)}, account),
        "negative expiry": ({"expiry": -1}, f"the expiry height {outside}"),
        "short chain id": ({"chain_id": b"chain"}, "a chain id has 32 bytes, an asset 16"),
    }


@pytest.mark.parametrize("name", sorted(_transfer_mistakes()))
def test_the_prover_refuses_a_false_transfer(name: str) -> None:
    changes, message = _transfer_mistakes()[name]
    arguments: dict[str, Any] = {
        "chain_id": CHAIN_ID,
        "asset": EURO,
        "inputs": [universe().notes[1][0]],
        "payments": _pay(1000),
        "expiry": EXPIRY,
        **changes,
    }
    with pytest.raises(ProvingError) as caught:
        build_transfer(**arguments)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"payments": _pay(4)}, "the payments do not sum to the amount"),
        ({"amount": 0, "payments": _pay(0)}, "the amount lies outside 1 .. 2^64 - 1"),
        ({"kind": Kind.TRANSFER}, "kind 1 mints nothing"),
        ({"kind": Kind.BALLOT}, "kind 3 mints nothing"),
        ({"payments": []}, "0 payments are outside 1 .. 4"),
        ({"issuer_secret": b"short"}, "an issuer secret has 32 bytes"),
        ({"asset": b"short"}, "a chain id has 32 bytes, an asset 16"),
    ],
)
def test_the_prover_refuses_a_false_mint(changes: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {
        "kind": Kind.ISSUE,
        "chain_id": CHAIN_ID,
        "asset": EURO,
        "amount": 5,
        "issuer_secret": ISSUER_SECRET,
        "payments": _pay(5),
        "expiry": EXPIRY,
        "ring_base": 8,
        **changes,
    }
    with pytest.raises(ProvingError) as caught:
        build_issue(**arguments)
    assert str(caught.value) == message


def _planted(note: SpendableNote) -> ClosedBin:
    notes = list(note.closed_bin.notes[:10])
    one_time_key, commitment = notes[8]
    shifted = encode_point(decode_curve(one_time_key) + torsion_point(11))
    notes[8] = (shifted, commitment)
    return close_bin(1, EURO, notes)


def test_no_proof_over_a_ring_with_planted_torsion_4_4_10_3() -> None:
    note = universe().notes[1][0]
    planted = replace(note, closed_bin=_planted(note))
    with pytest.raises(ProvingError) as caught:
        universe().transfer([planted], _pay(1000))
    assert str(caught.value) == ("bin 1 is unsound: subgroup: outside the subgroup of prime order")


def test_addresses_are_checked_before_they_are_paid_3_1() -> None:
    with pytest.raises(AddressInvalid):
        universe().transfer(
            [universe().notes[1][0]], [Payment(Address(bytes(96), BOB.view_public), 1000)]
        )


def test_building_twice_shares_nothing_but_the_nullifier_3_2() -> None:
    first, second = (decode_transaction(universe().pay_bob(1, 3)) for _ in range(2))
    assert isinstance(first, Transfer) and isinstance(second, Transfer)
    assert first.inputs == second.inputs
    for output, other in zip(first.outputs, second.outputs, strict=True):
        assert output.one_time_key != other.one_time_key
        assert output.commitment != other.commitment
        assert output.ephemeral_key != other.ephemeral_key
    assert first.range_proof[:96] != second.range_proof[:96]
    assert first.spend_proofs[0][:96] != second.spend_proofs[0][:96]


def test_a_broken_source_of_randomness_repeats_whole_proofs_or_nothing_12_5() -> None:
    def broken(size_bytes: int) -> bytes:
        return bytes(size_bytes)

    first = universe().pay_bob(1, 3, random_bytes=broken)
    again = universe().pay_bob(1, 3, random_bytes=broken)
    later = universe().pay_bob(1, 3, random_bytes=broken, expiry=EXPIRY + 1)
    assert first == again
    one, other = decode_transaction(first), decode_transaction(later)
    assert isinstance(one, Transfer) and isinstance(other, Transfer)
    announced = [one.range_proof[start : start + 96] for start in (0, 96, 192)]
    announced += [one.spend_proofs[0][start : start + 96] for start in range(0, 576, 96)]
    assert all(point not in later for point in announced)
    assert one.outputs[0].ephemeral_key != other.outputs[0].ephemeral_key


def test_amounts_and_keys_do_not_show_in_representations() -> None:
    shown = repr(universe().notes[1][0]) + repr(Payment(BOB.address, 31337))
    assert "31337" not in shown
    assert str(int(universe().notes[1][0].spend_key)) not in shown
