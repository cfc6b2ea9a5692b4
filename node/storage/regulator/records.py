"""Values of the regulator's database."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from node.ledger.encoding import Writer
from node.ledger.types import (
    HASH_BYTES,
    BankIndex,
    BlockId,
    FiscalYear,
    Height,
    TimeMs,
    TransactionId,
)

AUDIT_DOMAIN = b"consortium/regulator-audit/1"
FIRST_AUDIT_HASH = hashlib.sha256(AUDIT_DOMAIN).digest()
"""What the first row of the audit log is chained to."""


@dataclass(frozen=True, slots=True)
class FollowedBlock:
    """A block that was verified, and what its successor says of the vote on it."""

    height: Height
    block_id: BlockId
    header: bytes
    """Canonical header."""
    fiscal_year: FiscalYear
    """Of its own header time."""
    drawn: bool
    """Whether it is to be verified again (`node.ledger.draw`)."""
    ciphertext_sum: bytes | None = None
    """Sum of its recorded approvals, 192 bytes; None until the next block is followed."""
    approvals: int | None = None
    rejections: int | None = None


@dataclass(frozen=True, slots=True)
class FollowedSet:
    """An active set and the first height that it decides."""

    from_height: Height
    set_hash: bytes
    encoded: bytes
    """Canonical active set."""


@dataclass(frozen=True, slots=True)
class RecordedTag:
    """One entry of the voting record of a block."""

    tag: bytes
    approve: bool


@dataclass(frozen=True, slots=True)
class VotingRecord:
    """What the next block says of the vote on a block."""

    height: Height
    ciphertext_sum: bytes
    tags: tuple[RecordedTag, ...]
    approvers: tuple[BankIndex, ...] | None
    """Whose key is in the sum; None if the opener's key is split and nobody can tell yet."""


@dataclass(frozen=True, slots=True)
class FollowedBin:
    """A closed bin that a certified state commits to."""

    sequence: int
    bin_id: int
    digest: bytes
    notes: int
    """Real ones."""
    accumulator: bytes
    """The running hash with this bin, 32 bytes."""


class ReverificationResult(StrEnum):
    """What came of verifying a block again."""

    CORRECT = "correct"
    BYTES_DIFFER = "bytes-differ"
    """What the bank stores is not what was sealed: the bank's own damage or lie."""
    INVALID = "invalid"
    """What was sealed breaks a rule: a quorum approved what it had to reject."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """A bank's demand that a block be verified again."""

    challenge: int
    height: Height
    challenged_by: BankIndex
    reason: str
    time_ms: TimeMs


@dataclass(frozen=True, slots=True)
class ChallengeCounts:
    """What came of a bank's challenges (IDX-64)."""

    bank: BankIndex
    honest: int
    """Something was wrong: with the block, or with the bytes that some bank stores."""
    malicious: int
    """The block was found as it was sealed, and valid."""
    open: int
    """Not answered yet."""


@dataclass(frozen=True, slots=True)
class Reverification:
    """A block that was verified again from the bytes that one bank stores."""

    height: Height
    block_id: BlockId
    fiscal_year: FiscalYear
    challenge: int | None
    """The challenge that asked for it; None for a drawn block."""
    bank: BankIndex
    result: ReverificationResult
    detail: str
    """Empty if everything holds."""
    transactions: int
    time_ms: TimeMs


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that everybody should know."""

    kind: str
    text: str
    bank: BankIndex | None
    height: Height | None
    proof: bytes | None
    """What shows it to anybody: an evidence item, or a proof that the block is invalid."""
    time_ms: TimeMs


@dataclass(frozen=True, slots=True)
class SettlementRecord:
    """A settlement that was handed in."""

    year: FiscalYear
    transaction_id: TransactionId
    raw: bytes
    attempts: int
    submitted_ms: TimeMs
    sealed_height: Height | None


@dataclass(frozen=True, slots=True)
class HandledConflict:
    """The evidence made of two ballots under one tag."""

    tag: bytes
    height: Height
    bank: BankIndex
    item: bytes
    handed_in: bool


@dataclass(frozen=True, slots=True)
class Accusation:
    """Evidence that an invalid block was sealed, against who created it."""

    evidence_id: bytes
    height: Height
    bank: BankIndex
    """The accused."""
    item: bytes
    outcome: str | None
    """None while it waits; `TAKEN`, or the reason why no bank takes it any more."""


TAKEN = "taken"


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One act of the regulator."""

    sequence: int
    """From 1."""
    time_ms: TimeMs
    action: str
    actor: str
    event_data: str
    """JSON as it was written: the hash covers these characters."""
    previous_hash: bytes
    hash: bytes

    def computed_hash(self) -> bytes:
        """SHA-256 over everything else in the row."""
        writer = Writer().blob(AUDIT_DOMAIN).u64(self.sequence).u64(self.time_ms)
        writer.text(self.action).text(self.actor).text(self.event_data)
        return hashlib.sha256(writer.fixed(self.previous_hash, HASH_BYTES).finish()).digest()
