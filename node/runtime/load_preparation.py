"""Making a workload file: found a consortium, fund it, prove transactions over what it holds.

The ledger is written by one process with the keys of all banks (`block_maker`); proofs are made by
as many as there are cores (`load_proving`). What a block costs depends on how many bins its
transactions spend from (IDX1 14), so there are two standard workloads: `local` empties one bin
after another, `wide` takes one note of each bin in turn. Every bin is full, so that every ring
holds real notes alone, and every note is spent at most once.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar

from crypto.layout import Kind, layout_of
from crypto.randomness import Coins
from crypto.ring import DEFAULT_RING_BASE, RING_BASES, ring_size
from crypto.transcript import hash64
from node.client.workload_file import (
    LOADED_VIEW_TIMEOUT_MS,
    LOCAL,
    MAX_VIEW_TIMEOUT_MS,
    WIDE,
    WorkloadHeader,
    WorkloadWriter,
)
from node.ledger.active_set import MINIMUM_BANKS
from node.ledger.blocks import MAX_TRANSACTIONS
from node.ledger.definitions import MAX_BANKS
from node.ledger.genesis import Genesis
from node.ledger.parameters import Parameters
from node.ledger.types import HASH_BYTES, Height, TimeMs
from node.runtime.block_maker import BlockMaker
from node.runtime.config import ConfigurationError
from node.runtime.draw_seeds import DrawSeeds
from node.runtime.founding import ConsortiumKeys, make_genesis
from node.runtime.ledger_archive import Founding
from node.runtime.ledger_growth import MAX_GROWN_NOTES, GrownLedger, Growth, grow
from node.runtime.load_proving import (
    NOTES_AN_ISSUE,
    FundedNote,
    IssueTask,
    ProvingTerms,
    SpendTask,
    prove_issues,
    prove_spends,
)
from node.runtime.memory_ledger import MemoryLedger
from node.runtime.worker_process import work_for

NAME = "Load Test Ledger"
DEFAULT_BANKS = 12
EXPIRY_HEIGHTS = 1_000_000
"""`Parameters.max_expiry_heights` of the consortium: its transactions outlast long runs."""
BLOCK_INTERVAL_MS = 1_000
"""Between two blocks that fund: shorter than a bin's age, so that bins close only when full."""
SEEDED_TIME_MS = TimeMs(1_774_981_800_000)
"""Header time of a genesis from a seed: 2026-04-01 00:00 at UTC+05:30."""
LONGEST_VIEW_MS = 20_000
ISSUES_A_TASK = 10
AHEAD_A_JOB = 3
"""Tasks handed to each worker before the first of them is done."""

T = TypeVar("T")
R = TypeVar("R")


class StepProgress(Protocol):
    """To be told which step the work is at, and how far."""

    def __call__(self, step: str, done: int, total: int) -> None: ...


class WorkloadOrderInvalid(ConfigurationError):
    """A workload of this kind and size cannot be made; the message says why."""


