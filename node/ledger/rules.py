"""The rules a transaction obeys by itself against the parent state; no proof is looked at.

Steps 8.2 and 8.5 of IDX1 are the cryptography's own (`crypto.validation`); this module gives them
their view of the ledger and adds the rules of money: assets, fees, accounts, expiry, stakes (BFT-12
18).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from crypto.errors import Rejected
from crypto.ring import ClosedBin, OpenBin
from crypto.transaction import (
    MAX_TRANSACTION_BYTES,
    Kind,
    Transfer,
    decode_transaction,
)
from node.ledger.active_set import ActiveSet
from node.ledger.definitions import AMOUNT_LIMIT
from node.ledger.facts import BlockFacts
from node.ledger.genesis import Genesis
from node.ledger.governance import (
    Approval,
    GovernanceKind,
    GovernanceTransaction,
    LedgerTransaction,
    Readmission,
    StakeMovement,
    decode_governance,
    is_governance,
)
from node.ledger.rejection import Reason, Rejection
from node.ledger.state import BankState, LedgerState
from node.ledger.types import AssetId, Height


@dataclass(frozen=True, slots=True)
class AdmissionView:
    """The parent state as validation reads it; satisfies `crypto.validation.LedgerView`."""

    genesis: Genesis
    state: LedgerState
    facts: BlockFacts

    @property
    def chain_id(self) -> bytes:
        """The ledger's id, 32 bytes."""
        return self.genesis.chain_id

    @property
    def height(self) -> Height:
        """Height of the block being judged: the one after the state's."""
        return Height(self.state.height + 1)

    @property
    def ring_base(self) -> int:
        """The genesis parameter n (IDX1 4.5)."""
        return self.genesis.parameters.ring_base

    def find_bin(self, bin_id: int) -> ClosedBin | OpenBin | None:
        """Return the bin as the parent state has it, None if it does not exist there."""
        closed = self.facts.closed_bins.get(bin_id)
        if closed is not None:
            return closed
        for asset in self.state.assets:
            if asset.open_bin is not None and asset.open_bin.bin_id == bin_id:
                return OpenBin(bin_id, asset.asset_id)
        return None

    def is_issuer(self, asset: bytes, issuer: bytes) -> bool:
        """Whether the key belongs to a bank that has an issuance limit for the asset."""
        bank = self.genesis.bank_of_issuer(issuer)
        asset_state = self.state.asset(AssetId(asset))
        if bank is None or asset_state is None:
            return False
        return asset_state.issuance_of(bank) is not None

    def is_spent(self, nullifier: bytes) -> bool:
        """Whether the nullifier is spent in the parent state."""
        return nullifier in self.facts.spent

    def is_known_note(self, one_time_key: bytes) -> bool:
        """Whether the one-time key is on the ledger in the parent state."""
        return one_time_key in self.facts.known_notes


def decode(raw: bytes, genesis: Genesis) -> LedgerTransaction:
    """Decode one transaction, its size limit first (IDX1 8.1); raises `Rejection`."""
    if len(raw) > MAX_TRANSACTION_BYTES:
        raise Rejection(
            Reason.SIZE, f"{len(raw)} bytes exceed the {MAX_TRANSACTION_BYTES} of any transaction"
        )
    if is_governance(raw):
        return decode_governance(raw)
    try:
        return decode_transaction(raw, genesis.parameters.ring_base)
    except Rejected as rejected:
        raise Rejection.of(rejected) from rejected


class TermsView(Protocol):
    """What the terms of a transaction are checked against; no state."""

    @property
    def genesis(self) -> Genesis:
        """The ledger's genesis."""
        ...

    @property
    def height(self) -> Height:
        """Height of the block being judged."""
        ...


def check_terms(transaction: LedgerTransaction, view: TermsView) -> None:
    """Check what the genesis and the block's height alone decide; raises `Rejection`.

    Chain, expiry bound, asset, fee and account. These come before the bins, so that "not yet" is
    only said of what may be valid later.
    """
    genesis, height = view.genesis, view.height
    if transaction.chain_id != genesis.chain_id:
        raise Rejection(Reason.CHAIN, "made for another ledger")
    latest_expiry = height + genesis.parameters.max_expiry_heights
    if transaction.expiry > latest_expiry:
        raise Rejection(
            Reason.EXPIRY_TOO_FAR,
            f"expires at height {transaction.expiry}, at most {latest_expiry} is allowed now",
        )
    if isinstance(transaction, GovernanceTransaction):
        return
    asset = genesis.asset(transaction.asset)
    if asset is None:
        raise Rejection(Reason.ASSET, f"asset {transaction.asset.hex()} does not exist")
    if isinstance(transaction, Transfer):
        _check_fee(transaction, genesis, is_base=asset.is_base)
        _check_redeem(transaction, genesis, is_base=asset.is_base)
    elif transaction.kind is Kind.PAYOUT and not asset.is_base:
        raise Rejection(Reason.PAYOUT_ASSET, f"{asset.code} cannot be paid out of an account")


