"""Execution: parent state and transactions in, outcome out.

Order of application (BFT-12 3): the parent's ballots, evidence and slashes (none in this version),
transactions in order, stake movements and removals (none in this version), fees, bin closing,
state root. A transaction is judged whole before any of it is applied, so a rejection leaves
nothing behind; a rejected one occupies neither its nullifiers nor its one-time keys (IDX1 8.5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from crypto.batch import BlockView
from crypto.errors import Rejected
from crypto.transaction import Kind, Mint, Transfer
from crypto.validation import check_context, check_uniqueness
from node.ledger import accumulators
from node.ledger.bins import BinFiller
from node.ledger.effects import (
    AccountEntry,
    AccountEntryKind,
    BlockFees,
    ClosedBinRecord,
    NewNote,
    OpenedBin,
    SpentNullifier,
    Transition,
    TreasuryEntry,
    TreasuryKind,
    genesis_transition,
)
from node.ledger.facts import BlockFacts, FactsNeeded, facts_needed
from node.ledger.fiscal_year import fiscal_year
from node.ledger.genesis import Genesis
from node.ledger.proofs import VerifiedTransaction
from node.ledger.rejection import Reason, Rejection
from node.ledger.rules import AdmissionView, check_not_sealed, check_terms
from node.ledger.state import Accumulated, AssetState, BankState, LedgerState, Pot, SetRecord
from node.ledger.types import Amount, AssetId, BankIndex, Height, TimeMs, TransactionId

__all__ = [
    "AccountEntry",
    "AccountEntryKind",
    "BlockFacts",
    "BlockFees",
    "ClosedBinRecord",
    "Execution",
    "FactsNeeded",
    "NewNote",
    "OpenedBin",
    "SpentNullifier",
    "StaleVerdict",
    "Transition",
    "TreasuryEntry",
    "TreasuryKind",
    "execute",
    "facts_needed",
    "genesis_transition",
]

CREATOR_SHARE = 3
"""One part in three of a block's fees is the creator's (BFT-12 18)."""


class StaleVerdict(Exception):
    """The host handed over a verdict about other bins than the parent state has: its bug, not the
    transaction's fault. Verify the bytes again."""


def execute(
    genesis: Genesis,
    state: LedgerState,
    *,
    height: Height,
    time_ms: TimeMs,
    proposer: BankIndex,
    transactions: Sequence[VerifiedTransaction],
    facts: BlockFacts,
) -> Transition:
    """Apply a block's transactions to the parent state and return the outcome.

    `facts` holds what `facts_needed(transactions)` asks for, as of the parent state. Raises
    `Rejection` with the `transaction_index` of the first transaction that may not stand there, and
    `StaleVerdict` for a misuse by the host.
    """
    execution = Execution(genesis, state, height=height, time_ms=time_ms, facts=facts)
    for index, transaction in enumerate(transactions):
        try:
            execution.apply(transaction)
        except Rejection as rejection:
            raise rejection.at(index) from rejection
    return execution.finish(proposer)


