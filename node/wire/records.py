"""Values of the `consortium.v1.Ledger` and `Peer` services, free of protobuf.

Field meanings, units and byte layouts are those of the messages of the same name in
`proto/node/wire/ledger.proto` and `peer.proto`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from node.ledger.types import (
    AssetId,
    BankIndex,
    BlockId,
    Height,
    TimeMs,
    TransactionId,
    View,
)


class TransactionState(IntEnum):
    """How far a transaction has come at the bank that answers."""

    UNKNOWN = 1
    """This bank has never seen it."""
    PENDING = 2
    """Received; its proofs are being verified."""
    ADMITTED = 3
    """Verified here and passed on; not a promise that it will be sealed."""
    PROPOSED = 4
    """In a block that is being voted on; back to ADMITTED if that block is not sealed."""
    SEALED = 5
    """Final: in a block sealed by a quorum and applied here."""
    REJECTED = 6
    """Final here: invalid, or in conflict with something sealed."""
    EXPIRED = 7
    """Final: its expiry height passed before it was sealed."""

    @property
    def is_final(self) -> bool:
        return self >= TransactionState.SEALED


ADMISSION_NOTICE = (
    "admitted: verified by this bank and passed on; only a seal of the quorum makes it final"
)
"""Said with every receipt, so that nobody takes it for a promise."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """A bank's answer to a transaction it admitted."""

    transaction_id: TransactionId
    state: TransactionState
    admitted_at_height: Height
    notice: str = ADMISSION_NOTICE


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a transaction was refused, as it travels."""

    reason: str
    """Reason code (`node.ledger.rejection.Reason` or one of `node.rpc.errors`)."""
    message: str
    retry_delay_ms: int = 0
    """0: the same bytes will never be accepted."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a transaction is sealed."""

    height: Height
    block_id: BlockId
    index: int
    """In the block, from 0."""
    time_ms: TimeMs
    """Header time of the block."""


@dataclass(frozen=True, slots=True)
class TransactionStatus:
    """Where a transaction stands; `position` with SEALED, `refusal` with REJECTED."""

    transaction_id: TransactionId
    state: TransactionState
    position: Position | None = None
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A sealed block as banks hand it to each other; `block` and `seal` are empty at height 0."""

    header: bytes
    """Canonical header; the block's id is its SHA-256."""
    block: bytes
    """Canonical block."""
    seal: bytes
    """Canonical seal, which names its signers: for banks alone."""
    transactions: tuple[bytes, ...] = ()
    """Canonical bytes in block order, if they were asked for."""


@dataclass(frozen=True, slots=True)
class SetChange:
    """A sealed header after which another active set decides, as banks hand it to each other."""

    header: bytes
    seal: bytes
    active_set: bytes


@dataclass(frozen=True, slots=True)
class SealedState:
    """The tip as banks hand it to each other: header, seal, and the state it commits to."""

    header: bytes
    seal: bytes
    """Empty at height 0."""
    state: bytes
    set_changes: tuple[SetChange, ...] = ()


@dataclass(frozen=True, slots=True)
class PublishedBlock:
    """A sealed block as anybody gets it; `block` and `certificate` are empty at height 0."""

    header: bytes
    """Canonical header; the block's id is its SHA-256."""
    block: bytes
    """Canonical block."""
    certificate: bytes
    """Canonical `node.ledger.ballots.BallotCertificate`: who sealed it is not in it."""
    transactions: tuple[bytes, ...] = ()
    """Canonical bytes in block order, if they were asked for."""


@dataclass(frozen=True, slots=True)
class PublishedSetChange:
    """A sealed header after which another active set decides."""

    header: bytes
    certificate: bytes
    active_set: bytes


@dataclass(frozen=True, slots=True)
class PublishedState:
    """The tip: header, ballot certificate (empty at height 0) and the state it commits to."""

    header: bytes
    certificate: bytes
    state: bytes
    set_changes: tuple[PublishedSetChange, ...] = ()


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """What proves offline, from the genesis alone, that a transaction is sealed."""

    header: bytes
    certificate: bytes
    """Canonical ballot certificate of the header."""
    proof: bytes
    """IDX1 11.2."""
    leaf_hash: bytes
    """IDX1 11.1."""
    set_changes: tuple[PublishedSetChange, ...] = ()


class VotingStatus(IntEnum):
    """Whether the votes on a block are agreed."""

    PENDING = 1
    """The tip: the next block will record them."""
    RECORDED = 2


@dataclass(frozen=True, slots=True)
class RecordedVote:
    """One ballot of a voting record: who cast it is not known (BFT-12 section 17)."""

    tag: bytes
    """96 bytes."""
    approve: bool
    ballot: bytes
    """Canonical bytes, if they were asked for."""


