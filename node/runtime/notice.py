"""What a supervisor tells the operator, one line each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class NoticeKind(StrEnum):
    """What a notice is about."""

    PROGRESS = "progress"
    """Something that was to be done is done."""
    BANK_DOWN = "bank-down"
    """A bank's process has ended unasked."""
    BANK_STARTED = "bank-started"
    """A bank's process was started again, or a halted bank goes on."""
    BANK_STOPPED = "bank-stopped"
    """A bank's process has ended as its operator asked."""
    BANK_MISSING = "bank-missing"
    """A bank's process runs, but nothing comes from it."""
    BANK_HALTED = "bank-halted"
    """A bank runs but signs nothing any more."""
    ALARM = "alarm"
    """A bank saw something that an operator must look at."""
    QUORUM_LOST = "quorum-lost"
    """Too few banks can vote to seal anything."""
    QUORUM_BACK = "quorum-back"
    """Enough banks can vote again."""
    DASHBOARD = "dashboard"
    """The operators' page ended, and is started again or not."""
    DATABASE = "database"
    """The database server was started again, or cannot be."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One line for the operator."""

    kind: NoticeKind
    text: str
    bank: int | None = None
