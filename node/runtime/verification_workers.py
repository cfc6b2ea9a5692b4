"""Where batches of transactions are verified: in threads, or in processes of their own.

In a thread a multi-scalar multiplication runs beside the event loop, but collecting what it
multiplies is Python's work, about half of all, and holds the interpreter's lock.

A bank with cores of its own forks verifying processes before it does anything else
(`--verify-workers`). They run at a low priority. So its event loop neither waits for that lock nor
for a core. They get canonical bytes and the part of the state that verification reads, and give
verdicts, those of `verify_transactions`.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from crypto.generators import range_generators, vote_index_generators
from crypto.randomness import RandomBytes
from crypto.ring import ClosedBin
from node.ledger.facts import BlockFacts
from node.ledger.genesis import Genesis
from node.ledger.proofs import (
    AdmissionView,
    VerifiedTransaction,
    verified_elsewhere,
    verify_transactions,
)
from node.ledger.rejection import Reason, Rejection
from node.ledger.state import LedgerState
from node.runtime.cpu_account import CpuAccount, CpuCategory
from node.runtime.observation.check_times import BatchTimes, Stopwatch
from node.runtime.worker_process import work_for

NICENESS = 10
"""Verification uses what consensus and databases leave: it is most of the work, and can wait."""

Verdicts = tuple[VerifiedTransaction | Rejection, ...]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What verification says of a batch, and how long it took where it was done."""

    verdicts: Verdicts
    times: BatchTimes


class Verification(Protocol):
    """Verifies batches off the event loop."""

    at_once: int
    """Batches that gain from being verified at the same time."""

    async def verify(self, raws: Sequence[bytes], view: AdmissionView) -> Judgement:
        """Return what `verify_transactions` says of these bytes."""
        ...

    def close(self) -> None:
        """Verify nothing more."""
        ...


class ThreadVerification:
    """One batch at a time in a thread, and beside it what a vote waits for."""

    at_once = 1

    def __init__(self, threads: Executor, random_bytes: RandomBytes) -> None:
        """`threads` has two workers; `random_bytes` draws the weights (IDX1 10.5)."""
        self._threads = threads
        self._random_bytes = random_bytes

    async def verify(self, raws: Sequence[bytes], view: AdmissionView) -> Judgement:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._threads, timed_verification, raws, view, self._random_bytes
        )

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def timed_verification(
    raws: Sequence[bytes], view: AdmissionView, random_bytes: RandomBytes
) -> Judgement:
    """Call `verify_transactions` with a stopwatch."""
    watch = Stopwatch()
    verdicts = verify_transactions(raws, view, random_bytes, watch.begin)
    return Judgement(verdicts, watch.stop())


@dataclass(frozen=True, slots=True)
class _Task:
    """A batch, and the view of it without the genesis and what a bin computes for itself."""

    raws: tuple[bytes, ...]
    state: LedgerState
    spent: frozenset[bytes]
    known_notes: frozenset[bytes]
    sealed_transactions: frozenset[bytes]
    bins: tuple[tuple[int, bytes, bytes, int, bytes], ...]
    """(id, asset, packed notes, count, digest) of each closed bin."""

    @staticmethod
    def of(raws: Sequence[bytes], view: AdmissionView) -> _Task:
        facts = view.facts
        return _Task(
            tuple(raws),
            view.state,
            facts.spent,
            facts.known_notes,
            facts.sealed_transactions,
            tuple(
                [
                    (item.bin_id, item.asset, item.packed, item.count, item.digest)
                    for item in facts.closed_bins.values()
                ]
            ),
        )

    def view(self, genesis: Genesis) -> AdmissionView:
        ring_base = genesis.parameters.ring_base
        bins = [
            ClosedBin.of_packed(bin_id, asset, packed, count, ring_base, digest)
            for bin_id, asset, packed, count, digest in self.bins
        ]
        facts = BlockFacts(
            spent=self.spent,
            known_notes=self.known_notes,
            closed_bins={item.bin_id: item for item in bins},
            sealed_transactions=self.sealed_transactions,
        )
        return AdmissionView(genesis, self.state, facts)


@dataclass(frozen=True, slots=True)
class _Answer:
    refusals: tuple[tuple[str, str] | None, ...]
    """Reason and message of what is refused, in the order of the batch."""
    times: BatchTimes
    cpu_ns: int


class ProcessVerification:
    """A batch in each of so many processes, and in one more what a vote waits for.

    A process that dies takes the batches of all with it: `verify` raises `BrokenProcessPool`, and
    the bank stops, for it cannot go on without verifying.
    """

    def __init__(
        self, pool: WorkerPool, charge_ns: Callable[[int], None] = lambda spent: None
    ) -> None:
        """`charge_ns` is told the CPU time of the processes."""
        self.at_once = pool.workers
        self._pool = pool.executor
        self._charge_ns = charge_ns

    async def verify(self, raws: Sequence[bytes], view: AdmissionView) -> Judgement:
        loop = asyncio.get_running_loop()
        answer = await loop.run_in_executor(self._pool, _judge, _Task.of(raws, view))
        self._charge_ns(answer.cpu_ns)
        refusals = [
            None if item is None else Rejection(Reason(item[0]), item[1])
            for item in answer.refusals
        ]
        return Judgement(verified_elsewhere(raws, view, refusals), answer.times)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class WorkerPool:
    """Processes that wait for batches."""

    executor: ProcessPoolExecutor
    workers: int

    @staticmethod
    def start(genesis: bytes, workers: int, method: str = "fork") -> WorkerPool:
        """Start `workers` processes, and one more; they end with this one.

        `genesis` is its JSON. By `fork` they take little time and share what is loaded already,
        but only a process without other threads may fork: call it before there are any.
        """
        # What is loaded and computed before the fork is shared by all.
        range_generators()
        vote_index_generators()
        gc.freeze()
        executor = ProcessPoolExecutor(
            workers + 1,
            mp_context=multiprocessing.get_context(method),
            initializer=_begin,
            initargs=(genesis, os.getpid()),
        )
        # The first task makes the executor fork all of them.
        executor.submit(os.getpid).result()
        return WorkerPool(executor, workers)


def make_verification(pool: WorkerPool | None, cpu: CpuAccount) -> Verification:
    """Return a bank's verification by the processes it has, or by threads."""
    if pool is not None:
        return ProcessVerification(
            pool, lambda spent_ns: cpu.charge_process(CpuCategory.VERIFY, spent_ns)
        )
    threads = cpu.executor(CpuCategory.VERIFY, max_workers=2, thread_name_prefix="verify")
    return ThreadVerification(threads, os.urandom)


_document = b""
"""Of a worker process: the genesis as it was told."""


@cache
def _genesis() -> Genesis:
    return Genesis.from_json_object(json.loads(_document))


def _begin(genesis: bytes, parent: int) -> None:
    """Make a new process a worker, less urgent than whoever has banks to talk to."""
    global _document
    _document = genesis
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
    work_for(parent)


def _judge(task: _Task) -> _Answer:
    begun_ns = time.process_time_ns()
    judgement = timed_verification(task.raws, task.view(_genesis()), os.urandom)
    refusals = [
        (item.reason.value, item.message) if isinstance(item, Rejection) else None
        for item in judgement.verdicts
    ]
    return _Answer(tuple(refusals), judgement.times, time.process_time_ns() - begun_ns)
