"""Gives back to the system what bursts leave behind.

Eleven links that come up together, or the answer to a bank that catches up, need some megabytes for
a moment. The C allocator keeps them: what it gives back by itself is the end of its heap only, and
there by then is some small object that lives for long.
"""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import Callable

EVERY_S = 30.0


async def return_freed_memory(every_s: float = EVERY_S) -> None:
    """Give back what is free, again and again until cancelled; ends at once where libc cannot."""
    trim = _trim()
    while trim is not None:
        await asyncio.sleep(every_s)
        await asyncio.to_thread(trim, 0)


def _trim() -> Callable[[int], int] | None:
    """Return glibc's `malloc_trim`, None where the C library is another."""
    found: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return found
