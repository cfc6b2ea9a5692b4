"""The report of a throughput measurement: its fields, and how they follow from what was seen.

Everything is counted within a window that begins after a ramp. The rate of sealed transactions is
taken from block to block, from the last one before the window to the first one after it, so that
the edges of the window cut no block in two and hide no pause. Latencies are of the transactions
that were due in the window, whenever they were sealed.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from node.cli.benchmark_verification import VerificationCost
from node.cli.failure import EXIT_USAGE, CommandFailed
from node.cli.throughput_load import SealedBlock, Submission
from node.cli.throughput_observation import BANK_CATEGORIES, Memory, Usage

SCHEMA = "consortium/throughput/1"
SATURATION = "saturation"
RATE = "rate"
SEGMENTS = 10
"""Parts of a window whose rates tell how much the rate of the whole scatters."""
HISTOGRAM_BARS = 40
MOST_STEPS = 120
"""Points of a series: longer windows have longer steps."""
GROWTH_SHARE = 0.1
"""Of the samples of the last half, at each end: their medians are compared."""
LEAST_SAMPLES = 10
"""Of memory in the last half: of fewer, nothing is said about growth."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """Milliseconds."""

    count: int
    mean: float
    p50: float
    p95: float
    p99: float
    maximum: float

    @staticmethod
    def of(values: Sequence[float]) -> Distribution:
        """Zeros if there are no values."""
        ordered = sorted(values)
        if not ordered:
            return Distribution(0, 0.0, 0.0, 0.0, 0.0, 0.0)
        return Distribution(
            count=len(ordered),
            mean=round(statistics.fmean(ordered), 1),
            p50=round(quantile(ordered, 0.50), 1),
            p95=round(quantile(ordered, 0.95), 1),
            p99=round(quantile(ordered, 0.99), 1),
            maximum=round(ordered[-1], 1),
        )


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share of ascending values does not exceed."""
    assert ordered, "an empty list has no quantiles"
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of values from each edge up to the next; no value is beyond the last edge."""

    edges_ms: tuple[float, ...]
    counts: tuple[int, ...]

    @staticmethod
    def of(values: Sequence[float]) -> Histogram:
        """Bars of one round width."""
        top = max(values, default=0.0)
        width = _round_width(top / HISTOGRAM_BARS)
        counts = [0] * (int(top // width) + 1)
        for value in values:
            counts[int(value // width)] += 1
        edges = tuple([round(width * number, 3) for number in range(len(counts) + 1)])
        return Histogram(edges, tuple(counts))


def _round_width(least: float) -> float:
    """Return 1, 2 or 5 times a power of ten that is no smaller, and at least 1."""
    power = 1.0
    while True:
        for digit in (1, 2, 5):
            if digit * power >= least:
                return digit * power
        power *= 10


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a window."""

    begin_s: int
    """Into the window."""
    sealed: int
    """Transactions in the blocks seen in it."""
    finality_p50_ms: float | None
    """Of what was sealed in it; None if nothing was."""
    finality_p95_ms: float | None


@dataclass(frozen=True, slots=True)
class Blocks:
    """The blocks of the window."""

    count: int
    fill: float
    """Transactions a block, on average."""
    fill_percent: float
    """Of the largest block that the genesis allows."""
    interval_p50_ms: float
    after_view_change: int
    """Proposed in a view after the first of their height."""
    bins: float
    """Rings that a block touches, on average of a sample."""
    bytes: float
    """Canonical block without its transactions, on average."""


@dataclass(frozen=True, slots=True)
class PerTransaction:
    """What one sealed transaction cost, at all banks together."""

    cpu_ms: dict[str, float]
    """By `BANK_CATEGORIES`; `banks` is their sum; then `client`, `supervisor`, `elsewhere`."""
    peers_bytes: float
    clients_bytes: float
    loopback_bytes: float
    database_bytes: float
    """At one bank."""


@dataclass(frozen=True, slots=True)
class Window:
    """What was seen in one window."""

    mode: str
    rate: float | None
    """Asked for, transactions a second; None at saturation."""
    in_flight: int | None
    """Bound on what is under way at saturation."""
    begin_s: float
    end_s: float
    ramp_s: float
    drain_s: float
    submissions: Sequence[Submission]
    """All of the run, ramp included."""
    blocks: Sequence[SealedBlock]
    usage: Usage
    memory: Sequence[tuple[float, Memory]]
    """At times of `time.monotonic`, the last one at the end."""
    bins_per_block: float
    overloaded: int
    reconnected: int


