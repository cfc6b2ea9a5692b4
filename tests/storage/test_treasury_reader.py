"""Stakes, pots and settled years, read."""

from __future__ import annotations

from node.ledger.types import BankIndex
from node.storage.database import Database
from node.storage.records import StoredTreasuryRow, StoredTreasurySum
from tests.storage.conftest import Story


async def test_treasury_rows(told_story: Database, story: Story) -> None:
    rows = await told_story.treasury_rows(6, from_record=3)

    assert rows == (
        StoredTreasuryRow(3, BankIndex(3), 2026, 45_003, "stake", "initial stake", 0),
        StoredTreasuryRow(4, None, 2026, 134, "fee", "approvers' part of the fees of block 4", 4),
        StoredTreasuryRow(5, None, 2026, 67, "fee", "approvers' part of the fees of block 6", 6),
    )
    assert await told_story.treasury_rows(4, from_record=3) == rows[:2]


async def test_treasury_rows_of_one_year_keep_their_numbers(told_story: Database) -> None:
    assert await told_story.treasury_rows(6, fiscal_year=2026) == (
        await told_story.treasury_rows(6)
    )
    assert await told_story.treasury_rows(6, fiscal_year=2027) == ()
    assert await told_story.treasury_rows(6, fiscal_year=(1 << 64) - 1) == ()


async def test_treasury_sums_by_year_bank_and_kind(told_story: Database) -> None:
    stakes = tuple(
        [
            StoredTreasurySum(2026, BankIndex(bank), "stake", 45_000 + bank, rows=1)
            for bank in range(4)
        ]
    )

    assert await told_story.treasury_sums(6) == (
        StoredTreasurySum(2026, None, "fee", 134 + 67, rows=2),
        *stakes,
    )
    assert await told_story.treasury_sums(4) == (
        StoredTreasurySum(2026, None, "fee", 134, rows=1),
        *stakes,
    )


async def test_the_treasury_is_digested_whole_or_by_year(told_story: Database) -> None:
    whole = await told_story.treasury_digest(6)

    assert whole.count == 6
    assert await told_story.treasury_digest(6, fiscal_year=2026) == whole
    assert (await told_story.treasury_digest(6, fiscal_year=2025)).count == 0
    assert (await told_story.treasury_digest(5)).count == 5
