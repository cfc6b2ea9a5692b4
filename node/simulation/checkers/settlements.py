"""Settlements: every year once, by the counts that were recorded, to the last unit (BFT-12 18)."""

from __future__ import annotations

import hashlib
from collections import Counter

from node.consensus.messages import Seal
from node.ledger.blocks import Block
from node.ledger.fiscal_year import fiscal_year
from node.ledger.settlement import SettlementOutcome
from node.ledger.state import LedgerState, Pot
from node.ledger.types import Amount, BankIndex, FiscalYear
from node.simulation.checker import Checker
from node.simulation.checkers.voting_record import VotingRecord
from node.simulation.engine import Bank, Cluster
from node.simulation.ledger import Valid
from node.simulation.production_ledger import LedgerPoint


class Settlements(Checker):
    """Compares every settlement with the counts that `VotingRecord` kept, and shares each pot out
    by itself."""

    name = "settlements"

    def __init__(self, record: VotingRecord) -> None:
        self._record = record

    def begin(self, cluster: Cluster) -> None:
        """No year is over."""
        super().begin(cluster)
        genesis = cluster.ledger.genesis
        assert isinstance(genesis, LedgerPoint), "years are settled on the production ledger alone"
        self._tip = genesis
        self._punished: dict[FiscalYear, set[BankIndex]] = {}
        self.settled: list[SettlementOutcome] = []

    def applied(self, bank: Bank, block: Block, seal: Seal, outcome: Valid) -> None:
        """Follow the chain, each block once."""
        after, before = outcome.after, self._tip
        if bank.index in self.cluster.byzantine or block.height != before.header.height + 1:
            return
        assert isinstance(after, LedgerPoint), "years are settled on the production ledger alone"
        self._tip = after
        transition = after.transition
        slashed = self._punished.setdefault(self._year_of(after), set())
        slashed.update(item.bank for item in transition.punishments)
        if transition.settlement is not None:
            self._check(transition.settlement, before, after)
            self.settled.append(transition.settlement)
        elif after.state.settled_through != before.state.settled_through:
            raise self.violation(f"height {block.height} ended a year without a settlement")

    def overdue(self, state: LedgerState, now: FiscalYear) -> list[FiscalYear]:
        """Return the years before `now` that are not settled in this state, lowest first."""
        return [year for year in _unsettled(state) if year < now]

    def _year_of(self, point: LedgerPoint) -> FiscalYear:
        genesis = point.genesis
        return fiscal_year(genesis.parameters, genesis.time_ms, point.header.time_ms)

    def _check(self, ended: SettlementOutcome, before: LedgerPoint, after: LedgerPoint) -> None:
        year, state = ended.year, before.state
        self._require(self._year_of(before) > year, ended, "the year was not over")
        self._require(
            all(known.year < year for known in self.settled), ended, "a later year came first"
        )
        self._require(_unsettled(state)[:1] == [year], ended, "it was not the year's turn")
        pot = next((pot for pot in state.pots if pot.year == year), None)
        pot = pot or Pot(year, Amount(0), Amount(0))
        self._require(ended.pot == pot, ended, "the pot is another one than was collected")
        self._require(
            set(pot.slashed) == self._punished.get(year, set()), ended, "other banks were punished"
        )
        left = self.overdue(after.state, FiscalYear(year + 1))
        self._require(not left, ended, "something of the year is left")
        total = pot.approver_fees + pot.penalties + pot.carried
        self._require(ended.paid + ended.carried == total, ended, "the pot is not what was paid")
        if ended.draw_seed is not None:
            self._check_counts(ended)
            self._check_shares(ended, total)
            self._check_seed(ended, before, after)
        else:
            self._require(ended.paid == 0, ended, "a carried pot was paid out")

    def _check_counts(self, ended: SettlementOutcome) -> None:
        recorded = self._record.counts.get(ended.year, Counter())
        for row in ended.rows:
            self._require(
                row.count == recorded[row.bank],
                ended,
                f"bank {row.bank} has {row.count} approvals, {recorded[row.bank]} are recorded",
            )
        banks = [row.bank for row in ended.rows]
        everybody = [bank.index for bank in self._tip.state.banks]
        self._require(banks == everybody, ended, "a bank is missing")

    def _check_shares(self, ended: SettlementOutcome, total: int) -> None:
        eligible = [row for row in ended.rows if row.count and row.bank not in ended.pot.slashed]
        counted = sum(row.count for row in eligible)
        for row in ended.rows:
            least = total * row.count // counted if row in eligible else 0
            most = least + 1 if row in eligible else 0
            self._require(
                least <= row.reward <= most,
                ended,
                f"bank {row.bank} got {row.reward} of {total} for {row.count} of {counted}",
            )
        self._require(not eligible or ended.carried == 0, ended, "something was not paid")

    def _check_seed(
        self, ended: SettlementOutcome, before: LedgerPoint, after: LedgerPoint
    ) -> None:
        genesis = before.genesis
        first = fiscal_year(genesis.parameters, genesis.time_ms, genesis.time_ms)
        link = ended.draw_seed
        assert link is not None, "asked for settlements alone"
        self._require(after.state.draw_commitment == link, ended, "another seed was kept")
        for _ in range(ended.year - first + 1):
            link = hashlib.sha256(link).digest()
        self._require(link == genesis.draw_commitment, ended, "the seed is not of the chain")

    def _require(self, holds: bool, ended: SettlementOutcome, message: str) -> None:
        if not holds:
            raise self.violation(f"FY{ended.year}: {message}")


def _unsettled(state: LedgerState) -> list[FiscalYear]:
    """Return the years with a pot or a tally, lowest first."""
    years = {pot.year for pot in state.pots} | {tally.year for tally in state.tallies}
    return sorted(years)