@dataclass(frozen=True, slots=True)
class Run:
    """The figures of one window."""

    mode: str
    rate: float | None
    in_flight: int | None
    seconds: float
    ramp_seconds: float
    drain_seconds: float
    submitted: int
    """Due in the window."""
    sealed: int
    """In blocks seen in the window."""
    sealed_tps: float
    sealed_tps_error: float
    """Standard error, from the scatter within the window."""
    fraction_of_crypto_bound: float
    finality_ms: Distribution
    """From the time it was due until the client saw it sealed."""
    admission_ms: Distribution
    """From the time it was due until its bank acknowledged it."""
    per_transaction: PerTransaction
    verification_ms: float
    """CPU of one bank for one transaction under load, as the banks account for it."""
    verification_fill: float
    """Transactions in a verification batch, on average."""
    busy_percent: float
    """Of all processors of the machine, by everything on it."""
    memory_bytes: dict[str, int | bool]
    """At the end of the window."""
    memory_series: tuple[tuple[float, int], ...]
    """Seconds into the window, and bytes of everything."""
    memory_growth_percent: float | None
    """In the last half of the window; None if it was too short to tell."""
    blocks: Blocks
    overloaded: int
    reconnected: int
    series_step_s: int
    series: tuple[Step, ...]
    finality_histogram: Histogram
    block_times: tuple[tuple[float, int], ...]
    """Seconds into the window at which each block was seen, and its transactions."""


@dataclass(frozen=True, slots=True)
class Integrity:
    """Whether everything that a bank acknowledged is there, once, at every bank."""

    submitted: int
    acknowledged: int
    sealed: int
    rejected: dict[str, int]
    """Final refusals by reason."""
    lost: int
    """Acknowledged, and neither sealed nor rejected by name."""
    unanswered: int
    """Never acknowledged, and neither sealed nor rejected."""
    duplicated: int
    state_roots_identical: bool
    height: int
    doctor: dict[str, object] | None
    """Clean, findings and seconds; None if the doctor was not asked."""

    @property
    def held(self) -> bool:
        """Whether nothing is wrong."""
        clean = self.doctor is None or bool(self.doctor["clean"])
        nothing_missing = not (self.lost or self.unanswered or self.duplicated)
        return nothing_missing and self.state_roots_identical and clean


@dataclass(frozen=True, slots=True)
class QueryTime:
    """How long a client waited for one kind of answer, in milliseconds."""

    p50_ms: float
    p95_ms: float

    @staticmethod
    def of(values_ms: Sequence[float]) -> QueryTime:
        """Return the quantiles of at least one value."""
        ordered = sorted(values_ms)
        return QueryTime(round(quantile(ordered, 0.50), 2), round(quantile(ordered, 0.95), 2))


@dataclass(frozen=True, slots=True)
class ScanRate:
    """A wallet that looks through notes of others (IDX1 3.3)."""

    outputs: int
    """Scanned."""
    cpu_us: float
    """CPU time of one, the running hash over the list included."""
    outputs_per_s: int
    """On one core, of notes that were read before."""
    with_reading_per_s: int
    """Of notes that one bank lists first."""


@dataclass(frozen=True, slots=True)
class Queries:
    """Measured after the windows, at rest, over one connection to one bank."""

    samples: int
    """Of each question."""
    page_records: int
    """At most; the pages are of what the windows added to the ledger."""
    times: dict[str, QueryTime]
    """By question."""
    scan: ScanRate


@dataclass(frozen=True, slots=True)
class LedgerSize:
    """How much the ledger holds."""

    height: int
    notes: int
    nullifiers: int
    closed_bins: int
    database_bytes: int
    """Of one bank, on average."""


@dataclass(frozen=True, slots=True)
class Report:
    """A whole measurement."""

    started_at: str
    machine: dict[str, Any]
    software: dict[str, Any]
    consortium: dict[str, Any]
    workload: dict[str, Any]
    crypto: VerificationCost
    crypto_bound_tps: float
    """What the machine verified a second if it did nothing else, with every bank verifying."""
    runs: tuple[Run, ...]
    integrity: Integrity
    notes: tuple[str, ...] = field(default=())
    """What whoever reads the figures must know of this run."""
    ledger_before: LedgerSize | None = None
    """Before the first window."""
    ledger_after: LedgerSize | None = None
    """After the last window."""
    queries: Queries | None = None
    """None if nothing was sealed that could be asked for."""

    def to_json_object(self) -> dict[str, Any]:
        """Return every field by name."""
        return {"schema": SCHEMA, **asdict(self)}


