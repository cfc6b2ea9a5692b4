"""What the network may do to a message on its way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from node.ledger.types import BankIndex


@dataclass(slots=True)
class Network:
    """Chances and delays of every link; times in milliseconds."""

    loss: float = 0.0
    """Chance that a message, or one copy of it, never arrives."""
    duplication: float = 0.0
    """Chance that a message arrives twice."""
    min_delay_ms: int = 1
    max_delay_ms: int = 5
    """Delays are uniform between the two, each message by itself: that is reordering."""
    cut: Callable[[BankIndex, BankIndex], bool] | None = None
    """Whether messages from source to target are lost, now."""

    def delays_ms(self, source: BankIndex, target: BankIndex, random: Random) -> list[int]:
        """Draw when the copies of one message arrive, from now; empty if it is lost."""
        if self.cut is not None and self.cut(source, target):
            return []
        chance = random.random
        copies = 2 if self.duplication and chance() < self.duplication else 1
        span_ms = self.max_delay_ms - self.min_delay_ms + 1
        return [
            self.min_delay_ms + int(chance() * span_ms)
            for _ in range(copies)
            if not self.loss or chance() >= self.loss
        ]
