"""How long each check of a batch of transactions took, where the batch was verified.

Verification says which step it begins (`node.ledger.proofs.VerificationStep`); a stopwatch notes
when. The steps up to the equations belong to single transactions, the equations to all that got
that far together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from node.ledger.proofs import VerificationStep
from node.runtime.clock import running_ns

TRANSFER_CHECKS = ("encoding", "rules", "context", "points", "nullifiers", "challenges")
"""Of transfers and mints, in their order: IDX1 8.1, BFT-12 8 and 18, IDX1 8.2, 8.3 and 8.4, 8.5,
8.6. The equations (8.7) come after them."""
GOVERNANCE_CHECKS = ("encoding", "rules", "signatures")
MAX_DURATION_US = 2**32 - 1
"""What the tables have room for: more than an hour."""


@dataclass(frozen=True, slots=True)
class ItemTimes:
    """One transaction of a batch."""

    steps_us: tuple[int, ...]
    """Microseconds of each check that was begun, in order; the last one failed unless `judged`."""
    governance: bool
    judged: bool
    """Whether it passed all that is checked of it alone."""


@dataclass(frozen=True, slots=True)
class BatchTimes:
    """One batch."""

    items: tuple[ItemTimes, ...]
    """In the order of the batch."""
    proofs_us: int
    """Of the equations of all that came so far."""
    proven: int
    """How many they were."""


class Stopwatch:
    """Hears which step begins; used by one thread for one batch.

    Called eight times for each transaction, and twelve banks verify each: it does nothing then but
    read the clock.
    """

    __slots__ = ("_clock_ns", "_note_step", "_note_time", "_steps", "_times_ns")

    def __init__(self, clock_ns: Callable[[], int] = running_ns) -> None:
        self._clock_ns = clock_ns
        self._steps: list[str] = []
        self._times_ns: list[int] = []
        self._note_step, self._note_time = self._steps.append, self._times_ns.append

    def begin(self, step: str) -> None:
        """Note that this step begins, and the one before it has ended."""
        self._note_step(step)
        self._note_time(self._clock_ns())

    def stop(self) -> BatchTimes:
        """Return what was measured; called as soon as the batch is verified."""
        begun_ns = self._times_ns
        ended_ns = [*begun_ns[1:], self._clock_ns()]
        spent_us = [
            min((end - begin) // 1_000, MAX_DURATION_US)
            for begin, end in zip(begun_ns, ended_ns, strict=True)
        ]
        steps = self._steps
        proofs_at = steps.index(VerificationStep.PROOFS)
        items = []
        first = 0
        while first < proofs_at:
            try:
                behind = steps.index(VerificationStep.ENCODING, first + 1)
            except ValueError:
                behind = proofs_at
            judged = steps[behind - 1] is VerificationStep.JUDGED
            governance = steps[first + 2 : first + 3] == [VerificationStep.SIGNATURES]
            last = behind - 1 if judged else behind
            items.append(ItemTimes(tuple(spent_us[first:last]), governance, judged))
            first = behind
        proven = sum(item.judged and not item.governance for item in items)
        return BatchTimes(tuple(items), spent_us[proofs_at], proven)
