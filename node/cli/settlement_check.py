"""Settlements verified again: their proofs against the recorded ballots, their rewards to the unit.

Each settled year's transaction is taken from its sealed block and judged by the ledger's own rules
on a state made of what was recomputed: the year's approvals as `RecordCheck` summed them up, and
its pot as the treasury's rows have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from crypto.transaction import transaction_id
from node.client.certified_blocks import verify_stored_block
from node.client.ledger_client import LedgerClient
from node.client.record_check import RecordCheck
from node.client.treasury_books import TreasuryBooks
from node.client.verification import SealVerifier
from node.ledger.active_set import ActiveSet
from node.ledger.blocks import Header
from node.ledger.fiscal_year import label
from node.ledger.governance import LedgerTransaction, verify_signatures
from node.ledger.rejection import Rejection
from node.ledger.rules import check_approved_set, check_quorum, decode
from node.ledger.settlement import PotCarry, Settlement, share_pot
from node.ledger.settlement_rules import check_settlement
from node.ledger.state import LedgerState
from node.ledger.types import Amount, FiscalYear, Height
from node.wire.records import PublishedSetChange, SettledYear


@dataclass(frozen=True, slots=True)
class _Sealed:
    """What ends a year, as it was sealed."""

    transaction: Settlement | PotCarry
    before: Header
    active_set: ActiveSet
    """Of its block."""


class SettlementCheck:
    """Verifies the settlements that a bank lists, in the order of the years."""

    def __init__(
        self,
        verifier: SealVerifier,
        set_changes: Sequence[PublishedSetChange],
        records: RecordCheck,
        books: TreasuryBooks,
    ) -> None:
        self._verifier = verifier
        self._genesis = verifier.genesis
        self._set_changes = set_changes
        self._records = records
        self._books = books
        self.verified = 0
        self.ended: list[FiscalYear] = []
        """Years whose pot and tally are gone from the state."""

    async def run(
        self, ledger: LedgerClient, state: LedgerState, settlements: Sequence[SettledYear]
    ) -> list[str]:
        """Return what is wrong, empty if nothing is; `state` is the certified one after them all.

        Raises `VerificationError` for a block that is not sealed, `LedgerError`.
        """
        faults: list[str] = []
        settled_through = FiscalYear(0)
        draw_commitment = self._genesis.draw_commitment
        for settled in settlements:
            name = label(FiscalYear(settled.fiscal_year))
            sealed = await self._fetch(ledger, settled)
            if sealed is None:
                faults.append(f"block {settled.height} does not settle {name} as the bank says")
                continue
            transaction = sealed.transaction
            parent = self._state_before(state, sealed.before, settled_through, draw_commitment)
            fault = self._check(sealed, settled, parent)
            faults += [f"the settlement of {name}: {fault}"] if fault else []
            self.ended.append(transaction.year)
            if isinstance(transaction, Settlement):
                settled_through = transaction.year
                draw_commitment = transaction.claim.draw_seed
            self.verified += not fault
        if (settled_through, draw_commitment) != (state.settled_through, state.draw_commitment):
            faults.append("the settlements listed are not all that the sealed state knows of")
        return faults

    async def _fetch(
        self, ledger: LedgerClient, settled: SettledYear
    ) -> _Sealed | None:
        """Return the settling transaction from its sealed block; None if it is not there."""
        if settled.height == 0:
            return None
        stored = await ledger.block(settled.height, include_transactions=True)
        block = verify_stored_block(self._verifier, stored, self._set_changes)
        below = await ledger.block(Height(settled.height - 1))
        before = self._verifier.verify_parent(below.header, block.header)
        for raw in block.transactions:
            if transaction_id(raw) == settled.transaction_id:
                found: LedgerTransaction = decode(raw, self._genesis)
                if isinstance(found, Settlement | PotCarry) and found.year == settled.fiscal_year:
                    return _Sealed(found, before, block.active_set)
        return None

    def _state_before(
        self,
        state: LedgerState,
        before: Header,
        settled_through: FiscalYear,
        draw_commitment: bytes,
    ) -> LedgerState:
        """Return what the rules read of the state before a settlement, from what was recomputed."""
        current = self._records.year_of(before)
        return replace(
            state,
            time_ms=before.time_ms,
            tallies=tuple(
                [
                    tally
                    for tally in self._records.tallies
                    if tally.year <= current and tally.year not in self.ended
                ]
            ),
            pots=tuple(
                [
                    self._books.pot(year)
                    for year in sorted(self._books.years)
                    if year <= current and year not in self.ended
                ]
            ),
            settled_through=settled_through,
            draw_commitment=draw_commitment,
        )

    def _check(self, sealed: _Sealed, settled: SettledYear, parent: LedgerState) -> str:
        transaction = sealed.transaction
        pot, books = self._books.pot(transaction.year), self._books.years[transaction.year]
        if settled.pot != pot.total:
            return f"a pot of {settled.pot} where the rows have {pot.total}"
        try:
            if isinstance(transaction, PotCarry):
                verify_signatures(transaction, self._genesis)
                check_approved_set(transaction.terms.set_hash, sealed.active_set)
                check_quorum(transaction.approvals, sealed.active_set)
                return "" if books.carried_out == pot.total else "it does not carry the pot on"
            check_settlement(transaction, self._genesis, parent)
        except Rejection as rejection:
            return str(rejection)
        counts = {item.bank: item.count for item in transaction.claim.counts}
        rows = share_pot(Amount(pot.total), counts, pot.slashed)
        owed = {row.bank: row.reward for row in rows if row.reward}
        listed = {share.bank: (share.count, share.reward) for share in settled.shares}
        if listed != {row.bank: (row.count, row.reward) for row in rows}:
            return "the counts or rewards listed are not those that follow from it"
        if dict(books.rewards) != owed:
            return "the reward rows are not those that follow from it"
        if books.carried_out != pot.total - sum(owed.values()):
            return "what was not paid out was not carried on"
        return ""
