"""A node's process: what a running node needs, opened in order, released in reverse.

Configuration, genesis and keys; guard file and database, both locked; the tip. A node that cannot
be safe stops and says why; its exit code tells the operator whether starting it again can help.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack

from node.consensus.signatures import Ed25519Verifier
from node.ledger.genesis import Genesis
from node.rpc.certificates import CertificateInvalid
from node.rpc.server import AddressUnusable
from node.runtime.bank_signers import load_signers
from node.runtime.chain import Chain
from node.runtime.config import SNAPSHOT, ConfigurationError, NodeConfig, load_genesis
from node.runtime.cpu_account import CpuAccount, CpuCategory
from node.runtime.exit_code import ExitCode
from node.runtime.guard_file import GuardCorrupt, GuardFile, GuardLocked, guard_owner
from node.runtime.integrity import Integrity, check_tip
from node.runtime.node import Node
from node.runtime.secrets_directory import read_private
from node.runtime.verification_workers import WorkerPool
from node.storage.configuration import DatabaseConfig
from node.storage.database import Database
from node.storage.errors import (
    IntegrityViolation,
    LedgerFormatOutdated,
    SchemaOutdated,
    StorageError,
    WriterLost,
    WrongDatabase,
)

logger = logging.getLogger(__name__)


class NodeUnsafe(Exception):
    """This node must not run now; the message says why and what to do."""


async def require_guard(config: NodeConfig, guard: GuardFile, database: Database) -> None:
    """Refuse to run on a ledger that has begun without the file that knows what was signed.

    A database restored without its guard file looks like one that is whole (BFT-12 D4). Raises
    `NodeUnsafe`.
    """
    if guard.is_new and (await database.load_tip()).header.height > 0:
        guard.withdraw()
        raise NodeUnsafe(
            f"{config.guard_file} is gone: without it nobody knows what this bank has signed; "
            f"run `consortium node rebuild {config.short_name}`"
        )


async def open_database(
    config: NodeConfig,
    genesis: Genesis,
    lost: asyncio.Event,
    on_violation: Callable[[IntegrityViolation], None],
) -> Database:
    """Open the bank's database, bringing its schema up to date first; raises `StorageError`."""
    settings = config.database
    url = read_private(settings.url_file).decode("utf-8").strip()
    database_config = DatabaseConfig(
        url,
        pool_size=settings.pool_size,
        max_overflow=settings.max_overflow,
        statement_timeout_ms=settings.statement_timeout_ms,
    )

    def on_writer_lost(error: WriterLost) -> None:
        logger.error("writer lost", extra={"detail": str(error)})
        lost.set()

    async def attempt() -> Database:
        return await Database.open(
            database_config,
            genesis=genesis,
            bank=config.bank,
            on_writer_lost=on_writer_lost,
            on_violation=on_violation,
        )

    try:
        return await attempt()
    except SchemaOutdated:
        logger.info("migrating the database")
        await Database.migrate(url)
        return await attempt()


async def run_node(config: NodeConfig, pool: WorkerPool | None = None) -> ExitCode:
    """Run one bank's node until SIGTERM, SIGINT or an operator's Shutdown; return its exit code.

    It verifies with `pool`, with threads of its own if there is none.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    cpu = CpuAccount()
    loop.set_default_executor(cpu.executor())
    return await run_node_until(config, stopping, cpu, pool)


async def run_node_until(
    config: NodeConfig,
    stopping: asyncio.Event,
    cpu: CpuAccount | None = None,
    pool: WorkerPool | None = None,
) -> ExitCode:
    """Run one bank's node until `stopping` is set or it cannot go on; return its exit code."""
    cpu = cpu or CpuAccount()
    lost = asyncio.Event()
    integrity = Integrity(config.short_name)
    try:
        async with AsyncExitStack() as stack:
            genesis = load_genesis(config)
            signers = load_signers(config, genesis)
            guard = GuardFile(
                config.guard_file, guard_owner(genesis.chain_id, signers.statements.public_key)
            )
            stack.callback(guard.close)
            database = await open_database(config, genesis, lost, integrity.report)
            stack.push_async_callback(database.close)
            await require_guard(config, guard, database)
            if config.join == SNAPSHOT:
                # It carries the client's verification with it, which a running node never needs.
                from node.runtime.snapshot_join import join_if_asked

                await join_if_asked(config, genesis, database, stopping)
            tip = await database.load_tip()
            for violation in await database.findings():
                integrity.report(violation)
            check_tip(genesis, tip, Ed25519Verifier())
            chain = Chain(genesis, database, tip.header, tip.state, tip.seal)
            cpu.measure_calls(database, CpuCategory.DATABASE)
            node = Node(
                config, genesis, signers, guard, database, chain, integrity, stopping, cpu, pool
            )
            await _run_unless_lost(node, lost, stopping)
    except (
        ConfigurationError,
        CertificateInvalid,
        AddressUnusable,
        LedgerFormatOutdated,
        WrongDatabase,
    ) as error:
        logger.error("cannot start", extra={"detail": str(error)})
        return ExitCode.CONFIGURATION
    except (NodeUnsafe, GuardLocked, GuardCorrupt) as error:
        logger.error("unsafe to run", extra={"detail": str(error)})
        return ExitCode.UNSAFE
    except IntegrityViolation as violation:
        # Without a tip there is nothing to tell anybody; the operator reads why in the log.
        integrity.report(violation)
        logger.error("unsafe to run", extra={"detail": integrity.reason})
        return ExitCode.UNSAFE
    except StorageError as error:
        logger.error("database failed", extra={"kind": type(error).__name__, "detail": str(error)})
        return ExitCode.DATABASE
    except Exception:  # edge: the process ends here, and its log must say why
        logger.exception("stopped by a defect")
        return ExitCode.DEFECT
    logger.info("stopped")
    return ExitCode.STOPPED


async def _run_unless_lost(node: Node, lost: asyncio.Event, stopping: asyncio.Event) -> None:
    """Run the node; raise `WriterLost` as soon as its database belongs to nobody or another.

    A stop may interrupt a write and with it the writing session; that is no loss.
    """
    running = asyncio.create_task(node.run())
    losing = asyncio.create_task(lost.wait())
    try:
        await asyncio.wait([running, losing], return_when=asyncio.FIRST_COMPLETED)
        if lost.is_set() and not running.done() and not stopping.is_set():
            raise WriterLost("the writing session ended: another node may have the database")
        await running
    finally:
        for task in (running, losing):
            task.cancel()
        await asyncio.gather(running, losing, return_exceptions=True)
