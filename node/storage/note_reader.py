"""Notes, nullifiers and bins, read: what wallets scan and what the ledger's rules look up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select

from crypto.ring import ClosedBin, close_bin
from node.ledger.facts import BlockFacts, FactsNeeded
from node.ledger.types import POINT_BYTES, AssetId, Height, TransactionId
from node.storage.byte_strings import ByteStrings
from node.storage.errors import NotFound
from node.storage.reading import MAX_BIGINT, AnyRow, page_size, storable
from node.storage.records import StoredBin, StoredClosedBin, StoredNote, StoredNullifier
from node.storage.snapshot_reader import SnapshotReader
from node.storage.tables import BinRow, NoteRow, NullifierRow, TransactionRow

SELECT_COLLISIONS = """
SELECT 's', nullifier FROM nullifiers WHERE nullifier = ANY(%b::bytea[])
UNION ALL SELECT 'n', one_time_key FROM notes WHERE one_time_key = ANY(%b::bytea[])
UNION ALL SELECT 't', transaction_id FROM transactions WHERE transaction_id = ANY(%b::bytea[])
"""
"""Three index look-ups in one statement: one round trip and one snapshot."""

SELECT_BINS = """
SELECT b.bin_id, b.asset, b.closed_at_height, b.note_count, b.digest,
       CASE WHEN b.closed_at_height IS NOT NULL THEN
           (SELECT string_agg(n.one_time_key || n.commitment, ''::bytea ORDER BY n.position)
            FROM notes n WHERE n.bin_id = b.bin_id)
       END
