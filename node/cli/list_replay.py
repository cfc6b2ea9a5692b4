"""A bank's lists of notes, closed bins and nullifiers, replayed against its certified state."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from node.client.ledger_client import LedgerClient
from node.client.ledger_replay import (
    WalletReader,
    replay_closed_bins,
    replay_notes,
    replay_nullifiers,
    require_certified,
)
from node.ledger.state import Accumulated, LedgerState


@dataclass(frozen=True, slots=True)
class CertifiedBin:
    """What the sealed state says of a closed bin."""

    digest: bytes
    count: int
    """Real notes."""


async def replay_note_lists(
    ledger: LedgerClient, state: LedgerState, chain_id: bytes
) -> Mapping[int, CertifiedBin]:
    """Replay notes and closed bins; return the closed bins by id.

    Raises `VerificationError` if they are not those that the state certifies, `LedgerError`.
    """
    reader = WalletReader(chain_id, ())
    notes = Accumulated()
    # A limit of 0 would mean no limit.
    async for page in ledger.notes(0, state.notes.count or 1):
        notes, _ = await asyncio.to_thread(replay_notes, notes, page, reader)
    require_certified("notes", notes, state.notes)
    return await replay_bin_list(ledger, state)


async def replay_bin_list(
    ledger: LedgerClient, state: LedgerState
) -> Mapping[int, CertifiedBin]:
    """Replay closed bins and return them by id; raises as `replay_note_lists`."""
    bins = Accumulated()
    certified: dict[int, CertifiedBin] = {}
    async for closed in ledger.closed_bins(0, state.closed_bins.count or 1):
        wanted = frozenset(record.bin_id for record in closed)
        bins, known = replay_closed_bins(bins, closed, wanted)
        certified |= {item.bin_id: CertifiedBin(item.digest, item.count) for item in known}
    require_certified("closed bins", bins, state.closed_bins)
    return certified


async def replay_nullifier_list(ledger: LedgerClient, state: LedgerState) -> int:
    """Replay the nullifiers; return how many are there a second time.

    Raises `VerificationError` if they are not those that the state certifies, `LedgerError`.
    """
    nullifiers = Accumulated()
    seen: set[bytes] = set()
    async for page in ledger.nullifiers(0, state.nullifiers.count or 1):
        nullifiers, _ = replay_nullifiers(nullifiers, page, {})
        seen.update(record.nullifier for record in page)
    require_certified("nullifiers", nullifiers, state.nullifiers)
    return nullifiers.count - len(seen)
