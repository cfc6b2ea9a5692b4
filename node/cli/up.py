"""`consortium up`: make a consortium on first use, start it, show it at work, stop it cleanly."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import AsyncGenerator, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from crypto.curve import decode_strict
from crypto.errors import Rejected
from node.cli.block_stream import BlockLine, stream_block_lines
from node.cli.demo_show import show_demo
from node.cli.failure import EXIT_FAILED, EXIT_USAGE, CommandFailed
from node.cli.options import data_option, json_option
from node.cli.terminal import answer, answer_json, progress, say, steps, warn
from node.client.workload_file import open_workload
from node.ledger.parameters import DAY_S, Parameters
from node.runtime.bank_databases import DatabaseServer, database_server, has_own_servers
from node.runtime.config import MAX_VERIFY_WORKERS
from node.runtime.consortium_directory import ConsortiumDirectory, short_name
from node.runtime.dashboard_child import DashboardChild
from node.runtime.initialise import (
    DEFAULT_BANKS,
    create_consortium,
    require_bank_count,
    require_fiscal_year,
)
from node.runtime.ledger_installation import (
    install_ledger,
    require_whole_ledger,
    require_workload_consortium,
)
from node.runtime.login_token import write_login_token
from node.runtime.notice import Notice, NoticeKind
from node.runtime.ports import LOOPBACK
from node.runtime.running_consortium import supervisor_lock
from node.runtime.supervisor import Supervisor

HEALTHY_WITHIN_S = 120.0
DASHBOARD_PORT = 8700
LONGEST_YEAR_S = 366 * DAY_S


@dataclass(frozen=True, slots=True)
class UpOptions:
    """What `consortium up` was asked for."""

    directory: ConsortiumDirectory
    bank_count: int | None
    demo_payments: int | None
    as_json: bool
    keep: bool
    database_url: str | None
    fiscal_year_seconds: int | None = None
    with_regulator: bool = True
    opener_key: bytes | None = None
    """Made by officers together; of a new consortium."""
    workload_file: Path | None = None
    """Whose funded ledger a new consortium begins with."""
    verify_workers: int | None = None
    """Of each bank; None as configured."""
    dashboard_port: int | None = None
    """Where the operators' page is served; None for no page."""

    @property
    def settles_years(self) -> bool:
        """Whether years end while somebody looks on, and nobody else has to settle them."""
        ends = self.fiscal_year_seconds is not None
        return ends and self.with_regulator and self.opener_key is None


@click.command()
@click.option(
    "--banks",
    "bank_count",
    type=click.IntRange(4, 16),
    help=f"Number of banks of a new consortium.  [default: {DEFAULT_BANKS}]",
)
@data_option
@click.option(
    "--demo",
    "demo_payments",
    type=click.IntRange(min=1),
    metavar="N",
    help="Send N confidential payments, try a double spend, check everything, stop.",
)
@json_option
@click.option("--keep", is_flag=True, help="With --demo: go on running until Ctrl-C.")
@click.option(
    "--database-url",
    envvar="CONSORTIUM_DATABASE_URL",
    metavar="URL",
    help="Use this PostgreSQL server: URL of a role that may create roles and databases, or URL "
    "of the banks' existing databases with {bank} for the bank's index.",
)
@click.option(
    "--fiscal-year-seconds",
    type=click.IntRange(1, LONGEST_YEAR_S),
    metavar="N",
    help="Length of a fiscal year of a new consortium.  [default: from April 1 to March 31]",
)
@click.option(
    "--opener-key",
    metavar="HEX",
    help="Opener's key of a new consortium, made by officers: `consortium regulator join`.",
)
@click.option(
    "--genesis",
    "workload_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Begin a new consortium with the banks and the funded ledger of a workload file: "
    "`consortium load prepare`.",
)
@click.option(
    "--verify-workers",
    type=click.IntRange(0, MAX_VERIFY_WORKERS),
    metavar="N",
    help="Processes a bank that verify transactions; 0 for threads.  [default: 0]",
)
@click.option(
    "--dashboard-port",
    type=click.IntRange(0, 65_535),
    default=DASHBOARD_PORT,
    show_default=True,
    metavar="N",
    help="Where the operators' page is served on this machine; another port if it is taken.",
)
@click.option("--no-dashboard", is_flag=True, help="Without the operators' page.")
@click.option(
    "--no-regulator", is_flag=True, help="Without the regulator: nobody settles or re-verifies."
)
def command(
    directory: ConsortiumDirectory,
    bank_count: int | None,
    demo_payments: int | None,
    as_json: bool,
    keep: bool,
    database_url: str | None,
    fiscal_year_seconds: int | None,
    opener_key: str | None,
    workload_file: Path | None,
    verify_workers: int | None,
    dashboard_port: int,
    no_dashboard: bool,
    no_regulator: bool,
) -> None:
    """Start a consortium: each bank a process of its own with its own database.

    On first use it makes keys, certificates and the genesis. It prints where the banks listen and
    the address of the operators' page, then a line for every sealed block, until Ctrl-C stops
    everything.

    \b
    Examples:
      consortium up
      consortium up --demo 300
      consortium up --banks 4 --data four --demo 20 --json
      consortium up --genesis ten-thousand.load --data loaded
    """
    if workload_file is not None and (fiscal_year_seconds is not None or opener_key is not None):
        raise CommandFailed(
            "--genesis brings years and keys of its own",
            "leave --fiscal-year-seconds and --opener-key out",
            EXIT_USAGE,
        )
    options = UpOptions(
        directory,
        bank_count,
        demo_payments,
        as_json,
        keep,
        database_url,
        fiscal_year_seconds=fiscal_year_seconds,
        with_regulator=not no_regulator,
        opener_key=None if opener_key is None else _read_opener_key(opener_key),
        workload_file=workload_file,
        verify_workers=verify_workers,
        # A demonstration ends by itself, sooner than anybody has opened a page.
        dashboard_port=None if no_dashboard or (demo_payments and not keep) else dashboard_port,
    )
    exit_code = asyncio.run(run_up(options))
    raise click.exceptions.Exit(exit_code)