FROM bins b WHERE b.bin_id = ANY(%b::bigint[])
"""
"""Bins with the real notes of the closed ones as P || C after one another."""


class NoteReader(SnapshotReader):
    """Questions about notes, nullifiers and bins."""

    async def facts(self, needed: FactsNeeded) -> BlockFacts:
        """Look up exactly what these transactions could collide with or spend from.

        The collisions are of one snapshot; closed bins never change. The caller sees to it that no
        block is applied between this and the use of the answer.
        """
        spent: set[bytes] = set()
        known_notes: set[bytes] = set()
        sealed: set[bytes] = set()
        found = {"s": spent, "n": known_notes, "t": sealed}
        if needed.nullifiers or needed.one_time_keys or needed.transaction_ids:
            rows = await self._driver_rows(
                SELECT_COLLISIONS,
                ByteStrings(needed.nullifiers),
                ByteStrings(needed.one_time_keys),
                ByteStrings(needed.transaction_ids),
            )
            for kind, key in rows:
                found[kind].add(key)
        bins = await self.bins(needed.bin_ids)
        return BlockFacts(
            spent=frozenset(spent),
            known_notes=frozenset(known_notes),
            closed_bins={
                bin_id: item.closed for bin_id, item in bins.items() if item.closed is not None
            },
            sealed_transactions=frozenset(sealed),
        )

    async def bins(self, bin_ids: Sequence[int]) -> Mapping[int, StoredBin]:
        """Return those bins that exist, by id; raises `IntegrityViolation`.

        A closed bin is rebuilt from its notes and compared with the digest stored at its closing.
        """
        keys = storable(bin_ids)
        rows = await self._driver_rows(SELECT_BINS, keys) if keys else []
        return {row[0]: self._stored_bin(row) for row in rows}

    async def closed_bin(self, bin_id: int) -> ClosedBin:
        """Return a closed bin; raises `NotFound` for one that is unknown or open."""
        found = (await self.bins([bin_id])).get(bin_id)
        if found is None or found.closed is None:
            raise NotFound(f"no closed bin {bin_id}")
        return found.closed

    async def notes(self, from_sequence: int, limit: int) -> tuple[StoredNote, ...]:
        """Return notes in ledger order from a sequence number on; raises `BeforeSnapshot`."""
        rows = await self._rows(
            select(
                NoteRow.sequence,
                TransactionRow.transaction_id,
                TransactionRow.kind,
                NoteRow.output_index,
                TransactionRow.asset,
                NoteRow.bin_id,
                NoteRow.position,
                TransactionRow.batch_id,
                NoteRow.one_time_key,
                NoteRow.commitment,
                NoteRow.ephemeral_key,
                NoteRow.view_tag,
                NoteRow.ciphertext,
            )
            .outerjoin(
                TransactionRow, TransactionRow.sequence_number == NoteRow.transaction_sequence
            )
            .where(NoteRow.sequence >= min(from_sequence, MAX_BIGINT))
            .order_by(NoteRow.sequence)
            .limit(page_size(limit))
        )
        if rows and rows[0][1] is None:
            raise await self.before_snapshot(f"the transaction of note {rows[0][0]}")
        return tuple([_stored_note(row) for row in rows])

    async def nullifiers(self, from_sequence: int, limit: int) -> tuple[StoredNullifier, ...]:
        """Return nullifiers in ledger order from a sequence number on; raises `BeforeSnapshot`."""
        rows = await self._rows(
            select(
                NullifierRow.sequence,
                NullifierRow.nullifier,
                TransactionRow.transaction_id,
                TransactionRow.batch_id,
            )
            .outerjoin(
                TransactionRow,
                TransactionRow.sequence_number == NullifierRow.transaction_sequence,
            )
            .where(NullifierRow.sequence >= min(from_sequence, MAX_BIGINT))
            .order_by(NullifierRow.sequence)
            .limit(page_size(limit))
        )
        if rows and rows[0][2] is None:
            raise await self.before_snapshot(f"the transaction of nullifier {rows[0][0]}")
        return tuple(
            [StoredNullifier(row[0], row[1], TransactionId(row[2]), Height(row[3])) for row in rows]
        )

    async def closed_bins(self, from_sequence: int, limit: int) -> tuple[StoredClosedBin, ...]:
        """Return closed bins in the order of the state's accumulator."""
        rows = await self._rows(
            select(
                BinRow.closed_sequence,
                BinRow.bin_id,
                BinRow.asset,
                BinRow.digest,
                BinRow.note_count,
                BinRow.closed_at_height,
            )
            .where(BinRow.closed_sequence >= min(from_sequence, MAX_BIGINT))
            .order_by(BinRow.closed_sequence)
            .limit(page_size(limit))
        )
        return tuple(
            [
                StoredClosedBin(row[0], row[1], AssetId(row[2]), row[3], row[4], Height(row[5]))
                for row in rows
            ]
        )

    def _stored_bin(self, row: tuple[Any, ...]) -> StoredBin:
        bin_id, asset, closed_at_height, note_count, digest, notes = row
        if closed_at_height is None:
            return StoredBin(bin_id, AssetId(asset), None, None)
        pairs = [
            (notes[start : start + POINT_BYTES], notes[start + POINT_BYTES : start + PAIR_BYTES])
            for start in range(0, len(notes or b""), PAIR_BYTES)
        ]
        if len(pairs) != note_count:
            raise self._violation(
                "notes", closed_at_height, f"bin {bin_id} has {len(pairs)} notes, not {note_count}"
            )
        closed = close_bin(bin_id, asset, pairs, self._genesis.parameters.ring_base)
        if closed.digest != digest:
            raise self._violation(
                "notes", closed_at_height, f"the notes of bin {bin_id} do not have its digest"
            )
        return StoredBin(bin_id, AssetId(asset), closed, Height(closed_at_height))


PAIR_BYTES = 2 * POINT_BYTES


def _stored_note(row: AnyRow) -> StoredNote:
    key, commitment, ephemeral_key, view_tag, ciphertext = row[8:]
    return StoredNote(
        sequence=row[0],
        transaction_id=TransactionId(row[1]),
        transaction_kind=row[2],
        output_index=row[3],
        asset=AssetId(row[4]),
        bin_id=row[5],
        position=row[6],
        height=Height(row[7]),
        output=b"".join((key, commitment, ephemeral_key, bytes((view_tag,)), ciphertext)),
    )
