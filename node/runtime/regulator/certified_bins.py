"""Closed bins that a sealed state certifies, kept as they close: what proofs are verified over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from crypto.curve import POINT_BYTES
from crypto.ring import ClosedBin
from node.client.errors import LedgerUnavailable, RecordsInvalid, VerificationError
from node.client.ledger_client import LedgerClient
from node.client.ledger_replay import require_certified
from node.client.verification import SealVerifier
from node.ledger import accumulators
from node.ledger.genesis import Genesis
from node.ledger.rejection import Rejection
from node.ledger.rules import decode
from node.ledger.state import Accumulated
from node.storage.regulator.database import RegulatorDatabase
from node.storage.regulator.records import FollowedBin
from node.wire.records import BinRecord

BINS_AT_ONCE = 64


def bins_read(raws: Sequence[bytes], genesis: Genesis) -> set[int]:
    """Return the bins that transactions spend from; what does not decode spends from none."""
    wanted: set[int] = set()
    for raw in raws:
        try:
            transaction = decode(raw, genesis)
        except Rejection:
            continue
        wanted.update(spend.bin_id for spend in transaction.inputs)
    return wanted


class CertifiedBins:
    """The digests of all closed bins, from a certified accumulator (IDX1 4.4)."""

    def __init__(self, genesis: Genesis, ledger: LedgerClient, database: RegulatorDatabase) -> None:
        self._genesis = genesis
        self._ledger = ledger
        self._database = database
        self._verifier = SealVerifier(genesis)

    async def digests(self, wanted: set[int]) -> dict[int, FollowedBin]:
        """Return what is certified of these bins, reading on if some are not known yet.

        Raises `VerificationError` if a bank's list is not the certified one, `LedgerError`. A bin
        that was never closed is missing in the answer.
        """
        known = await self._database.bins(wanted)
        if wanted - known.keys():
            try:
                await self._read_on()
            except VerificationError:
                self._ledger.prefer_next_endpoint()
                raise
            known = await self._database.bins(wanted)
        return known

    async def closed_before(self, wanted: set[int], count: int) -> dict[int, FollowedBin]:
        """Return those of these bins that are among the first `count` closed ones.

        Raises what `digests` raises, `LedgerUnavailable` if no bank shows so many yet.
        """
        last = await self._database.last_bin()
        if count > (0 if last is None else last.sequence + 1):
            await self._read_on()
            last = await self._database.last_bin()
            if last is None or last.sequence + 1 < count:
                raise LedgerUnavailable(f"no bank shows {count} closed bins yet")
        known = await self._database.bins(wanted)
        return {bin_id: row for bin_id, row in known.items() if row.sequence < count}

    async def _read_on(self) -> None:
        _, state = self._verifier.verify_state(await self._ledger.sealed_state())
        last = await self._database.last_bin()
        at = Accumulated() if last is None else Accumulated(last.sequence + 1, last.accumulator)
        if at.count >= state.closed_bins.count:
            return
        found: list[FollowedBin] = []
        limit = state.closed_bins.count - at.count
        async for page in self._ledger.closed_bins(at.count, limit):
            for record in page:
                if record.sequence != at.count:
                    raise RecordsInvalid(f"closed bin {record.sequence} is not the next one")
                value = accumulators.add_closed_bin(
                    at.accumulator, bin_id=record.bin_id, count=record.count, digest=record.digest
                )
                at = Accumulated(at.count + 1, value)
                found.append(
                    FollowedBin(record.sequence, record.bin_id, record.digest, record.count, value)
                )
        require_certified("closed bins", at, state.closed_bins)
        await self._database.add_bins(found)

    async def fetch(
        self, bank: LedgerClient, certified: Mapping[int, FollowedBin], wanted: set[int]
    ) -> dict[int, ClosedBin]:
        """Fetch rings from one bank and hold them to their certified digests.

        Raises `RecordsInvalid` naming the bin, `LedgerError`.
        """
        bins: dict[int, ClosedBin] = {}
        listed = sorted(wanted)
        for start in range(0, len(listed), BINS_AT_ONCE):
            for record in await bank.bins(listed[start : start + BINS_AT_ONCE]):
                bins[record.bin_id] = self._certified(record, certified.get(record.bin_id))
        return bins

    def _certified(self, record: BinRecord, known: FollowedBin | None) -> ClosedBin:
        if known is None:
            raise RecordsInvalid(f"bin {record.bin_id} is spent from but was never closed")
        points = [
            record.notes[start : start + POINT_BYTES]
            for start in range(0, len(record.notes), POINT_BYTES)
        ]
        notes = tuple(zip(points[::2], points[1::2], strict=False))
        ring_base = self._genesis.parameters.ring_base
        try:
            closed = ClosedBin(record.bin_id, record.asset, notes, known.notes, ring_base)
        except ValueError as error:
            raise RecordsInvalid(f"bin {record.bin_id}: {error}") from error
        if closed.digest != known.digest:
            raise RecordsInvalid(f"bin {record.bin_id} is not the certified one")
        return closed
