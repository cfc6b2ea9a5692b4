"""`consortium bench hosts`: throughput of banks on hosts of their own, apart by a round trip.

Each bank runs in a network namespace with its own address, as `consortium node run` on a machine of
its own, with its own PostgreSQL server; the clients are in another, next to every bank. The
measurement itself is `bench throughput`, which finds the banks at their addresses. All hosts share
this machine's processors; only the network is between them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.cli.failure import CommandFailed
from node.cli.network_namespaces import Network, namespaces, require_namespaces
from node.cli.packet_delay import UNDELAYED
from node.cli.terminal import steps
from node.cli.throughput_consortium import measured_directory
from node.cli.throughput_report import read_report
from node.client.workload_file import Workload, open_workload
from node.runtime.bank_process import BankProcess, environment
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.hosts import DEFAULT_PORT
from node.runtime.initialise import Machines, restore_consortium
from node.runtime.ledger_installation import founding_of, install_ledger
from node.runtime.own_databases import OwnServers
from node.runtime.running_consortium import (
    NODE_MODULE,
    ProcessReference,
    RunningBank,
    RunningConsortium,
    now_ms,
    supervisor_lock,
)

STOP_PATIENCE_S = 20.0
"""A bank stops its database server, too."""
REPORT = "report.json"

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class HostsOptions:
    """What to measure."""

    workload_file: Path
    rtt_ms: float
    """Between any two banks."""
    verify_workers: int
    """Processes a bank that verify; 0 for threads."""
    arguments: tuple[str, ...]
    """Further ones of `bench throughput`."""
    quiet: bool = False
    """Whether to leave standard output alone."""


async def measure_hosts(options: HostsOptions, tell: Tell) -> tuple[dict[str, Any], int]:
    """Measure; return the report and the exit code of `bench throughput`.

    SIGTERM and SIGHUP cancel it, so that nothing of ours outlives the measurement. Raises
    `CommandFailed`, `WorkloadInvalid`, `PostgresError`.
    """
    measuring = asyncio.current_task()
    assert measuring is not None, "a coroutine runs in a task"
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, measuring.cancel)
    require_namespaces()
    with open_workload(options.workload_file) as workload, measured_directory(None) as directory:
        with namespaces(workload.header.bank_count, options.rtt_ms) as network:
            await _prepare(directory, workload, network, tell)
            rtt_ms = network.round_trip_ms()
            tell(f"round trip between two banks: {rtt_ms:.1f} ms")
            async with _running_banks(directory, network, options) as banks:
                report, exit_code = await _measure(directory, network, options, banks)
        report["notes"] = [*report["notes"], *_notes(network, options.rtt_ms, rtt_ms)]
    return report, exit_code


async def _prepare(
    directory: ConsortiumDirectory, workload: Workload, network: Network, tell: Tell
) -> None:
    """Make the consortium with its hosts' addresses, and install its ledger in every bank."""
    founding = founding_of(workload)
    hosts = network.hosts[: network.bank_count]
    addresses = tuple(f"{network.address(host)}:{DEFAULT_PORT}" for host in hosts)
    restore_consortium(
        directory, founding.genesis, founding.keys, Machines(addresses, one_operator=True)
    )
    tell(f"installing the ledger in {len(hosts)} database servers")
    servers = OwnServers(directory)
    try:
        with steps("installing") as meter:
            await install_ledger(directory, servers, workload, meter)
    finally:
        # Each bank starts its own in its own namespace.
        await asyncio.to_thread(servers.stop)


@asynccontextmanager
async def _running_banks(
    directory: ConsortiumDirectory, network: Network, options: HostsOptions
) -> AsyncGenerator[list[BankProcess]]:
    """Run every bank in its namespace, and let others know as `consortium up` does."""
    workers = ("--verify-workers", str(options.verify_workers))
    banks = [
        BankProcess(directory.bank(bank), workers, launcher=network.enter(host))
        for bank, host in enumerate(network.hosts[: network.bank_count])
    ]
    with supervisor_lock(directory):
        try:
            for bank in banks:
                await bank.start()
            _tell_others(directory, network, banks)
            yield banks
        finally:
            await _stop(banks)
            await asyncio.to_thread(OwnServers(directory).stop)


