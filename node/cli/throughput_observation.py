"""What a throughput measurement sees of the banks and the machine: CPU, memory, bytes, disk.

Banks account for their own CPU time (`node.runtime.cpu_account`); PostgreSQL's is read from the
operating system, and so is that of everything else. Two snapshots make a `Usage`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import psutil

from node.cli.access import Consortium
from node.client.operator_client import OperatorClient
from node.runtime.running_consortium import RunningConsortium
from node.storage.postmaster import PROCESS_NAME
from node.wire.operator_records import NodeReport

LOOPBACK = "lo"
MS = 1_000


@dataclass(frozen=True, slots=True)
class ProcessTimes:
    """CPU milliseconds since the start, ended children included where the system tells."""

    postgres_ms: float
    supervisor_ms: float
    client_ms: float
    """This process: load, following, and the observation itself."""
    machine_ms: float
    """All processors of the machine, whoever used them."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes in RAM, pages that processes share counted once (PSS) where the system tells."""

    banks: int
    postgres: int
    supervisor: int
    client: int
    shared_once: bool
    """Whether this is PSS; otherwise it is the resident size, shared pages counted often."""

    @property
    def total(self) -> int:
        return self.banks + self.postgres + self.supervisor + self.client


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that only grows, at one moment."""

    at_s: float
    reports: Sequence[NodeReport]
    times: ProcessTimes
    loopback_bytes: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What was used between two snapshots, by all banks together."""

    seconds: float
    cpu_ms: dict[str, float]
    """verify, consensus, database_client, database_server, network, other, client, supervisor,
    and `elsewhere`: what other work took from the machine."""
    verified: int
    """Verifications of transactions, at all banks."""
    verification_batches: int
    peers_bytes: int
    """Sent by banks to banks."""
    clients_bytes: int
    """Sent and received by banks from and to everybody else."""
    loopback_bytes: int
    """Over the machine's loopback interface, with all framing, and of other programs too."""
    database_bytes: int
    """Growth of all databases, without the write-ahead log."""

    @property
    def banks_cpu_ms(self) -> float:
        """Of the banks' processes and the database server."""
        return sum(self.cpu_ms[name] for name in BANK_CATEGORIES)


BANK_CATEGORIES = (
    "verify",
    "consensus",
    "database_client",
    "database_server",
    "network",
    "other",
)


class Observer:
    """Takes snapshots of a running consortium; `async with Observer(...) as observer:`."""

    def __init__(self, consortium: Consortium) -> None:
        self._consortium = consortium
        self._stack = AsyncExitStack()
        self._banks: list[OperatorClient] = []
        self._supervisor = _supervisor(consortium)

    async def __aenter__(self) -> Observer:
        for bank in self._consortium.genesis.banks:
            client = self._consortium.operator(bank.index, deadline_ms=30_000)
            self._banks.append(await self._stack.enter_async_context(client))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def reports(self) -> list[NodeReport]:
        """Ask every bank; raises `LedgerError` if one does not answer."""
        return list(await asyncio.gather(*(bank.report() for bank in self._banks)))

    async def snapshot(self) -> Snapshot:
        """Read everything now; raises `LedgerError` if a bank does not answer."""
        reports = await self.reports()
        return Snapshot(
            at_s=time.monotonic(),
            reports=reports,
            times=self._times(),
            loopback_bytes=_loopback_bytes(),
        )

    def _processes(self) -> list[psutil.Process]:
        """Of the consortium: the supervisor first, then its descendants."""
        if self._supervisor is None:
            return []
        with contextlib.suppress(psutil.NoSuchProcess):
            return [self._supervisor, *self._supervisor.children(recursive=True)]
        return []

    def _times(self) -> ProcessTimes:
        postgres_ms = 0.0
        for process in self._processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.name() == PROCESS_NAME:
                    postgres_ms += _cpu_ms(process, with_ended_children=True)
        return ProcessTimes(
            postgres_ms=postgres_ms,
            supervisor_ms=0.0 if self._supervisor is None else _cpu_ms(self._supervisor),
            client_ms=time.process_time() * MS,
            machine_ms=_machine_ms(),
        )

    def memory(self) -> Memory:
        """Measure the memory of all processes; takes about a millisecond each."""
        bank_ids = {bank.pid for bank in self._bank_processes()}
        sizes = {"banks": 0, "postgres": 0, "supervisor": 0, "client": 0}
        exact = True
        # We may be a descendant of the supervisor ourselves.
        for process in dict.fromkeys([*self._processes(), psutil.Process()]):
            with contextlib.suppress(psutil.NoSuchProcess):
                size, is_pss = _memory_bytes(process)
                exact = exact and is_pss
                sizes[self._role(process, bank_ids)] += size
        return Memory(**sizes, shared_once=exact)

    def _role(self, process: psutil.Process, bank_ids: set[int]) -> str:
        if process.pid == psutil.Process().pid:
            return "client"
        # A bank may have started its own server.
        if process.name() == PROCESS_NAME:
            return "postgres"
        # A bank's other processes verify for it.
        if process.pid in bank_ids or process.ppid() in bank_ids:
            return "banks"
        return "supervisor"

    def _bank_processes(self) -> list[psutil.Process]:
        running = RunningConsortium.load(self._consortium.directory)
        references = [] if running is None else [bank.process for bank in running.banks]
        found = [item.find() for item in references if item is not None]
        return [process for process in found if process is not None]


