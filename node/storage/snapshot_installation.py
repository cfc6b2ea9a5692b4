"""Another bank's snapshot becomes this bank's ledger: in one database transaction, or not at all.

The caller verifies each list while it is written; rows that turn out to be false are rolled back
with everything else. Memory stays flat however long the ledger is.

What a snapshot does not hold is left empty: the blocks below it (their headers are there) with
the ballots on them, the transactions that made a note or spent one, the settlements of years (the
rewards are treasury rows, which are there), and when a bin opened. A bin counts as closed at the
snapshot's height, which is when at the latest it was. The voting record begins with the snapshot's
own block, whose ballots the first block that follows records.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import psycopg

from node.ledger.blocks import Header
from node.ledger.genesis import Genesis
from node.ledger.state import LedgerState
from node.ledger.types import ASSET_BYTES, AssetId, BankIndex, FiscalYear, Height
from node.storage.block_application import (
    COPY_NOTES,
    COPY_NULLIFIERS,
    DELETE_HELD_BLOCKS,
    DELETE_RECORD,
    INSERT_BATCH,
    INSERT_SET_CHANGE,
    NOTE_TYPES,
    NULLIFIER_TYPES,
    UPDATE_BANKS,
    UPDATE_MINERS,
    timestamp,
)
from node.storage.errors import StorageConflict
from node.storage.journal import Position, copy_rows
from node.storage.row_digests import TipDigests
from node.storage.snapshot_reader import OUTPUT, PackedBin, PackedNote

COPY_BLOCKS = """
COPY blocks (block_hash, block_number, previous_hash, merkle_root, timestamp, miner_idx, state_root,
             transaction_count, header, contents, seal, seal_digest) FROM STDIN (FORMAT BINARY)
"""
BLOCK_TYPES = (
    *("bytea", "int8", "bytea", "bytea", "timestamptz", "int2", "bytea"),
    *("int4", "bytea", "bytea", "bytea", "bytea"),
)
COPY_BINS = "COPY bins (bin_id, asset, opened_at) FROM STDIN (FORMAT BINARY)"
BIN_TYPES = ("int8", "bytea", "timestamptz")
CLOSE_BINS = """
UPDATE bins SET closed_at_height = %b, closed_sequence = closing.sequence,
                note_count = closing.note_count, digest = closing.digest
FROM unnest(%b::bigint[], %b::bigint[], %b::smallint[], %b::bytea[])
    AS closing (bin_id, sequence, note_count, digest)
WHERE bins.bin_id = closing.bin_id AND bins.closed_sequence IS NULL
"""
INSERT_TREASURY = """
INSERT INTO treasury (record, bank_id, fiscal_year, amount, type, block_number, timestamp, reason)
SELECT row.record, row.bank_id, row.fiscal_year, row.amount, row.type, row.block_number,
       blocks.timestamp, row.reason
FROM unnest(%b::bigint[], %b::smallint[], %b::bigint[], %s::numeric[], %b::text[], %b::bigint[],
            %b::text[])
    AS row (record, bank_id, fiscal_year, amount, type, block_number, reason)
