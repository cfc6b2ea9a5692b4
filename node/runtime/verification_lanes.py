"""Which sources may share a verification batch.

One multi-scalar multiplication over many transactions costs a tenth of as many single ones, so
transactions of all sources in good standing are verified together. A source whose proof failed
made everybody pay for a bisection; from then on its transactions are verified one by one, at its
own expense, until it has behaved for a while (BFT-12 section 12).
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from dataclasses import dataclass, field

from node.ledger.proofs import VerifiedTransaction

PENANCE = 200
"""Valid transactions that bring a source back into the common batches."""


@dataclass(slots=True)
class _Lane:
    """What one source in bad standing still has to prove, and what it has waiting."""

    waiting: deque[Pending] = field(default_factory=deque)
    owed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Pending:
    """One transaction that waits for verification."""

    raw: bytes
    source: str
    ticket: asyncio.Future[VerifiedTransaction]
    """The answer."""


class VerificationLanes:
    """What blocks need at once, a common queue, and one queue for every source in bad standing."""

    def __init__(self) -> None:
        self._urgent: deque[Pending] = deque()
        self._common: deque[Pending] = deque()
        self._suspects: dict[str, _Lane] = {}
        self._waiting = 0
        self._waiting_of: Counter[str] = Counter()

    def waiting_of(self, source: str) -> int:
        """Return how many transactions of one source wait."""
        return self._waiting_of[source]

    def __len__(self) -> int:
        return self._waiting

    @property
    def suspects(self) -> tuple[str, ...]:
        """Sources in bad standing, for status and alarms."""
        return tuple(sorted(self._suspects))

    def put(self, pending: Pending, *, urgent: bool = False) -> None:
        """Let a transaction wait; an urgent one overtakes all that are not."""
        lane = self._suspects.get(pending.source)
        if urgent:
            self._urgent.append(pending)
        else:
            (self._common if lane is None else lane.waiting).append(pending)
        self._waiting += 1
        self._waiting_of[pending.source] += 1

    def hurry(self, pending: Pending) -> None:
        """Make a waiting transaction urgent; one that is being verified already is left alone."""
        lane = self._suspects.get(pending.source)
        queues = [self._common] if lane is None else [self._common, lane.waiting]
        for queue in queues:
            if pending in queue:
                queue.remove(pending)
                self._urgent.append(pending)

    def take(self, limit: int) -> list[Pending]:
        """Return the next batch: at most `limit` urgent ones, or of the common queue, or one of a
        suspect.

        Suspects are served when nobody else waits, and after every common batch one of them.
        """
        queue = self._urgent or self._common
        batch = [queue.popleft() for _ in range(min(limit, len(queue)))]
        if not batch:
            batch = self._take_suspect()
        self._left(batch)
        return batch

    def take_suspect(self) -> list[Pending]:
        """Return one transaction of one suspect, or nothing."""
        batch = self._take_suspect()
        self._left(batch)
        return batch

    def _left(self, batch: list[Pending]) -> None:
        self._waiting -= len(batch)
        for pending in batch:
            self._waiting_of[pending.source] -= 1
            if not self._waiting_of[pending.source]:
                del self._waiting_of[pending.source]

    def _take_suspect(self) -> list[Pending]:
        for source, lane in list(self._suspects.items()):
            if lane.waiting:
                # Behind the others: no suspect keeps another one waiting for ever.
                self._suspects[source] = self._suspects.pop(source)
                return [lane.waiting.popleft()]
        return []

    def blame(self, source: str) -> bool:
        """Put a source into its own lane; return whether it was in good standing before."""
        lane = self._suspects.get(source)
        if lane is not None:
            lane.owed = PENANCE
            return False
        lane = self._suspects[source] = _Lane(owed=PENANCE)
        for pending in [p for p in self._common if p.source == source]:
            self._common.remove(pending)
            lane.waiting.append(pending)
        return True

    def credit(self, source: str) -> None:
        """Count one valid transaction of a suspect; enough of them restore its standing."""
        lane = self._suspects.get(source)
        if lane is None:
            return
        lane.owed -= 1
        if lane.owed <= 0:
            del self._suspects[source]
            self._common.extend(lane.waiting)
