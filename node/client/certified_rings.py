"""The rings that proofs are built over: fetched from any bank, checked against certified digests.

IDX1 4.4: a false ring names the spender by elimination. The digest comes from the sealed state
(`ledger_replay`), is recomputed over the fetched notes, and the spent note must stand where the
wallet found it.
"""

from __future__ import annotations

from collections.abc import Sequence

from crypto.build import SpendableNote
from crypto.curve import POINT_BYTES
from crypto.ring import ClosedBin
from node.client.errors import RecordsInvalid, VerificationError
from node.client.ledger_client import LedgerClient
from node.client.wallet_data import KnownBin, OwnedNote
from node.wire.records import BinRecord

MAX_CACHED_BINS = 256
"""12 kB each with rings of 64 notes."""


class CertifiedRings:
    """Closed bins whose digests are certified; the most recently used stay in memory."""

    def __init__(self, ledger: LedgerClient, ring_base: int) -> None:
        self._ledger = ledger
        self._ring_base = ring_base
        self._bins: dict[int, ClosedBin] = {}

    async def spendable(
        self, notes: Sequence[OwnedNote], known_bins: Sequence[KnownBin]
    ) -> tuple[SpendableNote, ...]:
        """Return the notes with their rings, ready to be proven over.

        Every note's bin must be among `known_bins`. Raises `RecordsInvalid` if no bank shows the
        certified ring, `LedgerError` if none answers.
        """
        known = {known_bin.bin_id: known_bin for known_bin in known_bins}
        missing = sorted({note.bin_id for note in notes} - self._bins.keys())
        if missing:
            await self._fetch([known[bin_id] for bin_id in missing])
        return tuple(self._spendable(note) for note in notes)

    async def _fetch(self, wanted: Sequence[KnownBin]) -> None:
        failures: list[VerificationError] = []
        while True:
            bank = self._ledger.preferred_endpoint
            records = await self._ledger.bins([known.bin_id for known in wanted])
            try:
                bins = [
                    self._certified(record, known)
                    for record, known in zip(records, wanted, strict=True)
                ]
            except RecordsInvalid as error:
                failures.append(error)
                if len(failures) >= len(self._ledger.endpoints):
                    raise
                if self._ledger.preferred_endpoint == bank:
                    self._ledger.prefer_next_endpoint()
                continue
            for closed in bins:
                self._bins[closed.bin_id] = closed
            while len(self._bins) > MAX_CACHED_BINS:
                del self._bins[next(iter(self._bins))]
            return

    def _certified(self, record: BinRecord, known: KnownBin) -> ClosedBin:
        points = [
            record.notes[start : start + POINT_BYTES]
            for start in range(0, len(record.notes), POINT_BYTES)
        ]
        notes = tuple(zip(points[::2], points[1::2], strict=False))
        try:
            closed = ClosedBin(record.bin_id, record.asset, notes, known.count, self._ring_base)
        except ValueError as error:
            raise RecordsInvalid(f"bin {record.bin_id}: {error}") from error
        if closed.digest != known.digest:
            raise RecordsInvalid(f"bin {record.bin_id} is not the one the sealed state certifies")
        return closed

    def _spendable(self, note: OwnedNote) -> SpendableNote:
        closed = self._bins[note.bin_id]
        if closed.notes[note.position] != (note.one_time_key, note.commitment):
            raise RecordsInvalid(f"note {note.sequence} is not in its bin {note.bin_id}")
        return SpendableNote(
            closed_bin=closed,
            position=note.position,
            value=note.value,
            spend_key=note.spend_key,
            blinding=note.blinding,
        )
