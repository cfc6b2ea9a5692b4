"""What the database gives back: plain values, decoded where the ledger has a type for them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from crypto.ring import ClosedBin
from node.ledger.blocks import Block, Header
from node.ledger.state import LedgerState
from node.ledger.types import (
    Amount,
    AssetId,
    BankIndex,
    BlockId,
    FiscalYear,
    Height,
    TimeMs,
    TransactionId,
    View,
)


@dataclass(frozen=True, slots=True)
class Tip:
    """The last applied block and the state after it, as one database transaction left them."""

    header: Header
    state: LedgerState
    seal: bytes
    """Canonical seal; empty at height 0."""

    @property
    def state_bytes(self) -> bytes:
        """The canonical encoding that the header's state root hashes."""
        return self.state.encode()


@dataclass(frozen=True, slots=True)
class StoredConsensus:
    """What consensus made durable at the current height (BFT-12 section 4)."""

    record: bytes
    height: Height
    view: int
    step: int
    blocks: tuple[Block, ...]
    """Blocks that this bank proposed or voted on at this height."""


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A sealed block; the seal is empty at height 0."""

    block_id: BlockId
    height: Height
    header: bytes
    """Canonical header."""
    contents: bytes
    """What follows the header in the canonical block."""
    seal: bytes

    @property
    def encoded(self) -> bytes:
        """The canonical block."""
        return self.header + self.contents


@dataclass(frozen=True, slots=True)
class StoredSetChange:
    """A sealed header after which another active set decides (BFT-12 section 10)."""

    height: Height
    header: bytes
    seal: bytes
    active_set: bytes
    """Canonical bytes."""


@dataclass(frozen=True, slots=True)
class StoredTransaction:
    """A sealed transaction's place in the ledger."""

    transaction_id: TransactionId
    sequence_number: int
    """Among all transactions ever, from 0."""
    height: Height
    block_id: BlockId
    position: int
    """In the block, from 0."""
    time_ms: TimeMs
    """Header time of the block."""
    kind: int
    """`crypto.transaction.Kind`."""
    leaf_hash: bytes
    size: int
    """Bytes of the body."""
    status: str


@dataclass(frozen=True, slots=True)
class StoredNote:
    """A note in ledger order."""

    sequence: int
    transaction_id: TransactionId
    transaction_kind: int
    output_index: int
    asset: AssetId
    bin_id: int
    position: int
    height: Height
    output: bytes
    """The 281 bytes of IDX1 3.2."""


@dataclass(frozen=True, slots=True)
class StoredNullifier:
    """A nullifier in ledger order."""

    sequence: int
    nullifier: bytes
    transaction_id: TransactionId
    height: Height


@dataclass(frozen=True, slots=True)
class StoredClosedBin:
    """A closed bin by its digest, in the order of the state's accumulator."""

    sequence: int
    bin_id: int
    asset: AssetId
    digest: bytes
    count: int
    """Real notes."""
    closed_at_height: Height


@dataclass(frozen=True, slots=True)
class StoredBin:
    """A bin; `closed` is None while it is open."""

    bin_id: int
    asset: AssetId
    closed: ClosedBin | None
    closed_at_height: Height | None


@dataclass(frozen=True, slots=True)
class StoredTreasuryRow:
    """One row of the treasury in minor units; `bank` is None for a pot of the consortium."""

    record: int
    bank: BankIndex | None
    fiscal_year: FiscalYear
    amount: int
    kind: str
    reason: str
    height: Height


class EvidenceStatus(StrEnum):
    """How far an evidence item has come (BFT-12 section 9)."""

    PENDING = "pending"
    """Verified here, in no block yet."""
    RECORDED = "recorded"
    """A sealed block holds it, and punished its key."""
    SUPERSEDED = "superseded"
    """A sealed block punished its key by another item."""
    EXPIRED = "expired"
    """Too old to be recorded."""


