"""The treasury at one height: a certified state, the movements that led to it, and that they agree.

Stakes and pots are verified from the genesis alone; movements and settlements are the rows of the
bank that answers, added up and held to that state (BFT-12 18).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from node.client.money import Money
from node.client.treasury_books import Equation, TreasuryBooks
from node.ledger.blocks import Header
from node.ledger.fiscal_year import fiscal_year, label
from node.ledger.genesis import Genesis
from node.ledger.invariants import InvariantBroken, check_conservation
from node.ledger.state import LedgerState
from node.ledger.types import FiscalYear
from node.wire.records import SettledYear, TreasuryMovement


@dataclass(frozen=True, slots=True)
class TreasuryReport:
    """The verified state of one height, with the movements that led to it."""

    genesis: Genesis
    header: Header
    state: LedgerState
    movements: tuple[TreasuryMovement, ...]
    """Up to that height, in ledger order."""
    settlements: tuple[SettledYear, ...]
    """Up to that height, as the bank lists them."""
    books: TreasuryBooks
    """The movements added up."""
    faults: tuple[str, ...]
    """What does not add up; empty if everything does."""

    @staticmethod
    def of(
        genesis: Genesis,
        header: Header,
        state: LedgerState,
        movements: Sequence[TreasuryMovement],
        settlements: Sequence[SettledYear],
        books: TreasuryBooks,
    ) -> TreasuryReport:
        """Hold movements and settlements, which a bank listed, to a certified state."""
        faults = [*books.faults(state), *settlement_faults(books, settlements)]
        try:
            check_conservation(genesis, state)
        except InvariantBroken as error:
            faults.append(str(error))
        return TreasuryReport(
            genesis, header, state, tuple(movements), tuple(settlements), books, tuple(faults)
        )

    @property
    def money(self) -> Money:
        """Nothing of the base asset; amounts are made with `of`."""
        return Money.none_of(self.genesis.base_asset)

    @property
    def equation(self) -> Equation:
        """The invariant of BFT-12 18 on the state."""
        return Equation.of(self.genesis, self.state)

    @property
    def years(self) -> list[FiscalYear]:
        """Every year with a movement, a pot, a tally or a settlement, in order."""
        years = {
            *self.books.years,
            *(pot.year for pot in self.state.pots),
            *(tally.year for tally in self.state.tallies),
            *(settled.fiscal_year for settled in self.settlements),
        }
        return [FiscalYear(year) for year in sorted(years)]

    def settlement(self, year: int) -> SettledYear | None:
        """How a year was settled, None if it was not."""
        return next((item for item in self.settlements if item.fiscal_year == year), None)

    def standing(self, year: FiscalYear) -> str:
        """`open`, `ended`, `settled` or `carried`."""
        settled = self.settlement(year)
        if settled is not None:
            return "settled" if settled.shares else "carried"
        if year <= self.state.settled_through:
            return "settled"
        parameters, begun_ms = self.genesis.parameters, self.genesis.time_ms
        current = fiscal_year(parameters, begun_ms, self.state.time_ms)
        return "open" if year >= current else "ended"


def settlement_faults(books: TreasuryBooks, settlements: Sequence[SettledYear]) -> list[str]:
    """Say in what the listed settlements are not what the movements of their years are."""
    faults = []
    for settled in settlements:
        year, name = books.years[settled.fiscal_year], label(FiscalYear(settled.fiscal_year))
        paid = {share.bank: share.reward for share in settled.shares if share.reward}
        if settled.pot != year.pot or settled.carried != year.carried_out:
            faults.append(f"the settlement of {name} is about another pot than the rows")
        if paid != dict(year.rewards):
            faults.append(f"the rewards of {name} are not those of its settlement")
        if sum(paid.values()) + settled.carried != settled.pot:
            faults.append(f"the settlement of {name} does not share its pot out exactly")
    return faults
