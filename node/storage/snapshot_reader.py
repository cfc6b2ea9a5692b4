"""What a snapshot for another bank is made of, and where this bank's own ledger begins.

Every list here only grows, and a tip says how long each was when it was sealed. So a snapshot is
read in short statements, page by page, up to the counts of one tip: it is as consistent as one
long transaction would be, and holds back neither vacuum nor a connection while a slow reader
takes its time.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from node.ledger.types import AssetId, Height
from node.storage.errors import BeforeSnapshot, IntegrityViolation
from node.storage.reading import Reader
from node.storage.tables import BlockRow, LedgerStateRow, SnapshotOrigin

SELECT_HEADERS = """
SELECT header FROM blocks WHERE block_number >= %b AND block_number < %b ORDER BY block_number
"""
SELECT_NOTES = """
SELECT b.asset, n.bin_id, n.position, n.output_index, n.one_time_key, n.commitment,
       n.ephemeral_key, n.view_tag, n.ciphertext
FROM notes n JOIN bins b ON b.bin_id = n.bin_id
WHERE n.sequence >= %b AND n.sequence < %b ORDER BY n.sequence
"""
SELECT_NULLIFIERS = """
SELECT nullifier FROM nullifiers WHERE sequence >= %b AND sequence < %b ORDER BY sequence
"""
SELECT_CLOSED_BINS = """
SELECT bin_id, note_count, digest FROM bins
WHERE closed_sequence >= %b AND closed_sequence < %b ORDER BY closed_sequence
"""

OUTPUT = struct.Struct(">96s96s32sB56s")
"""One-time key, commitment, ephemeral key, view tag, ciphertext (IDX1 3.2)."""

PackedNote = tuple[AssetId, int, int, int, bytes]
"""Asset, bin id, position, output index, and the 281 bytes of the output (IDX1 3.2)."""
PackedBin = tuple[int, int, bytes]
"""Bin id, real notes, digest."""


@dataclass(frozen=True, slots=True)
class SnapshotBase:
    """One tip, from which a snapshot is made."""

    header: bytes
    seal: bytes
    """Empty at height 0."""
    state: bytes
    treasury_count: int
    """Treasury rows up to this tip, genesis included."""


@dataclass(frozen=True, slots=True)
class LedgerOrigin:
    """Where this bank's ledger begins."""

    height: Height
    """Of the block whose state was taken over; 0 where everything was replayed."""
    transaction_count: int = 0
    """Sealed up to that height, and unknown here."""
    note_count: int = 0
    nullifier_count: int = 0

    @property
    def first_height(self) -> Height:
        """The lowest height above genesis at which the whole block is stored."""
        return Height(self.height + 1)


class SnapshotReader(Reader):
    """Questions of a bank that joins, and about how this bank joined."""

    async def origin(self) -> LedgerOrigin:
        """Return where this bank's ledger begins."""
        rows = await self._rows(
            select(
                SnapshotOrigin.block_number,
                SnapshotOrigin.transaction_count,
                SnapshotOrigin.note_count,
                SnapshotOrigin.nullifier_count,
            )
        )
        return LedgerOrigin(Height(rows[0][0]), *rows[0][1:]) if rows else LedgerOrigin(Height(0))

    async def first_height(self) -> Height:
        """Return the lowest height above genesis at which the whole block is stored."""
        return (await self.origin()).first_height

    async def before_snapshot(self, what: str) -> BeforeSnapshot:
        """Return the error that says that this bank never had `what`, and who has."""
        return BeforeSnapshot(what, await self.first_height())

    async def snapshot_base(self) -> SnapshotBase:
        """Return the tip with what a snapshot starts from."""
        rows = await self._rows(
            select(
                BlockRow.header,
                BlockRow.seal,
                LedgerStateRow.state,
                LedgerStateRow.treasury_count,
            ).join_from(LedgerStateRow, BlockRow)
        )
        if not rows:
            raise IntegrityViolation("ledger_state", None, "the row is missing")
        header, seal, state, treasury_count = rows[0]
        return SnapshotBase(header, seal or b"", state, treasury_count)

    async def headers(self, first: int, end: int) -> list[bytes]:
        """Return canonical headers from height `first` to `end`, that one excluded."""
        return [row[0] for row in await self._span(SELECT_HEADERS, first, end)]

    async def packed_notes(self, first: int, end: int) -> list[PackedNote]:
        """Return notes in ledger order from sequence `first` to `end`, that one excluded."""
        return [
            (AssetId(row[0]), row[1], row[2], row[3], OUTPUT.pack(*row[4:]))
            for row in await self._span(SELECT_NOTES, first, end)
        ]

    async def packed_nullifiers(self, first: int, end: int) -> list[bytes]:
        """Return nullifiers in ledger order from sequence `first` to `end`, that one excluded."""
        return [row[0] for row in await self._span(SELECT_NULLIFIERS, first, end)]

    async def packed_bins(self, first: int, end: int) -> list[PackedBin]:
        """Return closed bins in closing order from place `first` to `end`, that one excluded."""
        return [
            (row[0], row[1], row[2]) for row in await self._span(SELECT_CLOSED_BINS, first, end)
        ]

    async def _span(self, statement: str, first: int, end: int) -> list[tuple[Any, ...]]:
        return await self._driver_rows(statement, first, end)
