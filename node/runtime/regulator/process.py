"""The regulator's process: the composition root of everything in this package."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from node.client.connection import ClientCredentials, Endpoint
from node.client.errors import CredentialsInvalid
from node.client.ledger_client import LedgerClient
from node.ledger.genesis import Genesis, GenesisInvalid, verify_genesis_keys
from node.rpc.certificates import CertificateInvalid
from node.rpc.credentials import TlsFiles
from node.rpc.gate import Admittance
from node.rpc.regulator_server import serve_regulator
from node.rpc.server import AddressUnusable
from node.runtime.clock import SystemClock
from node.runtime.config import ConfigurationError, load_node_config
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.exit_code import ExitCode
from node.runtime.ports import LOOPBACK
from node.runtime.regulator.accusations import AccusationDesk
from node.runtime.regulator.backend import RegulatorBackend
from node.runtime.regulator.ballot_conflicts import ConflictDesk
from node.runtime.regulator.certified_bins import CertifiedBins
from node.runtime.regulator.execution import Executor
from node.runtime.regulator.follower import Follower
from node.runtime.regulator.opener_watch import OpenerWatch
from node.runtime.regulator.place import RegulatorPlace, RegulatorRunning
from node.runtime.regulator.reverification import Reverifier
from node.runtime.regulator.secrets import OPENER_FILE, RegulatorSecrets
from node.runtime.regulator.settling import Settling
from node.storage.errors import StorageError
from node.storage.regulator.database import AuditLogBroken, RegulatorDatabase, migrate
from node.storage.regulator.records import Alarm
from node.wire.identity import consortium_slug

logger = logging.getLogger(__name__)

PARENT_CHECK_S = 0.5
STOP_GRACE_S = 0.5
REMEMBERED_ALARMS = 1_000


@dataclass(frozen=True, slots=True)
class RegulatorConfig:
    """What a regulator needs to know of its consortium."""

    genesis: Genesis
    endpoints: tuple[Endpoint, ...]
    """Of the banks."""
    place: RegulatorPlace
    listen: str = f"{LOOPBACK}:0"
    """`host:port` of its own server; port 0 picks one."""
    supervised: bool = False
    """Stop when the process that started it ends."""

    @staticmethod
    def of(directory: ConsortiumDirectory, *, supervised: bool = False) -> RegulatorConfig:
        """Read the directory of a local consortium; raises `ConfigurationError`."""
        genesis = directory.genesis()
        try:
            verify_genesis_keys(genesis)
        except GenesisInvalid as error:
            raise ConfigurationError(f"{directory.genesis_file}: {error}") from error
        configs = [
            load_node_config(directory.bank(bank.index).config_file) for bank in genesis.banks
        ]
        endpoints = tuple([Endpoint(config.bank, config.listen) for config in configs])
        return RegulatorConfig(genesis, endpoints, RegulatorPlace(directory), supervised=supervised)


class Regulator:
    """A running regulator; built by `run_regulator_until`, which owns what must be released."""

    def __init__(
        self,
        config: RegulatorConfig,
        secrets: RegulatorSecrets,
        database: RegulatorDatabase,
        ledger: LedgerClient,
        credentials: ClientCredentials,
    ) -> None:
        genesis = config.genesis
        now_ms = SystemClock().wall_ms
        self._config = config
        self._database = database
        self._raised: OrderedDict[tuple[str, int | None, int | None], None] = OrderedDict()
        self._follower = Follower(
            genesis,
            ledger,
            database,
            secrets.opener,
            secrets.draw_seeds,
            self._raise_alarm,
            now_ms,
        )
        self._settling = Settling(
            genesis, ledger, database, self._follower, secrets.opener, secrets.draw_seeds, now_ms
        )
        self._accusations = AccusationDesk(
            genesis, config.endpoints, credentials, database, self._follower
        )
        self._executor = Executor(
            genesis,
            ledger,
            database,
            self._follower,
            self._accusations,
            self._raise_alarm,
            now_ms,
        )
        self._reverifier = Reverifier(
            genesis,
            config.endpoints,
            credentials,
            database,
            self._follower,
            CertifiedBins(genesis, ledger, database),
            self._executor,
            self._accusations,
            self._raise_alarm,
            now_ms,
        )
        self._conflicts = ConflictDesk(
            genesis, config.endpoints, credentials, database, self._follower, secrets.opener
        )
        self._backend = RegulatorBackend(
            genesis,
            database,
            self._follower,
            self._executor,
            self._reverifier,
            self._settling,
            now_ms,
            opener_is_split=secrets.opener is None,
        )
        self._opener_watch = OpenerWatch(
            config.place.root / OPENER_FILE,
            (self._follower, self._settling, self._conflicts, self._backend),
        )

    async def run(self) -> None:
        """Serve and work until cancelled."""
        await self._follower.load()
        await self._executor.load()
        config, genesis = self._config, self._config.genesis
        server = await serve_regulator(
            self._backend,
            TlsFiles(config.place.root),
            config.listen,
            Admittance(consortium_slug(genesis.name), banks=[bank.index for bank in genesis.banks]),
        )
        config.place.write_address(f"{config.listen.rpartition(':')[0]}:{server.port}")
        logger.info(
            "started",
            extra={"height": self._follower.tip.height, "chain": genesis.chain_id.hex()},
        )
        try:
            async with asyncio.TaskGroup() as group:
                for work in (
                    self._follower,
                    self._settling,
                    self._executor,
                    self._reverifier,
                    self._conflicts,
                    self._accusations,
                    self._opener_watch,
                ):
                    group.create_task(work.run())
        finally:
            config.place.forget_address()
            await server.stop(STOP_GRACE_S)
            await self._reverifier.close()
            await self._conflicts.close()
            await self._accusations.close()

    async def _raise_alarm(self, alarm: Alarm) -> None:
        """Keep an alarm and log it; what a bank causes again and again is kept once."""
        cause = (alarm.kind, alarm.bank, alarm.height)
        if cause in self._raised:
            return
        self._raised[cause] = None
        if len(self._raised) > REMEMBERED_ALARMS:
            self._raised.popitem(last=False)
        logger.error("alarm", extra={"kind": alarm.kind, "detail": alarm.text})
        await self._database.raise_alarm(alarm)


async def run_regulator(config: RegulatorConfig) -> ExitCode:
    """Run the regulator until SIGTERM or SIGINT; return its exit code."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    return await run_regulator_until(config, stopping)


