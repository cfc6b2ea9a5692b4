"""Answers that are given again for a second, so that many viewers of one page cost one question."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")

KEPT_S = 1.0
MAX_KEPT = 32


class RecentAnswers:
    """Keeps answers for a second; who asks while one is being made waits for the same one."""

    def __init__(self, *, kept_s: float = KEPT_S, limit: int = MAX_KEPT) -> None:
        self._kept_s = kept_s
        self._limit = limit
        self._answers: OrderedDict[Hashable, tuple[float, asyncio.Future[Any]]] = OrderedDict()

    async def get(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        """Return the answer to a question, new or of the last second; raises what `make` does."""
        found = self._answers.get(key)
        now_s = time.monotonic()
        if found is None or (found[1].done() and found[0] + self._kept_s < now_s):
            found = now_s, asyncio.ensure_future(make())
            self._answers[key] = found
            self._answers.move_to_end(key)
            while len(self._answers) > self._limit:
                self._answers.popitem(last=False)
        # Whoever leaves must not end the question of the others.
        answer: T = await asyncio.shield(found[1])
        return answer
