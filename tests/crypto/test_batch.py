"""Batches, bisection and the sequential meaning of blocks: IDX1 8.5, 8.7, 8.8, 10."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.accumulator import Accumulator
from crypto.batch import BlockView, judge_block, verify_batch, verify_transaction
from crypto.build import Payment
from crypto.curve import decode_curve, encode_point
from crypto.errors import BatchRejected, BlockRejected, Reason, Rejected
from crypto.layout import Kind, PointField, layout_of
from crypto.randomness import Coins
from crypto.scalar import encode_scalar
from crypto.transaction import decode_transaction
from crypto.validation import SubgroupCheck, collect
from tests.crypto.universe import BOB, issue, torsion_point, universe, vector_view, vectors

VIEW = universe().view
VECTOR_BYTES = {entry["name"]: bytes.fromhex(entry["bytes"]) for entry in vectors()["transactions"]}
TORSION = sorted(name for name in VECTOR_BYTES if name.startswith("torsion-"))


def _bump(data: bytes, at: int) -> bytes:
    value = int.from_bytes(data[at : at + 32], "little")
    return data[:at] + encode_scalar(value + 1) + data[at + 32 :]


def _bad_range(data: bytes) -> bytes:
    return _bump(data, len(data) - 1120 - 32)


def _bad_spend(data: bytes) -> bytes:
    return _bump(data, len(data) - 32)


@cache
def _pool() -> dict[str, bytes]:
    """Transactions that compete for nullifiers and notes, some of them with a false proof."""
    world = universe()

    first = world.pay_bob(1, 0)
    again = world.pay_bob(1, 0)
    second = world.pay_bob(1, 1)
    mint = issue()
    total = world.notes[1][0].value + world.notes[1][1].value
    both = world.transfer(world.notes[1][:2], [Payment(BOB.address, total)])
    return {
        "first": first,
        "spends the same note": again,
        "first, range broken": _bad_range(first),
        "first, spend broken": _bad_spend(first),
        "second": second,
        "second, spend broken": _bad_spend(second),
        "spends both": both,
        "mint": mint,
        "mint, signature broken": mint[:-1] + bytes([mint[-1] ^ 1]),
        "mint, range broken": _bump(mint, len(mint) - 192 - 32),
        "mint, cut short": mint[:-1],
    }


def _judge_one_by_one(transactions: list[bytes]) -> dict[str, Reason]:
    view = BlockView(VIEW)
    failures = {}
    for index, data in enumerate(transactions):
        try:
            item = verify_transaction(data, view)
        except Rejected as error:
            failures[str(index)] = error.reason
        else:
            view.occupy(item.transaction)
    return failures


def _judge(transactions: list[bytes], **options: Any) -> dict[str, Reason]:
    try:
        accepted = judge_block(transactions, VIEW, **options)
    except BlockRejected as error:
        return dict(error.failures)
    assert [item.transaction.raw for item in accepted] == transactions
    return {}


@given(st.lists(st.sampled_from(sorted(_pool())), max_size=7))
@settings(max_examples=25, deadline=None)
def test_a_block_means_its_transactions_one_by_one_8_5_8_8(names: list[str]) -> None:
    transactions = [_pool()[name] for name in names]
    assert _judge(transactions) == _judge_one_by_one(transactions)


def test_a_failed_spend_frees_its_nullifier_and_a_valid_one_keeps_it_8_5() -> None:
    names = ["first, spend broken", "spends the same note", "first", "mint", "mint"]
    assert _judge([_pool()[name] for name in names]) == {
        "0": Reason.SPEND,
        "2": Reason.NULLIFIER,
        "4": Reason.NOTE,
    }


def test_an_empty_block_is_valid_8_8() -> None:
    assert judge_block([], VIEW) == ()


@pytest.mark.parametrize("case", [pytest.param(c, id=c["name"]) for c in vectors()["blocks"]])
def test_blocks_of_the_vectors_8_8(case: dict[str, Any]) -> None:
    transactions = [VECTOR_BYTES[name] for name in case["transactions"]]
    expected = {key: reason for key, reason in case["bad"].items() if not key.startswith("ballot")}
    try:
        judge_block(transactions, vector_view())
    except BlockRejected as error:
        assert {key: reason.value for key, reason in error.failures.items()} == expected
    else:
        assert expected == {}


class _FalseBallot:
    """A batch item whose only equation does not hold."""

    equation_kinds = (Reason.BALLOT,)
    unchecked_points = ()

    def accumulate(self, accumulator: Accumulator, only: Reason | None = None) -> None:
        if only in (None, Reason.BALLOT):
            accumulator.refuse()


class _TrueBallot(_FalseBallot):
    def accumulate(self, accumulator: Accumulator, only: Reason | None = None) -> None:
        pass


def test_ballots_of_a_block_fail_alone_and_are_named_8_8() -> None:
    ballots = [_TrueBallot(), _FalseBallot(), _TrueBallot()]
    assert _judge([_pool()["first"]], ballots=ballots) == {"ballot:1": Reason.BALLOT}
    assert _judge([_pool()["first, range broken"]], ballots=ballots) == {
        "0": Reason.RANGE,
        "ballot:1": Reason.BALLOT,
    }


def _items(names: list[str]) -> list[Any]:
    return [collect(_pool()[name], VIEW) for name in names]


@pytest.mark.parametrize("bad_positions", [[], [0], [7], [3, 4], [0, 1, 2], list(range(8))])
def test_bisection_names_exactly_the_failing_items_10_7(bad_positions: list[int]) -> None:
    good, bad = _items(["second", "first, spend broken"])
    items = [bad if position in bad_positions else good for position in range(8)]
    if not bad_positions:
        verify_batch(items)
        return
    with pytest.raises(BatchRejected) as caught:
        verify_batch(items, Coins(b"weights").take)
    assert caught.value.failures == dict.fromkeys(bad_positions, Reason.SPEND)
    assert str(caught.value) == ", ".join(f"{position}: spend" for position in bad_positions)


def test_if_several_equations_fail_the_first_kind_is_named_8_7() -> None:
    both = collect(_bad_spend(_bad_range(_pool()["first"])), VIEW)
    mint = issue()
    wrong_amount = collect(VECTOR_BYTES["bad-issue-amount-signed"], vector_view())
    with pytest.raises(BatchRejected) as caught:
        verify_batch([both, collect(mint, VIEW), wrong_amount])
    assert caught.value.failures == {0: Reason.RANGE, 2: Reason.ISSUE}


def test_an_empty_batch_holds() -> None:
    verify_batch([])


def test_small_order_parts_are_accepted_alone_and_in_a_batch_10_1() -> None:
    assert len(TORSION) == 11
    items = [collect(VECTOR_BYTES[name], vector_view()) for name in TORSION]
    for repetition in range(3):
        weights = Coins(b"weights %d" % repetition).take
        verify_batch(items, weights)
        for item in items:
            verify_batch([item], weights)


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_no_changed_byte_survives(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["first", "spends both", "mint"]))
    original = _pool()[name]
    at = data.draw(st.integers(0, len(original) - 1))
    flip = data.draw(st.integers(1, 255))
    changed = original[:at] + bytes([original[at] ^ flip]) + original[at + 1 :]
    with pytest.raises(Rejected):
        verify_transaction(changed, VIEW)


def _outcome(data: bytes, subgroup: SubgroupCheck, view: Any) -> Reason | None:
    try:
        item = collect(data, view, subgroup=subgroup)
        verify_batch([item])
    except Rejected as error:
        return error.reason
    except BatchRejected as error:
        return error.failures[0]
    return None


@pytest.mark.parametrize("name", sorted(VECTOR_BYTES))
def test_the_batch_gives_the_reason_that_asking_at_once_gives_8_3(name: str) -> None:
    data = VECTOR_BYTES[name]
    at_once = _outcome(data, SubgroupCheck.AT_ONCE, vector_view())
    assert _outcome(data, SubgroupCheck.WITH_BATCH, vector_view()) == at_once


STRICT_FIELDS = [field for field in layout_of(Kind.TRANSFER, 1, 2, 8).points if field.strict]


def _shift(data: bytes, start: int, order: int) -> bytes:
    moved = decode_curve(data[start : start + 96]) + torsion_point(order)
    return data[:start] + encode_point(moved) + data[start + 96 :]


@pytest.mark.parametrize("field", STRICT_FIELDS, ids=lambda field: field.name)
def test_a_later_fault_does_not_hide_a_point_outside_the_subgroup_8_3(field: PointField) -> None:
    original = _pool()["first"]
    shifted = _shift(original, field.start, 3)
    nullifier = decode_transaction(shifted).inputs[0].nullifier
    cases = {
        "equations": (shifted, VIEW),
        "scalar": (shifted[:-32] + bytes([255]) * 32, VIEW),
        "last point": (shifted[:-1120] + bytes(96) + shifted[-1024:], VIEW),
        "spent": (shifted, replace(VIEW, spent=frozenset({nullifier}))),
    }
    reasons = {
        name: _outcome(data, SubgroupCheck.WITH_BATCH, view) for name, (data, view) in cases.items()
    }
    assert reasons == dict.fromkeys(cases, Reason.SUBGROUP)
    before = replace(VIEW, bins={})
    assert _outcome(shifted, SubgroupCheck.WITH_BATCH, before) is Reason.BIN_UNKNOWN


def test_a_signature_does_not_hide_a_point_outside_the_subgroup_8_6() -> None:
    mint = _pool()["mint"]
    field = layout_of(Kind.ISSUE, 0, 2, 8).points[0]
    forged = _shift(mint[:-1] + bytes([mint[-1] ^ 1]), field.start, 11)
    assert _outcome(forged, SubgroupCheck.WITH_BATCH, VIEW) is Reason.SUBGROUP


@pytest.mark.parametrize("order", [3, 11])
@pytest.mark.parametrize("field", STRICT_FIELDS, ids=lambda field: field.name)
def test_points_outside_the_subgroup_are_named_in_a_large_batch_10_7(
    field: PointField, order: int
) -> None:
    pool = {
        "good": _pool()["first"],
        "outside": _shift(_pool()["first"], field.start, order),
        "false": _pool()["first, spend broken"],
    }
    items = {
        name: collect(data, VIEW, subgroup=SubgroupCheck.WITH_BATCH) for name, data in pool.items()
    }
    batch = [items["good"]] * 30
    batch[7], batch[20], batch[21] = items["outside"], items["false"], items["outside"]
    with pytest.raises(BatchRejected) as caught:
        verify_batch(batch)
    expected = {7: Reason.SUBGROUP, 20: Reason.SPEND, 21: Reason.SUBGROUP}
    assert caught.value.failures == expected


def test_a_transaction_outside_the_subgroup_frees_what_it_occupied_8_5() -> None:
    field = STRICT_FIELDS[1]
    shifted = _shift(_pool()["first"], field.start, 3)
    assert _judge([shifted, _pool()["spends the same note"]]) == {"0": Reason.SUBGROUP}


def test_errors_of_two_transactions_do_not_cancel_10_5() -> None:
    original = _pool()["first"]
    at = len(original) - 32
    value = int.from_bytes(original[at:], "little")
    pair = [original[:at] + encode_scalar(value + shift) for shift in (1, -1)]
    with pytest.raises(BatchRejected) as caught:
        verify_batch([collect(item, VIEW) for item in pair])
    assert caught.value.failures == {0: Reason.SPEND, 1: Reason.SPEND}


def test_points_checked_is_asked_per_transaction() -> None:
    asked: list[bytes] = []

    def points_checked(data: bytes) -> bool:
        asked.append(data)
        return True

    transactions = [_pool()["first"], _pool()["mint"]]
    assert len(judge_block(transactions, VIEW, points_checked=points_checked)) == 2
    assert asked == transactions
