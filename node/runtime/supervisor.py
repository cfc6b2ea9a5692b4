"""Running every bank of a consortium on this machine: one process and one database a bank.

A bank that ends is reported with its reason and stays down until its operator starts it again; only
one whose database went away (`ExitCode.DATABASE`) is started again by itself, a bounded number of
times, after the database server has been started if it died. Nodes notice when this process
disappears, however it ends, and stop by themselves.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from node.client.connection import ClientCredentials, Endpoint
from node.client.errors import ClientError
from node.client.operator_client import OperatorClient
from node.ledger.genesis import Genesis
from node.ledger.types import BankIndex
from node.runtime.bank_databases import DatabaseServer, bring_up_to_date
from node.runtime.bank_process import BankProcess
from node.runtime.config import NodeConfig, PeerAddress, load_node_config, render_node_config
from node.runtime.consortium_directory import BankDirectory, ConsortiumDirectory
from node.runtime.dashboard_child import dashboard_processes
from node.runtime.diagnosis import diagnose
from node.runtime.exit_code import ExitCode
from node.runtime.health_check import Health, StartFailed, wait_healthy
from node.runtime.health_watch import HealthWatch
from node.runtime.notice import Notice, NoticeKind
from node.runtime.ports import LOOPBACK, replace_taken
from node.runtime.process_condition import ProcessCondition, condition_of
from node.runtime.quorum_watch import QuorumWatch
from node.runtime.regulator.child import RegulatorChild, regulator_processes
from node.runtime.running_consortium import (
    ProcessReference,
    RunningBank,
    RunningConsortium,
    end_processes,
    node_processes,
    now_ms,
)
from node.runtime.start_requests import take_requests
from node.storage.postgres_errors import PostgresError
from node.wire.operator_records import NodeReport

REQUEST_INTERVAL_S = 0.25
WATCH_INTERVAL_S = 1.0
"""Between two looks at what the banks say of themselves: a stall is told within a view time-out."""
WATCH_DEADLINE_MS = 1_500
SILENT_LOOKS = 2
"""A bank that does not answer so often in a row, on a busy machine, is not there."""

TERMINATE_PATIENCE_S = 3.0
"""After this, a node that was asked to stop is killed."""

BACK_OFF_FIRST_S = 0.5
BACK_OFF_LONGEST_S = 15.0
RESTARTS = 10
"""Starts in a row after a lost database; then the bank stays down."""
STEADY_S = 10.0
"""A bank that was ready this long begins a new row of restarts."""


class Supervisor:
    """Starts, watches and stops the banks of one directory; needs its `supervisor_lock`."""

    def __init__(
        self,
        directory: ConsortiumDirectory,
        databases: DatabaseServer,
        notify: Callable[[Notice], None],
        *,
        with_regulator: bool = False,
        node_options: Sequence[str] = (),
    ) -> None:
        """`notify` is told everything an operator should read, one line each; every bank's process
        gets `node_options` beside its configuration."""
        self.regulator = RegulatorChild(directory, databases, notify) if with_regulator else None
        self._directory = directory
        self._databases = databases
        self._notify = notify
        self.genesis: Genesis = directory.genesis()
        self._banks = [
            BankProcess(directory.bank(bank.index), node_options) for bank in self.genesis.banks
        ]
        self._configs: list[NodeConfig] = []
        self._watchers: dict[int, asyncio.Task[None]] = {}
        self._restarts: dict[int, int] = {}
        self._database_lock = asyncio.Lock()
        self._started_ms = now_ms()
        self._stopping = False
        self._health = HealthWatch()
        self._quorum = QuorumWatch()
        self._reports: dict[BankIndex, NodeReport] = {}
        """What the banks said last."""
        self._unanswered: dict[BankIndex, int] = {}
        self._looked = False
        self._ready_since_s: dict[BankIndex, float] = {}

    @property
    def banks(self) -> Sequence[BankProcess]:
        return self._banks

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Where the banks listen, in bank order."""
        return tuple(Endpoint(config.bank, config.listen) for config in self._configs)

    @property
    def metrics_addresses(self) -> tuple[str, ...]:
        """Where the banks serve their metrics, `host:port`, in bank order."""
        return tuple(config.metrics_listen or "" for config in self._configs)

    async def start(self) -> None:
        """Start database server and all banks; raises `PostgresError`, `StorageError`, OSError."""
        await asyncio.to_thread(self._clear_left_over)
        self._configs = self._assign_addresses()
        await asyncio.to_thread(self._databases.start)
        self._notify(Notice(NoticeKind.PROGRESS, f"{self._databases.description} runs"))
        for process in self._banks:
            # A bank starts to load its code while the next one's database is being made.
            await asyncio.to_thread(self._prepare_database, process.bank)
            await self._launch(process)
        self._save()
        if self.regulator is not None:
            await self.regulator.start()

    async def wait_healthy(
        self,
        timeout_s: float,
        progress: Callable[[int, int], None] = lambda healthy, total: None,
    ) -> Health:
        """Wait until every bank that is in service is verified healthy (`health_check`).

        Raises `StartFailed` naming the bank that is not, and why.
        """
        return await wait_healthy(
            self.endpoints,
            ClientCredentials.load(self._directory.operator),
            self.genesis,
            timeout_s=timeout_s,
            progress=progress,
            ended_unsafe=self._ended_unsafe,
        )

    async def run(self) -> None:
        """Serve operators' requests and watch the banks' health until cancelled."""
        # A new server holds twelve databases in memory that were never written.
        await asyncio.to_thread(self._databases.flush)
        await asyncio.gather(self._serve_requests(), self._watch_health())

    async def _serve_requests(self) -> None:
        while True:
            for bank in take_requests(self._directory):
                if bank < len(self._banks) and not self._banks[bank].running:
                    self._restarts.pop(bank, None)
                    if await self._revive_databases():
                        await asyncio.to_thread(self._databases.provide, self._banks[bank].bank)
                    await self._launch(self._banks[bank])
                    self._save()
                    name = self._banks[bank].bank.short_name
                    self._notify(Notice(NoticeKind.BANK_STARTED, f"{name} was started again", bank))
                    self._judge_quorum()
            await asyncio.sleep(REQUEST_INTERVAL_S)

    async def _watch_health(self) -> None:
        credentials = ClientCredentials.load(self._directory.operator)
        async with contextlib.AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(
                    OperatorClient(endpoint, credentials, deadline_ms=WATCH_DEADLINE_MS)
                )
                for endpoint in self.endpoints
            ]
            while True:
                await asyncio.gather(*map(self._look_at, clients))
                self._looked = True
                self._judge_quorum()
                await asyncio.sleep(WATCH_INTERVAL_S)

    async def _look_at(self, client: OperatorClient) -> None:
        bank = client.endpoint.bank
        try:
            report = await client.report()
        except ClientError:
            unanswered = self._unanswered.get(bank, 0) + 1
            self._unanswered[bank] = unanswered
            paused = self._condition_of(bank) is ProcessCondition.PAUSED
            if paused or unanswered >= SILENT_LOOKS:
                self._reports.pop(bank, None)
            return
        self._unanswered.pop(bank, None)
        self._reports[bank] = report
        if report.ready:
            self._ready_since_s.setdefault(bank, time.monotonic())
        for notice in self._health.take(report):
            self._notify(notice)

    def _condition_of(self, bank: BankIndex) -> ProcessCondition:
        return condition_of(self._banks[bank].reference)

    async def stop(self) -> None:
        """Stop every bank, then the database server; nothing is left when this returns."""
        self._stopping = True
        regulator_stops = asyncio.create_task(self._stop_regulator())
        for process in self._banks:
            process.send(signal.SIGTERM)
        flushing = asyncio.ensure_future(asyncio.to_thread(self._databases.flush))
        running = [asyncio.ensure_future(item.wait()) for item in self._banks if item.running]
        if running:
            _, late = await asyncio.wait(running, timeout=TERMINATE_PATIENCE_S)
            if late:
                for process in self._banks:
                    process.send(signal.SIGKILL)
                await asyncio.wait(late)
        for watcher in self._watchers.values():
            watcher.cancel()
        await asyncio.gather(*self._watchers.values(), return_exceptions=True)
        await regulator_stops
        # One whose start was being interrupted may not have been known yet.
        unknown = await asyncio.to_thread(node_processes, self._directory)
        if unknown:
            await asyncio.to_thread(end_processes, unknown, patience_s=1.0)
        await asyncio.to_thread(self._databases.stop)
        await flushing
        self._directory.state_file.unlink(missing_ok=True)

    async def _stop_regulator(self) -> None:
        if self.regulator is not None:
            await self.regulator.stop()

    # Starting

    def _clear_left_over(self) -> None:
        left_over = node_processes(self._directory) + regulator_processes(self._directory)
        left_over += dashboard_processes(self._directory)
        if left_over:
            end_processes(left_over, patience_s=TERMINATE_PATIENCE_S)
            self._notify(
                Notice(
                    NoticeKind.PROGRESS,
                    f"{len(left_over)} processes left over from an earlier run were stopped",
                )
            )
        take_requests(self._directory)

    def _assign_addresses(self) -> list[NodeConfig]:
        """Load the configurations; where a port on loopback is taken, give the bank another.

        A bank whose configuration says nothing of its metrics serves them on loopback as well.
        """
        configs = [load_node_config(process.bank.config_file) for process in self._banks]
        local = [config for config in configs if config.listen.startswith(f"{LOOPBACK}:")]
        measured = [
            config
            for config in configs
            if (config.metrics_listen or f"{LOOPBACK}:0").startswith(f"{LOOPBACK}:")
        ]
        ports = replace_taken(
            [
                *(int(config.listen.rpartition(":")[2]) for config in local),
                *(int((config.metrics_listen or ":0").rpartition(":")[2]) for config in measured),
            ]
        )
        for config, port in zip(local, ports[: len(local)], strict=True):
            configs[config.bank] = replace(config, listen=f"{LOOPBACK}:{port}")
        for config, port in zip(measured, ports[len(local) :], strict=True):
            listen = f"{LOOPBACK}:{port}"
            configs[config.bank] = replace(configs[config.bank], metrics_listen=listen)
        assigned = [
            replace(
                config,
                peers=tuple(
                    PeerAddress(other.bank, other.listen)
                    for other in configs
                    if other.bank != config.bank
                ),
            )
            for config in configs
        ]
        for process, config in zip(self._banks, assigned, strict=True):
            if config != load_node_config(process.bank.config_file):
                text = render_node_config(config, process.bank.root.resolve())
                process.bank.config_file.write_text(text, encoding="utf-8")
        return assigned

    def _prepare_database(self, bank: BankDirectory) -> None:
        fresh = not bank.database_url_file.exists()
        self._databases.provide(bank)
        if fresh:
            bring_up_to_date(bank)

    async def _launch(self, process: BankProcess) -> None:
        self._ready_since_s.pop(process.bank.index, None)
        await process.start()
        self._watchers[process.bank.bank] = asyncio.create_task(self._watch(process))

    # Watching

    async def _watch(self, process: BankProcess) -> None:
        """Wait for the end of one bank's process; say so, or start it again."""
        exit_code = await process.wait()
        if self._stopping:
            return
        self._save()
        bank = process.bank
        self._health.forget(bank.index)
        self._reports.pop(bank.index, None)
        if exit_code == ExitCode.DATABASE and await self._restart_after_back_off(process):
            return
        if exit_code == ExitCode.STOPPED:
            self._notify(
                Notice(
                    NoticeKind.BANK_STOPPED,
                    f"{bank.short_name} has stopped as it was asked; "
                    f"`consortium node start {bank.short_name}` starts it again",
                    bank.bank,
                )
            )
        else:
            self._notify(
                Notice(
                    NoticeKind.BANK_DOWN,
                    f"{bank.short_name} is down ({process.why_ended(exit_code)}); "
                    f"`consortium logs {bank.short_name}` shows more, "
                    f"`consortium node start {bank.short_name}` starts it again",
                    bank.bank,
                )
            )
        self._judge_quorum()

    def _judge_quorum(self) -> None:
        """Tell who is missing, and when too few banks are left, with every change."""
        if not self._looked:
            return
        conditions = {
            process.bank.bank: condition_of(process.reference) for process in self._banks
        }
        for notice in self._quorum.take(diagnose(len(self._banks), self._reports, conditions)):
            self._notify(notice)

    async def _restart_after_back_off(self, process: BankProcess) -> bool:
        """Start a bank again whose database went away; False if it has had its chances."""
        bank = process.bank
        ready_since_s = self._ready_since_s.get(bank.index)
        if ready_since_s is not None and time.monotonic() - ready_since_s > STEADY_S:
            self._restarts.pop(bank.bank, None)
        attempt = self._restarts.get(bank.bank, 0) + 1
        if attempt > RESTARTS:
            return False
        self._restarts[bank.bank] = attempt
        delay_s = min(BACK_OFF_FIRST_S * 2 ** (attempt - 1), BACK_OFF_LONGEST_S)
        self._notify(
            Notice(
                NoticeKind.BANK_DOWN,
                f"{bank.short_name} lost its database ({process.last_words()}); it is started "
                f"again in {delay_s:g} s, attempt {attempt} of {RESTARTS}",
                bank.bank,
            )
        )
        await asyncio.sleep(delay_s)
        if not await self._revive_databases():
            return False
        if self._stopping or process.running:
            return True
        await asyncio.to_thread(self._databases.provide, bank)
        await self._launch(process)
        self._save()
        self._judge_quorum()
        return True

    async def _revive_databases(self) -> bool:
        """Start the database server if it died; returns whether it runs."""
        async with self._database_lock:
            if await asyncio.to_thread(self._databases.is_running):
                return True
            try:
                await asyncio.to_thread(self._databases.start)
            except PostgresError as error:
                first_line = str(error).splitlines()[0]
                text = f"PostgreSQL died and cannot be started again: {first_line}"
                self._notify(Notice(NoticeKind.DATABASE, text))
                return False
            self._notify(
                Notice(
                    NoticeKind.DATABASE,
                    f"PostgreSQL had died and was started again ({self._databases.description})",
                )
            )
            return True

    def _ended_unsafe(self) -> Mapping[BankIndex, str]:
        """Return the banks that stopped because they must not go on, and their last words.

        Raises `StartFailed` if a bank ended for any other reason.
        """
        unsafe: dict[BankIndex, str] = {}
        for process in self._banks:
            watcher = self._watchers[process.bank.bank]
            if process.running or not watcher.done():
                continue
            if process.exit_code != ExitCode.UNSAFE:
                raise StartFailed(
                    f"{process.bank.short_name} ended while it started: {process.last_words()}; "
                    f"`consortium logs {process.bank.short_name}` shows more"
                )
            unsafe[process.bank.index] = process.last_words()
        return unsafe

    def _save(self) -> None:
        RunningConsortium(
            supervisor=_own_process(),
            started_ms=self._started_ms,
            chain_id=self.genesis.chain_id.hex(),
            banks=tuple(
                RunningBank(
                    process.bank.bank,
                    process.bank.short_name,
                    config.listen,
                    process.reference,
                )
                for process, config in zip(self._banks, self._configs, strict=True)
            ),
        ).save(self._directory)


def _own_process() -> ProcessReference:
    return ProcessReference.of(os.getpid())


def stop_left_over(directory: ConsortiumDirectory, databases: DatabaseServer | None) -> list[str]:
    """Stop what a supervisor that was killed has left; return what was stopped, in words."""
    stopped = []
    nodes = node_processes(directory)
    if nodes:
        end_processes(nodes, patience_s=TERMINATE_PATIENCE_S)
        stopped.append("1 bank" if len(nodes) == 1 else f"{len(nodes)} banks")
    regulators = regulator_processes(directory)
    if regulators:
        end_processes(regulators, patience_s=TERMINATE_PATIENCE_S)
        stopped.append("the regulator")
    pages = dashboard_processes(directory)
    if pages:
        end_processes(pages, patience_s=TERMINATE_PATIENCE_S)
        stopped.append("the page")
    if databases is not None and databases.is_running():
        databases.stop()
        stopped.append("PostgreSQL")
    with contextlib.suppress(OSError):
        directory.state_file.unlink(missing_ok=True)
    return stopped
