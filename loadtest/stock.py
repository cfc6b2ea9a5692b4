"""The transactions that one process may submit: leased here, or by the master of several."""

from __future__ import annotations

from collections import deque
from typing import Any

import gevent
from gevent.event import Event
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from loadtest.leases import LEASE, Leases

ASK = "consortium_lease_asked"
GRANT = "consortium_lease_granted"


class UsedUp(Exception):
    """The workload file has no more transactions."""


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
