"""What became of all payments."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Account:
    """What became of the payments of a process, or of several."""

    submitted: int = 0
    acknowledged: int = 0
    sealed: int = 0
    """Of the acknowledged ones, as `rejected`, `undecided` and `lost`."""
    rejected: Counter[str] = field(default_factory=Counter)
    """By the reason that a bank gave after it had acknowledged them."""
    refused: Counter[str] = field(default_factory=Counter)
    """By the reason that a bank gave instead of acknowledging them."""
    undecided: int = 0
    """A bank still had them when the patience for the end was over: the ledger stood still."""
    lost: int = 0
    """No bank knew them any more."""
    unanswered: int = 0
    """Submitted without an answer until the end: no bank has promised anything."""

    def add(self, other: Account) -> None:
        self.submitted += other.submitted
        self.acknowledged += other.acknowledged
        self.sealed += other.sealed
        self.rejected.update(other.rejected)
        self.refused.update(other.refused)
        self.undecided += other.undecided
        self.lost += other.lost
        self.unanswered += other.unanswered

    def to_object(self) -> dict[str, object]:
        """Return the counts by name; they travel from worker to master, and to the summary."""
        counts = {name: getattr(self, name) for name in ("submitted", "acknowledged", "sealed")}
        return {
            **counts,
            "rejected": dict(self.rejected),
            "refused": dict(self.refused),
            "undecided": self.undecided,
            "lost": self.lost,
            "unanswered": self.unanswered,
        }

    @staticmethod
    def of_object(value: dict[str, Any]) -> Account:
        counters = {name: Counter(value[name]) for name in ("rejected", "refused")}
        return Account(**{**value, **counters})

    def __str__(self) -> str:
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.rejected.items())
        rejected = f"{sum(self.rejected.values())} rejected{f' ({reasons})' if reasons else ''}"
        undecided = f"{self.undecided} UNDECIDED, " if self.undecided else ""
        lost = "zero lost" if self.lost == 0 else f"{self.lost} LOST"
        return (
            f"{self.acknowledged} payments acknowledged: {self.sealed} sealed, "
            f"{rejected}, {undecided}{lost}"
        )
