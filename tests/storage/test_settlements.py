"""Settled fiscal years in the database (BFT-12 18)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from crypto.ballot_tally import EMPTY_SUM
from node.ledger.block_validity import BuiltBlock
from node.ledger.types import Amount, BankIndex, FiscalYear, Height, TransactionId
from node.storage.database import Database
from node.storage.records import (
    SettledShare,
    StoredSettlement,
    StoredTreasuryRow,
    StoredTreasurySum,
)
from tests.ledger.settling import SettlingChain, settling_genesis
from tests.storage.conftest import BANK, Query, small_config

SLASH = 2_250
"""5 % of a stake of 45000 to 45005."""

GENESIS = settling_genesis()


@pytest.fixture(scope="module")
def years() -> tuple[SettlingChain, list[BuiltBlock]]:
    """FY2026 is settled: bank 3 was slashed in it; FY2027 is empty of money and carried."""
    chain = SettlingChain(GENESIS)
    built = [
        chain.extend(),
        chain.extend(evidence=[chain.evidence(3)]),
        chain.extend(approving=range(1, 6)),
        chain.begin(2027),
        chain.extend(chain.settlement(2026)),
        chain.extend(evidence=[chain.evidence(4)]),
        chain.begin(2029),
        chain.extend(chain.carry(2027)),
        chain.extend(),
    ]
    return chain, built


@pytest_asyncio.fixture
async def settled(
    migrated_url: str, years: tuple[SettlingChain, list[BuiltBlock]]
) -> AsyncIterator[Database]:
    database = await Database.open(small_config(migrated_url), genesis=GENESIS, bank=BANK)
    for built in years[1]:
        await database.apply_block(built.block, b"seal", built.transition, built.transactions)
    yield database
    await database.close()


def settled_2026(years: tuple[SettlingChain, list[BuiltBlock]]) -> StoredSettlement:
    """Of 15 approvals the slashed bank's 3 earn nothing; the pot is shared by the other 12."""
    before, block = years[1][3].transition.state, years[1][4].block
    (tally,) = [item for item in before.tallies if item.year == 2026]
    counts = (2, 3, 3, 3, 3, 1)
    rewards = (375, 563, 563, 0, 562, 187)
    return StoredSettlement(
        fiscal_year=FiscalYear(2026),
        height=Height(5),
        transaction_id=TransactionId(block.transaction_ids[0]),
        pot=Amount(SLASH),
        carried=Amount(0),
        ballots=15,
        blocks=3,
        ciphertext_sum=tally.ciphertext_sum,
        shares=tuple(
            [
                SettledShare(BankIndex(bank), count, Amount(reward))
                for bank, (count, reward) in enumerate(zip(counts, rewards, strict=True))
            ]
        ),
    )


def carried_2027(years: tuple[SettlingChain, list[BuiltBlock]]) -> StoredSettlement:
    before, block = years[1][6].transition.state, years[1][7].block
    (tally,) = [item for item in before.tallies if item.year == 2027]
    assert tally.ciphertext_sum != EMPTY_SUM
    return StoredSettlement(
        fiscal_year=FiscalYear(2027),
        height=Height(8),
        transaction_id=TransactionId(block.transaction_ids[0]),
        pot=Amount(SLASH),
        carried=Amount(SLASH),
        ballots=15,
        blocks=3,
        ciphertext_sum=tally.ciphertext_sum,
        shares=(),
    )


async def test_section_18_settled_years_are_stored_with_the_tally_that_was_proven(
    settled: Database, years: tuple[SettlingChain, list[BuiltBlock]]
) -> None:
    both = (settled_2026(years), carried_2027(years))

    assert await settled.settlements() == both
    assert await settled.settlements(2027) == both[1:]
    assert await settled.settlements(2026, limit=1) == both[:1]
    assert await settled.settlements((1 << 64) - 1) == ()


async def test_section_18_rewards_and_carries_are_treasury_rows(settled: Database) -> None:
    def row(
        record: int, bank: int | None, amount: int, kind: str, reason: str, height: int
    ) -> StoredTreasuryRow:
        year = 2029 if (kind, amount > 0) == ("carry", True) else 2026 if height == 5 else 2027
        of = None if bank is None else BankIndex(bank)
        return StoredTreasuryRow(record, of, FiscalYear(year), amount, kind, reason, Height(height))

    rows = await settled.treasury_rows(9, from_record=7)

    assert rows == (
        row(7, 0, 375, "reward", "2 approvals in FY2026", 5),
        row(8, 1, 563, "reward", "3 approvals in FY2026", 5),
        row(9, 2, 563, "reward", "3 approvals in FY2026", 5),
        row(10, 4, 562, "reward", "3 approvals in FY2026", 5),
        row(11, 5, 187, "reward", "1 approvals in FY2026", 5),
        row(12, 4, SLASH, "penalty", rows[5].reason, 6),
        row(13, None, -SLASH, "carry", "carried into FY2029", 8),
        row(14, None, SLASH, "carry", "carried from FY2027", 8),
    )
    assert await settled.treasury_rows(9, fiscal_year=2029) == rows[-1:]
    assert await settled.treasury_rows(9, from_record=13, fiscal_year=2027) == rows[-2:-1]


async def test_section_18_sums_of_a_settled_year_leave_nothing_in_its_pot(
    settled: Database,
) -> None:
    sums = await settled.treasury_sums(9)
    in_pots = {
        year: [(item.kind, item.amount) for item in sums if item.fiscal_year == year]
        for year in (2027, 2029)
    }

    assert in_pots == {
        2027: [("carry", -SLASH), ("penalty", SLASH)],
        2029: [("carry", SLASH)],
    }
    paid = [item for item in sums if item.kind == "reward"]
    assert sum(item.amount for item in paid) == SLASH
    assert paid[0] == StoredTreasurySum(FiscalYear(2026), BankIndex(0), "reward", 375, rows=1)


async def test_section_18_rewards_credit_the_accounts(settled: Database, query: Query) -> None:
    rows = query(
        "SELECT bank_id, amount, block_number, transaction_sequence FROM account_entries"
        " WHERE kind = 'reward' ORDER BY entry"
    )

    assert rows == [(0, 375, 5, 0), (1, 563, 5, 0), (2, 563, 5, 0), (4, 562, 5, 0), (5, 187, 5, 0)]
    assert query("SELECT id, account_balance FROM banks ORDER BY id") == [
        (0, 375),
        (1, 563),
        (2, 563),
        (3, 0),
        (4, 562),
        (5, 187),
    ]
