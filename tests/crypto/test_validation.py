"""Steps 8.1-8.6 in their order: IDX1 8."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from crypto.batch import verify_transaction
from crypto.build import Payment
from crypto.curve import decode_curve, encode_point
from crypto.errors import Reason, Rejected
from crypto.layout import layout_of
from crypto.scalar import ORDER, encode_scalar
from crypto.transaction import Transfer, decode_transaction
from crypto.validation import (
    SubgroupCheck,
    check_context,
    check_points,
    check_uniqueness,
    collect,
)
from tests.crypto.universe import (
    BOB,
    EXPIRY,
    View,
    issue,
    torsion_point,
    universe,
    vector_view,
    vectors,
)

VIEW = universe().view
TRANSFER = universe().pay_bob(1, 0)
MINT = issue()


def _refused(data: bytes, view: View = VIEW, **options: bool) -> tuple[Reason, str]:
    with pytest.raises(Rejected) as caught:
        collect(data, view, **options)
    return caught.value.reason, caught.value.detail


def _put(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def _transfer() -> Transfer:
    transaction = decode_transaction(TRANSFER)
    assert isinstance(transaction, Transfer)
    return transaction


def _vector_cases() -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in vectors()["transactions"]]


@pytest.mark.parametrize("case", _vector_cases())
def test_vectors_give_their_reason_8(case: dict[str, Any]) -> None:
    spent = frozenset(bytes.fromhex(item) for item in case.get("spent", []))
    known = frozenset(bytes.fromhex(item) for item in case.get("known_notes", []))
    view = replace(vector_view(), spent=spent, known_notes=vector_view().known_notes | known)
    data = bytes.fromhex(case["bytes"])
    if case["valid"]:
        assert verify_transaction(data, view).transaction.raw == data
        return
    with pytest.raises(Rejected) as caught:
        verify_transaction(data, view)
    assert caught.value.reason.value == case["reason"]


def test_what_a_collected_transaction_tells() -> None:
    item = collect(TRANSFER, VIEW)
    assert item.transaction == _transfer()
    assert item.transaction_id == _transfer().transaction_id
    assert item.state_read == (universe().notes[1][0].closed_bin.digest,)
    assert item.equation_kinds == (Reason.RANGE, Reason.SPEND)
    mint = collect(MINT, VIEW)
    assert mint.state_read == ()
    assert mint.equation_kinds == (Reason.RANGE, Reason.ISSUE)


@pytest.mark.parametrize(
    ("data", "changes", "expected"),
    [
        (TRANSFER, {"chain_id": bytes(32)}, (Reason.CHAIN, "made for another ledger")),
        (TRANSFER, {"height": EXPIRY + 1}, (Reason.EXPIRED, "height 21, valid up to 20")),
        (MINT, {"height": EXPIRY + 1}, (Reason.EXPIRED, "height 21, valid up to 20")),
        (
            MINT,
            {"issuers": frozenset()},
            (Reason.ISSUER, "the key is not registered for the asset"),
        ),
        (TRANSFER, {"bins": {}}, (Reason.BIN_UNKNOWN, "bin 1")),
        (TRANSFER, {"bins": {1: VIEW.bins[4]}}, (Reason.BIN_OPEN, "bin 1")),
        (TRANSFER, {"bins": {1: VIEW.bins[3]}}, (Reason.BIN_ASSET, "bin 1")),
    ],
)
def test_context_8_2(data: bytes, changes: dict[str, Any], expected: tuple[Reason, str]) -> None:
    view = replace(VIEW, **changes)
    assert _refused(data, view) == expected
    with pytest.raises(Rejected) as caught:
        check_context(decode_transaction(data), view)
    assert (caught.value.reason, caught.value.detail) == expected


def test_context_alone_yields_the_bins_in_input_order_8_2() -> None:
    world = universe()
    notes = [world.notes[2][0], world.notes[1][4]]
    data = world.transfer(notes, [Payment(BOB.address, sum(note.value for note in notes))])
    used = check_context(decode_transaction(data), VIEW)
    assert used == (notes[0].closed_bin, notes[1].closed_bin)
    assert check_context(decode_transaction(MINT), VIEW) == ()
    at_its_last_height = replace(VIEW, height=EXPIRY)
    assert collect(data, at_its_last_height).state_read == tuple(item.digest for item in used)


@pytest.mark.parametrize("field", layout_of(_transfer().kind, 1, 2, 8).points, ids=lambda f: f.name)
def test_every_point_is_judged_at_its_place_8_3(field: Any) -> None:
    point = decode_curve(TRANSFER[field.start : field.end])
    assert _refused(_put(TRANSFER, field.start, bytes(96))) == (Reason.IDENTITY, field.name)
    off_curve = _put(TRANSFER, field.end - 1, bytes([TRANSFER[field.end - 1] ^ 1]))
    assert _refused(off_curve) == (Reason.POINT, field.name)
    shifted = _put(TRANSFER, field.start, encode_point(point + torsion_point(3)))
    if field.strict:
        assert _refused(shifted) == (Reason.SUBGROUP, field.name)
    else:
        collect(shifted, VIEW)
    collect(shifted, VIEW, subgroup=SubgroupCheck.DONE)
    if field.start < len(TRANSFER) - 1120:
        later_fault_too = _put(off_curve, len(TRANSFER) - 1120, bytes(96))
        assert _refused(later_fault_too) == (Reason.POINT, field.name)


def test_done_before_skips_the_subgroup_alone_8_3() -> None:
    field = layout_of(_transfer().kind, 1, 2, 8).points[0]
    identity = _put(TRANSFER, field.start, bytes(96))
    assert _refused(identity, subgroup=SubgroupCheck.DONE) == (Reason.IDENTITY, field.name)
    assert check_points(_transfer(), subgroup=False) == check_points(_transfer())


@pytest.mark.parametrize("span", layout_of(_transfer().kind, 1, 2, 8).scalars)
def test_every_scalar_is_below_the_order_8_4(span: tuple[int, int]) -> None:
    for at in (span[0], span[1] - 32):
        too_large = _put(TRANSFER, at, int(ORDER).to_bytes(32, "little"))
        assert _refused(too_large) == (Reason.SCALAR, "not below the group order")
        collect(_put(TRANSFER, at, encode_scalar(-1)), VIEW)


def test_uniqueness_8_5() -> None:
    transaction = _transfer()
    nullifier = transaction.inputs[0].nullifier
    key = transaction.outputs[1].one_time_key
    spent = replace(VIEW, spent=frozenset({nullifier}))
    known = replace(VIEW, known_notes=frozenset({key}))
    assert _refused(TRANSFER, spent) == (Reason.NULLIFIER, "spent before")
    assert _refused(TRANSFER, known) == (
        Reason.NOTE,
        "the one-time key is on the ledger already",
    )
    both = replace(spent, known_notes=known.known_notes)
    assert _refused(TRANSFER, both) == (Reason.NULLIFIER, "spent before")
    check_uniqueness(transaction, VIEW)
    twice = replace(transaction, inputs=transaction.inputs * 2)
    with pytest.raises(Rejected, match="nullifier: spent before"):
        check_uniqueness(twice, VIEW)
    twice = replace(transaction, outputs=transaction.outputs * 2)
    with pytest.raises(Rejected, match="note: the one-time key is on the ledger already"):
        check_uniqueness(twice, VIEW)


def test_the_signature_comes_after_uniqueness_and_before_equations_8_6() -> None:
    forged = _put(MINT, len(MINT) - 1, bytes([MINT[-1] ^ 1]))
    assert _refused(forged) == (Reason.SIGNATURE, "the signature does not verify")
    key = decode_transaction(MINT).outputs[0].one_time_key
    known = replace(VIEW, known_notes=frozenset({key}))
    assert _refused(forged, known)[0] is Reason.NOTE


@pytest.mark.parametrize("ring_base", [4, 16])
def test_a_transaction_of_another_ring_base_has_another_length_4_5(ring_base: int) -> None:
    data = universe(ring_base).pay_bob(1, 0)
    expected = Reason.LENGTH if ring_base == 4 else Reason.TRAILING
    assert _refused(data)[0] is expected
    collect(data, universe(ring_base).view)
