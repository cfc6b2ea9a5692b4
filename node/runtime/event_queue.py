"""What waits for the consensus core: bounded for each peer, and taken from all of them in turn.

A bank that floods another one with well-formed messages makes its own messages wait, and nobody
else's: between two messages of one peer every other peer and this bank itself gets a turn. When a
peer's share is full its stream is not read from, so that HTTP/2 holds back whatever it still
sends (BFT-12 section 12).
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

from node.consensus.events import Event, MessageReceived
from node.consensus.messages import BlockResponse, Message, Proposal, SyncResponse
from node.ledger.types import BankIndex

ROOM_PER_PEER = 256
"""Weight of the messages of one peer that may wait; a correct bank sends about five for each
height and view."""
BULK_WEIGHT = 64
"""Of a message that carries blocks: up to 3 MiB, where the others have at most 50 KiB."""


def weight_of(message: Message) -> int:
    """Return how much of its sender's share a waiting message takes."""
    return BULK_WEIGHT if isinstance(message, Proposal | SyncResponse | BlockResponse) else 1


@dataclass(slots=True)
class _Lane:
    """What one peer has waiting."""

    messages: deque[MessageReceived] = field(default_factory=deque)
    weight: int = 0
    has_room: asyncio.Event = field(default_factory=asyncio.Event)


class EventQueue:
    """One lane for this bank's own events and one for each peer."""

    def __init__(self) -> None:
        self._own: deque[Event] = deque()
        self._lanes: dict[BankIndex, _Lane] = {}
        """In the order of their turns."""
        self._own_turn = True
        self._arrived = asyncio.Event()
        self._closed = False

    def __len__(self) -> int:
        return len(self._own) + sum(len(lane.messages) for lane in self._lanes.values())

    def waiting_of(self, bank: BankIndex) -> int:
        """Return how many messages of a peer wait."""
        lane = self._lanes.get(bank)
        return 0 if lane is None else len(lane.messages)

    def put(self, event: Event) -> None:
        """Queue an event of this bank itself, which causes only as many as it can handle."""
        self._own.append(event)
        self._arrived.set()

    async def put_message(self, event: MessageReceived) -> None:
        """Queue a peer's message once there is room for it; after the end it is dropped."""
        lane = self._lanes.setdefault(event.sender, _Lane())
        weight = weight_of(event.message)
        while not self._closed and lane.weight + weight > ROOM_PER_PEER:
            lane.has_room.clear()
            await lane.has_room.wait()
        if self._closed:
            return
        lane.messages.append(event)
        lane.weight += weight
        self._arrived.set()

    def take(self) -> Event | None:
        """Return the next event, None if nothing waits."""
        own_first = self._own_turn
        self._own_turn = not own_first
        if own_first and self._own:
            return self._own.popleft()
        for bank, lane in self._lanes.items():
            if lane.messages:
                event = lane.messages.popleft()
                lane.weight -= weight_of(event.message)
                lane.has_room.set()
                self._lanes[bank] = self._lanes.pop(bank)
                return event
        return self._own.popleft() if self._own else None

    async def get(self) -> Event:
        """Wait for the next event."""
        while True:
            event = self.take()
            if event is not None:
                return event
            self._arrived.clear()
            await self._arrived.wait()

    def close(self) -> None:
        """Drop what waits and let nothing more in."""
        self._closed = True
        self._own.clear()
        for lane in self._lanes.values():
            lane.messages.clear()
            lane.weight = 0
            lane.has_room.set()
