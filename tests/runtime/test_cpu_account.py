"""CPU time by category: every nanosecond is in one of them, and in the innermost section."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest

from node.runtime.cpu_account import CpuAccount, CpuCategory
from node.wire.operator_records import CpuReport

MS = 1_000_000


class Clocks:
    """Clocks that tests turn: CPU of the event loop's thread and of the process, and the wall's."""

    def __init__(self) -> None:
        self.thread_ns = 0
        self.process_ns = 0
        self.wall_ns = 0

    def work(self, ms: int) -> None:
        """The event loop's thread computes."""
        self.thread_ns += ms * MS
        self.process_ns += ms * MS
        self.wall_ns += ms * MS

    def wait(self, ms: int) -> None:
        """It waits for a processor, in whatever section it is."""
        self.wall_ns += ms * MS

    def account(self, sampled_one_in: int = 1) -> CpuAccount:
        return CpuAccount(
            lambda: self.thread_ns,
            lambda: self.process_ns,
            lambda: self.wall_ns,
            sampled_one_in=sampled_one_in,
        )


class Desk:
    """An object with methods of all kinds."""

    def __init__(self, clocks: Clocks) -> None:
        self.clocks = clocks

    async def read(self, ms: int) -> int:
        self.clocks.work(ms)
        await asyncio.sleep(0)
        self.clocks.work(ms)
        return ms

    async def fail(self) -> None:
        self.clocks.work(3)
        raise ValueError("no")

    async def stream(self) -> AsyncIterator[int]:
        self.clocks.work(5)
        yield 1

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        yield

    def plain(self) -> None:
        self.clocks.work(7)


def report(**spent_ms: int) -> CpuReport:
    return CpuReport(
        **{f"{name}_ms": ms for name, ms in spent_ms.items()}, total_ms=sum(spent_ms.values())
    )


def test_time_belongs_to_the_innermost_section() -> None:
    clocks = Clocks()
    account = clocks.account()
    clocks.work(1)
    account.serving()
    clocks.work(2)
    with account.section(CpuCategory.CONSENSUS):
        clocks.work(4)
        with account.section(CpuCategory.DATABASE):
            clocks.work(8)
        clocks.work(16)
    clocks.work(32)
    assert account.report() == report(other=1, network=34, consensus=20, database=8)


def test_waiting_for_a_processor_is_no_cpu_time() -> None:
    clocks = Clocks()
    account = clocks.account()
    account.serving()
    with account.section(CpuCategory.CONSENSUS):
        clocks.work(2)
        clocks.wait(50)
        with account.section(CpuCategory.DATABASE):
            clocks.wait(10)
            clocks.work(3)
    clocks.wait(100)
    clocks.work(1)
    assert account.report() == report(consensus=2, database=3, network=1)


def test_of_many_visits_some_are_sampled_and_tell_the_ratio_for_all() -> None:
    """Rare long visits and many short ones, half of their wall time waiting."""
    clocks = Clocks()
    readings: list[int] = []

    def thread_ns() -> int:
        readings.append(clocks.thread_ns)
        return clocks.thread_ns

    account = CpuAccount(
        thread_ns, lambda: clocks.process_ns, lambda: clocks.wall_ns, sampled_one_in=16
    )
    account.serving()
    readings.clear()
    consensus_ms = 0
    for number in range(4_000):
        with account.section(CpuCategory.CONSENSUS):
            work_ms = 200 if number % 100 == 7 else 1
            consensus_ms += work_ms
            clocks.work(work_ms)
            clocks.wait(work_ms)
            with account.section(CpuCategory.DATABASE):
                clocks.work(2)
        clocks.work(1)
    # Four readings a sampled visit; ten standard deviations around one visit in sixteen.
    assert 4 * 90 < len(readings) < 4 * 410
    seen = account.report()
    assert seen.total_ms == consensus_ms + 8_000 + 4_000
    assert (seen.consensus_ms, seen.database_ms, seen.network_ms) == (consensus_ms, 8_000, 4_000)


