"""Who submits which transaction: every one of the workload file once, whatever is running.

The process that counts (alone, or the master of several) leases runs of the file in order. So the
order in which transactions are submitted is the file's, but for a few leases, and a block spends
from as many bins as the workload says. Workers may come and go; what a lost one had leased is not
submitted by another, which might submit it twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from gevent.lock import BoundedSemaphore

LEASE = 16
"""Transactions leased at once: few, for nobody submits what is left of the last leases."""
LOOK_AHEAD = 64
"""Leases that must be unused after the first unused one: a lost worker leaves a gap."""

logger = logging.getLogger("loadtest")


def first_unused(count: int, is_known: Callable[[int], bool]) -> int:
    """Return where to go on in a file of which an earlier run has used the beginning.

    `is_known` says whether the ledger knows the transaction of an index. The result is a multiple
    of `LEASE`, or `count` if none is left.
    """
    leases = -(-count // LEASE)

    def used(lease: int) -> bool:
        first = lease * LEASE
        last = min(first + LEASE, count) - 1
        return is_known(first) or is_known(last)

    low, high = 0, leases
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if used(middle) else (low, middle)
    ahead = low
    while ahead < min(low + LOOK_AHEAD, leases):
        if used(ahead):
            low = ahead + 1
        ahead += 1
    return min(low * LEASE, count)


class Leases:
    """The next run of the file that nobody has; lives in the process that counts."""

    def __init__(self, count: int, find_start: Callable[[], int]) -> None:
        self._count = count
        self._find_start = find_start
        self._next: int | None = None
        self._looking = BoundedSemaphore()

    def begin(self) -> int:
        """Find where to begin, and return it."""
        with self._looking:
            return self._begin()

    def _begin(self) -> int:
        if self._next is None:
            self._next = self._find_start()
            logger.info("beginning with transaction %d of %d", self._next, self._count)
        return self._next

    def take(self) -> range:
        """Return the next run, empty when the file is used up."""
        with self._looking:
            first = self._begin()
            run = range(first, min(first + LEASE, self._count))
            self._next = run.stop
            return run
