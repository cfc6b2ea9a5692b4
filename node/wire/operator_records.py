"""Values of the `consortium.v1.Operator` service, free of protobuf.

Field meanings and units are those of the messages in `proto/node/wire/operator.proto`.
"""

from __future__ import annotations

from dataclasses import dataclass

from node.ledger.types import BankIndex, BlockId, Height, TimeMs, TransactionId, View


@dataclass(frozen=True, slots=True)
class ConsensusReport:
    """The height being decided, as one bank sees it."""

    height: Height
    view: View
    leader: BankIndex
    active_banks: int
    quorum: int
    has_work: bool
    approvals: tuple[BankIndex, ...]
    rejections: tuple[BankIndex, ...]
    commits: tuple[BankIndex, ...]
    timed_out: tuple[BankIndex, ...]
    missing: tuple[BankIndex, ...]
    """Active banks neither heard from at this height nor linked."""
    margin: int
    """Banks that could still answer minus the quorum; below 0 nothing can be sealed."""
    highest_view: View
    """-1: no quorum certificate."""


@dataclass(frozen=True, slots=True)
class PeerReport:
    """The links with one other bank."""

    bank: BankIndex
    address: str
    linked_out: bool
    linked_in: bool
    height: Height
    last_heard_ms: int | None
    """Milliseconds since anything came from it."""
    queued_items: int
    queued_bytes: int
    sent_frames: int
    sent_items: int
    sent_bytes: int
    dropped_transactions: int
    dropped_messages: int
    connections: int
    last_error: str
    """Why the link is down; empty when it is up."""


@dataclass(frozen=True, slots=True)
class MempoolReport:
    """Transactions that wait, and the room for them."""

    transactions: int
    bytes: int
    capacity_transactions: int
    capacity_bytes: int
    admitted: int
    refused: int


@dataclass(frozen=True, slots=True)
class ProcessReport:
    """The operating-system process."""

    pid: int
    uptime_ms: int
    resident_bytes: int
    cpu_ms: int


@dataclass(frozen=True, slots=True)
class DatabaseReport:
    """The bank's own database."""

    connected: bool
    server_version: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class AlarmReport:
    """Something an operator must look at."""

    kind: str
    text: str
    time_ms: TimeMs
    """The bank's clock."""


@dataclass(frozen=True, slots=True)
class NodeReport:
    """Everything about one node's health."""

    bank: BankIndex
    bank_name: str
    software_version: str
    chain_id: bytes
    height: Height
    block_id: BlockId
    state_root: bytes
    time_ms: TimeMs
    """Header time of the tip."""
    last_seal_age_ms: int
    """Milliseconds since this bank applied the tip."""
    ready: bool
    halted: str
    """Empty, or why the bank has halted."""
    consensus: ConsensusReport
    peers: tuple[PeerReport, ...]
    mempool: MempoolReport
    process: ProcessReport
    database: DatabaseReport
    alarms: tuple[AlarmReport, ...]


@dataclass(frozen=True, slots=True)
class TreasuryRow:
    """One row of the treasury; `bank` is None for a pot of the consortium."""

    bank: BankIndex | None
    fiscal_year: int
    amount: int
    """Minor units of the base asset."""
    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class LedgerDigests:
    """Digests of what a bank stores up to `at_height`; equal at every honest bank."""

    from_height: Height
    at_height: Height
    block_ids: tuple[BlockId, ...]
    """Of from_height, from_height + 1, ..."""
    state_root: bytes
    transaction_count: int
    nullifier_count: int
    nullifier_digest: bytes
    note_count: int
    note_digest: bytes
    voting_record_count: int
    voting_record_digest: bytes
    treasury: tuple[TreasuryRow, ...]
    tip_height: Height


@dataclass(frozen=True, slots=True)
class AuditFailure:
    """A stored transaction that does not verify."""

    transaction_id: TransactionId
    height: Height
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class AuditReport:
    """How far an audit is, and what it found."""

    checked: int
    total: int
    failures: tuple[AuditFailure, ...]
    done: bool


@dataclass(frozen=True, slots=True)
class AuditExtent:
    """What to audit: a sample drawn by the seed, or everything if `sample_size` is None."""

    seed: bytes
    sample_size: int | None
