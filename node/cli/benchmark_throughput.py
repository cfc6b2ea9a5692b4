"""Measuring throughput: a consortium of its own, a workload, windows at rates or at saturation.

The consortium runs as its operators would run it, each bank a process with its database, all of
them verifying every proof. This process submits, follows the blocks and observes; what it takes
from the machine is reported with everything else.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from crypto.transaction import transaction_id
from node.cli.access import Consortium
from node.cli.benchmark_machine import describe_machine, describe_software, usable_cores
from node.cli.benchmark_verification import BATCH, VerificationCost, measure_verification
from node.cli.doctor import examine
from node.cli.failure import EXIT_USAGE, CommandFailed
from node.cli.proof_check import bins_read
from node.cli.terminal import Meter, progress, steps
from node.cli.throughput_consortium import measured_directory, running_consortium
from node.cli.throughput_load import (
    FOLLOWED_BANK,
    Load,
    WorkloadUsedUp,
    find_unused,
    rejections,
)
from node.cli.throughput_observation import Memory, Observer, Snapshot, usage
from node.cli.throughput_queries import ledger_size, measure_queries, read_state
from node.cli.throughput_report import (
    RATE,
    SATURATION,
    Integrity,
    LedgerSize,
    Queries,
    Report,
    Run,
    Window,
    crypto_bound_tps,
    summarise,
)
from node.client.errors import LedgerError
from node.client.workload_file import LOCAL, Workload, open_workload
from node.ledger.active_set import quorum_size
from node.ledger.types import TransactionId
from node.runtime.config import DEFAULT_VERIFY_WORKERS
from node.runtime.load_preparation import WorkloadOrder, prepare_workload

SWEEP = (0.25, 0.5, 0.75, 0.9, 1.0)
"""Shares of the saturated rate."""
IN_FLIGHT_BLOCKS = 10
"""Blocks' worth of transactions under way at saturation."""
RAMP_SHARE = 0.15
LEAST_RAMP_S, MOST_RAMP_S = 2.0, 20.0
DRAINED_WITHIN_S = 30.0
"""Without anything being sealed or refused."""
SAMPLED_BLOCKS = 10
QUERIED_TRANSACTIONS = 200
MEMORY_SAMPLES = 60
LEAST_SAMPLE_S = 5.0
"""A sample of everything's memory takes a tenth of a second of CPU time."""
GUESSED_VERIFICATION_MS = 0.45
"""For how many transactions a saturated run could need at most: none verifies faster yet."""
ROOTS_WITHIN_S = 30.0
POLL_S = 0.25

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ThroughputOptions:
    """What to measure."""

    seconds: float = 60.0
    """Of each window."""
    rate: float | None = None
    """Transactions a second; None: saturation."""
    sweep: bool = False
    """Saturation first, then rates up to what it sealed."""
    repeat: int = 1
    """Windows of each kind."""
    bank_count: int = 12
    workload: str = LOCAL
    ring_base: int = 8
    workload_file: Path | None = None
    """Made there if it does not exist; None: a temporary one."""
    directory: Path | None = None
    """Of the consortium; None: a temporary one."""
    in_flight: int | None = None
    with_doctor: bool = True
    rtt_ms: float = 0.0
    """Round trip between banks that are apart, as whoever measures knows it."""
    verify_workers: int = DEFAULT_VERIFY_WORKERS
    """Processes a bank that verify; 0 is a thread."""

    @property
    def ramp_s(self) -> float:
        return min(MOST_RAMP_S, max(LEAST_RAMP_S, RAMP_SHARE * self.seconds))

    @property
    def transactions_needed(self) -> int:
        """At most: a saturated machine verifies no faster than processors allow."""
        run_s = self.seconds + self.ramp_s + 1
        fastest = crypto_bound_tps(GUESSED_VERIFICATION_MS, self.bank_count, usable_cores())
        if self.sweep:
            runs = run_s * fastest * (1 + sum(SWEEP))
        else:
            runs = run_s * (fastest if self.rate is None else self.rate)
        return max(BATCH, int(self.repeat * runs))


