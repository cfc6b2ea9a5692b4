"""Gives back to the system what bursts leave behind.

A link that ended leaves some hundred kilobytes in cycles of Python objects that hold what gRPC
allocated, and Python looks for such old cycles only when its objects have grown by a quarter. And
the C allocator gives back by itself the end of its heap only, where by then is some small object
that lives for long.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
from collections.abc import Callable

EVERY_S = 60.0


async def return_freed_memory(every_s: float = EVERY_S) -> None:
    """Find garbage and give back what is free, again and again until cancelled."""
    trim = _trim()
    while True:
        await asyncio.sleep(every_s)
        gc.collect()
        if trim is not None:
            await asyncio.to_thread(trim, 0)


def _trim() -> Callable[[int], int] | None:
    """Return glibc's `malloc_trim`, None where the C library is another."""
    found: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return found
