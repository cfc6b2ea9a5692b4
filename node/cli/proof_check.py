"""Verifying stored transactions here, from their bytes, over rings that the sealed state certifies.

The bank that shows the transactions also shows the rings, but the digests of those come from the
accumulator of closed bins in a state that a quorum sealed (IDX1 4.4).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crypto.batch import verify_batch
from crypto.collected import CollectedTransaction
from crypto.curve import POINT_BYTES
from crypto.errors import BatchRejected, Rejected
from crypto.ring import ClosedBin, OpenBin
from crypto.transaction import transaction_id
from crypto.validation import collect
from node.cli.list_replay import CertifiedBin
from node.client.errors import RecordsInvalid
from node.client.ledger_client import LedgerClient
from node.ledger.genesis import Genesis
from node.ledger.governance import decode_governance, is_governance, verify_signatures
from node.ledger.rejection import Rejection
from node.ledger.rules import decode

BINS_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class SealedView:
    """The ledger as the proofs of a sealed transaction read it (`crypto.validation.LedgerView`)."""

    genesis: Genesis
    height: int
    bins: Mapping[int, ClosedBin]

    @property
    def chain_id(self) -> bytes:
        return self.genesis.chain_id

    @property
    def ring_base(self) -> int:
        return self.genesis.parameters.ring_base

    def find_bin(self, bin_id: int) -> ClosedBin | OpenBin | None:
        return self.bins.get(bin_id)

    def is_issuer(self, asset: bytes, issuer: bytes) -> bool:
        bank = self.genesis.bank_of_issuer(issuer)
        definition = self.genesis.asset(asset)
        return bank is not None and definition is not None and bank in definition.issuance_limits

    def is_spent(self, nullifier: bytes) -> bool:
        # By this very transaction; that no other spends it, the list of nullifiers shows.
        return False

    def is_known_note(self, one_time_key: bytes) -> bool:
        return False


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


async def fetch_bins(
    ledger: LedgerClient,
    wanted: Sequence[int],
    certified: Mapping[int, CertifiedBin],
    ring_base: int,
) -> dict[int, ClosedBin]:
    """Fetch closed bins and hold them to their certified digests.

    Raises `RecordsInvalid` naming the bin, `LedgerError`.
    """
    bins: dict[int, ClosedBin] = {}
    for start in range(0, len(wanted), BINS_AT_ONCE):
        for record in await ledger.bins(wanted[start : start + BINS_AT_ONCE]):
            known = certified.get(record.bin_id)
            if known is None:
                raise RecordsInvalid(f"bin {record.bin_id} is spent from but was never closed")
            points = [
                record.notes[offset : offset + POINT_BYTES]
                for offset in range(0, len(record.notes), POINT_BYTES)
            ]
            notes = tuple(zip(points[::2], points[1::2], strict=False))
            try:
                closed = ClosedBin(record.bin_id, record.asset, notes, known.count, ring_base)
            except ValueError as error:
                raise RecordsInvalid(f"bin {record.bin_id}: {error}") from error
            if closed.digest != known.digest:
                raise RecordsInvalid(f"bin {record.bin_id} is not the certified one")
            bins[record.bin_id] = closed
    return bins


def verify_stored(raws: Sequence[bytes], view: SealedView) -> dict[str, str]:
    """Verify sealed transactions in one batch; return reason by transaction id of the bad ones."""
    items: list[CollectedTransaction] = []
    failures: dict[str, str] = {}
    for raw in raws:
        try:
            if is_governance(raw):
                verify_signatures(decode_governance(raw), view.genesis)
            else:
                items.append(collect(raw, view))
        except Rejection as rejection:
            failures[transaction_id(raw).hex()] = f"{rejection.reason.value}: {rejection.message}"
        except Rejected as rejected:
            failures[transaction_id(raw).hex()] = f"{rejected.reason.value}: {rejected.detail}"
    try:
        verify_batch(items, os.urandom)
    except BatchRejected as error:
        for index, reason in error.failures.items():
            failures[items[index].transaction_id.hex()] = reason.value
    return failures