async def run_regulator_until(config: RegulatorConfig, stopping: asyncio.Event) -> ExitCode:
    """Run the regulator until `stopping` is set or it cannot go on; return its exit code."""
    try:
        async with AsyncExitStack() as stack:
            stack.enter_context(config.place.lock())
            secrets = RegulatorSecrets.load(config.place.root, config.genesis)
            credentials = ClientCredentials.load(config.place.root)
            url = config.place.database_url()
            await asyncio.to_thread(migrate, url)
            database = await RegulatorDatabase.open(url, SystemClock().wall_ms)
            stack.push_async_callback(database.close)
            await database.check_audit_log()
            ledger = LedgerClient(config.endpoints, credentials)
            stack.push_async_callback(ledger.close)
            regulator = Regulator(config, secrets, database, ledger, credentials)
            del secrets  # its parts hold the opener's key for as long as they may
            await _run_until(
                stopping, regulator.run(), _watch_parent(config.supervised, stopping.set)
            )
    except (ConfigurationError, CertificateInvalid, CredentialsInvalid, AddressUnusable) as error:
        logger.error("cannot start", extra={"detail": str(error)})
        return ExitCode.CONFIGURATION
    except (AuditLogBroken, RegulatorRunning) as violation:
        logger.error("unsafe to run", extra={"detail": str(violation)})
        return ExitCode.UNSAFE
    except StorageError as error:
        logger.error("database failed", extra={"kind": type(error).__name__, "detail": str(error)})
        return ExitCode.DATABASE
    except Exception:  # edge: the process ends here, and its log must say why
        logger.exception("stopped by a defect")
        return ExitCode.DEFECT
    logger.info("stopped")
    return ExitCode.STOPPED


async def _run_until(stopping: asyncio.Event, *work: Coroutine[Any, Any, None]) -> None:
    """Do the work until asked to stop; whatever ends it is raised, alone and not in a group."""
    tasks = [asyncio.create_task(item) for item in work]
    stop = asyncio.create_task(stopping.wait())
    try:
        done, _ = await asyncio.wait([stop, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    except ExceptionGroup as group:
        raise group.exceptions[0] from None
    finally:
        for task in (stop, *tasks):
            task.cancel()
        await asyncio.gather(stop, *tasks, return_exceptions=True)


async def _watch_parent(supervised: bool, stop: Callable[[], None]) -> None:
    """A supervised process does not outlive the launcher that would stop it."""
    parent = os.getppid()
    while True:
        await asyncio.sleep(PARENT_CHECK_S)
        if supervised and os.getppid() != parent:
            logger.info("stopping", extra={"why": "the process that started it has ended"})
            stop()