class Execution:
    """A block under construction on top of a parent state, which it never changes."""

    def __init__(
        self,
        genesis: Genesis,
        state: LedgerState,
        *,
        height: Height,
        time_ms: TimeMs,
        facts: BlockFacts,
    ) -> None:
        assert height == state.height + 1, f"block {height} does not follow state {state.height}"
        self._genesis = genesis
        self._parent = state
        self._height = height
        self._time_ms = time_ms
        self._view = AdmissionView(genesis, state, facts)
        self._occupied = BlockView(self._view)
        self._transaction_ids: set[TransactionId] = set()
        self._banks = list(state.banks)
        self._assets = {asset.asset_id: asset for asset in state.assets}
        self._bins = BinFiller.after(state, genesis, height, time_ms)
        self._nullifier_accumulator = state.nullifiers
        self._nullifiers: list[SpentNullifier] = []
        self._account_entries: list[AccountEntry] = []
        self._fee_total = 0

    def apply(self, verified: VerifiedTransaction) -> None:
        """Append one transaction; raises `Rejection` and changes nothing if it may not follow."""
        transaction = verified.transaction
        self._check(verified)
        if isinstance(transaction, Transfer):
            self._apply_transfer(transaction)
        elif transaction.kind is Kind.ISSUE:
            self._apply_issue(transaction)
        else:
            self._apply_payout(transaction)
        # No rule is left to fail from here on.
        self._occupied.occupy(transaction)
        self._transaction_ids.add(verified.transaction_id)
        self._spend(verified)
        for index, output in enumerate(transaction.outputs):
            self._bins.add(AssetId(transaction.asset), verified.transaction_id, index, output)

    def _check(self, verified: VerifiedTransaction) -> None:
        transaction = verified.transaction
        if verified.transaction_id in self._transaction_ids:
            raise Rejection(Reason.DUPLICATE_TRANSACTION, "the transaction occurs twice")
        check_not_sealed(transaction, self._view.facts)
        check_terms(transaction, self._view)
        try:
            bins = check_context(transaction, self._view)
            check_uniqueness(transaction, self._occupied)
        except Rejected as rejected:
            raise Rejection.of(rejected) from rejected
        if tuple([(ring.bin_id, ring.digest) for ring in bins]) != verified.bins_read:
            raise StaleVerdict(f"{verified.transaction_id.hex()} was verified over other bins")

    def _apply_transfer(self, transaction: Transfer) -> None:
        asset = self._assets[AssetId(transaction.asset)]
        self._assets[asset.asset_id] = replace(
            asset,
            fees=Amount(asset.fees + transaction.fee),
            redeemed=Amount(asset.redeemed + transaction.redeem),
        )
        self._fee_total += transaction.fee
        if transaction.redeem:
            bank = self._genesis.bank_of_account(transaction.account)
            assert bank is not None, "check_terms refuses an unknown account"
            self._move(
                bank,
                AccountEntryKind.REDEEM,
                Amount(transaction.redeem),
                TransactionId(transaction.transaction_id),
            )

    def _apply_issue(self, transaction: Mint) -> None:
        asset, bank = self._issuer(transaction)
        entry = asset.issuance_of(bank)
        assert entry is not None, "check_context refuses an unregistered issuer"
        issued = Amount(entry.issued + transaction.amount)
        if issued > entry.limit:
            raise Rejection(
                Reason.ISSUANCE_LIMIT,
                f"bank {bank} has issued {entry.issued} of {entry.limit}, "
                f"{transaction.amount} more is too much",
            )
        self._assets[asset.asset_id] = replace(
            asset,
            issued=Amount(asset.issued + transaction.amount),
            issuance=tuple(
                [replace(item, issued=issued) if item is entry else item for item in asset.issuance]
            ),
        )

    def _apply_payout(self, transaction: Mint) -> None:
        asset, bank = self._issuer(transaction)
        balance = self._banks[bank].balance
        if transaction.amount > balance:
            raise Rejection(
                Reason.INSUFFICIENT_ACCOUNT,
                f"the account of bank {bank} holds {balance}, {transaction.amount} is wanted",
            )
        self._assets[asset.asset_id] = replace(
            asset, paid_out=Amount(asset.paid_out + transaction.amount)
        )
        self._move(
            bank,
            AccountEntryKind.PAYOUT,
            Amount(transaction.amount),
            TransactionId(transaction.transaction_id),
        )

    def _issuer(self, transaction: Mint) -> tuple[AssetState, BankIndex]:
        bank = self._genesis.bank_of_issuer(transaction.issuer)
        assert bank is not None, "check_context refuses an unknown issuer"
        return self._assets[AssetId(transaction.asset)], bank

    def _move(
        self,
        bank: BankIndex,
        kind: AccountEntryKind,
        amount: Amount,
        transaction_id: TransactionId | None,
    ) -> None:
        base_asset = self._genesis.base_asset.asset_id
        entry = AccountEntry(bank, kind, base_asset, amount, transaction_id)
        before = self._banks[bank]
        self._banks[bank] = replace(before, balance=Amount(before.balance + entry.change))
        self._account_entries.append(entry)

    def _spend(self, verified: VerifiedTransaction) -> None:
        count, accumulator = (
            self._nullifier_accumulator.count,
            self._nullifier_accumulator.accumulator,
        )
        for nullifier in verified.nullifiers:
            count += 1
            accumulator = accumulators.add_nullifier(accumulator, nullifier)
            self._nullifiers.append(SpentNullifier(nullifier, verified.transaction_id))
        self._nullifier_accumulator = Accumulated(count, accumulator)

    def finish(self, proposer: BankIndex) -> Transition:
        """Share out the fees, close bins and return the outcome; call it once."""
        fees = self._share_fees(proposer)
        self._bins.close_aged()
        pots, treasury_entries = self._fill_pot(fees)
        return Transition(
            state=self._next_state(pots),
            notes=tuple(self._bins.new_notes),
            nullifiers=tuple(self._nullifiers),
            opened_bins=tuple(self._bins.opened_bins),
            closed_bins=tuple(self._bins.closed_bins),
            account_entries=tuple(self._account_entries),
            treasury_entries=treasury_entries,
            fees=fees,
        )

    def _share_fees(self, proposer: BankIndex) -> BlockFees:
        creator_fee = Amount(self._fee_total // CREATOR_SHARE)
        creator: BankState = self._banks[proposer]
        self._banks[proposer] = replace(
            creator,
            blocks_created=creator.blocks_created + 1,
            creator_fees=Amount(creator.creator_fees + creator_fee),
        )
        if creator_fee:
            self._move(proposer, AccountEntryKind.CREATOR_FEE, creator_fee, None)
        return BlockFees(
            Amount(self._fee_total), creator_fee, Amount(self._fee_total - creator_fee)
        )

    def _fill_pot(self, fees: BlockFees) -> tuple[tuple[Pot, ...], tuple[TreasuryEntry, ...]]:
        if not fees.approvers:
            return self._parent.pots, ()
        year = fiscal_year(self._genesis.parameters, self._genesis.time_ms, self._time_ms)
        pots = {pot.year: pot for pot in self._parent.pots}
        pot = pots.get(year, Pot(year, Amount(0), Amount(0)))
        pots[year] = replace(pot, approver_fees=Amount(pot.approver_fees + fees.approvers))
        entry = TreasuryEntry(
            bank=None,
            fiscal_year=year,
            amount=fees.approvers,
            kind=TreasuryKind.FEE,
            reason=f"approvers' part of the fees of block {self._height}",
        )
        return tuple([pots[key] for key in sorted(pots)]), (entry,)

    def _next_state(self, pots: tuple[Pot, ...]) -> LedgerState:
        parent = self._parent
        return replace(
            parent,
            height=self._height,
            time_ms=self._time_ms,
            banks=tuple(self._banks),
            assets=tuple(
                [
                    replace(
                        self._assets[asset.asset_id], open_bin=self._bins.open_bin(asset.asset_id)
                    )
                    for asset in parent.assets
                ]
            ),
            next_bin_id=self._bins.next_bin_id,
            transaction_count=parent.transaction_count + len(self._transaction_ids),
            notes=self._bins.notes,
            nullifiers=self._nullifier_accumulator,
            closed_bins=self._bins.closed,
            pots=pots,
            set_records=self._next_set_records(),
        )

    def _next_set_records(self) -> tuple[SetRecord, ...]:
        active = tuple([bank.index for bank in self._banks if bank.active])
        records = self._parent.set_records
        if active != records[-1].banks:
            set_hash = self._genesis.active_set(active).set_hash
            records = (*records, SetRecord(Height(self._height + 1), set_hash, active))
        oldest = self._height + 1 - self._genesis.parameters.evidence_window
        # A record is of use as long as the next one begins inside the window.
        first = sum(record.from_height <= oldest for record in records[1:])
        return records[first:]
