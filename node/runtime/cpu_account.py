"""Where a bank's CPU time goes: what the benchmark divides by the number of transactions.

The event loop's thread is at any moment in one section; time belongs to the innermost one. A
coroutine that waits is in no section, for others run meanwhile. What each section took is measured
by the wall's clock, at each of its visits: reading it costs nothing. That counts too much, for the
thread may wait for the interpreter or a processor in the middle of a section. So at one visit in
sixteen, chosen by chance, the clock of the thread's CPU is read as well, and a category's CPU time
is its wall time times the ratio of the two at those visits (a ratio estimate: visits of very
different lengths do it no harm, as they would if one stood for sixteen). Reading that clock is a
system call that takes locks of the scheduler: at each step of each coroutine it took a tenth of a
bank's time at full load.

Work handed to a thread is measured there, from its begin to its end, and belongs to the section
that handed it over, unless its executor has a category of its own. What all these threads did not
use was used by threads that are not Python's; gRPC is the only library here that has any.

What a category holds:

- `verify`: the verification of transactions in batches, in the thread for it, and nothing else.
- `consensus`: the core and everything its effects need done (building, validating and applying
  blocks, execution of the ledger's rules, ballots, evidence, the guard file, encoding of
  messages), without the database. Ballots' proofs are here: they cost by the block.
- `database`: the client's side in this process, drivers and encoding of rows included. What the
  server's own processes use, nobody but the operating system knows.
- `network`: gRPC's threads, and all of the event loop outside other sections while the bank
  serves: gRPC's Python half, parsing and serialising, answers to calls, and the loop's own
  scheduling, also of the tasks of other categories.
- `other`: admission, mempool and gossip of transactions between their arrival and their batch,
  the scrubber, and everything until the bank serves.

The sum is the CPU time of the process, and of its worker processes if it has any.
"""

from __future__ import annotations

import inspect
import random
import threading
import time
from collections.abc import Callable, Collection, Coroutine, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from enum import StrEnum
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from node.wire.operator_records import CpuReport

P = ParamSpec("P")
T = TypeVar("T")
NANOSECONDS_PER_MS = 1_000_000
SAMPLED_ONE_IN = 16
"""Visits to sections; at full load a bank makes thousands a second."""


class CpuCategory(StrEnum):
    """What CPU time was used for."""

    VERIFY = "verify"
    CONSENSUS = "consensus"
    DATABASE = "database"
    NETWORK = "network"
    OTHER = "other"


