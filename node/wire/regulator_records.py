"""Values of the `consortium.v1.Regulator` and `Supervision` services, free of protobuf.

Fields are those of the messages in `proto/node/wire/regulator.proto`.
"""

from __future__ import annotations

from dataclasses import dataclass

from node.ledger.types import BankIndex, BlockId, FiscalYear, Height, TimeMs, TransactionId


@dataclass(frozen=True, slots=True)
class SettlementStatus:
    """A settlement that the regulator handed in."""

    fiscal_year: FiscalYear
    transaction_id: TransactionId
    attempts: int
    sealed_height: Height | None


@dataclass(frozen=True, slots=True)
class ChallengeCounts:
    """What came of a bank's challenges."""

    bank: BankIndex
    honest: int
    malicious: int
    open: int


@dataclass(frozen=True, slots=True)
class RegulatorStatus:
    """How far the regulator is, and what it has done."""

    chain_id: bytes
    software_version: str
    height: Height
    time_ms: TimeMs
    drawn_blocks: int
    reverified_blocks: int
    alarms: int
    openings: int
    challenges: int
    opener_is_split: bool
    settlements: tuple[SettlementStatus, ...]
    waiting_for: str
    challenge_counts: tuple[ChallengeCounts, ...]
    executed_height: Height
    accusations: int
    waiting_accusations: int


@dataclass(frozen=True, slots=True)
class RegulatorAlarm:
    """Something that everybody should know."""

    kind: str
    text: str
    bank: BankIndex | None
    height: Height | None
    proof: bytes
    time_ms: TimeMs


@dataclass(frozen=True, slots=True)
class ReverificationRecord:
    """A block that was verified again from the bytes that one bank stores."""

    height: Height
    block_id: BlockId
    fiscal_year: FiscalYear
    challenge: int | None
    bank: BankIndex
    result: str
    detail: str
    transactions: int
    time_ms: TimeMs


@dataclass(frozen=True, slots=True)
class ChallengeOutcome:
    """A challenge with what came of it."""

    challenge: int
    outcome: ReverificationRecord


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """A row of the regulator's audit log."""

    sequence: int
    time_ms: TimeMs
    action: str
    actor: str
    event_data: str
    hash: bytes
