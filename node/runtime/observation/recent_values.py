"""Values of the last minute, for percentiles."""

from __future__ import annotations

import math
from collections import deque

VALUES_KEPT = 4_096
"""Of one kind; if there were more within the window, the newest of them stand for all."""


class RecentValues:
    """Durations by the time at which they ended."""

    __slots__ = ("_values",)

    def __init__(self, kept: int = VALUES_KEPT) -> None:
        self._values: deque[tuple[int, int]] = deque(maxlen=kept)
        """(microseconds of the moment, value), oldest first."""

    def add(self, at_us: int, value: int) -> None:
        """Keep a value."""
        self._values.append((at_us, value))

    def since(self, at_us: int) -> list[int]:
        """Return the values from a moment on, sorted; older ones are forgotten."""
        values = self._values
        while values and values[0][0] < at_us:
            values.popleft()
        return sorted([value for _, value in values])


def percentile(ordered: list[int], percent: int) -> int | None:
    """Return the percentile of sorted values by nearest rank, None of none."""
    if not ordered:
        return None
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
