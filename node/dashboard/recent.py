"""Answers that are given again for a second, so that many viewers of one page cost one question."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")

KEPT_S = 1.0
AT_ONCE = 8
"""Questions that are being answered; the others wait, so that their memory has a bound."""


class RecentAnswers:
    """Keeps answers for a second; who asks while one is being made waits for the same one."""

    def __init__(self, *, kept_s: float = KEPT_S, at_once: int = AT_ONCE) -> None:
        self._kept_s = kept_s
        self._answers: dict[Hashable, asyncio.Future[Any]] = {}
        self._room = asyncio.Semaphore(at_once)

    def __len__(self) -> int:
        return len(self._answers)

    async def get(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        """Return the answer to a question, new or of the last second; raises what `make` does.

        Questions of different keys may ask one another only through `get_part`.
        """
        return await self._get(key, self._in_turn(make))

    async def get_part(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        """Return an answer that others are made of: it waits for no turn of its own."""
        return await self._get(key, make)

    async def _get(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        found = self._answers.get(key)
        if found is None:
            found = asyncio.ensure_future(make())
            self._answers[key] = found
            found.add_done_callback(lambda answer: self._forget_later(key, answer))
        # Whoever leaves must not end the question of the others.
        answer: T = await asyncio.shield(found)
        return answer

    def _in_turn(self, make: Callable[[], Awaitable[T]]) -> Callable[[], Awaitable[T]]:
        async def made() -> T:
            async with self._room:
                return await make()

        return made

    def _forget_later(self, key: Hashable, answer: asyncio.Future[Any]) -> None:
        if not answer.cancelled():
            # Nobody may be left who asked.
            answer.exception()
        loop = asyncio.get_running_loop()
        loop.call_later(self._kept_s, self._answers.pop, key, None)
