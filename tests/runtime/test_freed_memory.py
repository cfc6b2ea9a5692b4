"""What a burst leaves behind goes back to the system."""

from __future__ import annotations

import asyncio
import weakref

import psutil

from node.runtime.freed_memory import _trim, return_freed_memory
from tests.rpc.waiting import eventually

PIECES = 16_000
PIECE_BYTES = 4_000
BURST_BYTES = PIECES * PIECE_BYTES


class Piece:
    """Part of a cycle."""

    other: Piece


def resident_bytes() -> int:
    return int(psutil.Process().memory_info().rss)


async def test_free_memory_under_an_object_that_lives_on_is_given_back() -> None:
    burst = [bytes(PIECE_BYTES) for _ in range(PIECES)]
    lasting = burst[-1]
    held = resident_bytes()
    del burst
    returning = asyncio.create_task(return_freed_memory(every_s=0.01))
    if _trim() is not None:
        await eventually(lambda: resident_bytes() < held - BURST_BYTES // 2)
    returning.cancel()
    assert len(lasting) == PIECE_BYTES


async def test_old_cycles_are_found() -> None:
    piece = Piece()
    piece.other = piece
    gone = weakref.ref(piece)
    del piece
    returning = asyncio.create_task(return_freed_memory(every_s=0.01))
    await eventually(lambda: gone() is None)
    returning.cancel()