def _tell_others(
    directory: ConsortiumDirectory, network: Network, banks: Sequence[BankProcess]
) -> None:
    RunningConsortium(
        supervisor=ProcessReference.of(os.getpid()),
        started_ms=now_ms(),
        chain_id=directory.genesis().chain_id.hex(),
        banks=tuple(
            RunningBank(
                process.bank.bank,
                process.bank.short_name,
                f"{network.address(f'{process.bank.bank:02d}')}:{DEFAULT_PORT}",
                process.reference,
            )
            for process in banks
        ),
    ).save(directory)


async def _stop(banks: Sequence[BankProcess]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        running = [bank for bank in banks if bank.running]
        for bank in running:
            bank.send(number)
        if running:
            waiting = [asyncio.ensure_future(bank.wait()) for bank in running]
            await asyncio.wait(waiting, timeout=STOP_PATIENCE_S)


async def _measure(
    directory: ConsortiumDirectory,
    network: Network,
    options: HostsOptions,
    banks: Sequence[BankProcess],
) -> tuple[dict[str, Any], int]:
    """Run `bench throughput` next to the clients; return its report and exit code."""
    report_file = directory.root / REPORT
    measuring = await asyncio.create_subprocess_exec(
        *network.enter(UNDELAYED),
        *(sys.executable, "-P", "-m", NODE_MODULE, "bench", "throughput"),
        *("--data", str(directory.root), "--workload-file", str(options.workload_file)),
        *("--rtt", str(options.rtt_ms), "--verify-workers", str(options.verify_workers)),
        *("--out", str(report_file), *options.arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL if options.quiet else None,
        env=environment(),
        # As `bench throughput` is to `up`: Linux divides the processors between sessions first.
        start_new_session=True,
    )
    try:
        exit_code = await _until_measured(measuring, banks)
    finally:
        if measuring.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                measuring.kill()
            await measuring.wait()
    if not report_file.exists():
        raise CommandFailed("the measurement has failed", "see what it said above", exit_code or 1)
    return read_report(report_file), exit_code


async def _until_measured(
    measuring: asyncio.subprocess.Process, banks: Sequence[BankProcess]
) -> int:
    """Wait for the end of the measurement; raises `CommandFailed` if a bank ends before."""
    done = asyncio.ensure_future(measuring.wait())
    ends = {asyncio.ensure_future(bank.wait()): bank for bank in banks}
    try:
        await asyncio.wait([done, *ends], return_when=asyncio.FIRST_COMPLETED)
        for ended, bank in ends.items():
            if ended.done() and not done.done():
                raise CommandFailed(
                    f"{bank.bank.short_name} ended: {bank.why_ended(ended.result())}"
                )
        return done.result()
    finally:
        for task in (done, *ends):
            task.cancel()


def _notes(network: Network, asked_ms: float, measured_ms: float) -> list[str]:
    """Return what a reader of the report must know of the network."""
    notes = [
        f"every bank ran in a network namespace with its own address and its own PostgreSQL "
        f"server; a process held packets between banks back for half of {asked_ms:g} ms, and "
        f"the measured round trip was {measured_ms:.1f} ms while idle; clients were next to "
        "every bank",
    ]
    routed = network.routed
    if routed:
        notes.append(
            f"the process that held packets back handed on {routed['packets']} bundles of "
            f"packets ({routed['bytes']} bytes, {routed['dropped']} lost), used "
            f"{routed['cpu_s']:.1f} s of CPU (in `elsewhere`), and was late by "
            f"{routed['late_ms_mean']:.2f} ms on average, {routed['late_ms_max']:.1f} ms at most"
        )
    return notes
