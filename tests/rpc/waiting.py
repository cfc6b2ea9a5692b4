"""Waiting for what another task or process brings about, without guessing how long it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

LIMIT_S = 10.0
"""Far beyond what a loaded machine needs; reached only when the condition never comes true."""


async def eventually(condition: Callable[[], object]) -> None:
    """Return once the condition holds; raises `TimeoutError` if it never does."""
    async with asyncio.timeout(LIMIT_S):
        while not condition():  # noqa: ASYNC110 (the conditions have no event of their own)
            await asyncio.sleep(0.005)
