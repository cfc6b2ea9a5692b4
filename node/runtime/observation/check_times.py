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
_MAX_US = 2**32 - 1


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
    """Hears which step begins; used by one thread for one batch."""

    __slots__ = ("_clock_ns", "_marks")

    def __init__(self, clock_ns: Callable[[], int] = running_ns) -> None:
        self._clock_ns = clock_ns
        self._marks: list[tuple[str, int]] = []

    def begin(self, step: str) -> None:
        """Note that this step begins, and the one before it has ended."""
        self._marks.append((step, self._clock_ns()))

    def stop(self) -> BatchTimes:
        """Return what was measured; called as soon as the batch is verified."""
        ended_ns = self._clock_ns()
        items: list[ItemTimes] = []
        steps_us: list[int] = []
        governance = judged = False
        proofs_us = 0
        last = len(self._marks) - 1
        for position, (step, begun_ns) in enumerate(self._marks):
            if step == VerificationStep.JUDGED:
                judged = True
                continue
            until_ns = ended_ns if position == last else self._marks[position + 1][1]
            spent_us = min((until_ns - begun_ns) // 1_000, _MAX_US)
            if step in (VerificationStep.ENCODING, VerificationStep.PROOFS):
                if steps_us:
                    items.append(ItemTimes(tuple(steps_us), governance, judged))
                steps_us, governance, judged = [], False, False
            if step == VerificationStep.PROOFS:
                proofs_us = spent_us
            else:
                steps_us.append(spent_us)
                governance = governance or step == VerificationStep.SIGNATURES
        proven = sum(item.judged and not item.governance for item in items)
        return BatchTimes(tuple(items), proofs_us, proven)