def _node_options(options: UpOptions) -> tuple[str, ...]:
    if options.verify_workers is None:
        return ()
    return ("--verify-workers", str(options.verify_workers))


async def run_up(options: UpOptions) -> int:
    """Run the consortium until it is done or interrupted; return the exit code."""
    interrupted = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, interrupted.set)
    begun_s = time.monotonic()
    ensure_consortium(options)
    with supervisor_lock(options.directory):
        databases = database_server(options.directory, options.database_url)
        supervisor = Supervisor(
            options.directory,
            databases,
            _show_notice,
            with_regulator=options.with_regulator,
            node_options=_node_options(options),
        )
        run = _Run(options, databases, supervisor, begun_s)
        try:
            return await run.until(interrupted)
        finally:
            stopping_s = time.monotonic()
            await _finish(run.stop())
            say(f"everything has stopped ({time.monotonic() - stopping_s:.1f} s)")


def ensure_consortium(options: UpOptions) -> None:
    """Make the consortium if there is none; one that is there keeps its banks."""
    directory = options.directory
    if options.workload_file is not None:
        _ensure_workload_consortium(options, options.workload_file)
    if directory.exists():
        _require_one_machine(directory)
        if options.bank_count is not None:
            require_bank_count(directory, options.bank_count)
        if options.fiscal_year_seconds is not None:
            require_fiscal_year(directory, options.fiscal_year_seconds)
        return
    begun_s = time.monotonic()
    count = options.bank_count or DEFAULT_BANKS
    parameters = Parameters(fiscal_year_seconds=options.fiscal_year_seconds)
    genesis = create_consortium(
        directory, bank_count=count, parameters=parameters, opener_key=options.opener_key
    )
    say(
        f"made a consortium of {count} banks in {directory.root}, chain "
        f"{genesis.chain_id.hex()[:16]} ({time.monotonic() - begun_s:.1f} s)"
    )


def _require_one_machine(directory: ConsortiumDirectory) -> None:
    if has_own_servers(directory):
        raise CommandFailed(
            f"the banks of {directory.root} have machines of their own",
            "run each on its machine, with `consortium node run --config "
            f"{directory.banks}/BANK/node.toml`",
            EXIT_USAGE,
        )


def _ensure_workload_consortium(options: UpOptions, file: Path) -> None:
    directory = options.directory
    with open_workload(file) as workload:
        if options.bank_count not in (None, workload.header.bank_count):
            raise CommandFailed(
                f"{file} is made for {workload.header.bank_count} banks",
                "leave --banks out",
                EXIT_USAGE,
            )
        made = require_workload_consortium(directory, workload)
        # `consortium load run` finds it there.
        directory.workload_note.write_text(f"{file.resolve()}\n", encoding="utf-8")
        if made:
            header = workload.header
            say(
                f"made the consortium of {file}: {header.bank_count} banks in {directory.root}, "
                f"chain {header.chain_id.hex()[:16]}"
            )


async def _install_ledger(options: UpOptions, databases: DatabaseServer) -> None:
    """Install the ledger that a new consortium begins with, unless it is there already."""
    directory = options.directory
    if options.workload_file is None:
        require_whole_ledger(directory)
    elif directory.pending_ledger_file.exists():
        begun_s = time.monotonic()
        with open_workload(options.workload_file) as workload, steps("installing") as meter:
            await install_ledger(directory, databases, workload, meter)
            height = workload.header.funded_height
        say(f"every bank holds {height} blocks ({time.monotonic() - begun_s:.1f} s)")


def _read_opener_key(text: str) -> bytes:
    try:
        key = bytes.fromhex(text)
        decode_strict(key)
    except (ValueError, Rejected):
        raise click.UsageError("--opener-key is no key that officers have made") from None
    return key