JOIN blocks ON blocks.block_number = row.block_number
"""
SET_TIP = """
UPDATE ledger_state SET block_hash = %b, state = %b, treasury_count = %b WHERE block_hash = %b
"""
INSERT_ORIGIN = """
INSERT INTO snapshot_origin (block_number, bank_id, transaction_count, note_count, nullifier_count)
VALUES (%b, %b, %b, %b, %b)
"""

TreasuryRowValues = tuple[BankIndex | None, FiscalYear, int, str, Height, str]
"""Bank, fiscal year, amount, kind, height, reason."""


class SnapshotInstallation:
    """The writing of one snapshot; `Database.installing_snapshot` opens the transaction."""

    def __init__(
        self,
        connection: psycopg.AsyncConnection,
        position: Position,
        genesis: Genesis,
        source: BankIndex,
    ) -> None:
        if position.state.height != 0:
            raise StorageConflict(
                f"the database holds a ledger of height {position.state.height};"
                " a snapshot goes into an empty one only"
            )
        self._connection = connection
        self._position = position
        self._genesis = genesis
        self._source = source
        self._filling: dict[AssetId, int] = {}
        """The bin that each asset's notes enter."""
        self.finished = False

    async def begin(
        self, tip: Header, seal: bytes, state: LedgerState, set_changes: Mapping[Height, bytes]
    ) -> None:
        """Open the transaction for this tip; `set_changes` are seals by height."""
        self._tip, self._seal, self._state = tip, seal, state
        self._seals = {**set_changes, tip.height: seal}
        self._opened_at = {
            asset.open_bin.bin_id: timestamp(asset.open_bin.opened_at_ms)
            for asset in state.assets
            if asset.open_bin is not None
        }
        await self._connection.execute("BEGIN")

    async def add_headers(self, headers: Sequence[Header]) -> None:
        """Write blocks of which only the header is known, and the seal where it proves a set."""
        rows = (
            (
                header.block_id,
                header.height,
                header.parent_id,
                header.transactions_root,
                timestamp(header.time_ms),
                header.proposer,
                header.post_state_root,
                header.transaction_count,
                header.encode(),
                b"",
                seal,
                None if seal is None else hashlib.sha256(seal).digest(),
            )
            for header in headers
            for seal in (self._seals.get(header.height),)
        )
        await copy_rows(self._connection, COPY_BLOCKS, BLOCK_TYPES, rows)

    async def add_notes(self, first_sequence: int, notes: Sequence[PackedNote]) -> None:
        """Write notes in ledger order, and a bin for the first note of each."""
        opened = list(self._opened_bins(notes))
        if opened:
            await copy_rows(self._connection, COPY_BINS, BIN_TYPES, opened)
        rows = (
            (sequence, *OUTPUT.unpack(output), bin_id, position, None, output_index)
            for sequence, (_, bin_id, position, output_index, output) in enumerate(
                notes, first_sequence
            )
        )
        await copy_rows(self._connection, COPY_NOTES, NOTE_TYPES, rows)

    def _opened_bins(self, notes: Sequence[PackedNote]) -> Iterator[tuple[Any, ...]]:
        for asset, bin_id, *_ in notes:
            assert len(asset) == ASSET_BYTES, "checked when it was decoded"
            if self._filling.get(asset) != bin_id:
                self._filling[asset] = bin_id
                yield bin_id, asset, self._opened_at.get(bin_id)

    async def add_nullifiers(self, first_sequence: int, nullifiers: Sequence[bytes]) -> None:
        """Write nullifiers in ledger order."""
        rows = ((place, item, None) for place, item in enumerate(nullifiers, first_sequence))
        await copy_rows(self._connection, COPY_NULLIFIERS, NULLIFIER_TYPES, rows)

    async def add_closed_bins(self, first_sequence: int, bins: Sequence[PackedBin]) -> None:
        """Close bins whose notes are written; raises `StorageConflict` for one without notes."""
        columns = (
            [item[0] for item in bins],
            list(range(first_sequence, first_sequence + len(bins))),
            [item[1] for item in bins],
            [item[2] for item in bins],
        )
        closed = await self._connection.execute(CLOSE_BINS, (self._tip.height, *columns))
        if closed.rowcount != len(bins):
            raise StorageConflict("a bin is closed twice, or has no notes")

    async def add_treasury(self, rows: Sequence[TreasuryRowValues]) -> None:
        """Write treasury rows in ledger order, after those of genesis."""
        first = self._position.treasury_count
        columns: tuple[list[Any], ...] = (
            list(range(first, first + len(rows))),
            [row[0] for row in rows],
            [row[1] for row in rows],
            [row[2] for row in rows],
            [row[3] for row in rows],
            [row[4] for row in rows],
            [row[5] for row in rows],
        )
        await self._connection.execute(INSERT_TREASURY, columns)
        self._position.treasury_count += len(rows)

    async def finish(self, set_changes: Mapping[Height, bytes]) -> None:
        """Write what hangs on the tip and commit; `set_changes` are active sets by height."""
        tip, state = self._tip, self._state
        changes = dict(set_changes)
        decides_next = state.active_set(self._genesis)
        if set_changes or decides_next.size != len(self._genesis.banks):
            last = changes[max(changes)] if changes else b""
            if decides_next.encode() != last:
                changes[tip.height] = decides_next.encode()
        async with self._connection.pipeline():
            batch = (tip.height, tip.block_id, tip.transactions_root, timestamp(tip.time_ms))
            await self._connection.execute(INSERT_BATCH, batch)
            for height, active_set in sorted(changes.items()):
                await self._connection.execute(INSERT_SET_CHANGE, (height, active_set))
            await self._mirror_banks()
            await self._connection.execute(DELETE_RECORD)
            await self._connection.execute(DELETE_HELD_BLOCKS)
            origin = (
                *(tip.height, self._source, state.transaction_count),
                *(state.notes.count, state.nullifiers.count),
            )
            await self._connection.execute(INSERT_ORIGIN, origin)
            await self._connection.execute(
                SET_TIP,
                (
                    tip.block_id,
                    state.encode(),
                    self._position.treasury_count,
                    self._position.block_id,
                ),
            )
            await self._connection.execute("COMMIT")
        self._advance()

    async def _mirror_banks(self) -> None:
        banks = self._state.banks
        indices = [bank.index for bank in banks]
        active = [bank.active for bank in banks]
        await self._connection.execute(
            UPDATE_BANKS,
            (
                indices,
                [bank.stake for bank in banks],
                [bank.balance for bank in banks],
                [bank.offences for bank in banks],
                active,
            ),
        )
        await self._connection.execute(
            UPDATE_MINERS,
            (
                indices,
                [bank.blocks_created for bank in banks],
                [bank.creator_fees for bank in banks],
                active,
            ),
        )

    def _advance(self) -> None:
        position = self._position
        position.block_id = self._tip.block_id
        position.state = self._state
        position.tip = TipDigests(
            self._tip.block_id,
            hashlib.sha256(b"").digest(),
            hashlib.sha256(self._seal).digest(),
            self._tip.post_state_root,
        )
        position.record = None
        position.held_blocks = {}
        position.held_transactions = set()
        self.finished = True
