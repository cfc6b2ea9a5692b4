"""What is known of the other banks' streams to this one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from node.ledger.types import BankIndex, Height

GENESIS_HEIGHT = Height(0)


@dataclass(slots=True)
class IncomingLink:
    """One bank's stream to this one."""

    linked: bool = False
    height: Height = field(default=GENESIS_HEIGHT)
    """As of its last hello or block: a claim."""
    heard_s: float | None = None
    """Monotonic time of its last frame."""
    misbehaved: int = 0
    """Streams that ended because of what the bank sent on them."""
    alarm_due_s: dict[str, float] = field(default_factory=dict)
    """Monotonic time from which the next alarm about each kind of misbehaviour may be raised."""


class IncomingLinks:
    """One entry per bank of the genesis."""

    def __init__(self, banks: Iterable[BankIndex]) -> None:
        self._links = {bank: IncomingLink() for bank in banks}

    def __getitem__(self, bank: BankIndex) -> IncomingLink:
        return self._links[bank]
