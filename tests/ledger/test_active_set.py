"""Active sets, quorums and leaders (BFT-12 1, 3, 10)."""

from __future__ import annotations

import pytest

from node.ledger.active_set import ActiveSet, Member, quorum_size
from node.ledger.types import BankIndex, Height, View

OPENER = b"o" * 96


def members(*banks: int) -> tuple[Member, ...]:
    return tuple(Member(BankIndex(bank), bytes([bank]) * 32, bytes([bank]) * 96) for bank in banks)


@pytest.mark.parametrize(
    ("size", "quorum", "reject_threshold"),
    [(12, 10, 3), (11, 10, 2), (10, 9, 2), (9, 8, 2), (8, 7, 2), (7, 6, 2), (6, 5, 2), (5, 5, 1),
     (4, 4, 1), (16, 14, 3)],
)  # fmt: skip
def test_quorum_table_of_section_10(size: int, quorum: int, reject_threshold: int) -> None:
    active = ActiveSet(members(*range(size)), OPENER)
    assert (quorum_size(size), active.quorum, active.reject_threshold) == (
        quorum,
        quorum,
        reject_threshold,
    )


def test_the_leader_rotates_with_height_and_view_over_the_active_banks() -> None:
    """BFT-12 3: active(h)[(h+v) mod n]."""
    active = ActiveSet(members(0, 2, 3, 7), OPENER)
    leaders = [active.leader(Height(height), View(view)) for height, view in
               [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (4, 3)]]  # fmt: skip
    assert leaders == [0, 2, 3, 7, 0, 7]
    assert [bank in active for bank in (0, 1, 7)] == [True, False, True]


def test_members_are_distinct_and_sorted() -> None:
    for banks in ((1, 0), (1, 1)):
        with pytest.raises(AssertionError, match="increasing bank index"):
            ActiveSet(members(*banks), OPENER)


def test_the_set_hash_covers_ids_keys_and_opener() -> None:
    """BFT-12 2: two different sets never share a signature context."""
    base = ActiveSet(members(0, 1, 2, 3), OPENER)
    other_consensus = Member(BankIndex(3), b"x" * 32, bytes([3]) * 96)
    other_ballot = Member(BankIndex(3), bytes([3]) * 32, b"x" * 96)
    sets = [
        base,
        ActiveSet(members(0, 1, 2, 3, 4), OPENER),
        ActiveSet(members(0, 1, 2, 4), OPENER),
        ActiveSet((*members(0, 1, 2), other_consensus), OPENER),
        ActiveSet((*members(0, 1, 2), other_ballot), OPENER),
        ActiveSet(base.members, b"p" * 96),
    ]
    assert len({item.set_hash for item in sets}) == len(sets)
    assert ActiveSet(members(0, 1, 2, 3), OPENER).set_hash == base.set_hash
