"""What metrics cost: windows of one saturated run, in turn with every bank scraped and with none.

A machine is faster in one minute than in the next, so windows with and without scraping lie beside
each other in pairs, the order of a pair changing from one to the next, and a cost is the mean of
the pairs' differences with its standard error. That error is rarely below one percent; so the
banks' own account is shown as well: the CPU time that they spent on metrics, of all they spent.

Scraping means what Prometheus does: a connection for each scrape, OpenMetrics, compressed. What
the reader does with it is not the banks' cost, and is left out.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import math
import signal
import statistics
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from node.cli.access import Consortium
from node.cli.benchmark_throughput import (
    IN_FLIGHT_BLOCKS,
    Tell,
    ThroughputOptions,
    opened_workload,
)
from node.cli.failure import EXIT_USAGE, CommandFailed
from node.cli.metrics_scrape import PATH, Scrape, scrape_all
from node.cli.terminal import progress
from node.cli.throughput_consortium import measured_directory, running_consortium
from node.cli.throughput_load import FOLLOWED_BANK, Load, WorkloadUsedUp, find_unused
from node.cli.throughput_report import sealed_rate

HEADERS = {"Accept": "application/openmetrics-text;version=1.0.0", "Accept-Encoding": "gzip"}
BANKS_CPU = "consortium_process_cpu_seconds_total"
METRICS_CPU = "consortium_metrics_cpu_seconds_total"
SCRAPES = "consortium_metrics_scrapes_total"


@dataclass(frozen=True, slots=True)
class MetricsCostOptions:
    """What to measure."""

    seconds: float = 20.0
    """Of each window."""
    pairs: int = 10
    every_s: float = 5.0
    """Between two scrapes of one bank."""
    bank_count: int = 12
    workload_file: Path | None = None
    directory: Path | None = None

    @property
    def whole(self) -> ThroughputOptions:
        """All windows as one run at saturation."""
        return ThroughputOptions(
            seconds=self.seconds * 2 * self.pairs,
            bank_count=self.bank_count,
            workload_file=self.workload_file,
            directory=self.directory,
            with_doctor=False,
        )


@dataclass(frozen=True, slots=True)
class Pair:
    """Transactions sealed a second in two windows beside each other."""

    without_tps: float
    with_tps: float

    @property
    def cost_percent(self) -> float:
        """What scraping took; below 0 if more was sealed with it."""
        return 100 * (1 - self.with_tps / self.without_tps)


@dataclass(frozen=True, slots=True)
class MetricsCost:
    """The result; percents of throughput, and of the banks' CPU time."""

    banks: int
    seconds: float
    every_s: float
    pairs: tuple[Pair, ...]
    cost_percent: float
    cost_percent_error: float
    """Standard error of the mean of the pairs."""
    cpu_percent: float
    """CPU time that the banks spent on metrics while they were scraped, of all that they spent."""
    scrape_cpu_ms: float
    """CPU time of one bank for one scrape."""

    @staticmethod
    def of(
        options: MetricsCostOptions, pairs: Sequence[Pair], before: Account, after: Account
    ) -> MetricsCost:
        """Reckon it up; `before` and `after` are of the whole run, half of which was scraped."""
        costs = [pair.cost_percent for pair in pairs]
        scrapes = after.scrapes - before.scrapes
        metrics_s = after.metrics_s - before.metrics_s
        scraped_half_s = (after.banks_s - before.banks_s) / 2
        return MetricsCost(
            banks=options.bank_count,
            seconds=options.seconds,
            every_s=options.every_s,
            pairs=tuple(pairs),
            cost_percent=round(statistics.fmean(costs), 2),
            cost_percent_error=round(statistics.stdev(costs) / math.sqrt(len(costs)), 2),
            cpu_percent=round(100 * metrics_s / scraped_half_s, 3),
            scrape_cpu_ms=round(1e3 * metrics_s / max(1, scrapes), 2),
        )

    def to_json_object(self) -> dict[str, object]:
        """Return every field by name."""
        return asdict(self)

    def lines(self) -> list[str]:
        """Return the result for a terminal."""
        return [
            *(
                f"{number:>3}  {pair.without_tps:8.1f} without  {pair.with_tps:8.1f} with  "
                f"{pair.cost_percent:+6.2f} %"
                for number, pair in enumerate(self.pairs, start=1)
            ),
            f"scraping {self.banks} banks every {self.every_s:g} s costs "
            f"{self.cost_percent:.2f} ± {self.cost_percent_error:.2f} % of the transactions sealed "
            "a second",
            f"by the banks' own account: {self.cpu_percent:.2f} % of their CPU time, "
            f"{self.scrape_cpu_ms:.2f} ms a scrape",
        ]