async def measure_throughput(options: ThroughputOptions, tell: Tell) -> Report:
    """Measure; raises `CommandFailed`, `WorkloadInvalid`, `LedgerError`.

    SIGTERM and SIGHUP cancel it, so that no consortium of ours outlives the measurement.
    """
    measuring = asyncio.current_task()
    assert measuring is not None, "a coroutine runs in a task"
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, measuring.cancel)
    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    with (
        opened_workload(options, tell) as workload,
        measured_directory(options.directory) as directory,
    ):
        tell("starting the consortium")
        async with running_consortium(
            directory, workload, tell, options.verify_workers
        ) as consortium:
            return await Measurement(consortium, workload, options, tell).run(started_at)


@contextmanager
def opened_workload(options: ThroughputOptions, tell: Tell) -> Generator[Workload]:
    """Yield the workload that was chosen, making it if there is none."""
    with contextlib.ExitStack() as stack:
        path = options.workload_file
        if path is None:
            made = stack.enter_context(tempfile.TemporaryDirectory(prefix="consortium-bench-"))
            path = Path(made) / "workload"
        if not path.exists():
            order = WorkloadOrder(
                transactions=options.transactions_needed,
                name=options.workload,
                ring_base=options.ring_base,
                bank_count=options.bank_count,
            )
            tell(f"preparing {order.transactions} transactions; --workload-file keeps them")
            with steps("preparing") as meter:
                prepare_workload(path, order, meter)
        yield stack.enter_context(open_workload(path))