def disk_bytes(before: LedgerSize, after: LedgerSize) -> float | None:
    """Return what a payment added to each database, from before the first window to the end.

    Every payment of a workload spends one note. None if nothing was sealed.
    """
    payments = after.nullifiers - before.nullifiers
    return (after.database_bytes - before.database_bytes) / payments if payments else None


def crypto_bound_tps(cost_ms: float, banks: int, cores: int) -> float:
    """Return how many transactions a second so many cores verify for so many banks."""
    return 1000 * cores / (banks * cost_ms)


def summarise(window: Window, *, banks: int, cores: int, batch_limit: int, bound_tps: float) -> Run:
    """Return the figures of a window."""
    seconds = window.end_s - window.begin_s
    blocks = [item for item in window.blocks if window.begin_s <= item.seen_s < window.end_s]
    due = [item for item in window.submissions if window.begin_s <= item.due_s < window.end_s]
    sealed_tps = sealed_rate(window.blocks, window.begin_s, window.end_s)
    finality_ms = [1e3 * (item.sealed_s - item.due_s) for item in due if item.sealed_s is not None]
    admission_ms = [
        1e3 * (item.answered_s - item.due_s) for item in due if item.answered_s is not None
    ]
    usage, memory = window.usage, window.memory[-1][1]
    memory_series = [(at_s - window.begin_s, item.total) for at_s, item in window.memory]
    step_s = max(1, math.ceil(seconds / MOST_STEPS))
    return Run(
        mode=window.mode,
        rate=window.rate,
        in_flight=window.in_flight,
        seconds=round(seconds, 3),
        ramp_seconds=round(window.ramp_s, 3),
        drain_seconds=round(window.drain_s, 3),
        submitted=len(due),
        sealed=sum(item.transactions for item in blocks),
        sealed_tps=round(sealed_tps, 2),
        sealed_tps_error=round(_standard_error(blocks, window.begin_s, window.end_s), 2),
        fraction_of_crypto_bound=round(sealed_tps / bound_tps, 4),
        finality_ms=Distribution.of(finality_ms),
        admission_ms=Distribution.of(admission_ms),
        per_transaction=_per_transaction(usage, sealed_tps * usage.seconds, banks),
        verification_ms=round(usage.cpu_ms["verify"] / max(1, usage.verified), 4),
        verification_fill=round(usage.verified / max(1, usage.verification_batches), 1),
        busy_percent=_busy_percent(usage, cores),
        memory_bytes={**asdict(memory), "total": memory.total},
        memory_series=tuple([(round(at_s, 1), total) for at_s, total in memory_series]),
        memory_growth_percent=growth_percent(memory_series),
        blocks=_blocks(blocks, batch_limit, window.bins_per_block),
        overloaded=window.overloaded,
        reconnected=window.reconnected,
        series_step_s=step_s,
        series=_series(blocks, window, step_s),
        finality_histogram=Histogram.of(finality_ms),
        block_times=tuple(
            [(round(item.seen_s - window.begin_s, 3), item.transactions) for item in blocks]
        ),
    )


def sealed_rate(blocks: Sequence[SealedBlock], begin_s: float, end_s: float) -> float:
    """Return transactions a second from the last block before a window to the first one after it.

    `blocks` are all that were seen. Where there is none before or after, the window's edge counts.
    """
    before = [item.seen_s for item in blocks if item.seen_s < begin_s]
    after = [item.seen_s for item in blocks if item.seen_s >= end_s]
    first_s = max(before, default=begin_s)
    last_s = min(after, default=end_s)
    counted = sum(item.transactions for item in blocks if first_s < item.seen_s <= last_s)
    return counted / (last_s - first_s)


def _standard_error(blocks: Sequence[SealedBlock], begin_s: float, end_s: float) -> float:
    """By batch means: neighbouring blocks are not independent, tenths of a window nearly are."""
    width_s = (end_s - begin_s) / SEGMENTS
    counts = [0] * SEGMENTS
    for item in blocks:
        counts[min(SEGMENTS - 1, int((item.seen_s - begin_s) / width_s))] += item.transactions
    return statistics.stdev(counts) / width_s / math.sqrt(SEGMENTS)


