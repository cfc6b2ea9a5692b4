"""Beginning a consortium with a ledger that was made elsewhere.

The first bank's database takes every block as a bank does that catches up: seal, signatures,
ballots, header, voting record, proofs and state root are verified, whoever made them. The others
get its rows by COPY, which is much faster and, on one machine under one operator, proves as much;
`consortium doctor` verifies each of them. A past that the file holds (`ledger_growth`) is taken
over as a bank does that joins by a snapshot, verified from the genesis alone. An installation that
was interrupted goes on where it was: a past, a block and a copied database are there whole or not
at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from typing import Protocol

from node.client.workload_file import Workload, WorkloadInvalid
from node.consensus.certificates import CertificateInvalid, Seal, verify_seal
from node.consensus.signatures import Ed25519Verifier
from node.ledger.ballots import VerifiedBallot, verify_parent_ballots
from node.ledger.block_validity import validate_block
from node.ledger.encoding import MalformedEncoding
from node.ledger.genesis import Genesis
from node.ledger.rejection import Rejection
from node.ledger.state import LedgerState
from node.ledger.types import BankIndex, Height
from node.runtime.bank_databases import DatabaseServer, bring_up_to_date
from node.runtime.config import ConfigurationError
from node.runtime.consortium_directory import BankDirectory, ConsortiumDirectory
from node.runtime.initialise import restore_consortium
from node.runtime.ledger_archive import ArchivedBlock, Founding, MadeBlock
from node.runtime.ledger_growth import GrownLedger
from node.runtime.memory_ledger import MemoryLedger
from node.runtime.secrets_directory import read_private
from node.runtime.snapshot_join import SnapshotSource, install
from node.runtime.snapshot_verification import SnapshotInvalid
from node.storage.configuration import DatabaseConfig
from node.storage.database import Database
from node.storage.database_copy import copy_database, settle_database, stored_bank
from node.storage.failures import storage_errors
from node.wire.snapshot_records import SnapshotPart

FIRST_BANK = BankIndex(0)


class ArchiveInvalid(WorkloadInvalid):
    """The ledger in the file is not one that a bank would accept; the message says why."""


class LedgerDiffers(ConfigurationError):
    """The directory holds a consortium of another chain than the file."""


class InstallationProgress(Protocol):
    """To be told which step the work is at, and how far."""

    def __call__(self, step: str, done: int, total: int) -> None: ...


class LedgerReplay:
    """Verifies archived blocks from genesis or a grown ledger on, one after the other."""

    def __init__(self, genesis: Genesis) -> None:
        self.ledger = MemoryLedger(genesis)
        self._verifier = Ed25519Verifier()
        self._about_tip: tuple[VerifiedBallot, ...] = ()

    def begin(self, grown: GrownLedger) -> None:
        """Go on from a past that was verified (`snapshot_verification`); raises `ArchiveInvalid`.

        The next block records the ballots that stand in the seal of its tip.
        """
        try:
            self.ledger.take_over(grown.tip, LedgerState.decode(grown.state))
            self._about_tip = self._require_ballots(Seal.decode(grown.seal).ballots)
        except (MalformedEncoding, Rejection) as error:
            raise ArchiveInvalid(f"the past of the ledger: {error}") from error

    def take(self, archived: ArchivedBlock) -> MadeBlock:
        """Verify the next block and return what follows from it; raises `ArchiveInvalid`."""
        ledger, block, seal = self.ledger, archived.block, archived.seal
        deciding = ledger.active_set
        place = f"block {ledger.height + 1}"
        try:
            if (seal.height, seal.block_id) != (block.height, block.block_id):
                raise ArchiveInvalid(f"{place}: the seal is another block's")
            verify_seal(seal, ledger.genesis.chain_id, deciding, self._verifier)
            verified = ledger.verify(archived.transactions)
            transition = validate_block(
                ledger.genesis,
                ledger.state,
                ledger.header,
                block,
                verified,
                ledger.facts(verified),
                clock_ms=None,
                evidence=(),
                ballots=self._verdicts(block.parent_ballots),
            )
            ledger.advance(block, transition)
            self._about_tip = self._require_ballots(seal.ballots)
        except (Rejection, CertificateInvalid) as error:
            raise ArchiveInvalid(f"{place}: {error}") from error
        return MadeBlock(block, seal, transition, verified)

    def _verdicts(self, raws: tuple[bytes, ...]) -> list[VerifiedBallot | Rejection]:
        known = {ballot.raw: ballot for ballot in self._about_tip}
        unknown = [raw for raw in raws if raw not in known]
        ledger = self.ledger
        judged = verify_parent_ballots(unknown, ledger.header, ledger.parent_set) if unknown else ()
        verdicts: dict[bytes, VerifiedBallot | Rejection] = {
            **known,
            **dict(zip(unknown, judged, strict=True)),
        }
        return [verdicts[raw] for raw in raws]

    def _require_ballots(self, raws: tuple[bytes, ...]) -> tuple[VerifiedBallot, ...]:
        verified = []
        for verdict in verify_parent_ballots(raws, self.ledger.header, self.ledger.parent_set):
            if isinstance(verdict, Rejection):
                raise verdict
            verified.append(verdict)
        return tuple(verified)


def founding_of(workload: Workload) -> Founding:
    """Return genesis and keys of a workload's consortium.

    Raises `WorkloadInvalid`, `ArchiveInvalid`.
    """
    try:
        founding = Founding.decode(next(workload.archive(), b""))
    except MalformedEncoding as error:
        raise ArchiveInvalid(f"{workload.path}: {error}") from error
    if founding.genesis.chain_id != workload.header.chain_id:
        raise ArchiveInvalid(f"{workload.path} names another chain than its genesis")
    return founding


def require_whole_ledger(directory: ConsortiumDirectory) -> None:
    """Raise `ConfigurationError` if the installation of a ledger there was interrupted."""
    if directory.pending_ledger_file.exists():
        raise ConfigurationError(
            f"{directory.root} got only a part of the ledger it was to begin with; give "
            "--genesis with the same file again, or another directory with --data"
        )


def require_workload_consortium(directory: ConsortiumDirectory, workload: Workload) -> bool:
    """Make sure that the directory holds the workload's consortium; return whether it was made.

    Raises `LedgerDiffers` if it holds another, `InitialisationRefused`, `WorkloadInvalid`,
    `ArchiveInvalid`.
    """
    founding = founding_of(workload)
    if not directory.exists():
        restore_consortium(directory, founding.genesis, founding.keys)
        return True
    present = directory.genesis().chain_id
    if present != founding.genesis.chain_id:
        raise LedgerDiffers(
            f"{directory.root} holds chain {present.hex()[:16]}, {workload.path} is made for "
            f"chain {founding.genesis.chain_id.hex()[:16]}; give another directory with --data, "
            "or leave --genesis out"
        )
    return False


async def install_ledger(
    directory: ConsortiumDirectory,
    databases: DatabaseServer,
    workload: Workload,
    progress: InstallationProgress,
) -> None:
    """Give every bank of a restored consortium the workload's ledger; no bank may run.

    Starts the database server. Raises `ArchiveInvalid`, `WorkloadInvalid`, `PostgresError`,
    `StorageError`.
    """
    banks = [directory.bank(bank.index) for bank in directory.genesis().banks]
    await asyncio.to_thread(databases.start)
    for number, bank in enumerate(banks):
        await asyncio.to_thread(_provide, databases, bank)
        progress("making databases", number + 1, len(banks))
    await _install_first(banks[FIRST_BANK], directory.genesis(), workload, progress)
    for number, bank in enumerate(banks):
        if bank.index != FIRST_BANK:
            await asyncio.to_thread(_copy, banks[FIRST_BANK], bank)
        # It has signed nothing: the ledger was made for it.
        bank.guard_file.touch(mode=0o600)
        progress("copying the ledger", number + 1, len(banks))
    if workload.header.grown_notes:
        for number, bank in enumerate(banks):
            await asyncio.to_thread(_settle, bank)
            progress("settling the databases", number + 1, len(banks))
        await asyncio.to_thread(databases.flush)
    directory.pending_ledger_file.unlink(missing_ok=True)


def _provide(databases: DatabaseServer, bank: BankDirectory) -> None:
    databases.provide(bank)
    bring_up_to_date(bank)


async def _install_first(
    bank: BankDirectory, genesis: Genesis, workload: Workload, progress: InstallationProgress
) -> None:
    config = DatabaseConfig(_url(bank), pool_size=1, max_overflow=1)
    database = await Database.open(config, genesis=genesis, bank=bank.index)
    try:
        replay = LedgerReplay(genesis)
        parts = _parts(workload)
        if workload.header.grown_notes:
            grown = _grown(workload, next(parts, b""))
            await _take_over(database, genesis, grown, workload, progress)
            replay.begin(grown)
        stored = (await database.load_tip()).header.height
        total = workload.header.funded_height
        for archived in _blocks(workload, parts, replay.ledger.height):
            made = await asyncio.to_thread(replay.take, archived)
            if made.block.height > stored:
                await database.apply_block(
                    made.block, made.seal.encode(), made.transition, made.transactions
                )
            progress("verifying the ledger", made.block.height, total)
    finally:
        await database.close()


async def _take_over(
    database: Database,
    genesis: Genesis,
    grown: GrownLedger,
    workload: Workload,
    progress: InstallationProgress,
) -> None:
    """Make the past this bank's ledger, unless it is already."""

    async def parts(minimum_height: Height) -> AsyncGenerator[SnapshotPart, None]:
        async for part in grown.parts(genesis):
            yield part

    if (await database.load_tip()).header.height == 0:
        source = SnapshotSource(FIRST_BANK, parts)
        try:
            await install(
                genesis,
                database,
                source,
                progress=lambda what, done, total: progress(f"growing: {what}", done, total),
            )
        except SnapshotInvalid as error:
            raise ArchiveInvalid(f"{workload.path}: the past of the ledger: {error}") from error
    if await database.block_ids(grown.tip.height, 1) != (grown.tip.block_id,):
        raise ArchiveInvalid(f"{workload.path} has another past than the ledger that was begun")


