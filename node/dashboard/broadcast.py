"""One stream of events for many viewers: each event is serialised once, the slow ones skip.

What a viewer has not taken waits in its queue. Whoever falls behind by more than the queue holds
loses it whole and gets the state of now instead, as after a reload.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field

from node.dashboard.errors import PageError

MAX_VIEWERS = 200
MAX_WAITING_EVENTS = 256


@dataclass(eq=False, slots=True)
class Viewer:
    """One open stream."""

    session: str | None
    """Of an operator; None for somebody who sees what is public."""
    waiting: list[bytes] = field(default_factory=list)
    is_behind: bool = False
    is_closed: bool = False
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, event: bytes) -> None:
        """Queue an event, or give up the queue."""
        if len(self.waiting) >= MAX_WAITING_EVENTS:
            self.waiting.clear()
            self.is_behind = True
        if not self.is_behind:
            self.waiting.append(event)
        self.wake.set()

    def close(self) -> None:
        """End the stream after what waits."""
        self.is_closed = True
        self.wake.set()


class Broadcast:
    """All open streams."""

    def __init__(
        self, snapshot: Callable[[str | None], bytes], *, max_viewers: int = MAX_VIEWERS
    ) -> None:
        """`snapshot` returns the events that a viewer of a session (or none) begins with."""
        self._snapshot = snapshot
        self._max_viewers = max_viewers
        self._viewers: set[Viewer] = set()
        self._is_closed = False
        self.has_viewers = asyncio.Event()

    @property
    def viewers(self) -> int:
        """How many streams are open."""
        return len(self._viewers)

    def require_room(self) -> None:
        """Raise `PageError` if no further stream may be opened."""
        if len(self._viewers) >= self._max_viewers or self._is_closed:
            raise PageError(
                503,
                "too-many-viewers",
                f"{len(self._viewers)} viewers are connected already",
                "close the page in other windows",
            )

    def publish(self, operator_event: bytes, public_event: bytes | None = None) -> None:
        """Send an event to everybody; viewers without a session get their own version of it."""
        shown = operator_event if public_event is None else public_event
        for viewer in self._viewers:
            viewer.put(shown if viewer.session is None else operator_event)

    def resynchronise(self) -> None:
        """Have everybody begin anew with the state of now: what was told does not hold."""
        for viewer in self._viewers:
            viewer.waiting.clear()
            viewer.is_behind = True
            viewer.wake.set()

    async def events(self, session: str | None) -> AsyncGenerator[bytes, None]:
        """Yield what a viewer gets, beginning with the state of now, until either side ends it.

        `session` is that of an operator, None for somebody who sees what is public.
        """
        viewer = Viewer(session)
        self._viewers.add(viewer)
        self.has_viewers.set()
        try:
            yield self._snapshot(viewer.session)
            while not viewer.is_closed:
                await viewer.wake.wait()
                viewer.wake.clear()
                if viewer.is_behind:
                    viewer.is_behind = False
                    yield self._snapshot(viewer.session)
                elif viewer.waiting:
                    waiting = b"".join(viewer.waiting)
                    viewer.waiting.clear()
                    yield waiting
        finally:
            self._viewers.discard(viewer)
            if not self._viewers:
                self.has_viewers.clear()

    def close_session(self, session: str) -> None:
        """End the streams of a session that ended."""
        for viewer in self._viewers:
            if viewer.session == session:
                viewer.close()

    def close(self) -> None:
        """End all streams: the server stops."""
        self._is_closed = True
        for viewer in self._viewers:
            viewer.close()
