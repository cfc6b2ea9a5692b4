"""Joining by a snapshot: a new or rebuilt bank takes over the ledger as it stands at one height.

One bank after another is asked; the first sound snapshot is kept. What a bank sends is verified
part by part while it is written (`snapshot_verification` says why nothing rests on the sender),
in one database transaction that is committed after the last check: a false, torn, slow or endless
snapshot leaves the database as it was, is reported with its fault, and the next bank is asked.
Afterwards the bank follows its peers from the next height on as after any absence (BFT-12
section 11), and comes to the same state roots.

The rollback guard stands above all this: a bank that signed
at a height that it has not reached again stays silent through it (BFT-12 D4).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import assert_never

from node.ledger.genesis import Genesis
from node.ledger.types import BankIndex, FiscalYear, Height
from node.rpc.certificates import CertificateInvalid
from node.rpc.credentials import TlsFiles
from node.rpc.peer_link import PeerMisbehaved, PeerUnavailable
from node.rpc.snapshot_fetch import FetchTiming, fetch_snapshot
from node.runtime.config import SNAPSHOT, NodeConfig, PeerAddress
from node.runtime.snapshot_verification import (
    SnapshotFault,
    SnapshotInvalid,
    SnapshotTooOld,
    SnapshotVerifier,
)
from node.storage.database import Database
from node.storage.errors import StorageConflict, StorageError
from node.storage.snapshot_installation import SnapshotInstallation
from node.wire.identity import Identity, consortium_slug
from node.wire.snapshot_records import (
    BinPart,
    HeaderPart,
    NotePart,
    NullifierPart,
    SnapshotPart,
    SnapshotStart,
    TreasuryPart,
)

logger = logging.getLogger(__name__)

LOWEST = Height(1)
"""Genesis needs no snapshot."""
ROUNDS = 3
"""How often every bank is asked before the ledger is replayed instead."""
ROUND_PAUSE_S = 1.0

Progress = Callable[[str, int, int], None]
"""Is told what is being taken over, how much of it is done, and of how much."""


class NoSnapshot(Exception):
    """No bank served a sound snapshot; the message says what each did."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One bank that was asked in vain."""

    bank: BankIndex
    fault: str
    """Code: a `SnapshotFault`, "unavailable", "misbehaved" or "too-old"."""
    message: str


@dataclass(frozen=True, slots=True)
class Joined:
    """A ledger that was taken over."""

    height: Height
    source: BankIndex
    attempts: tuple[Attempt, ...]
    """Those before it."""


@dataclass(frozen=True, slots=True)
class SnapshotSource:
    """One bank that may be asked."""

    bank: BankIndex
    parts: Callable[[Height], AsyncGenerator[SnapshotPart, None]]
    """Asks for a snapshot of at least this height; see `fetch_snapshot` for what it raises."""


def snapshot_sources(
    genesis: Genesis,
    peers: Sequence[PeerAddress],
    tls: TlsFiles,
    timing: FetchTiming | None = None,
) -> tuple[SnapshotSource, ...]:
    """Return the other banks as sources, over mutual TLS."""
    slug = consortium_slug(genesis.name)

    def source(peer: PeerAddress) -> SnapshotSource:
        identity = Identity.of_bank(slug, peer.bank)
        return SnapshotSource(
            peer.bank,
            lambda height: fetch_snapshot(identity, peer.address, tls, height, timing),
        )

    return tuple([source(peer) for peer in peers])


def _no_progress(what: str, done: int, total: int) -> None:
    pass


async def join_by_snapshot(
    genesis: Genesis,
    database: Database,
    sources: Sequence[SnapshotSource],
    *,
    minimum_height: Height = LOWEST,
    rounds: int = ROUNDS,
    round_pause_s: float = ROUND_PAUSE_S,
    progress: Progress = _no_progress,
) -> Joined:
    """Take over the first sound snapshot, into a database of height 0.

    Raises `NoSnapshot` if there is none, with the database as it was, and `StorageError` if the
    database itself fails.
    """
    attempts: list[Attempt] = []
    for round_number in range(rounds):
        if round_number:
            await asyncio.sleep(round_pause_s)
        for source in sources:
            try:
                height = await install(genesis, database, source, minimum_height, progress)
            except SnapshotInvalid as error:
                attempts.append(Attempt(source.bank, error.fault.value, str(error)))
            except SnapshotTooOld as error:
                attempts.append(Attempt(source.bank, "too-old", str(error)))
            except PeerMisbehaved as error:
                attempts.append(Attempt(source.bank, "misbehaved", str(error)))
            except (PeerUnavailable, CertificateInvalid) as error:
                attempts.append(Attempt(source.bank, "unavailable", str(error)))
            else:
                return Joined(height, source.bank, tuple(attempts))
            last = attempts[-1]
            logger.warning(
                "snapshot refused",
                extra={"peer": last.bank, "reason": last.fault, "detail": last.message},
            )
    said = "; ".join([f"bank {item.bank}: {item.message}" for item in attempts[-len(sources) :]])
    raise NoSnapshot(said or "there is no other bank to ask")


