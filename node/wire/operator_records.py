"""Values of the `consortium.v1.Operator` service, free of protobuf.

Field meanings and units are those of the messages in `proto/node/wire/operator.proto`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

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
    refused: tuple[RefusedReport, ...] = ()
    last_refusal: str = ""
    waiting_for: str = ""
    """What the bank waits for to go on; empty if it waits for nothing."""
    behind: bool = False
    """Whether a peer claims a later height."""
    active: bool = True
    """Whether this bank is in the active set of the height."""
    accused: tuple[BankIndex, ...] = ()
    """Banks of which this bank holds statements that convict them, since it started."""


@dataclass(frozen=True, slots=True)
class RefusedReport:
    """Messages of one peer that failed a check."""

    bank: BankIndex
    messages: int


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
    batches: int = 0
    """In which those were verified."""


@dataclass(frozen=True, slots=True)
class ProcessReport:
    """The operating-system process."""

    pid: int
    uptime_ms: int
    resident_bytes: int
    cpu_ms: int


@dataclass(frozen=True, slots=True)
class CpuReport:
    """CPU time of the process by what it was used for; see `node.runtime.cpu_account`."""

    verify_ms: int = 0
    consensus_ms: int = 0
    database_ms: int = 0
    network_ms: int = 0
    other_ms: int = 0
    total_ms: int = 0
    """The sum."""


@dataclass(frozen=True, slots=True)
class TrafficReport:
    """Bytes of messages since the start, without the framing of HTTP/2 and TLS."""

    peers_sent_bytes: int = 0
    peers_received_bytes: int = 0
    clients_sent_bytes: int = 0
    clients_received_bytes: int = 0


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
    faults: tuple[FaultReport, ...] = ()
    """What was broken on purpose and not healed yet."""
    faults_allowed: bool = False
    """Whether the node's configuration lets its operators break it."""
    cpu: CpuReport = CpuReport()
    traffic: TrafficReport = TrafficReport()


class LinkDirection(Enum):
    """Which way a link is disturbed, seen from the bank that is asked; values of the wire."""

    OUT = 1
    IN = 2
    BOTH = 3


@dataclass(frozen=True, slots=True)
class LinkFault:
    """Conditions for the links with some peers, or with all if none is named."""

    peers: tuple[BankIndex, ...]
    direction: LinkDirection
    cut: bool = False
    delay_ms: int = 0
    jitter_ms: int = 0
    loss_per_mille: int = 0


@dataclass(frozen=True, slots=True)
class ByzantineFault:
    """A style of lying for the consensus core."""

    style: str
    seed: int = 0


@dataclass(frozen=True, slots=True)
class FaultReport:
    """One injected fault; `kind` is "disconnect", "slow" or "byzantine"."""

    kind: str
    text: str
    peers: tuple[BankIndex, ...]
    age_ms: int


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
    treasury_count: int
    treasury_digest: bytes
    tip_height: Height


@dataclass(frozen=True, slots=True)
class AuditFailure:
    """A stored transaction, or the seal of a block, that does not verify."""

    transaction_id: TransactionId | None
    """None if it is about the seal."""
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
