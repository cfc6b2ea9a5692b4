"""One bank's database, as the node sees it.

Reading goes through a pool of read-only sessions, writing through the one session that holds the
writer's lock (`writer`). A write is one database transaction that is on disk when its call
returns; calls are serialised, and the host executes them in the order of the core's effects
(BFT-12 D1). Three things are written: the consensus record with the bodies it refers to, before a
statement is sent; a sealed block with everything that follows from it; and evidence, before
anybody is told of it, as are ballots in conflict.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial

from sqlalchemy.ext.asyncio import AsyncEngine

from node.ledger.ballots import ballot_tag
from node.ledger.blocks import Block
from node.ledger.genesis import Genesis
from node.ledger.offences import VerifiedEvidence
from node.ledger.proofs import VerifiedTransaction
from node.ledger.transition import Transition
from node.ledger.types import BankIndex, Height, TransactionId, View
from node.storage.block_application import BlockApplication
from node.storage.chain_reader import ChainReader
from node.storage.configuration import DatabaseConfig
from node.storage.connection import connect, create_reader_engine
from node.storage.digest_reader import DigestReader
from node.storage.errors import IntegrityViolation, WriterLost
from node.storage.evidence_reader import EvidenceReader
from node.storage.failures import storage_errors
from node.storage.genesis_installation import install_genesis
from node.storage.history_reader import HistoryReader
from node.storage.integrity_reader import IntegrityReader
from node.storage.journal import Journal
from node.storage.lookup_session import LookupSession
from node.storage.migrations import migrate_async, require_schema
from node.storage.note_reader import NoteReader
from node.storage.snapshot_installation import SnapshotInstallation
from node.storage.treasury_reader import TreasuryReader
from node.storage.vote_reader import VoteReader
from node.storage.writer import Writer

INSERT_FINDING = """
INSERT INTO integrity_findings (damaged_table, height, detail) VALUES (%b, %b, %b)
"""

INSERT_CONFLICT = """
INSERT INTO ballot_conflicts (sequence, height, view, tag, first, second)
SELECT (SELECT coalesce(max(sequence) + 1, 0) FROM ballot_conflicts), %b, %b, %b, %b, %b
ON CONFLICT (height, view, tag) DO NOTHING
"""


class Database(
    ChainReader,
    NoteReader,
    VoteReader,
    TreasuryReader,
    DigestReader,
    EvidenceReader,
    IntegrityReader,
    HistoryReader,
):
    """The open database of one bank: every question of the readers, and the writes."""

    def __init__(
        self,
        engine: AsyncEngine,
        genesis: Genesis,
        writer: Writer,
        on_violation: Callable[[IntegrityViolation], None] | None = None,
        lookups: LookupSession | None = None,
    ) -> None:
        super().__init__(engine, genesis, on_violation, lookups)
        self._writer = writer
        self._journal = Journal(writer)

    @staticmethod
    async def migrate(url: str) -> None:
        """Bring the database to the schema of this software; safe to repeat and to run twice."""
        await migrate_async(url)

    @classmethod
    async def open(
        cls,
        config: DatabaseConfig,
        *,
        genesis: Genesis,
        bank: BankIndex,
        on_writer_lost: Callable[[WriterLost], None] | None = None,
        on_violation: Callable[[IntegrityViolation], None] | None = None,
    ) -> Database:
        """Open a migrated database; the first time, write block 0 into it.

        `on_writer_lost` is called once, from the event loop, when the writing session ends while
        the database is open: the node must stop, for another may take its place (BFT-12 D5).
        `on_violation` is called for every damaged row that a read or a write comes across, before
        the call raises it: the node must sign nothing more.
        Raises `DatabaseUrlInvalid`, `DatabaseUnavailable`, `ServerTooOld`, `SchemaOutdated`,
        `DatabaseInUse` or `WrongDatabase`; nothing stays open then.
        """
        engine = create_reader_engine(config)
        try:
            with storage_errors():
                async with engine.connect() as connection:
                    await require_schema(connection)
            writer = await Writer.open(config, on_writer_lost)
            try:
                await install_genesis(writer, genesis, bank)
            except BaseException:
                await writer.close()
                raise
        except BaseException:
            await engine.dispose()
            raise
        lookups = LookupSession(partial(connect, config, "reader"))
        return cls(engine, genesis, writer, on_violation, lookups)

    @property
    def server_version(self) -> str:
        """Version of the database server, for example `180004`."""
        return self._writer.server_version

    @property
    def writer_lost(self) -> WriterLost | None:
        """Why this process may write no more; None while it may."""
        return self._writer.lost

    async def persist_consensus(
        self,
        record: bytes,
        height: Height,
        view: View,
        step: int,
        bodies: Sequence[Block] = (),
        transactions: Mapping[TransactionId, bytes] | None = None,
    ) -> None:
        """Make a consensus record and the bodies it refers to durable (BFT-12 D1, D2).

        Replaces the record; blocks and transactions that are stored already are left alone.
        `transactions` must cover whatever the new blocks name and is not stored: `BodyMissing`
        otherwise. Raises `IntegrityViolation` if the rows of the tip, the state or the previous
        record are not what this bank wrote, and `WriterLost`, `StorageConflict` and
        `DatabaseUnavailable`; no record is written then, unless the connection broke during the
        commit itself.
        """
        with self._reported_violations():
            await self._journal.persist_consensus(
                record, height, view, step, bodies, transactions or {}
            )

    async def apply_block(
        self,
        block: Block,
        seal: bytes,
        transition: Transition,
        transactions: Sequence[VerifiedTransaction],
        *,
        consensus_record: tuple[Height, View, int, bytes] | None = None,
    ) -> None:
        """Store a sealed block and all that follows from it in one database transaction.

        `transition` and `transactions` are the block's own, in order; the transition's votes are
        the record of the parent's batch, which is counted with them (BFT-12 section 17). Bodies
        stored at vote time are not written again; this height's consensus record, held blocks and
        orphaned bodies go, replaced by `consensus_record` (height, view, step, record) if given.
        Raises `StorageConflict` when the database is not at the parent or refuses a row: either is
        a broken invariant of ours, and nothing is written; so it is on `IntegrityViolation`.
        """
        application = BlockApplication(block, seal, transition, transactions, self._genesis)
        with self._reported_violations():
            await application.store(self._journal, consensus_record)

    async def add_evidence(self, evidence: VerifiedEvidence, source: BankIndex) -> bool:
        """Make a verified item durable, `pending`, before anybody is told of it (BFT-12 9).

        `source` is the bank that sent it, this bank for a conflict that it found. Returns whether
        the item was new; one that is stored already, in whatever status, is left as it is.
        """
        with self._reported_violations():
            return await self._journal.add_evidence(evidence, source)

    async def add_ballot_conflict(
        self, height: Height, view: View, one: bytes, other: bytes
    ) -> bool:
        """Keep two verified ballots with one tag and different messages (BFT-12 E8).

        Returns whether the conflict was new: of one tag the first pair found is kept, whatever the
        order of its ballots.
        """
        first, second = sorted((one, other))
        row = (height, view, ballot_tag(first), first, second)
        async with self._writer.transaction() as connection:
            inserted = await connection.execute(INSERT_CONFLICT, row)
            return inserted.rowcount == 1

    async def add_finding(self, violation: IntegrityViolation) -> None:
        """Note that a row is damaged, so that a restart does not forget it; see `findings`."""
        async with self._writer.transaction() as connection:
            await connection.execute(
                INSERT_FINDING, (violation.table, violation.height, violation.detail)
            )

    @asynccontextmanager
    async def installing_snapshot(self, source: BankIndex) -> AsyncIterator[SnapshotInstallation]:
        """Write the snapshot that `source` serves; nothing stays unless the body finishes it.

        Only for a ledger of height 0: raises `StorageConflict` otherwise, and for rows that do
        not fit together.
        """
        with self._reported_violations():
            async with self._journal.write() as (connection, position):
                installation = SnapshotInstallation(connection, position, self._genesis, source)
                yield installation
                assert installation.finished, "the body finishes what it began"

    @contextmanager
    def _reported_violations(self) -> Iterator[None]:
        try:
            yield
        except IntegrityViolation as violation:
            self._report(violation)
            raise

    async def close(self) -> None:
        """Release the writer's lock and every connection."""
        await self._writer.close()
        if self._lookups is not None:
            await self._lookups.close()
        await self._engine.dispose()
