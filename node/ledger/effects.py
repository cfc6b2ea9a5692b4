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
from node.ledger.state import LedgerState, genesis_state
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
        return -self.amount if self.kind is AccountEntryKind.PAYOUT else self.amount


class TreasuryKind(StrEnum):
    """Types of treasury rows (BFT-12 18)."""

    STAKE = "stake"
    PENALTY = "penalty"
    FEE = "fee"
    """The approvers' part of a block's fees, into the year's pot."""
    REWARD = "reward"


@dataclass(frozen=True, slots=True)
class TreasuryEntry:
    """One movement of stakes or pots; minor units of the base asset."""

    bank: BankIndex | None
    """None where no single bank is concerned."""
    fiscal_year: FiscalYear
    amount: Amount
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
    """In transaction order, the creator's fee last."""
    treasury_entries: tuple[TreasuryEntry, ...]
    fees: BlockFees


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