@dataclass(frozen=True, slots=True)
class WorkloadOrder:
    """What to make; raises `WorkloadOrderInvalid` for what nobody could."""

    transactions: int
    name: str = LOCAL
    ring_base: int = DEFAULT_RING_BASE
    bank_count: int = DEFAULT_BANKS
    seed: int | None = None
    """The same seed gives the same file, byte for byte; None draws one."""
    jobs: int | None = None
    """Processes that prove; None takes one for each core, 1 none besides this one."""
    view_timeout_ms: int = LOADED_VIEW_TIMEOUT_MS
    """T0 of the consortium that is made."""
    grown_notes: int = 0
    """Notes and nullifiers of a past that the ledger has before it is funded."""

    def __post_init__(self) -> None:
        if self.transactions < 1:
            raise WorkloadOrderInvalid("a workload has at least one transaction")
        if self.name not in (LOCAL, WIDE):
            raise WorkloadOrderInvalid(f"the workloads are {LOCAL} and {WIDE}, not {self.name}")
        if self.ring_base not in RING_BASES:
            raise WorkloadOrderInvalid(f"ring base {self.ring_base} is none of {RING_BASES}")
        if not 1 <= self.view_timeout_ms <= MAX_VIEW_TIMEOUT_MS:
            raise WorkloadOrderInvalid(
                f"a view lasts 1 to {MAX_VIEW_TIMEOUT_MS} ms, not {self.view_timeout_ms}"
            )
        if not 0 <= self.grown_notes <= MAX_GROWN_NOTES:
            raise WorkloadOrderInvalid(
                f"a ledger grows to at most {MAX_GROWN_NOTES} notes, not {self.grown_notes}"
            )
        if not MINIMUM_BANKS <= self.bank_count <= MAX_BANKS:
            raise WorkloadOrderInvalid(
                f"a consortium has {MINIMUM_BANKS} to {MAX_BANKS} banks, not {self.bank_count}"
            )

    @property
    def bin_notes(self) -> int:
        return ring_size(self.ring_base)

    @property
    def bins(self) -> int:
        """Bins to fund."""
        needed = -(-self.transactions // self.bin_notes)
        if self.name == LOCAL:
            return needed
        return max(needed, min(self.transactions, MAX_TRANSACTIONS))

    @property
    def notes(self) -> int:
        """Notes to fund: as many as fill the bins, whether they are spent or not."""
        return self.bins * self.bin_notes

    @property
    def issues(self) -> int:
        return self.notes // NOTES_AN_ISSUE

    @property
    def blocks(self) -> int:
        """Blocks that hold the issues."""
        return -(-self.issues // MAX_TRANSACTIONS)

    def growth(self, seed: bytes) -> Growth | None:
        """Return the past of the ledger, None if it has none; `seed` is the workload's."""
        if not self.grown_notes:
            return None
        grown = hash64("consortium/load-growth", seed)[:HASH_BYTES]
        return Growth(grown, self.grown_notes, self.ring_base)

    @property
    def bins_per_block(self) -> int:
        """The most bins that a run of a hundred transactions spends from."""
        run = min(self.transactions, MAX_TRANSACTIONS)
        if self.name == WIDE:
            return run
        # One note of a bin, so many whole bins, and what is left of another.
        return min(self.bins, 1 + -(-(run - 1) // self.bin_notes))

    def place_of(self, transaction: int) -> tuple[int, int]:
        """Return which bin, counted from 0, and which position in it a transaction spends."""
        if self.name == LOCAL:
            return divmod(transaction, self.bin_notes)
        position, bin_number = divmod(transaction, self.bins)
        return bin_number, position

    def spends_of(self, bin_number: int) -> tuple[tuple[int, int], ...]:
        """Return number and position of all transactions that spend from a bin."""
        if self.name == LOCAL:
            first = bin_number * self.bin_notes
            numbers = range(first, min(first + self.bin_notes, self.transactions))
        else:
            numbers = range(bin_number, self.transactions, self.bins)
        return tuple([(number, self.place_of(number)[1]) for number in numbers])


def _silent(step: str, done: int, total: int) -> None:
    """Tell nobody."""


def prepare_workload(
    path: Path, order: WorkloadOrder, progress: StepProgress = _silent
) -> WorkloadHeader:
    """Write a workload file to `path` and return its header; raises OSError.

    Takes about 5 ms of CPU time a note for funding and 14 ms a transaction, on `order.jobs` cores,
    and 40 us a grown note on one.
    """
    seed = _seed_of(order)
    growth = order.growth(seed)
    founding = _found(order, seed, 0 if growth is None else growth.blocks)
    genesis = founding.genesis
    terms = ProvingTerms(
        seed=seed,
        issuers=tuple([bank.issuer for bank in founding.keys.banks]),
        chain_id=genesis.chain_id,
        asset=genesis.base_asset.asset_id,
        ring_base=order.ring_base,
        fee=genesis.parameters.transfer_fee,
        expiry=EXPIRY_HEIGHTS,
    )
    length = layout_of(Kind.TRANSFER, 1, 2, order.ring_base).total
    with (
        WorkloadWriter(path, order.transactions, length) as writer,
        _Workers(order.jobs or _core_count()) as workers,
    ):
        writer.append(founding.encode())
        maker = BlockMaker(MemoryLedger(genesis), founding.keys)
        if growth is not None:
            _grow(maker, growth, writer, progress)
        bins = _fund(order, maker, terms, writer, workers, progress)
        tasks = (
            SpendTask(terms, bin_id, notes, order.spends_of(number))
            for number, (bin_id, notes) in enumerate(bins.items())
        )
        proven = 0
        progress("proving transfers", proven, order.transactions)
        for batch in workers.map(prove_spends, tasks):
            for number, raw in batch:
                writer.put(number, raw)
            proven += len(batch)
            progress("proving transfers", proven, order.transactions)
        header = WorkloadHeader(
            chain_id=genesis.chain_id,
            name=order.name,
            ring_base=order.ring_base,
            bank_count=order.bank_count,
            transaction_count=order.transactions,
            bins=order.bins,
            bins_per_block=order.bins_per_block,
            funded_height=maker.ledger.height,
            asset_code=genesis.base_asset.code,
            transaction_bytes=length,
            expiry=terms.expiry,
            grown_notes=0 if growth is None else growth.notes,
        )
        writer.finish(header)
    return header


def _seed_of(order: WorkloadOrder) -> bytes:
    if order.seed is None:
        return secrets.token_bytes(HASH_BYTES)
    # Ledgers with another past are other chains, so that neither passes for the other.
    name = f"{order.seed}/grown/{order.grown_notes}" if order.grown_notes else str(order.seed)
    return hash64("consortium/load-seed", name.encode("ascii"))[:HASH_BYTES]


def _found(order: WorkloadOrder, seed: bytes, grown_blocks: int) -> Founding:
    coins = Coins(hash64("consortium/load-keys", seed))
    keys = ConsortiumKeys.generate(order.bank_count, coins.take)
    assert keys.opener is not None, "the regulator has the whole key"
    time_ms = SEEDED_TIME_MS
    if order.seed is None:
        # The last block is a second old when the consortium starts at once.
        now_ms = time.time_ns() // 1_000_000
        time_ms = TimeMs(now_ms - (grown_blocks + order.blocks + 1) * BLOCK_INTERVAL_MS)
    genesis: Genesis = make_genesis(
        keys,
        name=NAME,
        time_ms=time_ms,
        parameters=Parameters(
            ring_base=order.ring_base,
            max_expiry_heights=EXPIRY_HEIGHTS,
            view_timeout_ms=order.view_timeout_ms,
            view_timeout_max_ms=max(order.view_timeout_ms, LONGEST_VIEW_MS),
        ),
        opener_key=keys.opener.public,
        draw_commitment=DrawSeeds(keys.draw_root).commitment,
        random_bytes=coins.take,
    )
    return Founding(genesis, keys)


def _grow(
    maker: BlockMaker, growth: Growth, writer: WorkloadWriter, progress: StepProgress
) -> None:
    """Write the past into the archive, and go on from there."""
    history = grow(maker.ledger.genesis, growth, BLOCK_INTERVAL_MS, progress)
    maker.ledger.take_over(history.tip, history.state)
    writer.append(GrownLedger.of(history, maker.seal_tip()).encode())


def _fund(
    order: WorkloadOrder,
    maker: BlockMaker,
    terms: ProvingTerms,
    writer: WorkloadWriter,
    workers: _Workers,
    progress: StepProgress,
) -> dict[int, tuple[FundedNote, ...]]:
    """Write the funded ledger into the archive; return the notes of each bin, oldest bin first."""
    progress("funding", 0, order.issues)
    genesis, done = maker.ledger.genesis, 0
    last = maker.ledger.height + order.blocks
    filling: dict[int, list[FundedNote]] = {}
    closed: dict[int, tuple[FundedNote, ...]] = {}
    tasks = (
        IssueTask(terms, first, min(ISSUES_A_TASK, order.issues - first))
        for first in range(0, order.issues, ISSUES_A_TASK)
    )
    issues = (raw for batch in workers.map(prove_issues, tasks) for raw in batch)
    while raws := list(islice(issues, MAX_TRANSACTIONS)):
        height = Height(maker.ledger.height + 1)
        time_ms = TimeMs(genesis.time_ms + height * BLOCK_INTERVAL_MS)
        made = maker.make(raws, time_ms)
        writer.append(made.archived.encode())
        for note in made.transition.notes:
            funded = FundedNote(note.output.encode(), note.output_index)
            filling.setdefault(note.bin_id, []).append(funded)
        for record in made.transition.closed_bins:
            closed[record.bin.bin_id] = tuple(filling.pop(record.bin.bin_id))
        done += len(raws)
        progress("funding", done, order.issues)
    assert not filling and len(closed) == order.bins, "every bin is full and closed"
    assert maker.ledger.height == last, "as many blocks as were planned"
    return closed


class _Workers:
    """Processes that prove, or none if one process is enough."""

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> _Workers:
        if self._jobs > 1:
            self._pool = ProcessPoolExecutor(
                self._jobs,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=work_for,
                initargs=(os.getpid(),),
            )
        return self

    def __exit__(self, *error: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def map(self, function: Callable[[T], R], tasks: Iterator[T]) -> Iterator[R]:
        """Yield results in the order of the tasks, of which only a few are taken ahead."""
        if self._pool is None:
            yield from map(function, tasks)
            return
        waiting: deque[Future[R]] = deque()
        for task in tasks:
            waiting.append(self._pool.submit(function, task))
            if len(waiting) > self._jobs * AHEAD_A_JOB:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _core_count() -> int:
    with contextlib.suppress(AttributeError):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
