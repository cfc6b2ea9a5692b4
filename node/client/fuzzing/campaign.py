"""Many hostile messages against a running consortium, and the account of them."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from node.client.fuzzing.delivery import ACCEPTED, Delivery, Outcome
from node.client.fuzzing.generation import FuzzMessage, Generator
from node.client.fuzzing.verdict import fault_in

MAX_FAULTS = 100
"""Wrong answers that are kept in full; more are only counted."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A message that was answered as none may be."""

    message: FuzzMessage
    outcome: Outcome
    text: str


@dataclass(slots=True)
class Tally:
    """What became of the messages of one method and kind."""

    sent: int = 0
    accepted: int = 0
    """Taken, and without effect: the observation of the banks must confirm it."""
    refused: Counter[str] = field(default_factory=Counter)
    """By status and reason."""


@dataclass(slots=True)
class Account:
    """The result of a campaign."""

    tallies: dict[tuple[str, str], Tally] = field(default_factory=dict)
    """By method and kind."""
    mutations: Counter[str] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)
    fault_count: int = 0
    transactions: set[bytes] = field(default_factory=set)
    """Ids of all that were sent."""

    @property
    def sent(self) -> int:
        return sum(tally.sent for tally in self.tallies.values())

    def add(self, message: FuzzMessage, outcome: Outcome) -> None:
        """Count one message."""
        tally = self.tallies.setdefault((message.method, message.kind), Tally())
        tally.sent += 1
        self.mutations[message.mutation] += 1
        self.transactions |= message.transactions
        if outcome.status == ACCEPTED:
            tally.accepted += 1
        else:
            tally.refused[f"{outcome.status} {outcome.reason}".strip()] += 1
        fault = fault_in(outcome)
        if fault is not None:
            self.fault_count += 1
            if len(self.faults) < MAX_FAULTS:
                self.faults.append(Fault(message, outcome, fault))


async def run(
    generator: Generator,
    delivery: Delivery,
    messages: int,
    *,
    first: int = 0,
    workers: int = 8,
    meter: Callable[[int, int], None] = lambda done, total: None,
) -> Account:
    """Send messages `first` to `first + messages - 1`, several at a time; return the account."""
    account = Account()
    indices = itertools.count(first)

    async def work() -> None:
        for index in indices:
            if index >= first + messages:
                return
            message = generator.message(index)
            account.add(message, await delivery.send(message))
            meter(account.sent, messages)

    async with asyncio.TaskGroup() as group:
        for _ in range(min(workers, messages)):
            group.create_task(work())
    return account