@dataclass(frozen=True, slots=True)
class BlockVotes:
    """The voting record of one block."""

    height: Height
    block_id: BlockId
    time_ms: TimeMs
    """Header time of the block that was voted on."""
    status: VotingStatus
    approved: int
    rejected: int
    votes: tuple[RecordedVote, ...] = ()
    """By increasing tag; none while pending."""


@dataclass(frozen=True, slots=True)
class YearShare:
    """What a settlement says of one bank."""

    bank: BankIndex
    count: int
    """Its recorded approvals of the year."""
    reward: int
    """Minor units of the base asset."""


@dataclass(frozen=True, slots=True)
class SettledYear:
    """A settled fiscal year; minor units of the base asset (BFT-12 section 18)."""

    fiscal_year: int
    height: Height
    """Of the block that settled it."""
    transaction_id: TransactionId
    pot: int
    """Penalties and approvers' fees of the year with what was carried into it."""
    carried: int
    """What the then current year's pot took over."""
    shares: tuple[YearShare, ...] = ()
    """By increasing bank; none if the pot was carried forward uncounted."""


@dataclass(frozen=True, slots=True)
class BallotConflict:
    """Two ballots with one tag and different messages (BFT-12 section 17, E8)."""

    sequence: int
    height: Height
    view: View
    first: bytes
    """Canonical ballot."""
    second: bytes
    """Canonical ballot."""


@dataclass(frozen=True, slots=True)
class NoteRecord:
    """A note in ledger order."""

    sequence: int
    transaction_id: TransactionId
    transaction_kind: int
    """`crypto.transaction.Kind`."""
    output_index: int
    asset: AssetId
    bin_id: int
    position: int
    height: Height
    output: bytes
    """The 281 bytes of IDX1 3.2."""


@dataclass(frozen=True, slots=True)
class NullifierRecord:
    """A nullifier in ledger order."""

    sequence: int
    nullifier: bytes
    transaction_id: TransactionId
    height: Height


@dataclass(frozen=True, slots=True)
class ClosedBinDigest:
    """A closed bin in the order of the state's accumulator, by its digest."""

    sequence: int
    bin_id: int
    asset: AssetId
    digest: bytes
    count: int
    """Real notes: the anonymity set."""
    closed_height: Height


@dataclass(frozen=True, slots=True)
class BinRecord:
    """A closed bin with its notes, dummies included."""

    bin_id: int
    asset: AssetId
    count: int
    closed_height: Height
    notes: bytes
    """ring_base^2 times one-time key (96 bytes) and commitment (96 bytes)."""
    digest: bytes
    """IDX1 4.2."""


class EvidenceStatus(IntEnum):
    """How far an evidence item has come at the bank that answers."""

    PENDING = 1
    """Verified here, not yet in a block."""
    RECORDED = 2
    """In a sealed block: its key is punished."""
    SUPERSEDED = 3
    """Another item of the same key was recorded."""
    EXPIRED = 4
    """Never recorded within the evidence window."""


@dataclass(frozen=True, slots=True)
class EvidenceItem:
    """Evidence of an offence as a bank holds it (BFT-12 section 9)."""

    sequence: int
    evidence_id: bytes
    """SHA-256 of `item`."""
    offence: str
    """E1 to E8."""
    bank: BankIndex
    """The accused."""
    offence_height: Height
    status: EvidenceStatus
    item: bytes
    """Canonical bytes, which prove themselves."""
    recorded_height: Height | None = None
    penalty: int | None = None
    """Taken from the stake, in minor units, with RECORDED."""


@dataclass(frozen=True, slots=True)
class TreasuryMovement:
    """One movement of stakes or pots in minor units of the base asset (BFT-12 section 18)."""

    sequence: int
    height: Height
    bank: BankIndex | None
    fiscal_year: int
    amount: int
    """Negative for a withdrawal of stake, and for what is carried out of a year's pot."""
    kind: str
    """`node.ledger.effects.TreasuryKind`."""
    reason: str


@dataclass(frozen=True, slots=True)
class LedgerParameters:
    """What all banks agree on, and the answering bank's height."""

    genesis_json: bytes
    chain_id: bytes
    height: Height
    ring_base: int
    transfer_fee: int
    """Minor units of the base asset."""
    bin_age_ms: int
    max_expiry_heights: int


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """Who answers, and how far it is."""

    bank: BankIndex
    bank_name: str
    software_version: str
    chain_id: bytes
    height: Height
    block_id: BlockId
    time_ms: TimeMs
    """Header time of the tip."""
    mempool_transactions: int
    ready: bool
    linked_banks: int
    """Including the answering bank."""
    quorum: int


@dataclass(frozen=True, slots=True)
class Hello:
    """How a bank introduces itself on a peer stream."""

    chain_id: bytes
    bank: BankIndex
    software_version: str
    height: Height
    """Its last sealed height: a claim."""


@dataclass(frozen=True, slots=True)
class BlockRange:
    """Consecutive sealed blocks, and the height up to which the sender claims to have more."""

    blocks: tuple[StoredBlock, ...]
    top: Height