def check_expiry(transaction: LedgerTransaction, height: Height) -> None:
    """Refuse what has expired before the block's height (IDX1 8.2); raises `Rejection`."""
    if height > transaction.expiry:
        raise Rejection(Reason.EXPIRED, f"height {height}, valid up to {transaction.expiry}")


def _check_fee(transaction: Transfer, genesis: Genesis, *, is_base: bool) -> None:
    required = genesis.parameters.transfer_fee if is_base else 0
    if transaction.fee != required:
        raise Rejection(Reason.FEE, f"the fee is {transaction.fee}, it must be exactly {required}")


def _check_redeem(transaction: Transfer, genesis: Genesis, *, is_base: bool) -> None:
    if transaction.redeem == 0:
        return
    if not is_base:
        raise Rejection(
            Reason.REDEEM_ASSET, f"only {genesis.base_asset.code} can be redeemed into an account"
        )
    if genesis.bank_of_account(transaction.account) is None:
        raise Rejection(Reason.ACCOUNT, f"{transaction.account.hex()} is no bank's account")


def check_not_sealed(transaction: LedgerTransaction, facts: BlockFacts) -> None:
    """Refuse what is on the ledger already (BFT-12 8); raises `Rejection`."""
    if transaction.transaction_id in facts.sealed_transactions:
        raise Rejection(Reason.DUPLICATE_TRANSACTION, "the transaction is sealed already")


def check_stake_movement(movement: StakeMovement, bank: BankState) -> None:
    """Check a movement against its bank as it stands at this place of the block (BFT-12 18).

    Raises `Rejection`: NONCE unless it is the bank's next movement, INSUFFICIENT_ACCOUNT and
    STAKE_LIMIT for a top-up, STAKE_EXCESS for a withdrawal below the initial stake.
    """
    _check_nonce(movement.nonce, bank.stake_nonce, f"bank {bank.index}'s next stake movement")
    if movement.kind is GovernanceKind.STAKE_WITHDRAWAL:
        excess = max(0, bank.stake - bank.initial_stake)
        if movement.amount > excess:
            raise Rejection(
                Reason.STAKE_EXCESS,
                f"the stake of bank {bank.index} exceeds its initial stake by {excess}, "
                f"{movement.amount} is wanted",
            )
    elif movement.amount > bank.balance:
        raise Rejection(
            Reason.INSUFFICIENT_ACCOUNT,
            f"the account of bank {bank.index} holds {bank.balance}, {movement.amount} is wanted",
        )
    elif bank.stake + movement.amount >= AMOUNT_LIMIT:
        raise Rejection(
            Reason.STAKE_LIMIT,
            f"the stake of bank {bank.index} is {bank.stake}, {movement.amount} more is too much",
        )


def check_readmission(
    readmission: Readmission, bank: BankState, active: ActiveSet, governance_nonce: int
) -> None:
    """Check a readmission against its bank and the set that decides this block (BFT-12 10, 18).

    `bank` and `governance_nonce` are as at this place of the block. Raises `Rejection`: NONCE,
    APPROVED_SET, BANK_ACTIVE, STAKE_BELOW_INITIAL, APPROVER_INACTIVE, APPROVAL_COUNT.
    """
    terms = readmission.terms
    check_governance_nonce(terms.nonce, governance_nonce)
    check_approved_set(terms.set_hash, active)
    if bank.active:
        raise Rejection(Reason.BANK_ACTIVE, f"bank {bank.index} is in the active set")
    if bank.stake < bank.initial_stake:
        raise Rejection(
            Reason.STAKE_BELOW_INITIAL,
            f"the stake of bank {bank.index} is {bank.stake}, "
            f"its initial stake of {bank.initial_stake} is required",
        )
    check_quorum(readmission.approvals, active)


def check_governance_nonce(found: int, governance_nonce: int) -> None:
    """Check the nonce of what q banks approve; raises `Rejection` (NONCE)."""
    _check_nonce(found, governance_nonce, "the next governance transaction")


def check_approved_set(set_hash: bytes, active: ActiveSet) -> None:
    """Check that the set that approved decides this block; raises `Rejection` (APPROVED_SET)."""
    if set_hash != active.set_hash:
        raise Rejection(Reason.APPROVED_SET, "approved under another active set than the present")


def check_quorum(approvals: Sequence[Approval], active: ActiveSet) -> None:
    """Check that these banks decide; raises `Rejection`: APPROVER_INACTIVE, APPROVAL_COUNT."""
    for approval in approvals:
        if approval.bank not in active:
            raise Rejection(
                Reason.APPROVER_INACTIVE, f"bank {approval.bank} is not in the active set"
            )
    if len(approvals) < active.quorum:
        raise Rejection(
            Reason.APPROVAL_COUNT,
            f"{len(approvals)} approvals, {active.quorum} are required",
        )


def _check_nonce(found: int, expected: int, what: str) -> None:
    if found != expected:
        raise Rejection(Reason.NONCE, f"nonce {found}, {what} has nonce {expected}")
