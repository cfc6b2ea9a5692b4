"""Values of the last minute, for percentiles."""

from __future__ import annotations

import math
from array import array

VALUES_KEPT = 4_096
"""Of one kind; if there were more within the window, the newest of them stand for all."""


class RecentValues:
    """Numbers by the time at which they came up; sixteen bytes each."""

    __slots__ = ("_at_us", "_kept", "_next", "_values")

    def __init__(self, kept: int = VALUES_KEPT) -> None:
        self._kept = kept
        self._next = 0
        self._at_us = array("q")
        self._values = array("q")

    def add(self, at_us: int, value: int) -> None:
        """Keep a value, in place of the oldest one if there is no more room."""
        if len(self._values) < self._kept:
            self._at_us.append(at_us)
            self._values.append(value)
            return
        self._at_us[self._next] = at_us
        self._values[self._next] = value
        self._next = (self._next + 1) % self._kept

    def since(self, at_us: int) -> list[int]:
        """Return the values from a moment on, sorted."""
        pairs = zip(self._at_us, self._values, strict=True)
        return sorted([value for moment_us, value in pairs if moment_us >= at_us])


def percentile(ordered: list[int], percent: int) -> int | None:
    """Return the percentile of sorted values by nearest rank, None of none."""
    if not ordered:
        return None
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
