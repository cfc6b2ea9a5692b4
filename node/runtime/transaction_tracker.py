"""Where every transaction that this bank has heard of stands, and who waits to hear.

Sealed transactions are looked up in the database; this table holds what the database does not:
transactions on their way and those that were refused lately. It is bounded; what falls out is
answered as unknown, which is true of this bank's memory and no verdict.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator

from node.ledger.types import TransactionId
from node.wire.records import Position, Refusal, TransactionState, TransactionStatus

REMEMBERED_OUTCOMES = 20_000
"""Final outcomes kept for late questions; about 6 MB."""


class TransactionTracker:
    """Statuses by id, with subscriptions that end at the first final state."""

    def __init__(self, remembered: int = REMEMBERED_OUTCOMES) -> None:
        self._open: dict[TransactionId, TransactionStatus] = {}
        self._final: OrderedDict[TransactionId, TransactionStatus] = OrderedDict()
        self._remembered = remembered
        self._waiting: dict[TransactionId, set[asyncio.Queue[TransactionStatus]]] = {}

    def status(self, transaction_id: TransactionId) -> TransactionStatus | None:
        return self._open.get(transaction_id) or self._final.get(transaction_id)

    def pending(self, transaction_id: TransactionId) -> None:
        self._move(TransactionStatus(transaction_id, TransactionState.PENDING))

    def admitted(self, transaction_id: TransactionId) -> None:
        self._move(TransactionStatus(transaction_id, TransactionState.ADMITTED))

    def proposed(self, transaction_id: TransactionId) -> None:
        """Only what was admitted here is followed through its proposals."""
        if transaction_id in self._open:
            self._move(TransactionStatus(transaction_id, TransactionState.PROPOSED))

    def sealed(self, transaction_id: TransactionId, position: Position) -> None:
        self._move(TransactionStatus(transaction_id, TransactionState.SEALED, position=position))

    def rejected(self, transaction_id: TransactionId, reason: str, message: str) -> None:
        self._move(
            TransactionStatus(
                transaction_id, TransactionState.REJECTED, refusal=Refusal(reason, message)
            )
        )

    def expired(self, transaction_id: TransactionId) -> None:
        self._move(TransactionStatus(transaction_id, TransactionState.EXPIRED))

    def forget(self, transaction_id: TransactionId) -> None:
        """Drop a transaction that was refused for a reason that says nothing about it."""
        self._open.pop(transaction_id, None)

    def _move(self, status: TransactionStatus) -> None:
        transaction_id = status.transaction_id
        if status.state.is_final:
            self._open.pop(transaction_id, None)
            self._final[transaction_id] = status
            self._final.move_to_end(transaction_id)
            while len(self._final) > self._remembered:
                self._final.popitem(last=False)
        else:
            # A refusal of yesterday does not hide that the same bytes are on their way again.
            self._final.pop(transaction_id, None)
            self._open[transaction_id] = status
        for queue in self._waiting.get(transaction_id, ()):
            queue.put_nowait(status)

    async def follow(
        self, transaction_id: TransactionId, now: TransactionStatus
    ) -> AsyncGenerator[TransactionStatus, None]:
        """Yield `now` and every later change up to the first final state."""
        queue: asyncio.Queue[TransactionStatus] = asyncio.Queue()
        subscribers = self._waiting.setdefault(transaction_id, set())
        subscribers.add(queue)
        try:
            yield now
            state = now
            while not state.state.is_final:
                state = await queue.get()
                yield state
        finally:
            subscribers.discard(queue)
            if not subscribers:
                self._waiting.pop(transaction_id, None)
