"""Verifying stored transactions here, from their bytes, over rings that the sealed state certifies.

The bank that shows the transactions also shows the rings, but the digests of those come from the
accumulator of closed bins in a state that a quorum sealed (IDX1 4.4).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from crypto.curve import POINT_BYTES
from crypto.ring import ClosedBin
from crypto.transaction import transaction_id
from node.cli.list_replay import CertifiedBin
from node.client.errors import RecordsInvalid
from node.client.ledger_client import LedgerClient
from node.ledger.equations import EQUATION_FAILS
from node.ledger.genesis import Genesis
from node.ledger.proofs import SealedView, verify_sealed
from node.ledger.rejection import Rejection
from node.ledger.rules import decode

__all__ = ["SealedView", "bins_read", "fetch_bins", "verify_stored"]

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
    verdicts = verify_sealed(raws, view, os.urandom)
    return {
        transaction_id(raw).hex(): _text(refused)
        for raw, refused in zip(raws, verdicts, strict=True)
        if refused is not None
    }


def _text(refused: Rejection) -> str:
    reason = refused.reason.value
    return reason if refused.message == EQUATION_FAILS else f"{reason}: {refused.message}"
