"""Time as an injected value: the only module of the node that reads a clock."""

from __future__ import annotations

import time
from typing import Protocol

from node.ledger.types import TimeMs


class Clock(Protocol):
    """Wall time for headers and expiry of leases, monotonic time for durations."""

    def wall_ms(self) -> TimeMs:
        """Return milliseconds since the Unix epoch."""
        ...

    def monotonic_s(self) -> float:
        """Return seconds that never run backwards."""
        ...


class SystemClock:
    """The operating system's clocks."""

    def wall_ms(self) -> TimeMs:
        return TimeMs(time.time_ns() // 1_000_000)

    def monotonic_s(self) -> float:
        return time.monotonic()


def unix_us() -> int:
    """Return microseconds since the Unix epoch."""
    return time.time_ns() // 1_000


running_ns = time.perf_counter_ns
"""Nanoseconds that never run backwards, for durations within one process."""
