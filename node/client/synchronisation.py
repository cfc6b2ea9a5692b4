"""Reading what is new on the ledger, up to a state that a quorum sealed."""

from __future__ import annotations

import asyncio

from node.client.errors import LedgerBehind, VerificationError
from node.client.ledger_client import LedgerClient
from node.client.ledger_replay import (
    WalletReader,
    replay_closed_bins,
    replay_notes,
    replay_nullifiers,
    require_certified,
)
from node.client.verification import SealVerifier
from node.client.wallet_data import Checkpoint, KnownBin, OwnedNote, Spent, WalletData
from node.client.wallet_state import LedgerUpdate
from node.ledger.state import LedgerState


async def read_update(
    ledger: LedgerClient, verifier: SealVerifier, data: WalletData, reader: WalletReader
) -> LedgerUpdate:
    """Return everything of ours between the wallet's checkpoint and the bank's tip, verified.

    A bank that lags, hides or alters something is passed over for the next one. Raises
    `VerificationError` when none is left, `LedgerError` if none answers.
    """
    failures: list[VerificationError] = []
    while True:
        bank = ledger.preferred_endpoint
        try:
            return await _read_from_preferred(ledger, verifier, data, reader)
        except VerificationError as error:
            failures.append(error)
            if len(failures) >= len(ledger.endpoints):
                raise
            if ledger.preferred_endpoint == bank:
                ledger.prefer_next_endpoint()


async def _read_from_preferred(
    ledger: LedgerClient, verifier: SealVerifier, data: WalletData, reader: WalletReader
) -> LedgerUpdate:
    _, state = verifier.verify_state(await ledger.sealed_state())
    known = data.checkpoint
    if state.height < known.height:
        raise LedgerBehind(
            f"the bank is at height {state.height}, this wallet has verified {known.height}"
        )
    notes = await _read_notes(ledger, known, state, reader)
    ours = {note.nullifier: note.sequence for note in (*data.notes, *notes) if note.spent is None}
    spent = await _read_nullifiers(ledger, known, state, ours)
    closed = {known_bin.bin_id for known_bin in data.bins}
    wanted = frozenset(note.bin_id for note in (*data.notes, *notes)) - closed
    bins = await _read_closed_bins(ledger, known, state, wanted)
    return LedgerUpdate(Checkpoint.of(state), notes, spent, bins)


async def _read_notes(
    ledger: LedgerClient, known: Checkpoint, state: LedgerState, reader: WalletReader
) -> tuple[OwnedNote, ...]:
    replayed = known.notes
    found: list[OwnedNote] = []
    if replayed.count < state.notes.count:
        limit = state.notes.count - replayed.count
        async for page in ledger.notes(replayed.count, limit):
            # Key agreement costs some 40 us a note: the loop stays free for other wallets.
            replayed, ours = await asyncio.to_thread(replay_notes, replayed, page, reader)
            found.extend(ours)
    require_certified("notes", replayed, state.notes)
    return tuple(found)


async def _read_nullifiers(
    ledger: LedgerClient, known: Checkpoint, state: LedgerState, ours: dict[bytes, int]
) -> dict[int, Spent]:
    replayed = known.nullifiers
    spent: dict[int, Spent] = {}
    if replayed.count < state.nullifiers.count:
        limit = state.nullifiers.count - replayed.count
        async for page in ledger.nullifiers(replayed.count, limit):
            replayed, matched = replay_nullifiers(replayed, page, ours)
            spent.update(matched)
    require_certified("nullifiers", replayed, state.nullifiers)
    return spent


async def _read_closed_bins(
    ledger: LedgerClient, known: Checkpoint, state: LedgerState, wanted: frozenset[int]
) -> tuple[KnownBin, ...]:
    replayed = known.closed_bins
    bins: list[KnownBin] = []
    if replayed.count < state.closed_bins.count:
        limit = state.closed_bins.count - replayed.count
        async for page in ledger.closed_bins(replayed.count, limit):
            replayed, matched = replay_closed_bins(replayed, page, wanted)
            bins.extend(matched)
    require_certified("closed bins", replayed, state.closed_bins)
    return tuple(bins)
