"""What waits to be sent to one peer: bounded, coalesced into frames, dropped by rule.

Consensus messages go before transactions, because a round waits for them; a peer that lacks a
transaction body asks for it. When there is no room the oldest transactions go first, then the
oldest messages: the core repeats what still matters (BFT-12 section 7), and every bank holds an
admitted transaction. Nothing is dropped silently: drops are counted and reported.

Items are encoded once (`node.wire.peer_codec`) and shared by the queues of all peers.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from node.wire.limits import MAX_FRAME_MESSAGES


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """Room for one peer."""

    queued_bytes: int = 16 << 20
    queued_items: int = 8_192
    frame_bytes: int = 1 << 20
    """Size from which a frame takes no further item; a longer item travels alone."""


@dataclass(slots=True)
class QueueCounters:
    """What became of the items since the node started."""

    sent_frames: int = 0
    sent_items: int = 0
    sent_bytes: int = 0
    dropped_messages: int = 0
    dropped_transactions: int = 0


class OutgoingQueue:
    """Two lanes of encoded items; times are those of the caller's clock, in seconds."""

    def __init__(self, limits: QueueLimits) -> None:
        self._limits = limits
        self._messages: deque[tuple[float, bytes]] = deque()
        self._transactions: deque[bytes] = deque()
        self._bytes = 0
        self.counters = QueueCounters()

    def __len__(self) -> int:
        return len(self._messages) + len(self._transactions)

    @property
    def queued_bytes(self) -> int:
        return self._bytes

    def add_message(self, item: bytes, now: float) -> None:
        """Queue a consensus message."""
        self._messages.append((now, item))
        self._bytes += len(item)
        self._make_room()

    def add_transaction(self, item: bytes) -> None:
        """Queue a transaction."""
        self._transactions.append(item)
        self._bytes += len(item)
        self._make_room()

    def drop_messages_before(self, time: float) -> None:
        """Drop messages queued before `time`: on a new link they only tell the past."""
        while self._messages and self._messages[0][0] < time:
            self._drop_message()

    def take_frame(self) -> list[bytes]:
        """Remove and return the items of the next frame; empty if nothing waits."""
        frame: list[bytes] = []
        size = 0
        while (
            self._messages
            and len(frame) < MAX_FRAME_MESSAGES
            and self._fits(size, self._messages[0][1])
        ):
            frame.append(self._messages.popleft()[1])
            size += len(frame[-1])
        while self._transactions and self._fits(size, self._transactions[0]):
            frame.append(self._transactions.popleft())
            size += len(frame[-1])
        self._bytes -= size
        if frame:
            self.counters.sent_frames += 1
            self.counters.sent_items += len(frame)
            self.counters.sent_bytes += size
        return frame

    def _fits(self, size: int, item: bytes) -> bool:
        return size == 0 or size + len(item) <= self._limits.frame_bytes

    def _make_room(self) -> None:
        while self._bytes > self._limits.queued_bytes or len(self) > self._limits.queued_items:
            if self._transactions:
                self._bytes -= len(self._transactions.popleft())
                self.counters.dropped_transactions += 1
            else:
                self._drop_message()

    def _drop_message(self) -> None:
        self._bytes -= len(self._messages.popleft()[1])
        self.counters.dropped_messages += 1