class _Run:
    """One run of the consortium, from start to interruption."""

    def __init__(
        self,
        options: UpOptions,
        databases: DatabaseServer,
        supervisor: Supervisor,
        begun_s: float,
    ) -> None:
        self.supervisor = supervisor
        self._databases = databases
        self._options = options
        self._begun_s = begun_s
        self._dashboard: DashboardChild | None = None
        # A demonstration that was interrupted has shown nothing.
        self._exit_code = 0 if options.demo_payments is None else EXIT_FAILED

    async def until(self, interrupted: asyncio.Event) -> int:
        """Serve until done or interrupted; return the exit code."""
        working = asyncio.create_task(self._serve())
        waiting = asyncio.create_task(interrupted.wait())
        try:
            await asyncio.wait([working, waiting], return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
            else:
                say("stopping")
            return self._exit_code
        finally:
            for task in (working, waiting):
                task.cancel()
            await asyncio.gather(working, waiting, return_exceptions=True)

    async def _serve(self) -> None:
        await _install_ledger(self._options, self._databases)
        await self.supervisor.start()
        await self._start_dashboard()
        with progress("banks verified healthy") as meter:
            health = await self.supervisor.wait_healthy(HEALTHY_WITHIN_S, meter)
        healthy_s = time.monotonic() - self._begun_s
        say(f"{len(health.healthy)} banks are healthy after {healthy_s:.1f} s", "green")
        for bank, why in health.out_of_service.items():
            warn(f"{short_name(bank)} is out of service, and the others do without it: {why}")
        supervising = asyncio.create_task(self.supervisor.run())
        showing = asyncio.create_task(self._show(healthy_s))
        try:
            done, _ = await asyncio.wait(
                [supervising, showing], return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                task.result()
        finally:
            for task in (supervising, showing):
                task.cancel()
            await asyncio.gather(supervising, showing, return_exceptions=True)

    async def _start_dashboard(self) -> None:
        """Start the page; without it the banks go on all the same."""
        options = self._options
        if options.dashboard_port is None:
            return
        try:
            dashboard = DashboardChild(
                options.directory,
                f"{LOOPBACK}:{options.dashboard_port}",
                write_login_token(options.directory),
                _show_notice,
            )
            await dashboard.start()
        except OSError as error:
            warn(f"the operators' page cannot be started: {error.strerror}")
            return
        self._dashboard = dashboard

    async def stop(self) -> None:
        """Stop the page and everything else."""
        try:
            if self._dashboard is not None:
                await self._dashboard.stop()
        finally:
            await self.supervisor.stop()

    async def _show(self, healthy_s: float) -> None:
        """Show the demonstration that was asked for, or every block without end."""
        if self._options.demo_payments is not None:
            self._exit_code = await show_demo(
                self._options.directory,
                self._options.demo_payments,
                begun_s=self._begun_s,
                healthy_s=healthy_s,
                years_end=self._options.settles_years,
                as_json=self._options.as_json,
            )
            if not self._options.keep:
                return
        await _show_blocks(self._options, self.supervisor, self._dashboard)


async def _show_blocks(
    options: UpOptions, supervisor: Supervisor, dashboard: DashboardChild | None
) -> None:
    # After a demonstration its summary stays the last thing on standard output.
    quiet = options.demo_payments is not None
    tell, tell_json = (say, _say_json) if quiet else (answer, answer_json)
    for endpoint, process, metrics in zip(
        supervisor.endpoints, supervisor.banks, supervisor.metrics_addresses, strict=True
    ):
        line = {
            "event": "bank",
            "bank": endpoint.bank,
            "name": short_name(endpoint.bank),
            "address": endpoint.address,
            "metrics": metrics or None,
            "pid": process.pid,
        }
        if options.as_json:
            tell_json(line)
        else:
            where = f"  metrics http://{metrics}/metrics" if metrics else ""
            tell(f"{endpoint.bank:>2}  {process.bank.short_name:<12}{endpoint.address}{where}")
    say("Ctrl-C stops everything; `consortium status` shows it from another terminal")
    address = None if dashboard is None else await dashboard.wait_serving()
    if address is not None and options.as_json:
        tell_json({"event": "dashboard", "url": address.url, "login_url": address.login_url})
    elif address is not None:
        say("open this address to see it live, as an operator:", "bold")
        tell(f"\n    {address.login_url}\n")
    lines: AsyncGenerator[BlockLine, None] = stream_block_lines(
        options.directory, supervisor.endpoints
    )
    async for line_of_block in lines:
        if options.as_json:
            tell_json(line_of_block.to_json_object())
        else:
            tell(str(line_of_block))


def _say_json(value: object) -> None:
    say(json.dumps(value))


_GOOD_NEWS = frozenset({NoticeKind.PROGRESS, NoticeKind.BANK_STARTED, NoticeKind.QUORUM_BACK})


def _show_notice(notice: Notice) -> None:
    if notice.kind in _GOOD_NEWS:
        say(notice.text)
    else:
        warn(notice.text)


async def _finish(work: Coroutine[Any, Any, None]) -> None:
    """Carry something through although we are being cancelled."""
    task = asyncio.ensure_future(work)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    task.result()
