"""The agreed voting record of sealed blocks, and ballots in conflict, read (BFT-12 section 17)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import select

from node.ledger.types import BlockId, Height, TimeMs, View
from node.storage.errors import NotFound
from node.storage.reading import MAX_BIGINT, AnyRow, AnySelect, page_size, time_ms_of
from node.storage.records import (
    StoredBallotConflict,
    StoredVote,
    StoredVotes,
    VotingCounts,
    VotingStatus,
)
from node.storage.snapshot_reader import SnapshotReader
from node.storage.tables import BallotConflict, BlockRow, TransactionBatch, VotingRecord

MAX_VOTES_PAGE = 100
"""Blocks in one answer with their ballots, of 1.4 kB each."""
MAX_CONFLICTS_PAGE = 100


class VoteReader(SnapshotReader):
    """Questions about who many voted how, never about who."""

    async def votes_of(self, height: int, *, include_ballots: bool = True) -> StoredVotes:
        """Return the voting record of one block, with no votes while it is pending.

        Raises `NotFound` for genesis, on which nobody votes, and above the tip, and
        `BeforeSnapshot`.
        """
        page = await self.votes(height, 1, include_ballots=include_ballots)
        if not page or page[0].counts.height != height:
            raise NotFound(f"nobody voted on a block at height {height}")
        return page[0]

    async def votes(
        self, from_height: int, limit: int, *, include_ballots: bool = True
    ) -> tuple[StoredVotes, ...]:
        """Return the voting records of consecutive blocks from a height on, up to the tip.

        At most `MAX_VOTES_PAGE` of them. Raises `BeforeSnapshot`.
        """
        first = await self._first_batch(from_height)
        async with self._snapshot() as connection:
            batches = (await connection.execute(_batches(first, min(limit, MAX_VOTES_PAGE)))).all()
            if not batches:
                return ()
            ballot = (VotingRecord.group_signature,) if include_ballots else ()
            rows = await connection.execute(
                select(VotingRecord.batch_id, VotingRecord.tag, VotingRecord.decision, *ballot)
                .where(VotingRecord.batch_id.between(batches[0][0], batches[-1][0]))
                .order_by(VotingRecord.batch_id, VotingRecord.tag)
            )
            votes: defaultdict[int, list[StoredVote]] = defaultdict(list)
            for height, tag, decision, *raw in rows:
                votes[height].append(StoredVote(tag, decision == "approve", raw[0] if raw else b""))
        return tuple([_stored_votes(row, votes[row[0]]) for row in batches])

    async def voting_counts(self, from_height: int, limit: int) -> tuple[VotingCounts, ...]:
        """Return how many approved and rejected each block from a height on, up to the tip.

        Raises `BeforeSnapshot`.
        """
        first = await self._first_batch(from_height)
        return tuple([_counts(row) for row in await self._rows(_batches(first, limit))])

    async def conflicts(
        self, from_sequence: int, limit: int = MAX_CONFLICTS_PAGE
    ) -> tuple[StoredBallotConflict, ...]:
        """Return pairs of ballots that convict a bank once it is known whose they are (E8)."""
        rows = await self._rows(
            select(
                BallotConflict.sequence,
                BallotConflict.height,
                BallotConflict.view,
                BallotConflict.tag,
                BallotConflict.first,
                BallotConflict.second,
                BallotConflict.found_at,
            )
            .where(BallotConflict.sequence >= min(from_sequence, MAX_BIGINT))
            .order_by(BallotConflict.sequence)
            .limit(min(page_size(limit), MAX_CONFLICTS_PAGE))
        )
        return tuple(
            [
                StoredBallotConflict(
                    sequence=row[0],
                    height=Height(row[1]),
                    view=View(row[2]),
                    tag=row[3],
                    first=row[4],
                    second=row[5],
                    found_at_ms=time_ms_of(row[6]),
                )
                for row in rows
            ]
        )

    async def _first_batch(self, height: int) -> int:
        """The block of a snapshot itself is the first whose record a bank that joined has."""
        origin = await self.origin()
        if height < origin.height:
            raise await self.before_snapshot(f"the voting record of height {height}")
        return min(height, MAX_BIGINT)


def _batches(first: int, limit: int) -> AnySelect:
    return (
        select(
            TransactionBatch.batch_id,
            TransactionBatch.status,
            TransactionBatch.approved_banks,
            TransactionBatch.rejected_banks,
            TransactionBatch.block_hash,
            BlockRow.timestamp,
        )
        .join(BlockRow, BlockRow.block_number == TransactionBatch.batch_id)
        .where(TransactionBatch.batch_id >= first)
        .order_by(TransactionBatch.batch_id)
        .limit(page_size(limit))
    )


def _counts(row: AnyRow) -> VotingCounts:
    return VotingCounts(Height(row[0]), VotingStatus(row[1]), row[2] or 0, row[3] or 0)


def _stored_votes(row: AnyRow, votes: Sequence[StoredVote]) -> StoredVotes:
    return StoredVotes(BlockId(row[4]), TimeMs(time_ms_of(row[5])), _counts(row), tuple(votes))
