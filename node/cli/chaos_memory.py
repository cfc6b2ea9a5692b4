"""Whether the banks' memory grows while they are broken and mended."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

from node.wire.operator_records import NodeReport

SAMPLE_INTERVAL_S = 5.0
WARM_SHARE = 0.2
"""Of a process's samples: while its caches fill, growth says nothing."""
COMPARED_SHARE = 0.1
"""The first and the last tenth of what remains are compared, by their medians."""
LEAST_SAMPLES = 30


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

    def growth_percent(self) -> float | None:
        """Return the growth of the process that grew most; None if none lived long enough."""
        grown = [
            _growth_percent(samples)
            for samples in self._samples.values()
            if len(samples) >= LEAST_SAMPLES
        ]
        return max(grown, default=None)


def _growth_percent(samples: list[int]) -> float:
    warm = samples[int(len(samples) * WARM_SHARE) :]
    width = max(1, int(len(warm) * COMPARED_SHARE))
    before, after = statistics.median(warm[:width]), statistics.median(warm[-width:])
    return 100 * (after - before) / before