def test_what_was_reported_does_not_shrink_when_the_ratio_does() -> None:
    clocks = Clocks()
    account = clocks.account()
    with account.section(CpuCategory.CONSENSUS):
        clocks.work(10)
    assert account.report() == report(consensus=10)
    with account.section(CpuCategory.CONSENSUS):
        clocks.wait(90)
    seen = account.report()
    assert seen.consensus_ms >= 10 and seen.total_ms == 10


def test_a_section_ends_with_an_exception() -> None:
    clocks = Clocks()
    account = clocks.account()
    with pytest.raises(ValueError, match="no"), account.section(CpuCategory.CONSENSUS):
        clocks.work(1)
        raise ValueError("no")
    clocks.work(2)
    assert account.report() == report(consensus=1, other=2)


def test_threads_that_are_not_pythons_are_the_network() -> None:
    clocks = Clocks()
    account = clocks.account()
    clocks.work(5)
    clocks.process_ns += 9 * MS
    assert account.report() == report(other=5, network=9)


def test_work_that_a_thread_has_not_booked_yet_is_no_negative_time() -> None:
    clocks = Clocks()
    account = clocks.account()
    account.charge(CpuCategory.VERIFY, 3 * MS)
    assert account.report() == report(verify=3)


async def test_a_waiting_coroutine_is_in_no_section() -> None:
    clocks = Clocks()
    account, desk = clocks.account(), Desk(clocks)

    async def others() -> None:
        clocks.work(100)

    measured = asyncio.create_task(account.measured(CpuCategory.DATABASE, desk.read(2)))
    await asyncio.gather(measured, others())
    assert measured.result() == 2
    assert account.report() == report(database=4, other=100)


async def test_coroutine_methods_are_measured_and_nothing_else_is() -> None:
    clocks = Clocks()
    account, desk = clocks.account(), Desk(clocks)
    account.measure_calls(desk, CpuCategory.DATABASE)
    assert await desk.read(2) == 2
    with pytest.raises(ValueError, match="no"):
        await desk.fail()
    assert [item async for item in desk.stream()] == [1]
    async with desk.opened():
        desk.plain()
    assert account.report() == report(database=7, other=12)


async def test_only_named_methods_are_measured() -> None:
    clocks = Clocks()
    account, desk = clocks.account(), Desk(clocks)
    account.measure_calls(desk, CpuCategory.DATABASE, ["fail"])
    await desk.read(1)
    assert account.report() == report(other=2)
    with pytest.raises(AssertionError, match="plain is no public coroutine method"):
        account.measure_calls(desk, CpuCategory.DATABASE, ["plain"])


async def test_a_cancelled_coroutine_leaves_its_section() -> None:
    clocks = Clocks()
    account = clocks.account()

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            clocks.work(6)

    task = asyncio.create_task(account.measured(CpuCategory.CONSENSUS, wait()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    clocks.work(1)
    assert account.report() == report(consensus=6, other=1)


@pytest.mark.filterwarnings("error::RuntimeWarning")
async def test_a_task_that_is_cancelled_before_it_begins_leaves_no_warning() -> None:
    clocks = Clocks()
    desk = Desk(clocks)
    account = clocks.account()
    task = asyncio.create_task(account.measured(CpuCategory.CONSENSUS, desk.read(1)))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    del task


async def test_work_in_a_thread_belongs_to_who_handed_it_over() -> None:
    """Real clocks: what a thread computes is booked, what it waits is not."""
    account = CpuAccount()

    def compute() -> None:
        until_ns = time.thread_time_ns() + 20 * MS
        while time.thread_time_ns() < until_ns:
            pass

    with account.executor(max_workers=1) as shared:
        with account.section(CpuCategory.DATABASE):
            by_section = shared.submit(compute)
        by_section.result()
    with account.executor(CpuCategory.VERIFY, max_workers=1) as verifying:
        await asyncio.get_running_loop().run_in_executor(verifying, compute)
    found = account.report()
    assert found.database_ms >= 20
    assert found.verify_ms >= 20
    assert found.total_ms == (
        found.verify_ms + found.consensus_ms + found.database_ms + found.network_ms + found.other_ms
    )


async def test_the_sum_is_the_time_of_the_process() -> None:
    account = CpuAccount()
    before_ns = time.process_time_ns()
    found = account.report()
    assert before_ns // MS - len(CpuCategory) <= found.total_ms <= time.process_time_ns() // MS
