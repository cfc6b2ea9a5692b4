"""Streams of events: serialised once, and nobody waits for a slow viewer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from node.dashboard.broadcast import MAX_WAITING_EVENTS, Broadcast
from node.dashboard.errors import PageError


def begin(session: str | None) -> bytes:
    return b"now of an operator" if session else b"now of anybody"


async def opened(broadcast: Broadcast, session: str | None) -> AsyncGenerator[bytes, None]:
    stream = broadcast.events(session)
    assert await anext(stream) == begin(session)
    return stream


async def test_each_viewer_gets_its_own_version() -> None:
    broadcast = Broadcast(begin)
    operator, anybody = await opened(broadcast, "key"), await opened(broadcast, None)
    broadcast.publish(b"inside", b"outside")
    broadcast.publish(b"both")
    assert await anext(operator) == b"insideboth"
    assert await anext(anybody) == b"outsideboth"
    await operator.aclose()
    await anybody.aclose()
    assert broadcast.viewers == 0 and not broadcast.has_viewers.is_set()


async def test_a_slow_viewer_skips_to_the_newest() -> None:
    broadcast = Broadcast(begin)
    slow = await opened(broadcast, None)
    for number in range(MAX_WAITING_EVENTS + 5):
        broadcast.publish(b"%d" % number)
    assert await anext(slow) == begin(None)
    broadcast.publish(b"after")
    assert await anext(slow) == b"after"
    await slow.aclose()


async def test_a_slow_viewer_holds_no_more_than_its_queue() -> None:
    broadcast = Broadcast(begin)
    slow = await opened(broadcast, None)
    (viewer,) = broadcast._viewers
    for _ in range(10 * MAX_WAITING_EVENTS):
        broadcast.publish(b"x")
        assert len(viewer.waiting) <= MAX_WAITING_EVENTS
    await slow.aclose()


async def test_everybody_begins_anew_when_what_was_told_does_not_hold() -> None:
    broadcast = Broadcast(begin)
    viewer = await opened(broadcast, "key")
    broadcast.publish(b"does not hold")
    broadcast.resynchronise()
    assert await anext(viewer) == begin("key")
    broadcast.publish(b"holds")
    assert await anext(viewer) == b"holds"
    await viewer.aclose()


async def test_there_is_room_for_so_many() -> None:
    broadcast = Broadcast(begin, max_viewers=2)
    streams = [await opened(broadcast, None) for _ in range(2)]
    with pytest.raises(PageError) as refused:
        broadcast.require_room()
    assert (refused.value.status, refused.value.code) == (503, "too-many-viewers")
    await streams[0].aclose()
    broadcast.require_room()
    await streams[1].aclose()


async def test_a_session_that_ends_takes_its_streams_along() -> None:
    broadcast = Broadcast(begin)
    ended, kept = await opened(broadcast, "ended"), await opened(broadcast, "kept")
    broadcast.close_session("ended")
    with pytest.raises(StopAsyncIteration):
        await anext(ended)
    broadcast.publish(b"goes on")
    assert await anext(kept) == b"goes on"
    broadcast.close()
    with pytest.raises(StopAsyncIteration):
        await anext(kept)
    with pytest.raises(PageError):
        broadcast.require_room()


async def test_viewers_are_waited_for() -> None:
    broadcast = Broadcast(begin)
    waiting = asyncio.create_task(broadcast.has_viewers.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    stream = await opened(broadcast, None)
    await waiting
    await stream.aclose()
