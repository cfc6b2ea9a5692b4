"""Serving a snapshot: the tip, and every list up to the counts that the tip's state certifies.

A bank that joined by a snapshot serves one as well as any other.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import TypeVar

from node.ledger.blocks import Header
from node.ledger.effects import genesis_transition
from node.ledger.genesis import Genesis
from node.ledger.state import LedgerState
from node.ledger.types import Height
from node.rpc.backend import NotReady, Overloaded
from node.storage.database import Database
from node.storage.records import StoredTreasuryRow
from node.wire.records import SealedState, SetChange, TreasuryMovement
from node.wire.snapshot_codec import (
    BINS_PER_PART,
    HEADERS_PER_PART,
    NOTES_PER_PART,
    NULLIFIERS_PER_PART,
    TREASURY_ROWS_PER_PART,
)
from node.wire.snapshot_records import (
    BinPart,
    HeaderPart,
    NotePart,
    NullifierPart,
    SnapshotBin,
    SnapshotNote,
    SnapshotPart,
    SnapshotStart,
    TreasuryPart,
)

SERVED_AT_ONCE = 2
"""Snapshots under way; each may take a connection of the pool at times."""

Item = TypeVar("Item")


class SnapshotServer:
    """Serves one bank's ledger to banks that join."""

    def __init__(self, genesis: Genesis, database: Database) -> None:
        self._genesis = genesis
        self._database = database
        self._under_way = 0

    async def serve(self, minimum_height: Height) -> AsyncGenerator[SnapshotPart, None]:
        """Yield the parts in order.

        Raises `NotReady` while the tip is too low and `Overloaded` while others are served.
        """
        if self._under_way >= SERVED_AT_ONCE:
            raise Overloaded(
                "snapshots-served", f"{self._under_way} snapshots are being served", 5_000
            )
        self._under_way += 1
        try:
            async for part in self._parts(minimum_height):
                yield part
        finally:
            self._under_way -= 1

    async def _parts(self, minimum_height: Height) -> AsyncGenerator[SnapshotPart, None]:
        database = self._database
        base = await database.snapshot_base()
        height = Header.decode(base.header).height
        if height < max(minimum_height, 1):
            raise NotReady(f"the tip of this bank is at height {height}", 5_000)
        state = LedgerState.decode(base.state)
        changes = tuple(
            [
                SetChange(item.header, item.seal, item.active_set)
                for item in await database.set_changes(height)
            ]
        )
        genesis_rows = len(genesis_transition(self._genesis).treasury_entries)
        yield SnapshotStart(
            SealedState(base.header, base.seal, base.state, changes),
            base.treasury_count - genesis_rows,
        )
        async for headers in _pages(database.headers, 1, height + 1, HEADERS_PER_PART):
            yield HeaderPart(tuple(headers))
        async for notes in _pages(database.packed_notes, 0, state.notes.count, NOTES_PER_PART):
            yield NotePart(tuple([SnapshotNote(*note) for note in notes]))
        async for nullifiers in _pages(
            database.packed_nullifiers, 0, state.nullifiers.count, NULLIFIERS_PER_PART
        ):
            yield NullifierPart(tuple(nullifiers))
        async for bins in _pages(database.packed_bins, 0, state.closed_bins.count, BINS_PER_PART):
            yield BinPart(tuple([SnapshotBin(*item) for item in bins]))
        async for rows in self._treasury(height, genesis_rows):
            yield TreasuryPart(tuple([_movement(row) for row in rows]))

    async def _treasury(
        self, height: Height, first: int
    ) -> AsyncGenerator[Sequence[StoredTreasuryRow], None]:
        record = first
        while rows := await self._database.treasury_rows(height, record, TREASURY_ROWS_PER_PART):
            yield rows
            record = rows[-1].record + 1


async def _pages(
    read: Callable[[int, int], Awaitable[list[Item]]], first: int, end: int, size: int
) -> AsyncGenerator[list[Item], None]:
    """Yield a list page by page; a page that is not whole ends it, and the joiner notices."""
    for begin in range(first, end, size):
        page = await read(begin, min(begin + size, end))
        if not page:
            return
        yield page


def _movement(row: StoredTreasuryRow) -> TreasuryMovement:
    return TreasuryMovement(
        sequence=row.record,
        height=row.height,
        bank=row.bank,
        fiscal_year=row.fiscal_year,
        amount=row.amount,
        kind=row.kind,
        reason=row.reason,
    )
