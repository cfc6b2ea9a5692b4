"""The last ten minutes of the figures that the charts show, one sample a look at the banks."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from node.ledger.types import BankIndex
from node.wire.operator_records import NodeReport

KEPT_MS = 600_000
RATE_WINDOW_MS = 10_000
"""Over which sealed transactions are counted for the rate of now."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What the charts show of one moment."""

    at_ms: int
    sealed_per_second: float
    finality_ms_p50: float | None
    finality_ms_p95: float | None
    mempool: int | None
    """The fullest of all banks: each holds what the others hold, sooner or later."""
    cpu_percent: float | None
    """Of one core, all banks together."""
    resident_bytes: int | None
    """All banks together."""

    def to_json_object(self) -> dict[str, object]:
        """Return every field by name."""
        return asdict(self)


class SealRate:
    """Counts sealed transactions as they are seen."""

    def __init__(self) -> None:
        self._seen: deque[tuple[int, int]] = deque()
        self._begun_ms: int | None = None

    def add(self, at_ms: int, transactions: int) -> None:
        """Count a block that was just seen."""
        self._seen.append((at_ms, transactions))

    def per_second(self, at_ms: int) -> float:
        """Return the mean rate of the last ten seconds, or since the first look."""
        if self._begun_ms is None:
            self._begun_ms = at_ms
        while self._seen and self._seen[0][0] <= at_ms - RATE_WINDOW_MS:
            self._seen.popleft()
        window_ms = min(RATE_WINDOW_MS, max(1_000, at_ms - self._begun_ms))
        return round(1000 * sum(count for _, count in self._seen) / window_ms, 2)


class CpuMeter:
    """CPU time of the banks' processes between two looks."""

    def __init__(self) -> None:
        self._last: dict[BankIndex, tuple[int, int, int]] = {}
        """By bank: process id, when, CPU time in milliseconds."""
        self.percent: dict[BankIndex, float] = {}
        """Of one core, by bank; of those that were seen twice."""

    def take(self, at_ms: int, reports: Mapping[BankIndex, NodeReport]) -> None:
        """Compare new reports with those before."""
        self.percent = {}
        now: dict[BankIndex, tuple[int, int, int]] = {}
        for bank, report in reports.items():
            process = report.process
            before = self._last.get(bank)
            now[bank] = (process.pid, at_ms, process.cpu_ms)
            if before is not None and before[0] == process.pid and at_ms > before[1]:
                spent_ms = process.cpu_ms - before[2]
                self.percent[bank] = round(100 * spent_ms / (at_ms - before[1]), 1)
        self._last = now


def finality(reports: Mapping[BankIndex, NodeReport]) -> tuple[float | None, float | None]:
    """Return p50 and p95 of submission to applied over all banks' clients, in milliseconds.

    Every bank knows the percentiles of its own clients. The median shown is the one in the middle
    by the number of transactions behind each; the p95 is the worst of them.
    """
    known = sorted(
        (performance.finality_ms_p50, performance.finality_ms_p95, performance.window_transactions)
        for performance in (report.performance for report in reports.values())
        if performance.finality_ms_p50 is not None
    )
    if not known:
        return None, None
    half, counted = sum(count for _, _, count in known) / 2, 0
    middle = known[-1][0]
    for median, _, count in known:
        counted += count
        if counted >= half:
            middle = median
            break
    return middle, max((worst for _, worst, _ in known if worst is not None), default=None)


def take_sample(
    at_ms: int, rate: SealRate, cpu: CpuMeter, reports: Mapping[BankIndex, NodeReport]
) -> Sample:
    """Put a sample together from the newest reports."""
    median_ms, worst_ms = finality(reports)
    return Sample(
        at_ms=at_ms,
        sealed_per_second=rate.per_second(at_ms),
        finality_ms_p50=median_ms,
        finality_ms_p95=worst_ms,
        mempool=max((item.mempool.transactions for item in reports.values()), default=None),
        cpu_percent=round(sum(cpu.percent.values()), 1) if cpu.percent else None,
        resident_bytes=sum(item.process.resident_bytes for item in reports.values()) or None,
    )