def _per_transaction(usage: Usage, transactions: float, banks: int) -> PerTransaction:
    count = max(1.0, transactions)
    cpu_ms = {name: round(spent / count, 3) for name, spent in usage.cpu_ms.items()}
    cpu_ms["banks"] = round(usage.banks_cpu_ms / count, 3)
    return PerTransaction(
        cpu_ms=cpu_ms,
        peers_bytes=round(usage.peers_bytes / count, 1),
        clients_bytes=round(usage.clients_bytes / count, 1),
        loopback_bytes=round(usage.loopback_bytes / count, 1),
        database_bytes=round(usage.database_bytes / count / banks, 1),
    )


def _busy_percent(usage: Usage, cores: int) -> float:
    return round(sum(usage.cpu_ms.values()) / (10 * usage.seconds * cores), 1)


def _blocks(blocks: Sequence[SealedBlock], batch_limit: int, bins: float) -> Blocks:
    count = len(blocks)
    fill = sum(item.transactions for item in blocks) / max(1, count)
    gaps_ms = [1e3 * (later.seen_s - item.seen_s) for item, later in pairwise(blocks)]
    return Blocks(
        count=count,
        fill=round(fill, 1),
        fill_percent=round(100 * fill / batch_limit, 1),
        interval_p50_ms=round(statistics.median(gaps_ms), 1) if gaps_ms else 0.0,
        after_view_change=sum(item.view > 0 for item in blocks),
        bins=round(bins, 1),
        bytes=round(sum(item.bytes for item in blocks) / max(1, count), 1),
    )


def growth_percent(memory: Sequence[tuple[float, int]]) -> float | None:
    """Return how much the total grew in the last half of the window; None for too few samples."""
    middle_s = memory[-1][0] / 2
    half = [total for at_s, total in memory if at_s >= middle_s]
    if len(half) < LEAST_SAMPLES:
        return None
    width = max(1, int(GROWTH_SHARE * len(half)))
    before, after = statistics.median(half[:width]), statistics.median(half[-width:])
    return round(100 * (after - before) / before, 2)


def _series(blocks: Sequence[SealedBlock], window: Window, step_s: int) -> tuple[Step, ...]:
    count = math.ceil((window.end_s - window.begin_s) / step_s)
    sealed = [0] * count
    for item in blocks:
        sealed[int((item.seen_s - window.begin_s) / step_s)] += item.transactions
    latencies: list[list[float]] = [[] for _ in range(count)]
    for submission in window.submissions:
        seen_s = submission.sealed_s
        if seen_s is not None and window.begin_s <= seen_s < window.end_s:
            step = int((seen_s - window.begin_s) / step_s)
            latencies[step].append(1e3 * (seen_s - submission.due_s))
    return tuple(
        [
            Step(
                begin_s=number * step_s,
                sealed=sealed[number],
                finality_p50_ms=_quantile_or_none(latencies[number], 0.50),
                finality_p95_ms=_quantile_or_none(latencies[number], 0.95),
            )
            for number in range(count)
        ]
    )


def _quantile_or_none(values: Sequence[float], share: float) -> float | None:
    return round(quantile(sorted(values), share), 1) if values else None


def read_report(path: Path) -> dict[str, Any]:
    """Read a report as JSON; raises `CommandFailed` if the file holds none."""
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CommandFailed(f"{path} cannot be read: {error.strerror}", "", EXIT_USAGE) from error
    except ValueError as error:
        raise CommandFailed(f"{path} is no JSON: {error}", _MAKE_ONE, EXIT_USAGE) from error
    if not isinstance(report, Mapping) or report.get("schema") != SCHEMA:
        raise CommandFailed(f"{path} is no report of schema {SCHEMA}", _MAKE_ONE, EXIT_USAGE)
    return dict(report)


_MAKE_ONE = "make one with `consortium bench throughput --json`"