@dataclass(frozen=True, slots=True)
class StoredEvidence:
    """An evidence item with what came of it; amounts in minor units of the base asset."""

    sequence: int
    """In the order in which this bank got them, from 0; differs from bank to bank."""
    evidence_id: bytes
    """SHA-256 of `raw`."""
    offence: str
    """`node.ledger.offences.Offence`."""
    offence_class: int
    bank: BankIndex
    """The accused."""
    offence_height: Height
    raw: bytes
    source: BankIndex | None
    """Who sent it, this bank itself for a conflict it found; None if a sealed block brought it."""
    found_at_ms: TimeMs
    """By the clock of this bank's database."""
    status: EvidenceStatus
    recorded_at: Height | None
    """The block that punished the key."""
    stake_before: int | None
    penalty: int | None
    ordinal: int | None
    """Which of the bank's offences it was, from 1."""


@dataclass(frozen=True, slots=True)
class StoredBankStake:
    """A bank's stake beside its treasury rows; minor units of the base asset.

    `staked - penalties == stake` (BFT-12 section 18); the doctor and the tests hold it to that.
    """

    bank: BankIndex
    name: str
    initial_stake: Amount
    stake: Amount
    offences: int
    active: bool
    account_balance: Amount
    staked: int
    """Sum of the bank's rows of type stake, withdrawals negative."""
    penalties: int
    """Sum of its rows of type penalty."""


@dataclass(frozen=True, slots=True)
class CountedDigest:
    """How many rows there are, and a SHA-256 over them in a canonical order."""

    count: int
    digest: bytes


class VotingStatus(StrEnum):
    """How far the voting record of a batch has come (BFT-12 section 17)."""

    PENDING = "pending"
    """The tip: which ballots are recorded is agreed with the next block."""
    APPROVED = "approved"
    """The next block recorded a quorum of approvals."""


@dataclass(frozen=True, slots=True)
class VotingCounts:
    """What was counted on one block."""

    height: Height
    status: VotingStatus
    approved: int
    """0 while pending."""
    rejected: int


@dataclass(frozen=True, slots=True)
class StoredVote:
    """One ballot of the agreed record; no bank is named, for no bank knows it."""

    tag: bytes
    """96 bytes: one per bank, height and view."""
    approve: bool
    ballot: bytes
    """The whole group signature; empty where it was not asked for."""


@dataclass(frozen=True, slots=True)
class StoredVotes:
    """The voting record of one block."""

    block_id: BlockId
    time_ms: TimeMs
    """Header time of the block."""
    counts: VotingCounts
    votes: tuple[StoredVote, ...]
    """By increasing tag; empty while pending."""


@dataclass(frozen=True, slots=True)
class StoredBallotConflict:
    """Two verified ballots with one tag and different messages (BFT-12 E8)."""

    sequence: int
    """In the order in which this bank found them, from 0; differs from bank to bank."""
    height: Height
    view: View
    tag: bytes
    first: bytes
    second: bytes
    """In increasing byte order."""
    found_at_ms: TimeMs
    """By the clock of this bank's database."""


@dataclass(frozen=True, slots=True)
class StoredTreasurySum:
    """What the rows of one fiscal year, bank and kind add up to, in minor units."""

    fiscal_year: FiscalYear
    bank: BankIndex | None
    kind: str
    """`node.ledger.effects.TreasuryKind`."""
    amount: int
    """Signed as the rows are: withdrawals of stake and pots carried away count down."""
    rows: int


@dataclass(frozen=True, slots=True)
class SettledShare:
    """One bank in a settled year."""

    bank: BankIndex
    count: int
    """Its recorded approvals, as the settlement proved them."""
    reward: Amount


@dataclass(frozen=True, slots=True)
class StoredSettlement:
    """A settled fiscal year; amounts in minor units of the base asset."""

    fiscal_year: FiscalYear
    height: Height
    """Of the block that settled it."""
    transaction_id: TransactionId
    pot: Amount
    """What there was to share out."""
    carried: Amount
    """What went into the current year's pot instead: all or nothing."""
    ballots: int
    """Recorded approvals of the year, which the counts add up to."""
    blocks: int
    """Blocks that they approve."""
    ciphertext_sum: bytes
    """192 bytes, what the counts were proven against; all zero is the empty sum."""
    shares: tuple[SettledShare, ...]
    """By increasing bank; empty where the pot was carried forward uncounted."""
