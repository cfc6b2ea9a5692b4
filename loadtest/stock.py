"""Who submits which transaction: every one of the workload file once, whatever is running.

The process that counts (alone, or the master of several) leases runs of the file in order. So the
order in which transactions are submitted is the file's, but for a few leases, and a block spends
from as many bins as the workload says. Workers may come and go; what a lost one had leased is not
submitted by another, which might submit it twice.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Any

import gevent
from gevent.event import Event
from gevent.lock import BoundedSemaphore
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

LEASE = 64
"""Transactions leased at once: half a second of a bank's work at most."""
ASK = "consortium_lease_asked"
GRANT = "consortium_lease_granted"
LOOK_AHEAD = 32
"""Leases that must be unused after the first unused one: a lost worker leaves a gap."""

logger = logging.getLogger("loadtest")


class UsedUp(Exception):
    """The workload file has no more transactions."""


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


class Stock:
    """Transactions that this process may submit."""

    def __init__(self, environment: Environment, leases: Leases | None) -> None:
        """`leases` is None in a worker, which asks its master."""
        self._environment = environment
        self._leases = leases
        self._waiting: deque[int] = deque()
        self._asked = False
        self._granted = Event()
        self.used_up = False
        runner = environment.runner
        if isinstance(runner, WorkerRunner):
            runner.register_message(GRANT, self._on_grant)
        elif isinstance(runner, MasterRunner):
            runner.register_message(ASK, self._on_ask, concurrent=True)

    def take(self) -> int:
        """Return the index of the next transaction; raises `UsedUp`."""
        while not self._waiting:
            if self.used_up:
                raise UsedUp
            self._order()
            self._granted.wait(5)
        index = self._waiting.popleft()
        if len(self._waiting) < LEASE // 2 and not self.used_up:
            self._order()
        return index

    def _order(self) -> None:
        if self._asked:
            return
        self._asked = True
        self._granted.clear()
        if self._leases is None:
            self._environment.runner.send_message(ASK, {})
            # A master that was restarted has forgotten the question.
            gevent.spawn_later(10, self._forget, self._granted)
        else:
            self._accept(self._leases.take())

    def _forget(self, granted: Event) -> None:
        if not granted.is_set():
            self._asked = False

    def _accept(self, run: range) -> None:
        self._asked = False
        self._waiting.extend(run)
        self.used_up = self.used_up or not run
        self._granted.set()

    def _on_grant(self, environment: Environment, msg: Any, **_: Any) -> None:
        self._accept(range(*msg.data["run"]))

    def _on_ask(self, environment: Environment, msg: Any, **_: Any) -> None:
        assert self._leases is not None, "the master counts"
        run = self._leases.take()
        environment.runner.send_message(GRANT, {"run": [run.start, run.stop]}, msg.node_id)