def report_lines(report: Report) -> list[str]:
    """Return the report as a person reads it."""
    workload, crypto, software = report.workload, report.crypto, report.software
    lines = [
        f"machine: {report.machine['cpu']}, {report.machine['cores']} cores, Python "
        f"{software['python']}, PostgreSQL {software['postgres']}, code "
        f"{software['commit'] or software['consortium']}",
        f"workload {workload['name']}, ring base {workload['ring_base']}, at most "
        f"{workload['bins_per_block']} bins in {crypto.batch} transactions; "
        f"{report.consortium['banks']} banks, all verify everything",
        f"verification alone: {crypto.minimum_ms:.3f} ms of CPU a transaction (median "
        f"{crypto.median_ms:.3f}), in batches of {crypto.batch} over {crypto.bins} bins; bound "
        f"{report.crypto_bound_tps:.1f} transactions/s",
    ]
    for run in report.runs:
        lines += ["", *_run_lines(run)]
    lines += ["", *_query_lines(report)]
    return [*lines, "", *_integrity_lines(report.integrity), *report.notes]


def _run_lines(run: Run) -> list[str]:
    title = "saturation" if run.rate is None else f"{run.rate:g} transactions/s"
    cpu = run.per_transaction.cpu_ms
    split = ", ".join(f"{name.replace('_', ' ')} {cpu[name]:.2f}" for name in BANK_CATEGORIES)
    finality, admission = run.finality_ms, run.admission_ms
    return [
        f"{title}: {run.sealed_tps:.1f} sealed/s (± {run.sealed_tps_error:.1f}) over "
        f"{run.seconds:.0f} s, {100 * run.fraction_of_crypto_bound:.0f} % of the crypto bound",
        f"  finality p50 {finality.p50:.0f}, p95 {finality.p95:.0f}, p99 {finality.p99:.0f}, "
        f"max {finality.maximum:.0f} ms; admission p50 {admission.p50:.0f}, "
        f"p95 {admission.p95:.0f} ms",
        f"  CPU ms a transaction at all banks: {cpu['banks']:.2f} ({split}); load client "
        f"{cpu['client']:.2f}, other work {cpu['elsewhere']:.2f}",
        f"  {run.blocks.count} blocks of {run.blocks.fill:.1f} transactions over "
        f"{run.blocks.bins:.1f} bins, {run.blocks.after_view_change} after a view change; batches "
        f"of {run.verification_fill:.1f} verified",
        f"  bytes a transaction: {run.per_transaction.peers_bytes:.0f} between banks, "
        f"{run.per_transaction.database_bytes:.0f} in each database; memory "
        f"{run.memory_bytes['total'] / 2**20:.0f} MiB{_growth_text(run)}; {run.overloaded} told to "
        "come back",
    ]


def _query_lines(report: Report) -> list[str]:
    size, queries = report.ledger_after, report.queries
    lines = []
    if size is not None:
        lines.append(
            f"ledger: {size.height} blocks, {size.notes} notes, {size.nullifiers} nullifiers; "
            f"{size.database_bytes / 2**20:.0f} MiB in each database{_disk_text(report)}"
        )
    if queries is not None:
        times = ", ".join(
            f"{name} {item.p50_ms:.1f} / {item.p95_ms:.1f}" for name, item in queries.times.items()
        )
        scan = queries.scan
        lines += [
            f"queries at rest, p50 / p95 ms: {times}",
            f"wallet scan: {scan.outputs_per_s} outputs/s on one core ({scan.cpu_us:.1f} us each), "
            f"{scan.with_reading_per_s} with reading them from one bank",
        ]
    return lines


def _disk_text(report: Report) -> str:
    if report.ledger_before is None or report.ledger_after is None:
        return ""
    added = disk_bytes(report.ledger_before, report.ledger_after)
    return "" if added is None else f", {added / 1000:.1f} kB more for each payment"


def _growth_text(run: Run) -> str:
    growth = run.memory_growth_percent
    return "" if growth is None else f" ({growth:+.1f} % in the last half)"


def _integrity_lines(integrity: Integrity) -> list[str]:
    reasons = ", ".join(f"{count} {reason}" for reason, count in integrity.rejected.items())
    doctor = integrity.doctor
    verdict = "was not asked" if doctor is None else ("clean" if doctor["clean"] else "NOT clean")
    roots = "identical" if integrity.state_roots_identical else "NOT identical"
    return [
        f"{integrity.acknowledged} acknowledged, {integrity.sealed} sealed, rejected: "
        f"{reasons or 'none'}, lost: {integrity.lost}, unanswered: {integrity.unanswered}, "
        f"twice: {integrity.duplicated}",
        f"state roots {roots} at height {integrity.height}, doctor: {verdict}",
    ]
