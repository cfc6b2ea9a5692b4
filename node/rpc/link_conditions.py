"""What is done on purpose to a link: cut, delay, loss (`consortium fault`).

A fault is injected where the network would be, at the edge of this bank: the consensus core never
knows. A link without conditions pays nothing for them.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

HELD_ITEMS = 8_192
"""Items that one line holds back; beyond it the oldest are lost, as in any full buffer."""
CUT = "cut by fault injection"


@dataclass(frozen=True, slots=True)
class LinkConditions:
    """The state of one direction of a link."""

    cut: bool = False
    delay_ms: int = 0
    jitter_ms: int = 0
    """Up to so much is added to the delay, drawn for each item; the order is kept."""
    loss_per_mille: int = 0
    """Share of items that are lost."""

    @property
    def undisturbed(self) -> bool:
        return self == UNDISTURBED


UNDISTURBED = LinkConditions()


class DelayLine(Generic[T]):
    """Holds items back, loses some, and delivers the others in order."""

    def __init__(self, deliver: Callable[[T], None]) -> None:
        self.conditions = UNDISTURBED
        self.lost = 0
        """Items that were lost on purpose, since the node started."""
        self._deliver = deliver
        self._held: deque[tuple[float, T]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._last_due_s = 0.0

    def put(self, item: T) -> None:
        """Take an item; it arrives at once, later, or never. For use in an event loop."""
        conditions = self.conditions
        # By identity first: this is done for every item to every peer.
        if (conditions is UNDISTURBED or conditions.undisturbed) and not self._held:
            self._deliver(item)
            return
        if conditions.cut or random.random() * 1_000 < conditions.loss_per_mille:
            self.lost += 1
            return
        if len(self._held) >= HELD_ITEMS:
            self._held.popleft()
            self.lost += 1
        delay_ms = conditions.delay_ms + random.random() * conditions.jitter_ms
        now_s = asyncio.get_running_loop().time()
        self._last_due_s = max(self._last_due_s, now_s + delay_ms / 1_000)
        self._held.append((self._last_due_s, item))
        self._wait()

    def close(self) -> None:
        """Lose what is held back."""
        self._held.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self) -> None:
        if self._timer is None and self._held:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(self._held[0][0], self._due)

    def _due(self) -> None:
        self._timer = None
        now_s = asyncio.get_running_loop().time()
        while self._held and self._held[0][0] <= now_s:
            self._deliver(self._held.popleft()[1])
        self._wait()
