"""Digests of what a bank stores, for comparison between banks.

Each is a SHA-256 over rows in a canonical order, up to a height, so that banks at different tips
compare what they have in common. Rows are streamed: memory stays flat however long the ledger is.
Byte strings are ordered as bytes, whatever the database's locale.

A bank that joined by a snapshot has the same digests as the others from the snapshot's height on:
what it took over counts as of that height. Below it raises `BeforeSnapshot`.
"""

from __future__ import annotations

import hashlib

from sqlalchemy import ColumnElement, func, or_, select, text

from node.ledger.types import BankIndex, FiscalYear, Height
from node.storage.errors import BeforeSnapshot
from node.storage.reading import MAX_BIGINT, AnySelect, page_size
from node.storage.records import CountedDigest, StoredTreasuryRow
from node.storage.snapshot_reader import SnapshotReader
from node.storage.tables import (
    NoteRow,
    NullifierRow,
    TransactionRow,
    TreasuryRecord,
    VotingRecord,
)

ROWS_PER_FETCH = 1_000


class DigestReader(SnapshotReader):
    """Questions of the doctor."""

    async def nullifier_digest(self, at_height: int) -> CountedDigest:
        """Return the digest of the set of nullifiers spent up to a height, sorted as bytes."""
        await self._require_held(at_height)
        return await self._digest(
            select(NullifierRow.nullifier)
            .outerjoin(
                TransactionRow,
                TransactionRow.sequence_number == NullifierRow.transaction_sequence,
            )
            .where(_up_to(at_height))
            .order_by(NullifierRow.nullifier)
        )

    async def notes_digest(self, at_height: int) -> CountedDigest:
        """Return the digest of all notes up to a height in ledger order, with their places."""
        await self._require_held(at_height)
        return await self._digest(
            select(
                NoteRow.sequence,
                NoteRow.one_time_key,
                NoteRow.commitment,
                NoteRow.ephemeral_key,
                NoteRow.view_tag,
                NoteRow.ciphertext,
                NoteRow.bin_id,
                NoteRow.position,
                NoteRow.output_index,
            )
            .outerjoin(
                TransactionRow, TransactionRow.sequence_number == NoteRow.transaction_sequence
            )
            .where(_up_to(at_height))
            .order_by(NoteRow.sequence)
        )

    async def voting_records_digest(self, at_height: int) -> CountedDigest:
        """Return the digest of the ballots recorded on blocks up to a height.

        The bank of a ballot is left out: only a bank that the regulator told knows it.
        """
        return await self._digest(
            select(
                VotingRecord.batch_id,
                VotingRecord.tag,
                VotingRecord.decision,
                VotingRecord.group_signature,
            )
            .where(VotingRecord.batch_id <= min(at_height, MAX_BIGINT))
            .order_by(VotingRecord.batch_id, VotingRecord.tag)
        )

    async def treasury_rows(
        self, at_height: int, from_record: int = 0, limit: int = 1_000
    ) -> tuple[StoredTreasuryRow, ...]:
        """Return treasury rows up to a height in order from a record number on."""
        rows = await self._rows(
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
        return tuple(
            [
                StoredTreasuryRow(
                    record=row[0],
                    bank=None if row[1] is None else BankIndex(row[1]),
                    fiscal_year=FiscalYear(row[2]),
                    amount=row[3],
                    kind=row[4],
                    reason=row[5],
                    height=Height(row[6]),
                )
                for row in rows
            ]
        )

    async def transaction_count(self, at_height: int) -> int:
        """Return how many transactions are sealed up to a height."""
        before = await self._require_held(at_height)
        rows = await self._rows(
            select(func.coalesce(func.max(TransactionRow.sequence_number) + 1, before)).where(
                TransactionRow.batch_id <= min(at_height, MAX_BIGINT)
            )
        )
        return int(rows[0][0])

    async def database_size_bytes(self) -> int:
        """Return what the database occupies on the server's disk."""
        rows = await self._rows(text("SELECT pg_database_size(current_database())"))
        return int(rows[0][0])

    async def _require_held(self, at_height: int) -> int:
        """Raise `BeforeSnapshot` below the ledger's origin; return the transactions before it."""
        origin = await self.origin()
        if at_height < origin.height:
            raise BeforeSnapshot(f"what was sealed up to height {at_height}", origin.first_height)
        return origin.transaction_count

    async def _digest(self, statement: AnySelect) -> CountedDigest:
        """Hash every row: each field as a length of eight bytes and its bytes, big-endian."""
        hasher = hashlib.sha256()
        count = 0
        async with self._snapshot() as connection:
            options = {"yield_per": ROWS_PER_FETCH}
            async with connection.stream(statement, execution_options=options) as result:
                async for row in result:
                    count += 1
                    hasher.update(b"".join([_field(value) for value in row]))
        return CountedDigest(count, hasher.digest())


def _up_to(height: int) -> ColumnElement[bool]:
    """Sealed at most at this height, or taken over with the snapshot before it."""
    sealed_at = TransactionRow.batch_id
    return or_(sealed_at <= min(height, MAX_BIGINT), sealed_at.is_(None))


def _field(value: bytes | int | str) -> bytes:
    match value:
        case int():
            data = value.to_bytes(8, "big")
        case str():
            data = value.encode()
        case _:
            data = value
    return len(data).to_bytes(8, "big") + data
