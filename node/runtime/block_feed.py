"""Tells whoever waits that another block was applied."""

from __future__ import annotations

import asyncio

from node.ledger.types import Height


class BlockFeed:
    """The last applied height, awaitable."""

    def __init__(self, height: Height) -> None:
        self._height = height
        self._changed = asyncio.Event()

    @property
    def height(self) -> Height:
        return self._height

    def applied(self, height: Height) -> None:
        """Wake everybody who waits for this height or a lower one."""
        self._height = height
        self._changed.set()
        self._changed = asyncio.Event()

    async def beyond(self, height: Height) -> Height:
        """Wait until a block above `height` is applied and return the last height."""
        while self._height <= height:
            await self._changed.wait()
        return self._height
