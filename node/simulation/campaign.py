"""Many seeds: here, in processes of this machine, or on the workers of a Dask cluster.

A seed gives the same run everywhere, so where it is run changes nothing but the time it takes.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from node.simulation.mutants import MUTANTS
from node.simulation.profiles import schedule_of
from node.simulation.run import Outcome, play

CHUNK = 5
"""Seeds handed to a process at once."""
SCHEDULER_TIMEOUT_S = 10
CHUNKS_AHEAD = 3
"""Chunks under way for each process, so that none waits for the next one."""


class DaskMissing(Exception):
    """The optional package `distributed` is not installed."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """Which runs to make."""

    profile: str
    first_seed: int
    seeds: int
    bank_count: int = 12
    mutant: str | None = None
    """Name of the broken rule under test, if one is."""

    @property
    def numbers(self) -> range:
        """The seeds, in order."""
        return range(self.first_seed, self.first_seed + self.seeds)


@dataclass(slots=True)
class Totals:
    """Sums over runs."""

    seeds: int = 0
    heights: int = 0
    events: int = 0
    messages: int = 0
    crashes: int = 0
    blackouts: int = 0
    convictions: int = 0
    removals: int = 0
    readmissions: int = 0
    settlements: int = 0
    carried: int = 0
    attempts: int = 0
    openings: int = 0
    acknowledged: int = 0
    virtual_ms: int = 0
    slowest_recovery_ms: int = 0
    violations: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Count one run."""
        self.seeds += 1
        self.heights += outcome.heights
        self.events += outcome.events
        self.messages += outcome.messages
        self.crashes += outcome.crashes
        self.blackouts += outcome.blackouts
        self.convictions += outcome.convictions
        self.removals += outcome.removals
        self.readmissions += outcome.readmissions
        self.settlements += outcome.settlements
        self.carried += outcome.carried
        self.attempts += outcome.attempts
        self.openings += outcome.openings
        self.acknowledged += outcome.acknowledged
        self.virtual_ms += outcome.virtual_ms
        self.slowest_recovery_ms = max(self.slowest_recovery_ms, outcome.recovery_ms)
        if outcome.violation is not None:
            self.violations.append(outcome)


def run_seed(campaign: Campaign, seed: int) -> Outcome:
    """Make one run; raises `KeyError` for an unknown profile or mutant."""
    if campaign.mutant is None:
        schedule = schedule_of(campaign.profile, seed, bank_count=campaign.bank_count)
        return play(schedule)
    mutant = MUTANTS[campaign.mutant]
    schedule = schedule_of(
        mutant.profile, seed, bank_count=campaign.bank_count, byzantine=mutant.byzantine
    )
    with mutant.applied():
        return play(schedule)


def run_here(campaign: Campaign) -> Iterator[Outcome]:
    """Make the runs one after the other in this process."""
    return (run_seed(campaign, seed) for seed in campaign.numbers)


def run_in_processes(
    campaign: Campaign, jobs: int, begin: Callable[[], None] | None = None
) -> Iterator[Outcome]:
    """Make the runs in `jobs` processes of this machine; outcomes come as they are ready.

    Each process calls `begin` first, which has to be picklable.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=begin) as pool:
        try:
            chunks = _chunks(campaign.numbers)
            waiting: set[Future[list[Outcome]]] = {
                pool.submit(_run_chunk, campaign, chunk)
                for chunk in islice(chunks, jobs * CHUNKS_AHEAD)
            }
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for chunk in islice(chunks, len(done)):
                    waiting.add(pool.submit(_run_chunk, campaign, chunk))
                for future in done:
                    yield from future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def run_on_dask(campaign: Campaign, address: str) -> Iterator[Outcome]:
    """Make the runs on the workers of a Dask cluster; outcomes come as they are ready.

    The workers need this package installed. Raises `DaskMissing` without `distributed`, `OSError`
    if the scheduler at `address` does not answer.
    """
    try:
        import distributed
    except ImportError as error:
        raise DaskMissing("the package `distributed` is not installed") from error
    client: Any = distributed.Client(address, timeout=SCHEDULER_TIMEOUT_S)
    try:
        chunks = list(_chunks(campaign.numbers))
        futures = client.map(_run_chunk, [campaign] * len(chunks), chunks, pure=False)
        for future in distributed.as_completed(futures):
            yield from future.result()
        client.cancel(futures)
    finally:
        client.close()


def _run_chunk(campaign: Campaign, seeds: tuple[int, ...]) -> list[Outcome]:
    return [run_seed(campaign, seed) for seed in seeds]


def _chunks(numbers: Iterable[int]) -> Iterator[tuple[int, ...]]:
    remaining = iter(numbers)
    while chunk := tuple(islice(remaining, CHUNK)):
        yield chunk