class CpuAccount:
    """CPU time of this process by category; made in the thread of the event loop, used there."""

    def __init__(
        self,
        thread_clock_ns: Callable[[], int] = time.thread_time_ns,
        process_clock_ns: Callable[[], int] = time.process_time_ns,
        wall_clock_ns: Callable[[], int] = time.perf_counter_ns,
        sampled_one_in: int = SAMPLED_ONE_IN,
    ) -> None:
        """The first two clocks tell the CPU time of the calling thread and of the process.

        All are in nanoseconds.
        """
        self._thread_clock_ns = thread_clock_ns
        self._process_clock_ns = process_clock_ns
        self._wall_clock_ns = wall_clock_ns
        self._one_in = sampled_one_in
        self._skipped = 0
        """Visits still to come until the next one that is sampled."""
        self._sampling = False
        self._current = CpuCategory.OTHER
        self._outer: list[CpuCategory] = []
        self._wall_mark_ns = 0
        """Wall time up to which the present visit is booked; the other mark is of a sampled one."""
        self._cpu_mark_ns = 0
        self._wall_ns = dict.fromkeys(CpuCategory, 0)
        """Of all visits since they were settled last."""
        self._sampled_wall_ns = dict.fromkeys(CpuCategory, 0)
        self._sampled_cpu_ns = dict.fromkeys(CpuCategory, 0)
        self._loop_ns = dict.fromkeys(CpuCategory, 0.0)
        """CPU time of the loop's thread up to `_settled_ns`, which it adds up to."""
        self._settled_ns = 0
        self._threads_ns = dict.fromkeys(CpuCategory, 0)
        self._threads_lock = threading.Lock()
        self._processes_ns = dict.fromkeys(CpuCategory, 0)

    @property
    def current(self) -> CpuCategory:
        """The section that the event loop is in."""
        return self._current

    def serving(self) -> None:
        """Book the event loop's time outside sections as `network` from now on."""
        assert not self._outer, "called outside every section"
        self._settle()
        self._current = CpuCategory.NETWORK

    @contextmanager
    def section(self, category: CpuCategory) -> Iterator[None]:
        """Book what the body does itself; it must not wait."""
        self.enter(category)
        try:
            yield
        finally:
            self.leave()

    def enter(self, category: CpuCategory) -> None:
        """Begin a section inside the present one."""
        if self._outer:
            self._book()
        else:
            self._begin_visit()
        self._outer.append(self._current)
        self._current = category

    def leave(self) -> None:
        """End the innermost section."""
        self._book()
        self._current = self._outer.pop()

    def _begin_visit(self) -> None:
        """Enter a section from outside every one."""
        self._sampling = self._skipped == 0
        if self._sampling:
            # One to twice as many less one, so that no rhythm of the visits meets ours.
            self._skipped = random.randrange(2 * self._one_in - 1)
            self._cpu_mark_ns = self._thread_clock_ns()
        else:
            self._skipped -= 1
        self._wall_mark_ns = self._wall_clock_ns()

    def _book(self) -> None:
        """Book what the present visit took since it was booked last."""
        now_ns = self._wall_clock_ns()
        spent_ns = now_ns - self._wall_mark_ns
        self._wall_mark_ns = now_ns
        self._wall_ns[self._current] += spent_ns
        if self._sampling:
            cpu_ns = self._thread_clock_ns()
            self._sampled_wall_ns[self._current] += spent_ns
            self._sampled_cpu_ns[self._current] += cpu_ns - self._cpu_mark_ns
            self._cpu_mark_ns = cpu_ns
            # Reading the clock of the CPU is not the section's time.
            self._wall_mark_ns = self._wall_clock_ns()

    def _settle(self) -> None:
        """Divide the loop's CPU time since the last time among the sections and the outside."""
        if self._outer:
            self._book()
        now_ns = self._thread_clock_ns()
        spent_ns = now_ns - self._settled_ns
        self._settled_ns = now_ns
        estimates = {item: self._wall_ns[item] * self._cpu_ratio(item) for item in CpuCategory}
        total = sum(estimates.values())
        scale = min(1.0, spent_ns / total) if total else 1.0
        for item, estimate in estimates.items():
            self._loop_ns[item] += scale * estimate
            self._wall_ns[item] = 0
        outside = self._outer[0] if self._outer else self._current
        self._loop_ns[outside] += spent_ns - scale * total

    def _cpu_ratio(self, category: CpuCategory) -> float:
        """Return CPU time by wall time of a category, as far as the sample tells."""
        sampled_ns = self._sampled_wall_ns[category]
        return self._sampled_cpu_ns[category] / sampled_ns if sampled_ns else 1.0

    def measured(
        self, category: CpuCategory, work: Coroutine[Any, Any, T]
    ) -> Coroutine[Any, Any, T]:
        """Return a coroutine that does the same, each of its steps in a section."""
        return _MeasuredSteps(self, category, work)

    def measure_calls(
        self, of: object, category: CpuCategory, names: Collection[str] | None = None
    ) -> None:
        """Book every public coroutine method of an object, or those named, under a category.

        Asynchronous generators and context managers belong to their callers.
        """
        for name in dir(type(of)) if names is None else names:
            function = inspect.getattr_static(type(of), name)
            if name.startswith("_") or not inspect.iscoroutinefunction(function):
                assert names is None, f"{name} is no public coroutine method"
                continue
            setattr(of, name, self._measuring(category, getattr(of, name)))

    def _measuring(
        self, category: CpuCategory, method: Callable[P, Coroutine[Any, Any, T]]
    ) -> Callable[P, Coroutine[Any, Any, T]]:
        @wraps(method)
        def call(*arguments: P.args, **named: P.kwargs) -> Coroutine[Any, Any, T]:
            return self.measured(category, method(*arguments, **named))

        return call

    def executor(
        self,
        category: CpuCategory | None = None,
        *,
        max_workers: int | None = None,
        thread_name_prefix: str = "",
    ) -> ThreadPoolExecutor:
        """Return an executor whose work is booked under a category.

        None: that of the section which submits the work, as `asyncio.to_thread` does.
        """
        return _MeasuredExecutor(self, category, max_workers, thread_name_prefix)

    def charge(self, category: CpuCategory, work_ns: int) -> None:
        """Book work of another thread of this process."""
        with self._threads_lock:
            self._threads_ns[category] += work_ns

    def charge_process(self, category: CpuCategory, work_ns: int) -> None:
        """Book work of a process of ours, which this process's clock does not tell."""
        self._processes_ns[category] += work_ns

    def in_thread(self, category: CpuCategory, function: Callable[P, T]) -> Callable[P, T]:
        """Return the function as another thread is to call it."""

        def run(*arguments: P.args, **named: P.kwargs) -> T:
            begun_ns = self._thread_clock_ns()
            try:
                return function(*arguments, **named)
            finally:
                self.charge(category, self._thread_clock_ns() - begun_ns)

        return run

    def report(self) -> CpuReport:
        """Return what was used so far, in whole milliseconds; the categories add up."""
        self._settle()
        process_ns = self._process_clock_ns()
        with self._threads_lock:
            threads_ns = dict(self._threads_ns)
        spent_ns = {item: int(self._loop_ns[item]) + threads_ns[item] for item in CpuCategory}
        # Threads at work have used what they will only book at the end; that is no negative time.
        foreign_ns = max(0, process_ns - sum(spent_ns.values()))
        spent_ns[CpuCategory.NETWORK] += foreign_ns
        for item, worked_ns in self._processes_ns.items():
            spent_ns[item] += worked_ns
        spent_ms = {item: spent_ns[item] // NANOSECONDS_PER_MS for item in CpuCategory}
        return CpuReport(
            verify_ms=spent_ms[CpuCategory.VERIFY],
            consensus_ms=spent_ms[CpuCategory.CONSENSUS],
            database_ms=spent_ms[CpuCategory.DATABASE],
            network_ms=spent_ms[CpuCategory.NETWORK],
            other_ms=spent_ms[CpuCategory.OTHER],
            total_ms=sum(spent_ms.values()),
        )


class _MeasuredSteps(Coroutine[Any, Any, T]):
    """A coroutine each of whose steps is a section; also the iterator that `await` wants."""

    __slots__ = ("_account", "_category", "_work")

    def __init__(
        self, account: CpuAccount, category: CpuCategory, work: Coroutine[Any, Any, T]
    ) -> None:
        self._account = account
        self._category = category
        self._work = work

    def __await__(self) -> Generator[Any, Any, T]:
        return cast("Generator[Any, Any, T]", self)

    def __iter__(self) -> _MeasuredSteps[T]:
        return self

    def __next__(self) -> Any:
        return self.send(None)

    def send(self, value: Any) -> Any:
        self._account.enter(self._category)
        try:
            return self._work.send(value)
        finally:
            self._account.leave()

    def throw(self, *error: Any) -> Any:
        self._account.enter(self._category)
        try:
            return self._work.throw(*error)
        finally:
            self._account.leave()

    def close(self) -> None:
        self._work.close()


class _MeasuredExecutor(ThreadPoolExecutor):
    def __init__(
        self,
        account: CpuAccount,
        category: CpuCategory | None,
        max_workers: int | None,
        thread_name_prefix: str,
    ) -> None:
        super().__init__(max_workers, thread_name_prefix)
        self._account = account
        self._category = category

    def submit(
        self, function: Callable[P, T], /, *arguments: P.args, **named: P.kwargs
    ) -> Future[T]:
        category = self._category or self._account.current
        return super().submit(self._account.in_thread(category, function), *arguments, **named)
