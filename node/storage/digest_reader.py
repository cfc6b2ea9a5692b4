"""Digests of what a bank stores, for comparison between banks.

Each is a SHA-256 over rows in a canonical order, up to a height, so that banks at different tips
compare what they have in common. Rows are streamed: memory stays flat however long the ledger is.
Byte strings are ordered as bytes, whatever the database's locale.

A bank that joined by a snapshot has the same digests as the others from the snapshot's height on:
what it took over counts as of that height. Below it raises `BeforeSnapshot`. Of the voting record
it holds the roots alone, in its headers; so that digest is one of roots.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

from sqlalchemy import ColumnElement, Text, cast, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from crypto.ballot_proof import HEAD_BYTES
from crypto.merkle import merkle_root_of_hashes
from node.ledger.ballots import Decision
from node.ledger.blocks import Header
from node.ledger.types import Height
from node.storage.errors import BeforeSnapshot
from node.storage.reading import MAX_BIGINT, AnySelect, field_bytes
from node.storage.records import CountedDigest
from node.storage.snapshot_reader import SnapshotReader
from node.storage.tables import (
    BlockRow,
    NoteRow,
    NullifierRow,
    TransactionRow,
    TreasuryRecord,
)

SELECT_RECORDS = """
SELECT b.batch_id,
       array_agg(sha256('\\x00'::bytea || v.group_signature) ORDER BY v.tag)
           FILTER (WHERE v.tag IS NOT NULL),
       CASE WHEN coalesce(bool_and(
                substr(v.group_signature, :tag_at, 96) = v.tag
                AND substr(v.group_signature, :decision_at, 1)
                    = CASE v.decision WHEN 'approve' THEN :approval ELSE :rejection END), true)
            AND b.approved_banks IS NOT DISTINCT FROM
                count(*) FILTER (WHERE v.decision = 'approve')
            AND b.rejected_banks IS NOT DISTINCT FROM
                count(*) FILTER (WHERE v.decision = 'reject')
            THEN NULL
            ELSE sha256(convert_to(concat_ws(',', b.status, b.approved_banks, b.rejected_banks,
                string_agg(concat_ws(',', v.tag, v.decision, v.group_signature), ','
                           ORDER BY v.tag)), 'UTF8'))
       END
FROM transaction_batches b LEFT JOIN bank_voting_records v ON v.batch_id = b.batch_id
WHERE b.batch_id >= :origin AND b.batch_id < :last
GROUP BY b.batch_id ORDER BY b.batch_id
"""
"""Per block the leaves of its ballots, hashed by the server (IDX1 11.1), and a digest of the rows
instead of the leaves' if they contradict the ballots."""


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
        """Return the digest of what blocks up to a height record of the votes on their parents.

        Counts blocks voted on. Of each it takes the root of its ballots, which is also in the
        header of the recording block, unless tags, decisions or counts beside the ballots say
        something else: then whatever they say.
        """
        origin = await self.origin()
        hasher = hashlib.sha256()
        count = 0
        async with self._snapshot() as connection:
            async for height, root in self._record_roots(connection, at_height, origin.height):
                count += 1
                hasher.update(field_bytes(height) + field_bytes(root))
        return CountedDigest(count, hasher.digest())

    async def _record_roots(
        self, connection: AsyncConnection, at_height: int, origin: Height
    ) -> AsyncIterator[tuple[int, bytes]]:
        """Yield heights voted on, and the root of what is stored of the votes."""
        last = min(at_height, MAX_BIGINT)
        headers = (
            select(BlockRow.header)
            .where(BlockRow.block_number.between(2, min(last, origin)))
            .order_by(BlockRow.block_number)
        )
        async for (encoded,) in self._streamed(connection, headers):
            header = Header.decode(encoded)
            yield header.height - 1, header.ballots_root
        recorded = text(SELECT_RECORDS).bindparams(
            origin=origin,
            last=last,
            tag_at=HEAD_BYTES + 1,
            decision_at=HEAD_BYTES,
            approval=Decision.APPROVE.value,
            rejection=Decision.REJECT.value,
        )
        async for height, leaves, contradiction in self._streamed(connection, recorded):
            yield height, contradiction or merkle_root_of_hashes(leaves or ())

    async def treasury_digest(
        self, at_height: int, fiscal_year: int | None = None
    ) -> CountedDigest:
        """Return the digest of the treasury's rows up to a height in ledger order.

        All of them, or those of one year, which keep their numbers in the whole list.
        """
        statement = (
            select(
                TreasuryRecord.record,
                TreasuryRecord.bank_id,
                TreasuryRecord.fiscal_year,
                cast(TreasuryRecord.amount, Text),
                TreasuryRecord.type,
                TreasuryRecord.reason,
                TreasuryRecord.block_number,
            )
            .where(TreasuryRecord.block_number <= min(at_height, MAX_BIGINT))
            .order_by(TreasuryRecord.record)
        )
        if fiscal_year is not None:
            year = min(fiscal_year, MAX_BIGINT)
            statement = statement.where(TreasuryRecord.fiscal_year == year)
        return await self._digest(statement)

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
        """Hash every row, field by field (`field_bytes`)."""
        hasher = hashlib.sha256()
        count = 0
        async with self._snapshot() as connection:
            async for rows in self._streamed_pages(connection, statement):
                count += len(rows)
                hasher.update(b"".join([field_bytes(value) for row in rows for value in row]))
        return CountedDigest(count, hasher.digest())


def _up_to(height: int) -> ColumnElement[bool]:
    """Sealed at most at this height, or taken over with the snapshot before it."""
    sealed_at = TransactionRow.batch_id
    return or_(sealed_at <= min(height, MAX_BIGINT), sealed_at.is_(None))
