"""Which sources may share a verification batch, and in which order they are served.

One multi-scalar multiplication over many transactions costs a tenth of as many single ones, so
transactions of all sources in good standing are verified together. A source whose proof failed
made everybody pay for a bisection; from then on its transactions are verified one by one, at its
own expense, until it has behaved for a while (BFT-12 section 12).

The sources of the common batches take turns: however much one of them hands in, what another one
hands in is in the next batch.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from dataclasses import dataclass, field

from node.ledger.proofs import VerifiedTransaction
from node.ledger.rejection import Reason

BAD_PROOFS = frozenset({Reason.SUBGROUP, Reason.RANGE, Reason.SPEND, Reason.ISSUE})
"""Failures of a batch as a whole, which then has to be searched for the bad ones."""
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
        self._common: dict[str, deque[Pending]] = {}
        """By source, in the order of their turns; none is empty."""
        self._suspects: dict[str, _Lane] = {}
        self._waiting = 0
        self._waiting_of: Counter[str] = Counter()

    def waiting_of(self, source: str) -> int:
        """Return how many transactions of one source wait."""
        return self._waiting_of[source]

    def __len__(self) -> int:
        return self._waiting

    @property
    def patient(self) -> int:
        """How many wait that are not urgent."""
        return self._waiting - len(self._urgent)

    @property
    def suspects(self) -> tuple[str, ...]:
        """Sources in bad standing, for status and alarms."""
        return tuple(sorted(self._suspects))

    def put(self, pending: Pending, *, urgent: bool = False) -> None:
        """Let a transaction wait; the urgent ones have a queue of their own."""
        lane = self._suspects.get(pending.source)
        if urgent:
            self._urgent.append(pending)
        else:
            queue = self._common_of(pending.source) if lane is None else lane.waiting
            queue.append(pending)
        self._waiting += 1
        self._waiting_of[pending.source] += 1

    def hurry(self, pending: Pending) -> None:
        """Make a waiting transaction urgent; one that is being verified already is left alone."""
        lane = self._suspects.get(pending.source)
        queue = self._common.get(pending.source) if lane is None else lane.waiting
        if queue is None or pending not in queue:
            return
        queue.remove(pending)
        self._urgent.append(pending)
        if lane is None and not queue:
            del self._common[pending.source]

    def take(self, limit: int) -> list[Pending]:
        """Return the next batch: at most `limit` of the common queue, or one of a suspect.

        Suspects are served when nobody else waits, and after every common batch one of them.
        """
        batch = self._take_common(limit) or self._take_suspect()
        self._left(batch)
        return batch

    def take_urgent(self, limit: int) -> list[Pending]:
        """Return the next batch of what blocks need at once."""
        batch = [self._urgent.popleft() for _ in range(min(limit, len(self._urgent)))]
        self._left(batch)
        return batch

    def _common_of(self, source: str) -> deque[Pending]:
        return self._common.setdefault(source, deque())

    def _take_common(self, limit: int) -> list[Pending]:
        batch: list[Pending] = []
        while self._common and len(batch) < limit:
            source = next(iter(self._common))
            queue = self._common.pop(source)
            batch.append(queue.popleft())
            if queue:
                self._common[source] = queue
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
        lane.waiting = self._common.pop(source, deque())
        return True

    def credit(self, source: str) -> None:
        """Count one valid transaction of a suspect; enough of them restore its standing."""
        lane = self._suspects.get(source)
        if lane is None:
            return
        lane.owed -= 1
        if lane.owed <= 0:
            del self._suspects[source]
            if lane.waiting:
                self._common_of(source).extend(lane.waiting)
