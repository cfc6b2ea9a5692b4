"""What one block adds to the ledger, as records for the host to store.

A `Transition` is the whole outcome of a block: the state after it, and every row that the state
itself does not hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from crypto.ring import ClosedBin
from crypto.transaction import Output
from node.ledger.fiscal_year import fiscal_year
from node.ledger.genesis import Genesis
from node.ledger.offences import Offence
from node.ledger.settlement import SettlementOutcome
from node.ledger.state import LedgerState, PunishedOffence, genesis_state
from node.ledger.types import (
    Amount,
    AssetId,
    BankIndex,
    FiscalYear,
    Height,
    TimeMs,
    TransactionId,
)


@dataclass(frozen=True, slots=True)
class NewNote:
    """A note that entered the ledger."""

    sequence: int
    """Position among all notes ever, from 0."""
    asset: AssetId
    bin_id: int
    position: int
    """Position in its bin, from 0."""
    transaction_id: TransactionId
    output_index: int
    output: Output


class SpentNullifier(NamedTuple):
    """A nullifier and the transaction that spent it."""

    nullifier: bytes
    transaction_id: TransactionId


@dataclass(frozen=True, slots=True)
class OpenedBin:
    """A bin that received its first note in this block; it may have closed in it too."""

    bin_id: int
    asset: AssetId
    opened_at_ms: TimeMs


@dataclass(frozen=True, slots=True)
class ClosedBinRecord:
    """A bin that closed in this block: its notes can be spent from the next one on."""

    bin: ClosedBin
    closed_at_height: Height


class AccountEntryKind(StrEnum):
    """Why a bank's public account changed."""

    REDEEM = "redeem"
    """Credit: a TRANSFER redeemed notes into it."""
    PAYOUT = "payout"
    """Debit: the bank turned it into notes."""
    CREATOR_FEE = "creator-fee"
    """Credit: the block creator's third of the fees."""
    STAKE_TOP_UP = "stake-top-up"
    """Debit: the bank turned it into stake."""
    STAKE_WITHDRAWAL = "stake-withdrawal"
    """Credit: the bank took back stake above its initial one."""
    REWARD = "reward"
    """Credit: the bank's part of a fiscal year's pot."""


_DEBITS = frozenset({AccountEntryKind.PAYOUT, AccountEntryKind.STAKE_TOP_UP})


@dataclass(frozen=True, slots=True)
class AccountEntry:
    """One movement of a bank's public account (BFT-12 18)."""

    bank: BankIndex
    kind: AccountEntryKind
    asset: AssetId
    amount: Amount
    """Minor units; never negative, the kind tells the direction."""
    transaction_id: TransactionId | None
    """None for a movement that no transaction causes."""

    @property
    def change(self) -> int:
        """What is added to the balance; negative for a debit."""
        return -self.amount if self.kind in _DEBITS else self.amount


class TreasuryKind(StrEnum):
    """Types of treasury rows (BFT-12 18)."""

    STAKE = "stake"
    """Initial stake, top-up, or withdrawal, whose amount is negative."""
    PENALTY = "penalty"
    """Taken from a stake into the year's pot."""
    FEE = "fee"
    """The approvers' part of a block's fees, into the year's pot."""
    REWARD = "reward"
    """Out of the pot of the row's year, to a bank's public account."""
    CARRY = "carry"
    """From one year's pot, where it is negative, into another's."""


@dataclass(frozen=True, slots=True)
class TreasuryEntry:
    """One movement of stakes or pots; minor units of the base asset.

    Per bank, stake rows less penalty rows are its stake.
    """

    bank: BankIndex | None
    """None where no single bank is concerned."""
    fiscal_year: FiscalYear
    amount: int
    """Negative for a withdrawal of stake, and for what a carry takes out of a pot."""
    kind: TreasuryKind
    reason: str


@dataclass(frozen=True, slots=True)
class BlockFees:
    """A block's fees in minor units of the base asset; creator + approvers = total."""

    total: Amount
    creator: Amount
    """A third, rounded down, to the creator's public account."""
    approvers: Amount
    """The rest, to the pot of the header time's fiscal year."""


@dataclass(frozen=True, slots=True)
class Punishment:
    """One slash: an offence that was proven in this block (BFT-12 9, 18); minor units."""

    evidence_id: bytes
    """SHA-256 of the evidence's canonical bytes."""
    offence: Offence
    bank: BankIndex
    height: Height
    """At which the offence was committed."""
    stake_before: Amount
    amount: Amount
    stake_after: Amount
    ordinal: int
    """Which of the bank's punished offences this is, for life, from 1."""

    @property
    def key(self) -> PunishedOffence:
        """(height, bank, class): what cannot be punished again."""
        return PunishedOffence(self.height, self.bank, self.offence.offence_class)


class RecordedVote(NamedTuple):
    """One ballot of the agreed voting record: who cast it is not known (BFT-12 17)."""

    tag: bytes
    """96 bytes; one per bank, height and view."""
    approve: bool
    ballot: bytes
    """The group signature, whole."""


@dataclass(frozen=True)
class Transition:
    """The outcome of one block."""

    state: LedgerState
    """After the block."""
    notes: tuple[NewNote, ...]
    """In ledger order."""
    nullifiers: tuple[SpentNullifier, ...]
    """In ledger order."""
    opened_bins: tuple[OpenedBin, ...]
    """In increasing bin id."""
    closed_bins: tuple[ClosedBinRecord, ...]
    """In closing order: full ones as they filled, then those of age in increasing bin id."""
    account_entries: tuple[AccountEntry, ...]
    """In transaction order, rewards by increasing bank, the creator's fee last."""
    treasury_entries: tuple[TreasuryEntry, ...]
    """Penalties in the order of the evidence, then in transaction order stake movements, rewards
    and carries, then the fees."""
    fees: BlockFees
    punishments: tuple[Punishment, ...] = ()
    """In the order of the evidence."""
    removed: tuple[BankIndex, ...] = ()
    """Banks that leave the active set with the next height, in increasing index (BFT-12 10)."""
    readmitted: tuple[BankIndex, ...] = ()
    """Banks that return to the active set with the next height, in transaction order."""
    settlement: SettlementOutcome | None = None
    """The fiscal year that the block ends, if it does (BFT-12 18)."""
    votes: tuple[RecordedVote, ...] = ()
    """The parent's voting record, by increasing tag; the parent's height and header time are its
    own (BFT-12 17). Empty at height 1."""
    kept_below_floor: tuple[BankIndex, ...] = ()
    """Banks that stay although below the slash floor, because the set may not shrink further: an
    alarm is due, and their removal is tried again with every block (BFT-12 10)."""


def genesis_transition(genesis: Genesis) -> Transition:
    """Return the outcome of block 0: the genesis state and each bank's stake row (BFT-12 18)."""
    year = fiscal_year(genesis.parameters, genesis.time_ms, genesis.time_ms)
    return Transition(
        state=genesis_state(genesis),
        notes=(),
        nullifiers=(),
        opened_bins=(),
        closed_bins=(),
        account_entries=(),
        treasury_entries=tuple(
            TreasuryEntry(bank.index, year, bank.initial_stake, TreasuryKind.STAKE, "initial stake")
            for bank in genesis.banks
        ),
        fees=BlockFees(Amount(0), Amount(0), Amount(0)),
    )
