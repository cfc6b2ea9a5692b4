"""Values of the `consortium.v1.Operator` service, free of protobuf.

Field meanings and units are those of the messages in `proto/node/wire/operator.proto`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum

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
class PerformanceReport:
    """What was sealed, and how long it took, as one bank saw it.

    Percentiles are of the last `window_ms`, by nearest rank, in milliseconds; None if nothing of
    the kind happened in them.
    """

    sealed_transactions: int = 0
    """Since the start, as `sealed_blocks`."""
    sealed_blocks: int = 0
    window_ms: int = 0
    """60,000, or less after a start."""
    window_transactions: int = 0
    sealed_per_second: float = 0.0
    """Transactions of the window."""
    finality_ms_p50: float | None = None
    """From a client's submission here until the block was applied here."""
    finality_ms_p95: float | None = None
    finality_ms_p99: float | None = None
    verify_ms_p50: float | None = None
    """One batch of transactions, from its begin to its verdicts."""
    vote_ms_p50: float | None = None
    """From a proposal's arrival until the answer of this bank left."""
    seal_ms_p50: float | None = None
    """From a proposal's arrival until the seal of its block was here."""
    apply_ms_p50: float | None = None
    """Execution and storage of one block."""


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
    performance: PerformanceReport = PerformanceReport()


class RoundEventKind(StrEnum):
    """A step of deciding a height, as one bank saw it (BFT-12 sections 5 and 6)."""

    PROPOSAL = "proposal"
    """The proposal of a view arrived, or was made here."""
    VALIDATED = "validated"
    """This bank has judged its block, whatever the verdict."""
    VOTED = "voted"
    """This bank's answer was durable and left; which one, is not kept."""
    CERTIFIED = "certified"
    """The quorum certificate of a view was made or verified here."""
    COMMITTED = "committed"
    """This bank's commit was durable and left."""
    SEALED = "sealed"
    """q commits and ballots were here, collected or in a seal."""
    APPLIED = "applied"
    """The block was executed and stored."""
    TIMED_OUT = "timed-out"
    """This bank gave up a view."""


@dataclass(frozen=True, slots=True)
class RoundEvent:
    """One step at one bank."""

    kind: RoundEventKind
    view: View
    at_us: int
    """Microseconds since the Unix epoch, by the clock of the bank that reports."""
    duration_us: int | None = None
    """Of what ended then: validated and applied."""
    bank: BankIndex | None = None
    """Who proposed, for a proposal."""


@dataclass(frozen=True, slots=True)
class RoundReport:
    """How one bank saw the decision of one height."""

    bank: BankIndex
    height: Height
    events: tuple[RoundEvent, ...]
    """In order of time."""


class TransactionEventKind(StrEnum):
    """What can happen to a transaction at one bank."""

    RECEIVED = "received"
    VERIFIED = "verified"
    """The verdict on its proofs was reached, and was good."""
    ADMITTED = "admitted"
    """It waits for a block."""
    GOSSIPED = "gossiped"
    """It was told to the other banks, by the one whose client sent it."""
    PROPOSED = "proposed"
    """A proposal that holds it was found valid; the last one, if there were several."""
    SEALED = "sealed"
    APPLIED = "applied"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class TransactionEvent:
    """One thing that happened to a transaction at one bank."""

    kind: TransactionEventKind
    at_us: int
    """Microseconds since the Unix epoch, by the clock of the bank that reports."""
    detail: str = ""
    """For people."""


@dataclass(frozen=True, slots=True)
class TransactionCheck:
    """One check of a transaction at one bank, its time measured where it was made."""

    name: str
    passed: bool
    duration_us: int
    batch: int = 1
    """How many transactions were checked together in that time; 1: this one alone."""
    message: str = ""
    """Why it failed; empty if it passed."""


@dataclass(frozen=True, slots=True)
class TransactionTrace:
    """What one bank did with one transaction."""

    bank: BankIndex
    transaction_id: TransactionId
    source: str
    """From whom it came: "client", "bank 3", or "database" for what was read back."""
    checks: tuple[TransactionCheck, ...]
    """In the order in which they were made; the last one is the failed one, if one failed."""
    events: tuple[TransactionEvent, ...]
    """In order of time."""


FAULTS_OFF = "faults-off"
"""Reason code of a bank that lets nobody break it."""


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
