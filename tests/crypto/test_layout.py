"""Sizes and offsets: IDX1 4.5, 5, 6.2, 7.3 and the order of 8.3."""

from __future__ import annotations

from itertools import pairwise

import pytest

from crypto.layout import (
    MAX_TRANSACTION_BYTES,
    Kind,
    layout_of,
    range_proof_bytes,
    spend_proof_bytes,
)


def test_proof_sizes_are_those_of_the_specification_6_2_7_3_4_5() -> None:
    assert [range_proof_bytes(count) for count in (1, 2, 3, 4)] == [2368, 4416, 6464, 8512]
    assert [spend_proof_bytes(ring_base) for ring_base in (4, 8, 16)] == [864, 1120, 1632]


def test_transaction_sizes_are_those_of_the_specification_5_4() -> None:
    assert layout_of(Kind.TRANSFER, 1, 2, 8).total == 6318
    assert layout_of(Kind.ISSUE, 0, 2, 8).total == 5278
    assert layout_of(Kind.PAYOUT, 0, 2, 8) == layout_of(Kind.ISSUE, 0, 2, 4)
    assert MAX_TRANSACTION_BYTES == layout_of(Kind.TRANSFER, 4, 4, 16).total == 16_984


def test_points_of_a_transfer_are_judged_in_the_order_of_8_3() -> None:
    names = [(field.name, field.strict) for field in layout_of(Kind.TRANSFER, 2, 1, 8).points]
    spend = ("A", "B", "X0", "X1", "Y0", "Y1")
    assert names == [
        ("nullifier of input 0", True),
        ("commitment of input 0", False),
        ("nullifier of input 1", True),
        ("one-time key of output 0", True),
        ("commitment of output 0", True),
        ("A of the range proof", False),
        ("S of the range proof", False),
        ("T of the range proof", False),
        *((f"{name} of spend proof 0", False) for name in spend),
        *((f"{name} of spend proof 1", False) for name in spend),
    ]


def test_points_of_a_mint_end_with_the_issue_proof_8_3() -> None:
    names = [field.name for field in layout_of(Kind.ISSUE, 0, 1, 8).points]
    assert names == [
        "one-time key of output 0",
        "commitment of output 0",
        "A of the range proof",
        "S of the range proof",
        "T of the range proof",
        "R of the issue proof",
    ]


@pytest.mark.parametrize("kind", [Kind.TRANSFER, Kind.ISSUE])
@pytest.mark.parametrize("ring_base", [4, 8, 16])
def test_fields_cover_the_proofs_without_gap_or_overlap(kind: Kind, ring_base: int) -> None:
    layout = layout_of(kind, 2 if kind is Kind.TRANSFER else 0, 2, ring_base)
    spans = sorted(
        [(field.start, field.end) for field in layout.points if field.start >= layout.range_proof]
        + list(layout.scalars)
    )
    assert spans[0][0] == layout.range_proof
    assert all(end == start for (_, end), (start, _) in pairwise(spans))
    assert spans[-1][1] == layout.total - (64 if kind is Kind.ISSUE else 0)
