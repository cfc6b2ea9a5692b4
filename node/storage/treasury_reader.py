"""Stakes, pots, rewards and settled years, read (BFT-12 section 18)."""

from __future__ import annotations

from collections import defaultdict

from sqlalchemy import func, select

from node.ledger.types import Amount, BankIndex, FiscalYear, Height, TransactionId
from node.storage.reading import MAX_BIGINT, Reader, page_size
from node.storage.records import (
    SettledShare,
    StoredSettlement,
    StoredTreasuryRow,
    StoredTreasurySum,
)
from node.storage.tables import SettlementRow, SettlementShare, TransactionRow, TreasuryRecord


class TreasuryReader(Reader):
    """Questions about the consortium's money."""

    async def treasury_rows(
        self,
        at_height: int,
        from_record: int = 0,
        limit: int = 1_000,
        fiscal_year: int | None = None,
    ) -> tuple[StoredTreasuryRow, ...]:
        """Return treasury rows up to a height in order from a record number on.

        Those of one fiscal year keep their numbers in the whole list.
        """
        statement = (
            select(
                TreasuryRecord.record,
                TreasuryRecord.bank_id,
                TreasuryRecord.fiscal_year,
                TreasuryRecord.amount,
                TreasuryRecord.type,
                TreasuryRecord.reason,
                TreasuryRecord.block_number,
            )
            .where(
                TreasuryRecord.record >= min(from_record, MAX_BIGINT),
                TreasuryRecord.block_number <= min(at_height, MAX_BIGINT),
            )
            .order_by(TreasuryRecord.record)
            .limit(page_size(limit))
        )
        if fiscal_year is not None:
            year = min(fiscal_year, MAX_BIGINT)
            statement = statement.where(TreasuryRecord.fiscal_year == year)
        return tuple(
            [
                StoredTreasuryRow(
                    record=row[0],
                    bank=_bank(row[1]),
                    fiscal_year=FiscalYear(row[2]),
                    amount=row[3],
                    kind=row[4],
                    reason=row[5],
                    height=Height(row[6]),
                )
                for row in await self._rows(statement)
            ]
        )

    async def treasury_sums(self, at_height: int) -> tuple[StoredTreasurySum, ...]:
        """Return what the rows up to a height add up to, by year, bank and kind in this order.

        As many sums as years times banks, however many rows; rows of no bank come first.
        """
        key = (TreasuryRecord.fiscal_year, TreasuryRecord.bank_id, TreasuryRecord.type)
        rows = await self._rows(
            select(*key, func.sum(TreasuryRecord.amount), func.count())
            .where(TreasuryRecord.block_number <= min(at_height, MAX_BIGINT))
            .group_by(*key)
            .order_by(key[0], key[1].asc().nulls_first(), key[2])
        )
        return tuple(
            [
                StoredTreasurySum(FiscalYear(row[0]), _bank(row[1]), row[2], int(row[3]), row[4])
                for row in rows
            ]
        )

    async def settlements(
        self, from_year: int = 0, limit: int = 1_000
    ) -> tuple[StoredSettlement, ...]:
        """Return settled years in order from a year on.

        A bank that joined by a snapshot has those alone that were settled after it; the rewards of
        the earlier ones stand in its treasury rows.
        """
        async with self._snapshot() as connection:
            settled = (
                await connection.execute(
                    select(
                        SettlementRow.fiscal_year,
                        SettlementRow.block_number,
                        TransactionRow.transaction_id,
                        SettlementRow.pot,
                        SettlementRow.carried,
                        SettlementRow.ballots,
                        SettlementRow.blocks,
                        SettlementRow.ciphertext_sum,
                    )
                    .join(
                        TransactionRow,
                        TransactionRow.sequence_number == SettlementRow.transaction_sequence,
                    )
                    .where(SettlementRow.fiscal_year >= min(from_year, MAX_BIGINT))
                    .order_by(SettlementRow.fiscal_year)
                    .limit(page_size(limit))
                )
            ).all()
            years = [row[0] for row in settled]
            rows = await connection.execute(
                select(
                    SettlementShare.fiscal_year,
                    SettlementShare.bank_id,
                    SettlementShare.count,
                    SettlementShare.reward,
                )
                .where(SettlementShare.fiscal_year.in_(years))
                .order_by(SettlementShare.fiscal_year, SettlementShare.bank_id)
            )
            shares: defaultdict[int, list[SettledShare]] = defaultdict(list)
            for year, bank, count, reward in rows:
                shares[year].append(SettledShare(BankIndex(bank), count, Amount(reward)))
        return tuple(
            [
                StoredSettlement(
                    fiscal_year=FiscalYear(row[0]),
                    height=Height(row[1]),
                    transaction_id=TransactionId(row[2]),
                    pot=Amount(row[3]),
                    carried=Amount(row[4]),
                    ballots=row[5],
                    blocks=row[6],
                    ciphertext_sum=row[7],
                    shares=tuple(shares[row[0]]),
                )
                for row in settled
            ]
        )


def _bank(index: int | None) -> BankIndex | None:
    return None if index is None else BankIndex(index)