@dataclass(frozen=True, slots=True)
class Account:
    """CPU time that all banks together have spent since their start."""

    banks_s: float
    metrics_s: float
    scrapes: float


async def measure_metrics_cost(options: MetricsCostOptions, tell: Tell) -> MetricsCost:
    """Measure; raises `CommandFailed`, `WorkloadInvalid`, `LedgerError`.

    SIGTERM and SIGHUP cancel it, so that no consortium of ours outlives the measurement.
    """
    measuring = asyncio.current_task()
    assert measuring is not None, "a coroutine runs in a task"
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, measuring.cancel)
    with (
        opened_workload(options.whole, tell) as workload,
        measured_directory(options.directory) as directory,
    ):
        tell("starting the consortium")
        async with running_consortium(directory, workload, tell) as consortium:
            # A port may have been chosen anew when it started.
            consortium = Consortium.load(directory)
            async with consortium.ledger(FOLLOWED_BANK) as ledger:
                unused = await find_unused(ledger, workload)
            async with Load(consortium, unused) as load:
                return await _measure(consortium, load, options)


async def _measure(consortium: Consortium, load: Load, options: MetricsCostOptions) -> MetricsCost:
    in_flight = IN_FLIGHT_BLOCKS * consortium.genesis.parameters.batch_limit
    total_s = options.whole.ramp_s + options.whole.seconds
    submitting = asyncio.create_task(load.saturating(in_flight, time.monotonic() + total_s + 60))
    try:
        with progress("windows") as meter:
            await _sleep(submitting, options.whole.ramp_s)
            before = await account(consortium)
            windows: list[tuple[bool, float, float]] = []
            for number in range(2 * options.pairs):
                meter(number, 2 * options.pairs)
                scraped = number % 4 in (1, 2)
                begin_s = time.monotonic()
                async with _scraping(consortium, options.every_s if scraped else None):
                    await _sleep(submitting, options.seconds)
                windows.append((scraped, begin_s, time.monotonic()))
            after = await account(consortium)
            # A window ends with the first block after it.
            await _sleep(submitting, options.whole.ramp_s)
    except WorkloadUsedUp:
        raise CommandFailed(
            f"the workload was used up after {load.used} transactions",
            "prepare more transactions, or ask for fewer or shorter windows",
            EXIT_USAGE,
        ) from None
    finally:
        submitting.cancel()
        await asyncio.gather(submitting, return_exceptions=True)
    return MetricsCost.of(options, pairs_of(load, windows), before, after)


def pairs_of(load: Load, windows: Sequence[tuple[bool, float, float]]) -> list[Pair]:
    """Return neighbouring windows, one with and one without scraping, as pairs."""
    rates = [
        (scraped, sealed_rate(load.blocks, begin_s, end_s)) for scraped, begin_s, end_s in windows
    ]
    pairs = []
    for first, second in zip(rates[::2], rates[1::2], strict=True):
        by_kind = dict((first, second))
        pairs.append(Pair(by_kind[False], by_kind[True]))
    return pairs


async def _sleep(load: asyncio.Task[None], seconds: float) -> None:
    """Wait, or raise what ended the load."""
    done, _ = await asyncio.wait({load}, timeout=seconds)
    for task in done:
        task.result()


async def account(consortium: Consortium) -> Account:
    """Read what the banks have spent; raises `CommandFailed` if one does not say."""
    sums = dict.fromkeys((BANKS_CPU, METRICS_CPU, SCRAPES), 0.0)
    for found in await scrape_all(consortium.metrics_addresses):
        if not isinstance(found, Scrape):
            raise CommandFailed(f"a bank's metrics cannot be read: {found}", "see its log")
        for series in found.series:
            if series.name in sums:
                sums[series.name] += series.value
    return Account(sums[BANKS_CPU], sums[METRICS_CPU], sums[SCRAPES])


@asynccontextmanager
async def _scraping(consortium: Consortium, every_s: float | None) -> AsyncGenerator[None]:
    """Read every bank's metrics again and again meanwhile, spread over the interval."""
    if every_s is None:
        yield
        return
    addresses = [item for item in consortium.metrics_addresses if item is not None]
    tasks = [
        asyncio.create_task(_scrape_again(address, every_s, number * every_s / len(addresses)))
        for number, address in enumerate(addresses)
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _scrape_again(address: str, every_s: float, first_s: float) -> None:
    await asyncio.sleep(first_s)
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            await asyncio.to_thread(_fetch, address)
        await asyncio.sleep(every_s)


def _fetch(address: str) -> None:
    connection = http.client.HTTPConnection(address, timeout=5.0)
    try:
        connection.request("GET", PATH, headers=HEADERS)
        connection.getresponse().read()
    finally:
        connection.close()
