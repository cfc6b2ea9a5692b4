"""Forgetting the opener's key in the running regulator, once it was split among officers.

`consortium regulator split` removes the file of the whole key. Whoever holds the key in memory must
not outlive it: from then on only officers open and settle.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

logger = logging.getLogger(__name__)

LOOK_S = 0.5


class HoldsOpener(Protocol):
    """A part of the regulator that works with the whole key, and goes on without it."""

    def forget_opener(self) -> None:
        """Drop the key; work that has begun with it may end."""
        ...


class OpenerWatch:
    """Looks whether the key's file is still there."""

    def __init__(self, file: Path, holders: Sequence[HoldsOpener]) -> None:
        self._file = file
        self._holders = holders

    async def run(self) -> None:
        """Return when the key is forgotten; at once where there was none."""
        while True:
            if not self._file.exists():
                break
            await asyncio.sleep(LOOK_S)
        for holder in self._holders:
            holder.forget_opener()
        logger.info("the opener's key is with its officers")