async def install(
    genesis: Genesis,
    database: Database,
    source: SnapshotSource,
    minimum_height: Height = LOWEST,
    progress: Progress = _no_progress,
) -> Height:
    """Verify one bank's snapshot and make it this bank's ledger; return its height.

    Raises `SnapshotInvalid`, `SnapshotTooOld`, `PeerUnavailable` and `PeerMisbehaved`: then
    nothing has changed.
    """
    verifier = SnapshotVerifier(genesis, minimum_height)
    async with aclosing(source.parts(minimum_height)) as parts:
        start = await anext(parts, None)
        if not isinstance(start, SnapshotStart):
            raise SnapshotInvalid(SnapshotFault.ORDER, "it does not begin with its tip")
        verifier.start(start)
        try:
            async with database.installing_snapshot(source.bank) as installation:
                await _take_over(verifier, start, parts, installation, progress)
        except StorageError as error:
            # What the database has no place for is the sender's fault; a lost connection is ours.
            if type(error) not in (StorageConflict, StorageError):
                raise
            raise SnapshotInvalid(SnapshotFault.REFUSED_BY_DATABASE, str(error)) from error
    return verifier.tip.height


async def _take_over(
    verifier: SnapshotVerifier,
    start: SnapshotStart,
    parts: AsyncIterator[SnapshotPart],
    installation: SnapshotInstallation,
    progress: Progress,
) -> None:
    tip, state = verifier.tip, verifier.state
    changes = verifier.set_changes
    seals = {height: change.seal for height, change in changes.items()}
    await installation.begin(tip, start.tip.seal, state, seals)
    async for part in parts:
        match part:
            case HeaderPart():
                headers = verifier.headers(part.headers)
                await installation.add_headers(headers)
                progress("headers", headers[-1].height, tip.height)
            case NotePart():
                first = verifier.notes(part.notes)
                await installation.add_notes(first, part.notes)
                progress("notes", first + len(part.notes), state.notes.count)
            case NullifierPart():
                first = verifier.nullifiers(part.nullifiers)
                await installation.add_nullifiers(first, part.nullifiers)
                progress("nullifiers", first + len(part.nullifiers), state.nullifiers.count)
            case BinPart():
                first = verifier.closed_bins(part.bins)
                await installation.add_closed_bins(first, part.bins)
                progress("bins", first + len(part.bins), state.closed_bins.count)
            case TreasuryPart():
                verifier.treasury(part.rows)
                await installation.add_treasury(
                    [
                        (
                            *(row.bank, FiscalYear(row.fiscal_year), row.amount),
                            *(row.kind, row.height, row.reason),
                        )
                        for row in part.rows
                    ]
                )
            case SnapshotStart():
                raise SnapshotInvalid(SnapshotFault.ORDER, "a second tip")
            case _:
                assert_never(part)
    verifier.finish()
    await installation.finish({height: item.active_set for height, item in changes.items()})


async def join_if_asked(
    config: NodeConfig, genesis: Genesis, database: Database, stopping: asyncio.Event
) -> None:
    """Join by a snapshot if the configuration says so and the ledger is empty.

    Without a sound snapshot the ledger is replayed, as by a bank that was not asked to hurry:
    a young consortium has none to give. Returns early, with nothing changed, when the node is to
    stop.
    """
    if config.join != SNAPSHOT or (await database.load_tip()).header.height > 0:
        return
    joining = asyncio.create_task(_join(config, genesis, database))
    stop = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait((joining, stop), return_when=asyncio.FIRST_COMPLETED)
        if joining.done():
            joining.result()
    finally:
        for task in (joining, stop):
            task.cancel()
        await asyncio.gather(joining, stop, return_exceptions=True)


async def _join(config: NodeConfig, genesis: Genesis, database: Database) -> None:
    sources = snapshot_sources(genesis, config.peers, TlsFiles(config.key_directory))
    logger.info("joining by a snapshot", extra={"banks": len(sources)})
    # Not all banks that join at once should ask the same one first.
    turn = config.bank % max(1, len(sources))
    try:
        joined = await join_by_snapshot(
            genesis, database, (*sources[turn:], *sources[:turn]), progress=_log_progress
        )
    except NoSnapshot as error:
        logger.warning("no snapshot: replaying the ledger", extra={"detail": str(error)})
        return
    logger.info("joined by a snapshot", extra={"height": joined.height, "peer": joined.source})


def _log_progress(what: str, done: int, total: int) -> None:
    logger.info("taking over", extra={"what": what, "done": done, "total": total})