def usage(before: Snapshot, after: Snapshot) -> Usage:
    """Return what was used between two snapshots of the same run of the banks."""
    cpu_ms = {
        "verify": _grown(before, after, lambda item: item.cpu.verify_ms),
        "consensus": _grown(before, after, lambda item: item.cpu.consensus_ms),
        "database_client": _grown(before, after, lambda item: item.cpu.database_ms),
        "database_server": after.times.postgres_ms - before.times.postgres_ms,
        "network": _grown(before, after, lambda item: item.cpu.network_ms),
        "other": _grown(before, after, lambda item: item.cpu.other_ms),
        "client": after.times.client_ms - before.times.client_ms,
        "supervisor": after.times.supervisor_ms - before.times.supervisor_ms,
    }
    machine_ms = after.times.machine_ms - before.times.machine_ms
    cpu_ms["elsewhere"] = max(0.0, machine_ms - sum(cpu_ms.values()))
    return Usage(
        seconds=after.at_s - before.at_s,
        cpu_ms=cpu_ms,
        verified=_grown(before, after, lambda item: item.mempool.admitted),
        verification_batches=_grown(before, after, lambda item: item.mempool.batches),
        peers_bytes=_grown(before, after, lambda item: item.traffic.peers_sent_bytes),
        clients_bytes=_grown(
            before,
            after,
            lambda item: item.traffic.clients_sent_bytes + item.traffic.clients_received_bytes,
        ),
        loopback_bytes=after.loopback_bytes - before.loopback_bytes,
        database_bytes=_grown(before, after, lambda item: item.database.size_bytes),
    )


def _grown(before: Snapshot, after: Snapshot, read: Callable[[NodeReport], int]) -> int:
    return sum(map(read, after.reports)) - sum(map(read, before.reports))


def _supervisor(consortium: Consortium) -> psutil.Process | None:
    running = RunningConsortium.load(consortium.directory)
    return None if running is None else running.supervisor.find()


def _cpu_ms(process: psutil.Process, *, with_ended_children: bool = False) -> float:
    times = process.cpu_times()
    seconds: float = times.user + times.system
    if with_ended_children:
        # Sessions of the server end; what they used the postmaster has inherited.
        seconds += times.children_user + times.children_system
    return seconds * MS


def _machine_ms() -> float:
    times = psutil.cpu_times()
    idle_s = times.idle + getattr(times, "iowait", 0.0)
    # Guests are counted in `user` already, and what the hypervisor took nobody here used.
    uncounted = ("guest", "guest_nice", "steal")
    total_s = sum(times) - sum(getattr(times, name, 0.0) for name in uncounted)
    return (total_s - idle_s) * MS


def _loopback_bytes() -> int:
    counters = psutil.net_io_counters(pernic=True).get(LOOPBACK)
    return 0 if counters is None else counters.bytes_sent


def _memory_bytes(process: psutil.Process) -> tuple[int, bool]:
    """Return the process's share of memory, and whether shared pages are divided among users."""
    try:
        share = getattr(process.memory_full_info(), "pss", None)
        if share is not None:
            return share, True
    except psutil.AccessDenied:
        pass
    return process.memory_info().rss, False


def disk_bytes(root: Path) -> int:
    """Return the size of all files below a directory, as far as they can be read."""
    total = 0
    for path in root.rglob("*"):
        with contextlib.suppress(OSError):
            if path.is_file() and not path.is_symlink():
                total += path.stat().st_size
    return total
