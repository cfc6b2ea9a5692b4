"""Execution: parent state, evidence and transactions in, outcome out.

Order of application (BFT-12 3): the parent's ballots, evidence and slashes,
transactions in order (among them stake movements and readmissions), removals, fees, bin closing,
state root. A transaction is judged whole before any of it is applied, so a rejection leaves nothing
behind; a rejected one occupies neither its nullifiers nor its one-time keys (IDX1 8.5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from crypto.batch import BlockView
from crypto.errors import Rejected
from crypto.transaction import Kind, Mint, Transfer
from crypto.validation import check_context, check_uniqueness
from node.ledger import accumulators
from node.ledger.ballots import VerifiedBallot
from node.ledger.bins import BinFiller
from node.ledger.effects import (
    AccountEntry,
    AccountEntryKind,
    BlockFees,
    ClosedBinRecord,
    NewNote,
    OpenedBin,
    Punishment,
    SpentNullifier,
    Transition,
    TreasuryEntry,
    TreasuryKind,
    genesis_transition,
)
from node.ledger.facts import BlockFacts, FactsNeeded, facts_needed
from node.ledger.fiscal_year import fiscal_year, label
from node.ledger.genesis import Genesis
from node.ledger.governance import (
    GovernanceTransaction,
    LedgerTransaction,
    Readmission,
    StakeMovement,
)
from node.ledger.offences import VerifiedEvidence
from node.ledger.proofs import VerifiedTransaction
from node.ledger.rejection import Reason, Rejection
from node.ledger.rules import (
    AdmissionView,
    check_expiry,
    check_not_sealed,
    check_readmission,
    check_stake_movement,
    check_terms,
)
from node.ledger.settlement import PotCarry, Settlement
from node.ledger.settlement_rules import check_pot_carry, check_settlement
from node.ledger.slashing import check_evidence
from node.ledger.state import (
    Accumulated,
    AssetState,
    BankState,
    LedgerState,
    PunishedOffence,
    SetRecord,
    Tally,
)
from node.ledger.treasury import Treasury
from node.ledger.types import (
    Amount,
    AssetId,
    BankIndex,
    FiscalYear,
    Height,
    TimeMs,
    TransactionId,
)
from node.ledger.voting_record import add_to_tallies, recorded_votes

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
    "Punishment",
    "SpentNullifier",
    "StaleVerdict",
    "Transition",
    "TreasuryEntry",
    "TreasuryKind",
    "execute",
    "facts_needed",
    "genesis_transition",
]

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
    evidence: Sequence[VerifiedEvidence] = (),
    ballots: Sequence[VerifiedBallot] = (),
) -> Transition:
    """Apply a block's ballots, evidence and transactions to the parent state; return the outcome.

    `facts` holds what `facts_needed(transactions)` asks for, as of the parent state; `ballots` are
    what `check_voting_record` or `select_votes` returned. Raises `Rejection`, for a transaction
    that may not stand there with its `transaction_index`, and `StaleVerdict` for a misuse by the
    host.
    """
    execution = Execution(
        genesis,
        state,
        height=height,
        time_ms=time_ms,
        facts=facts,
        evidence=evidence,
        ballots=ballots,
    )
    for index, transaction in enumerate(transactions):
        try:
            execution.apply(transaction)
        except Rejection as rejection:
            raise rejection.at(index) from rejection
    return execution.finish(proposer)


class Execution:
    """A block under construction on top of a parent state, which it never changes.

    Constructing it applies ballots and evidence; raises `Rejection` if that may not stand there.
    """

    def __init__(
        self,
        genesis: Genesis,
        state: LedgerState,
        *,
        height: Height,
        time_ms: TimeMs,
        facts: BlockFacts,
        evidence: Sequence[VerifiedEvidence] = (),
        ballots: Sequence[VerifiedBallot] = (),
    ) -> None:
        assert height == state.height + 1, f"block {height} does not follow state {state.height}"
        self._genesis = genesis
        self._parent = state
        self._height = height
        self._time_ms = time_ms
        self._view = AdmissionView(genesis, state, facts)
        self._occupied = BlockView(self._view)
        self._transaction_ids: set[bytes] = set()
        self._treasury = Treasury(genesis, state, height, time_ms)
        self._assets = {asset.asset_id: asset for asset in state.assets}
        self._bins = BinFiller.after(state, genesis, height, time_ms)
        self._nullifier_accumulator = state.nullifiers
        self._nullifiers: list[SpentNullifier] = []
        self._fee_total = 0
        self._governance_nonce = state.governance_nonce
        self._votes = recorded_votes(ballots)
        self._tallies = add_to_tallies(
            state.tallies,
            ballots,
            year=fiscal_year(genesis.parameters, genesis.time_ms, state.time_ms),
            opener_key=genesis.opener_key,
        )
        check_evidence(genesis, state, evidence)
        for item in evidence:
            self._treasury.punish(item)

    def apply(self, verified: VerifiedTransaction) -> None:
        """Append one transaction; raises `Rejection` and changes nothing if it may not follow."""
        transaction = verified.transaction
        self._check(transaction)
        if isinstance(transaction, Transfer | Mint):
            self._check_notes(transaction, verified)
        self._append(transaction)

    def _append(self, transaction: LedgerTransaction) -> None:
        """Apply what was checked; what is left to check is judged before anything is changed."""
        if isinstance(transaction, GovernanceTransaction):
            self._apply_governance(transaction)
        else:
            self._apply_notes(transaction)
        self._transaction_ids.add(transaction.transaction_id)

    def _check(self, transaction: LedgerTransaction) -> None:
        if transaction.transaction_id in self._transaction_ids:
            raise Rejection(Reason.DUPLICATE_TRANSACTION, "the transaction occurs twice")
        check_not_sealed(transaction, self._view.facts)
        check_terms(transaction, self._view)

    def _apply_governance(self, transaction: GovernanceTransaction) -> None:
        check_expiry(transaction, self._height)
        match transaction:
            case StakeMovement():
                check_stake_movement(transaction, self._treasury.bank(transaction.bank))
                self._treasury.move_stake(transaction)
            case Readmission():
                bank = self._treasury.bank(transaction.terms.bank)
                active = self._parent.active_set(self._genesis)
                check_readmission(transaction, bank, active, self._governance_nonce)
                self._treasury.readmit(bank.index)
                self._governance_nonce += 1
            case Settlement():
                self._require_one_year(transaction.year)
                check_settlement(transaction, self._genesis, self._parent)
                self._treasury.settle(transaction)
            case PotCarry():
                self._require_one_year(transaction.year)
                check_pot_carry(transaction, self._genesis, self._parent, self._governance_nonce)
                self._treasury.carry_pot(transaction)
                self._governance_nonce += 1

    def _require_one_year(self, year: FiscalYear) -> None:
        ended = self._treasury.settlement
        if ended is None:
            return
        if ended.year == year:
            raise Rejection(Reason.SETTLED, f"the block ends {label(year)} already")
        raise Rejection(Reason.YEAR_ORDER, f"the block ends {label(ended.year)} already")

    def _apply_notes(self, transaction: Transfer | Mint) -> None:
        if isinstance(transaction, Transfer):
            self._apply_transfer(transaction)
        elif transaction.kind is Kind.ISSUE:
            self._apply_issue(transaction)
        else:
            self._apply_payout(transaction)
        # No rule is left to fail from here on.
        self._occupied.occupy(transaction)
        self._spend(transaction)
        transaction_id = TransactionId(transaction.transaction_id)
        for index, output in enumerate(transaction.outputs):
            self._bins.add(AssetId(transaction.asset), transaction_id, index, output)

    def _check_notes(self, transaction: Transfer | Mint, verified: VerifiedTransaction) -> None:
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
            self._treasury.move(
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
        balance = self._treasury.bank(bank).balance
        if transaction.amount > balance:
            raise Rejection(
                Reason.INSUFFICIENT_ACCOUNT,
                f"the account of bank {bank} holds {balance}, {transaction.amount} is wanted",
            )
        self._assets[asset.asset_id] = replace(
            asset, paid_out=Amount(asset.paid_out + transaction.amount)
        )
        self._treasury.move(
            bank,
            AccountEntryKind.PAYOUT,
            Amount(transaction.amount),
            TransactionId(transaction.transaction_id),
        )

    def _issuer(self, transaction: Mint) -> tuple[AssetState, BankIndex]:
        bank = self._genesis.bank_of_issuer(transaction.issuer)
        assert bank is not None, "check_context refuses an unknown issuer"
        return self._assets[AssetId(transaction.asset)], bank

    def _spend(self, transaction: Transfer | Mint) -> None:
        count, accumulator = (
            self._nullifier_accumulator.count,
            self._nullifier_accumulator.accumulator,
        )
        transaction_id = TransactionId(transaction.transaction_id)
        for spend in transaction.inputs:
            count += 1
            accumulator = accumulators.add_nullifier(accumulator, spend.nullifier)
            self._nullifiers.append(SpentNullifier(spend.nullifier, transaction_id))
        self._nullifier_accumulator = Accumulated(count, accumulator)

    def finish(self, proposer: BankIndex) -> Transition:
        """Remove banks, share out the fees, close bins, return the outcome; call it once."""
        treasury = self._treasury
        treasury.remove_below_floor()
        fees = treasury.share_fees(Amount(self._fee_total), proposer)
        self._bins.close_aged()
        return Transition(
            state=self._next_state(),
            notes=tuple(self._bins.new_notes),
            nullifiers=tuple(self._nullifiers),
            opened_bins=tuple(self._bins.opened_bins),
            closed_bins=tuple(self._bins.closed_bins),
            account_entries=treasury.account_entries,
            treasury_entries=treasury.entries,
            fees=fees,
            punishments=treasury.punishments,
            removed=treasury.removed,
            readmitted=treasury.readmitted,
            votes=self._votes,
            kept_below_floor=treasury.kept_below_floor,
            settlement=treasury.settlement,
        )

    def _next_state(self) -> LedgerState:
        parent = self._parent
        banks = self._treasury.banks
        return replace(
            parent,
            height=self._height,
            time_ms=self._time_ms,
            banks=banks,
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
            pots=self._treasury.pots,
            tallies=self._next_tallies(),
            punished=self._next_punished(),
            set_records=self._next_set_records(banks),
            governance_nonce=self._governance_nonce,
            settled_through=self._treasury.settled_through,
            draw_commitment=self._treasury.draw_commitment,
        )

    def _next_tallies(self) -> tuple[Tally, ...]:
        ended = self._treasury.settlement
        if ended is None:
            return self._tallies
        return tuple([tally for tally in self._tallies if tally.year != ended.year])

    def _next_punished(self) -> tuple[PunishedOffence, ...]:
        added = [punishment.key for punishment in self._treasury.punishments]
        known = sorted([*self._parent.punished, *added]) if added else self._parent.punished
        return tuple([key for key in known if key.height >= self._oldest_punishable])

    def _next_set_records(self, banks: Sequence[BankState]) -> tuple[SetRecord, ...]:
        active = tuple([bank.index for bank in banks if bank.active])
        records = self._parent.set_records
        if active != records[-1].banks:
            set_hash = self._genesis.active_set(active).set_hash
            records = (*records, SetRecord(Height(self._height + 1), set_hash, active))
        # A record is of use as long as the next one begins inside the window.
        first = sum(record.from_height <= self._oldest_punishable for record in records[1:])
        return records[first:]

    @property
    def _oldest_punishable(self) -> int:
        """By the block after this one."""
        return self._height + 1 - self._genesis.parameters.evidence_window
