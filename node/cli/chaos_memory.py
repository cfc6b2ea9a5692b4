"""Whether the banks' memory grows while they are broken and mended."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from node.wire.operator_records import NodeReport

SAMPLE_INTERVAL_S = 5.0
WARM_SHARE = 0.2
"""Of a process's samples: while its caches fill, growth says nothing."""
COMPARED_SHARE = 0.1
"""The first and the last tenth of what remains are compared, by their medians."""
LEAST_SAMPLES = 30


@dataclass(frozen=True, slots=True)
class MemoryGrowth:
    """Of resident memory, in percent."""

    all_banks: float
    most: float
    """Of the process that grew most."""


class MemoryWatch:
    """Samples resident memory by process: a bank that was killed begins anew."""

    def __init__(self) -> None:
        self._samples: dict[int, list[int]] = {}
        self._last_s = -SAMPLE_INTERVAL_S

    def take(self, elapsed_s: float, reports: Iterable[NodeReport]) -> None:
        """Take a sample of every bank that answers, if it is time for one."""
        if elapsed_s - self._last_s < SAMPLE_INTERVAL_S:
            return
        self._last_s = elapsed_s
        for report in reports:
            self._samples.setdefault(report.process.pid, []).append(report.process.resident_bytes)

    def growth(self) -> MemoryGrowth | None:
        """Return the growth of what lived long enough to tell; None if nothing did."""
        grown = [
            _before_and_after(samples)
            for samples in self._samples.values()
            if len(samples) >= LEAST_SAMPLES
        ]
        if not grown:
            return None
        before, after = (sum(sizes) for sizes in zip(*grown, strict=True))
        return MemoryGrowth(_percent(before, after), max(_percent(*sizes) for sizes in grown))


def _before_and_after(samples: list[int]) -> tuple[float, float]:
    warm = samples[int(len(samples) * WARM_SHARE) :]
    width = max(1, int(len(warm) * COMPARED_SHARE))
    return statistics.median(warm[:width]), statistics.median(warm[-width:])


def _percent(before: float, after: float) -> float:
    return round(100 * (after - before) / before, 2)
