"""Treasury rows added up by year and by bank, and compared with a certified state (BFT-12 18).

Rows are the word of the bank that lists them; the state is what a quorum sealed. What the state
still holds must be what the rows add up to, and what a settlement took out of it must have gone
where the rows say: per year, fees, penalties and what was carried in are what was paid, carried
out, or is left.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Protocol

from node.ledger.effects import TreasuryKind
from node.ledger.fiscal_year import label
from node.ledger.genesis import Genesis
from node.ledger.state import LedgerState, Pot
from node.ledger.types import Amount, BankIndex, FiscalYear


class TreasuryMovement(Protocol):
    """A treasury row, whoever listed it."""

    @property
    def bank(self) -> int | None: ...

    @property
    def fiscal_year(self) -> int: ...

    @property
    def amount(self) -> int: ...

    @property
    def kind(self) -> str: ...


@dataclass(slots=True)
class YearBooks:
    """What moved in and out of one year's pot; minor units of the base asset."""

    fees: int = 0
    """The approvers' part."""
    penalties: int = 0
    carried_in: int = 0
    carried_out: int = 0
    rewards: Counter[int] = field(default_factory=Counter)
    """By bank."""
    slashed: set[int] = field(default_factory=set)
    """Banks that were punished in the year."""

    @property
    def pot(self) -> int:
        """What there was to share out, by the movements."""
        return self.fees + self.penalties + self.carried_in

    @property
    def left(self) -> int:
        """What must still be in the pot."""
        return self.pot - self.carried_out - self.rewards.total()


class TreasuryBooks:
    """Takes treasury rows one at a time; keeps sums alone."""

    def __init__(self) -> None:
        self.rows = 0
        self.years: defaultdict[int, YearBooks] = defaultdict(YearBooks)
        self._stakes: Counter[int | None] = Counter()
        self._penalties: Counter[int | None] = Counter()

    def add(self, row: TreasuryMovement) -> None:
        """Enter a row into its year and its bank."""
        self.rows += 1
        match row.kind:
            case TreasuryKind.STAKE:
                self._stakes[row.bank] += row.amount
            case TreasuryKind.PENALTY:
                year = self.years[row.fiscal_year]
                year.penalties += row.amount
                self._penalties[row.bank] += row.amount
                if row.bank is not None:
                    year.slashed.add(row.bank)
            case TreasuryKind.FEE:
                self.years[row.fiscal_year].fees += row.amount
            case TreasuryKind.REWARD if row.bank is not None:
                self.years[row.fiscal_year].rewards[row.bank] += row.amount
            case TreasuryKind.CARRY if row.amount < 0:
                self.years[row.fiscal_year].carried_out -= row.amount
            case TreasuryKind.CARRY:
                self.years[row.fiscal_year].carried_in += row.amount

    def pot(self, year: int) -> Pot:
        """Return the pot of a year as it was when it ended, by its rows."""
        books = self.years[year]
        return Pot(
            year=FiscalYear(year),
            approver_fees=Amount(books.fees),
            penalties=Amount(books.penalties),
            carried=Amount(books.carried_in),
            slashed=tuple([BankIndex(bank) for bank in sorted(books.slashed)]),
        )

    def faults(self, state: LedgerState) -> list[str]:
        """Say in what the rows do not add up with the state of the same height."""
        return [*self._year_faults(state), *self._bank_faults(state)]

    def _year_faults(self, state: LedgerState) -> list[str]:
        pots = {pot.year: pot for pot in state.pots}
        faults: list[str] = []
        for year in sorted({*self.years, *pots}):
            books, name = self.years[FiscalYear(year)], label(FiscalYear(year))
            pot = pots.get(FiscalYear(year))
            if pot is None:
                if books.left:
                    faults.append(f"{name} has ended, and {books.left} of its pot went nowhere")
                continue
            for what, found, expected in (
                ("fee", books.fees, pot.approver_fees),
                ("penalty", books.penalties, pot.penalties),
                ("carry", books.carried_in, pot.carried),
            ):
                if found != expected:
                    faults.append(f"the {what} rows of {name} do not add up to its pot")
            if books.left != books.pot:
                faults.append(f"{name} has a pot, although rows say that it was shared out")
        return faults

    def _bank_faults(self, state: LedgerState) -> list[str]:
        rewards: Counter[int] = Counter()
        for year in self.years.values():
            rewards.update(year.rewards)
        faults: list[str] = []
        stakes = Counter(self._stakes)
        stakes.subtract(self._penalties)
        for what, found, expected in (
            ("stake and penalty", stakes, {bank.index: bank.stake for bank in state.banks}),
            ("penalty", self._penalties, {b.index: b.penalties for b in state.banks}),
            ("reward", rewards, {bank.index: bank.rewards for bank in state.banks}),
        ):
            if Counter(found) != Counter(expected):
                faults.append(f"the {what} rows do not add up to what the banks' states say")
        return faults


@dataclass(frozen=True, slots=True)
class Equation:
    """The invariant of BFT-12 18 on one state, with its terms in minor units."""

    initial_stakes: int
    topped_up: int
    fees: int
    stakes: int
    pots: int
    creator_fees: int
    rewards: int
    withdrawn: int

    @staticmethod
    def of(genesis: Genesis, state: LedgerState) -> Equation:
        """Read the terms off a state."""
        base = state.asset(genesis.base_asset.asset_id)
        assert base is not None, "every state has the base asset"
        banks = state.banks
        return Equation(
            initial_stakes=sum(bank.initial_stake for bank in banks),
            topped_up=sum(bank.topped_up for bank in banks),
            fees=base.fees,
            stakes=sum(bank.stake for bank in banks),
            pots=sum(pot.total for pot in state.pots),
            creator_fees=sum(bank.creator_fees for bank in banks),
            rewards=sum(bank.rewards for bank in banks),
            withdrawn=sum(bank.withdrawn for bank in banks),
        )

    @property
    def left(self) -> int:
        """What ever came in."""
        return self.initial_stakes + self.topped_up + self.fees

    @property
    def right(self) -> int:
        """Where it is."""
        return self.stakes + self.pots + self.creator_fees + self.rewards + self.withdrawn

    @property
    def holds(self) -> bool:
        """Whether nothing was made or lost."""
        return self.left == self.right