def _parts(workload: Workload) -> Iterator[bytes]:
    """Yield what follows the founding."""
    parts = workload.archive()
    next(parts)
    return parts


def _grown(workload: Workload, part: bytes) -> GrownLedger:
    try:
        return GrownLedger.decode(part)
    except MalformedEncoding as error:
        raise ArchiveInvalid(f"{workload.path}: the past of the ledger: {error}") from error


def _blocks(workload: Workload, parts: Iterator[bytes], height: Height) -> Iterator[ArchivedBlock]:
    """Decode the blocks after a height, the last part of an archive."""
    reached = int(height)
    try:
        for part in parts:
            yield ArchivedBlock.decode(part)
            reached += 1
    except MalformedEncoding as error:
        raise ArchiveInvalid(f"{workload.path}: block {reached + 1}: {error}") from error
    if reached != workload.header.funded_height:
        raise ArchiveInvalid(
            f"{workload.path} holds {reached} blocks, its header says "
            f"{workload.header.funded_height}"
        )


def _copy(source: BankDirectory, target: BankDirectory) -> None:
    with storage_errors():
        if stored_bank(_url(target)) is None:
            copy_database(_url(source), _url(target), target.index)


def _settle(bank: BankDirectory) -> None:
    with storage_errors():
        settle_database(_url(bank))


def _url(bank: BankDirectory) -> str:
    return read_private(bank.database_url_file).decode("utf-8").strip()