class Measurement:
    """All windows on one running consortium."""

    def __init__(
        self, consortium: Consortium, workload: Workload, options: ThroughputOptions, tell: Tell
    ) -> None:
        self._consortium = consortium
        self._workload = workload
        self._options = options
        self._tell = tell
        self._banks = len(consortium.genesis.banks)
        self._batch_limit = consortium.genesis.parameters.batch_limit
        self._cores = usable_cores()
        self._notes: list[str] = []

    async def run(self, started_at: str) -> Report:
        """Measure everything that was asked for."""
        cost = await self._measure_verification()
        bound_tps = crypto_bound_tps(cost.minimum_ms, self._banks, self._cores)
        self._tell(
            f"verification alone: {cost.minimum_ms:.3f} ms of CPU a transaction, bound "
            f"{bound_tps:.1f} transactions/s"
        )
        async with self._observing() as (load, observer):
            size_before = await self._ledger_size(observer)
            runs = await self._run_all(load, observer, bound_tps)
            reports = await observer.reports()
            size_after = await self._ledger_size(observer)
            queries = await self._measure_queries(load, size_before)
            integrity = await self._integrity(load)
        return Report(
            started_at=started_at,
            machine=describe_machine(),
            software=describe_software(reports[0].database.server_version),
            consortium=self._describe_consortium(),
            workload=self._describe_workload(),
            crypto=cost,
            crypto_bound_tps=round(bound_tps, 2),
            runs=tuple(runs),
            integrity=integrity,
            notes=tuple(self._notes),
            ledger_before=size_before,
            ledger_after=size_after,
            queries=queries,
        )

    @asynccontextmanager
    async def _observing(self) -> AsyncGenerator[tuple[Load, Observer]]:
        async with self._consortium.ledger(FOLLOWED_BANK) as ledger:
            unused = await find_unused(ledger, self._workload)
        if unused.first:
            self._notes.append(f"the ledger held {unused.first} transactions of the workload")
        async with (
            Load(self._consortium, unused) as load,
            Observer(self._consortium) as observer,
        ):
            yield load, observer

    async def _measure_verification(self) -> VerificationCost:
        self._tell("measuring verification alone")
        raws = list(self._workload.transactions(0, BATCH))
        async with self._consortium.ledger(FOLLOWED_BANK) as ledger:
            return await measure_verification(ledger, self._consortium.genesis, raws)

    async def _ledger_size(self, observer: Observer) -> LedgerSize:
        async with self._consortium.ledger(FOLLOWED_BANK) as ledger:
            state = await read_state(ledger, self._consortium.genesis)
        return ledger_size(state, await observer.reports())

    async def _measure_queries(self, load: Load, before: LedgerSize) -> Queries | None:
        """Ask as a client does for what was sealed, and for the rest of the ledger."""
        sealed = [item.index for item in load.submissions if item.sealed_s is not None]
        if not sealed:
            return None
        self._tell("measuring queries and the scan of a wallet")
        chosen = random.Random(0).sample(sealed, min(QUERIED_TRANSACTIONS, len(sealed)))
        async with self._consortium.ledger(FOLLOWED_BANK) as ledger:
            return await measure_queries(
                ledger,
                self._consortium.genesis,
                [TransactionId(transaction_id(load.raw(index))) for index in chosen],
                [block.height for block in load.blocks],
                before,
            )

    def _describe_consortium(self) -> dict[str, object]:
        parameters = self._consortium.genesis.parameters
        return {
            "banks": self._banks,
            "quorum": quorum_size(self._banks),
            "batch_limit": parameters.batch_limit,
            "batch_wait_ms": parameters.batch_wait_ms,
            "followed_bank": FOLLOWED_BANK,
            "rtt_ms": self._options.rtt_ms,
            "verify_workers": self._options.verify_workers,
        }

    def _describe_workload(self) -> dict[str, object]:
        header = self._workload.header
        return {
            "name": header.name,
            "ring_base": header.ring_base,
            "bins": header.bins,
            "bins_per_block": header.bins_per_block,
            "transactions": header.transaction_count,
            "transaction_bytes": header.transaction_bytes,
            "asset_code": header.asset_code,
            "chain_id": header.chain_id.hex(),
            "grown_notes": header.grown_notes,
        }

    # --- windows ------------------------------------------------------------------------------

    async def _run_all(self, load: Load, observer: Observer, bound_tps: float) -> list[Run]:
        runs: list[Run] = []
        rate = None if self._options.sweep else self._options.rate
        for _ in range(self._options.repeat):
            runs.append(await self._run_one(load, observer, rate, bound_tps))
        if not self._options.sweep:
            return runs
        saturated_tps = max(run.sealed_tps for run in runs)
        for share in SWEEP:
            for _ in range(self._options.repeat):
                swept = round(share * saturated_tps, 1)
                if load.left < swept * (self._options.seconds + self._options.ramp_s):
                    self._notes.append(f"the workload was too small for {swept} transactions/s")
                    continue
                runs.append(await self._run_one(load, observer, swept, bound_tps))
        return runs

    async def _run_one(
        self, load: Load, observer: Observer, rate: float | None, bound_tps: float
    ) -> Run:
        title = "saturation" if rate is None else f"{rate:g} transactions/s"
        with progress(title) as meter:
            window = await self._window(load, observer, rate, meter)
        run = summarise(
            window,
            banks=self._banks,
            cores=self._cores,
            batch_limit=self._batch_limit,
            bound_tps=bound_tps,
        )
        self._tell(
            f"{title}: {run.sealed_tps:.1f} sealed/s, finality p50 {run.finality_ms.p50:.0f} ms, "
            f"p95 {run.finality_ms.p95:.0f} ms"
        )
        return run

    async def _window(
        self, load: Load, observer: Observer, rate: float | None, meter: Meter
    ) -> Window:
        first, first_block = load.used, len(load.blocks)
        overloaded, reconnected = load.overloaded, load.reconnected
        in_flight = None
        begun_s = time.monotonic()
        ramp_s, seconds = self._options.ramp_s, self._options.seconds
        if rate is None:
            in_flight = self._options.in_flight or IN_FLIGHT_BLOCKS * self._batch_limit
            submitting = load.saturating(in_flight, begun_s + ramp_s + seconds)
        else:
            submitting = load.at_rate(rate, begun_s + ramp_s + seconds)
        task = asyncio.create_task(submitting)
        try:
            memory: list[tuple[float, Memory]] = []
            before = await self._sleep_through(task, ramp_s, meter, observer, memory)
            memory.clear()
            after = await self._sleep_through(task, seconds, meter, observer, memory)
            await self._ended(task)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if after.at_s - before.at_s < 1:
            raise CommandFailed(
                f"the workload of {len(self._workload)} transactions was used up before the "
                "window began",
                "prepare more transactions, or ask for fewer seconds",
                EXIT_USAGE,
            )
        drained_s = time.monotonic()
        await load.drain(DRAINED_WITHIN_S, meter)
        return Window(
            mode=SATURATION if rate is None else RATE,
            rate=rate,
            in_flight=in_flight,
            begin_s=before.at_s,
            end_s=after.at_s,
            ramp_s=before.at_s - begun_s,
            drain_s=time.monotonic() - drained_s,
            submissions=load.submissions[first:],
            blocks=load.blocks[first_block:],
            usage=usage(before, after),
            memory=memory,
            bins_per_block=self._bins_per_block(load, first, before.at_s, after.at_s),
            overloaded=load.overloaded - overloaded,
            reconnected=load.reconnected - reconnected,
        )

    async def _sleep_through(
        self,
        task: asyncio.Task[None],
        seconds: float,
        meter: Meter,
        observer: Observer,
        memory: list[tuple[float, Memory]],
    ) -> Snapshot:
        """Wait, or until the load ends early; return a snapshot of that moment."""
        begun_s = sampled_s = time.monotonic()
        every_s = max(LEAST_SAMPLE_S, seconds / MEMORY_SAMPLES)
        while (now_s := time.monotonic()) - begun_s < seconds and not task.done():
            meter(int(now_s - begun_s), int(seconds))
            await asyncio.wait({task}, timeout=min(1.0, seconds - (now_s - begun_s)))
            if time.monotonic() - sampled_s >= every_s:
                sampled_s = time.monotonic()
                memory.append((sampled_s, await asyncio.to_thread(observer.memory)))
        snapshot = await observer.snapshot()
        memory.append((snapshot.at_s, await asyncio.to_thread(observer.memory)))
        return snapshot

    async def _ended(self, task: asyncio.Task[None]) -> None:
        try:
            await task
        except WorkloadUsedUp:
            self._notes.append(
                f"the workload of {len(self._workload)} transactions was used up, which ended a "
                "window early: prepare more"
            )

    def _bins_per_block(self, load: Load, first: int, begin_s: float, end_s: float) -> float:
        """Return how many rings the transactions of a block spend from, of a sample of blocks."""
        by_block: dict[float, list[int]] = {}
        for submission in load.submissions[first:]:
            seen_s = submission.sealed_s
            if seen_s is not None and begin_s <= seen_s < end_s:
                by_block.setdefault(seen_s, []).append(submission.index)
        # Where the sample falls decides nothing; a fixed seed keeps a report reproducible.
        chosen = random.Random(0).sample(
            sorted(by_block.values()), min(SAMPLED_BLOCKS, len(by_block))
        )
        genesis = self._consortium.genesis
        counts = [len(bins_read([load.raw(item) for item in block], genesis)) for block in chosen]
        return sum(counts) / max(1, len(counts))

    # --- reckoning ----------------------------------------------------------------------------

    async def _integrity(self, load: Load) -> Integrity:
        """Look for what was lost, and whether all banks have one ledger."""
        self._tell("comparing the banks")
        height, identical = await self._compare_roots()
        doctor: dict[str, object] | None = None
        if self._options.with_doctor:
            report = await examine(self._consortium, full=False)
            doctor = {
                "clean": report.clean,
                "findings": [str(finding) for finding in report.findings],
                "seconds": round(report.seconds, 1),
            }
        submissions = load.submissions
        return Integrity(
            submitted=len(submissions),
            acknowledged=sum(item.answered_s is not None for item in submissions),
            sealed=sum(item.sealed_s is not None for item in submissions),
            rejected=rejections(submissions),
            lost=sum(item.open and item.answered_s is not None for item in submissions),
            unanswered=sum(item.open and item.answered_s is None for item in submissions),
            duplicated=load.duplicates,
            state_roots_identical=identical,
            height=height,
            doctor=doctor,
        )

    async def _compare_roots(self) -> tuple[int, bool]:
        """Wait until all banks are at one height, and compare their state roots there."""
        begun_s = time.monotonic()
        while True:
            reports = await self._consortium.ask_every_bank(lambda bank: bank.report())
            tips = {
                (0, b"") if isinstance(item, LedgerError) else (item.height, item.state_root)
                for item in reports.values()
            }
            heights = [height for height, _ in tips]
            if min(heights) == max(heights) or time.monotonic() - begun_s > ROOTS_WITHIN_S:
                break
            await asyncio.sleep(POLL_S)
        # A bank that does not answer stands at height 0, as none that has served a load.
        return min(heights), len(tips) == 1 and min(heights) > 0
