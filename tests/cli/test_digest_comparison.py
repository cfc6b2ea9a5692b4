"""Digests: who is odd in what, and from which height on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.cli.digest_comparison import first_difference, odd_ones
from node.cli.doctor_report import FindingKind
from node.ledger.types import BankIndex, Height
from node.wire.operator_records import LedgerDigests

DIGESTS = LedgerDigests(
    from_height=Height(9),
    at_height=Height(9),
    block_ids=(),
    state_root=b"s" * 32,
    transaction_count=14,
    nullifier_count=5,
    nullifier_digest=b"n" * 32,
    note_count=48,
    note_digest=b"o" * 32,
    voting_record_count=0,
    voting_record_digest=b"v" * 32,
    treasury_count=5,
    treasury_digest=b"t" * 32,
    tip_height=Height(9),
)


def test_equal_banks_are_not_odd() -> None:
    later = replace(DIGESTS, tip_height=Height(12))
    assert odd_ones({BankIndex(0): DIGESTS, BankIndex(1): DIGESTS, BankIndex(2): later}) == []


@pytest.mark.parametrize(
    ("other", "kind"),
    [
        (replace(DIGESTS, state_root=bytes(32)), FindingKind.STATE_ROOT),
        (replace(DIGESTS, transaction_count=13), FindingKind.TRANSACTIONS),
        (replace(DIGESTS, nullifier_count=4), FindingKind.NULLIFIERS),
        (replace(DIGESTS, nullifier_digest=bytes(32)), FindingKind.NULLIFIERS),
        (replace(DIGESTS, note_count=47), FindingKind.NOTES),
        (replace(DIGESTS, note_digest=bytes(32)), FindingKind.NOTES),
        (replace(DIGESTS, voting_record_digest=bytes(32)), FindingKind.VOTING_RECORDS),
        (replace(DIGESTS, treasury_count=4), FindingKind.TREASURY),
        (replace(DIGESTS, treasury_digest=bytes(32)), FindingKind.TREASURY),
    ],
    ids=lambda value: value if isinstance(value, FindingKind) else None,
)
def test_every_aspect_is_compared(other: LedgerDigests, kind: FindingKind) -> None:
    banks = {BankIndex(0): DIGESTS, BankIndex(1): other, BankIndex(2): DIGESTS}
    assert odd_ones(banks) == [(kind, BankIndex(1))]


@pytest.mark.parametrize("first", range(1, 10))
async def test_the_first_difference_is_found_by_bisection(first: int) -> None:
    asked: list[int] = []

    async def ask(bank: BankIndex, height: Height) -> LedgerDigests:
        asked.append(height)
        odd = bank == 1 and height >= first
        return replace(DIGESTS, note_digest=bytes(32) if odd else DIGESTS.note_digest)

    found = await first_difference(FindingKind.NOTES, BankIndex(1), BankIndex(0), Height(9), ask)
    assert found == first
    assert len(asked) <= 2 * 4
