"""Random runs over years: fees, slashes, stake movements, settlements, carries (BFT-12 18).

Ballots, proofs and settlements are real. A plain model goes along: after every block each pot, each
bank's money and the treasury's rows are compared with it, beside the ledger's own equations.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.ledger.effects import Transition, TreasuryKind
from node.ledger.governance import GovernanceKind
from node.ledger.invariants import check_conservation
from node.ledger.offences import Offence, VerifiedEvidence
from node.ledger.settlement_rules import year_to_settle
from node.ledger.types import BankIndex
from tests.ledger.chain import FEE
from tests.ledger.settling import FIRST, SettlingChain, settling_genesis

BANKS = 6
GENESIS = settling_genesis(BANKS)
REDEEMED = 700


@cache
def funded() -> tuple[SettlingChain, tuple[bytes, ...]]:
    """A ledger and eight payments for it, each of which redeems 700 into some bank's account."""
    chain = SettlingChain(GENESIS)
    chain.extend(chain.mint([5_000] * 4), chain.mint([5_000] * 4, bank=1))
    chain.extend(at_ms=chain.header.time_ms + GENESIS.parameters.bin_age_ms)
    payments = [
        chain.transfer(
            [note], redeem=REDEEMED, account=GENESIS.account_of(BankIndex(number % BANKS))
        )
        for number, note in enumerate(chain.mature())
    ]
    assert len(payments) == 8
    return chain, tuple(payments)


@dataclass
class Pot:
    """What the model knows of a year's pot."""

    total: int = 0
    slashed: set[int] = field(default_factory=set)


@dataclass
class Model:
    """The rules in their shortest form, without the code under test."""

    pots: dict[int, Pot] = field(default_factory=dict)
    stakes: list[int] = field(default_factory=lambda: [45_000 + bank for bank in range(BANKS)])
    balances: list[int] = field(default_factory=lambda: [0] * BANKS)
    rewards: list[int] = field(default_factory=lambda: [0] * BANKS)

    def pot(self, year: int) -> Pot:
        return self.pots.setdefault(year, Pot())

    def slash(self, transition: Transition, year: int) -> None:
        for punishment in transition.punishments:
            self.stakes[punishment.bank] -= punishment.amount
            self.pot(year).total += punishment.amount
            self.pot(year).slashed.add(punishment.bank)

    def share_fees(self, total: int, proposer: int, year: int) -> None:
        self.balances[proposer] += total // 3
        if total:
            self.pot(year).total += total - total // 3

    def settle(self, year: int, counts: dict[int, int], now: int) -> dict[int, int]:
        """Whole units first; what is left, one by one, to whom the most is owed."""
        pot = self.pots.pop(year, Pot())
        voters = {bank: n for bank, n in counts.items() if n and bank not in pot.slashed}
        if not voters:
            self.carry(pot.total, now)
            return {}
        total = sum(voters.values())
        owed = {bank: Fraction(pot.total * n, total) for bank, n in voters.items()}
        paid = {bank: int(owed[bank]) for bank in voters}
        while sum(paid.values()) < pot.total:
            paid[min(paid, key=lambda bank: (paid[bank] - owed[bank], bank))] += 1
        for bank, amount in paid.items():
            self.rewards[bank] += amount
            self.balances[bank] += amount
        return {bank: amount for bank, amount in paid.items() if amount}

    def carry(self, amount: int, now: int) -> None:
        if amount:
            self.pot(now).total += amount


class Run:
    """The chain and the model side by side."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        chain, payments = funded()
        self.chain = chain.fork()
        self.payments = list(payments)
        self.model = Model()
        self.rows: dict[int, int] = {}
        """What the treasury's rows say of each year's pot."""
        self.carried_years: set[int] = set()
        self.settled = 0

    def draw_time(self) -> int:
        """A second later, at the edges of a year, or after a year without a block."""
        chain = self.chain
        edge = chain.first_ms(chain.year + 1)
        choices = [chain.header.time_ms + 1_000, edge - 1, edge, edge + 60_000]
        drawn = self.data.draw(st.sampled_from(choices), label="time")
        return max(drawn, chain.header.time_ms + 1)

    def draw_evidence(self) -> list[VerifiedEvidence]:
        active = self.chain.state.active_set(GENESIS).banks
        kinds = (Offence.DOUBLE_VOTE, Offence.DOUBLE_COMMIT)
        # One that is accused again and again leaves; all at once leave nobody to be rewarded.
        few = st.sampled_from(([], [], [active[0]], [active[-1]], [active[-1], active[1]]))
        crowd = self.data.draw(st.integers(0, 9), label="crowd") == 9
        accused = list(active) if crowd else sorted(self.data.draw(few, label="accused"))
        offence = self.data.draw(st.sampled_from(kinds))
        return [self.chain.evidence(bank, offence=offence) for bank in accused]

    def draw_raws(self, year: int) -> list[bytes]:
        """Payments, a stake movement that can be covered, and the end of a year if one is due."""
        chain, raws = self.chain, []
        for _ in range(self.data.draw(st.sampled_from((0, 0, 1, 2)), label="payments")):
            if self.payments:
                raws.append(self.payments.pop(0))
        bank = self.data.draw(st.integers(0, BANKS - 1), label="bank")
        state = chain.state.banks[bank]
        excess = state.stake - state.initial_stake
        moves = [(GovernanceKind.STAKE_TOP_UP, state.balance)] if state.balance else []
        if excess > 0:
            moves.append((GovernanceKind.STAKE_WITHDRAWAL, excess))
        if moves and self.data.draw(st.booleans(), label="moves"):
            kind, most = self.data.draw(st.sampled_from(moves))
            raws.append(chain.move_stake(kind, self.data.draw(st.integers(1, most)), bank=bank))
        due = year_to_settle(GENESIS, chain.state)
        if due is not None:
            choices = ["wait", "settle", "settle"] + ["carry"] * (chain.year > due + 1)
            match self.data.draw(st.sampled_from(choices), label=f"end of {due}"):
                case "settle":
                    raws.append(chain.settlement(due))
                case "carry":
                    raws.append(chain.carry(due))
        return raws

    def block(self) -> None:
        chain, at_ms = self.chain, self.draw_time()
        year = chain.year_at(at_ms)
        active = chain.parent_set
        voters = self.data.draw(
            st.permutations(active.banks).map(lambda order: sorted(order[: active.quorum])),
            label="voters",
        )
        raws = self.draw_raws(year)
        built = chain.extend(*raws, at_ms=at_ms, approving=voters, evidence=self.draw_evidence())
        transition = built.transition
        self.model.slash(transition, year)
        self.follow(transition, year)
        self.model.share_fees(
            FEE * sum(bool(item.nullifiers) for item in built.transactions),
            built.block.header.proposer,
            year,
        )
        self.check(transition)

    def follow(self, transition: Transition, year: int) -> None:
        for entry in transition.account_entries:
            if entry.kind == "redeem":
                self.model.balances[entry.bank] += entry.amount
            elif entry.kind in ("stake-top-up", "stake-withdrawal"):
                self.model.balances[entry.bank] += entry.change
                self.model.stakes[entry.bank] -= entry.change
        outcome = transition.settlement
        if outcome is None:
            return
        if outcome.draw_seed is None:
            self.model.carry(self.model.pots.pop(outcome.year, Pot()).total, year)
            self.carried_years.add(outcome.year)
            return
        before = self.model.pots.get(outcome.year, Pot()).total
        counts = dict(self.chain.true_counts.get(outcome.year, {}))
        paid = self.model.settle(outcome.year, counts, year)
        assert {row.bank: row.reward for row in outcome.rows if row.reward} == paid
        assert sum(paid.values()) == outcome.paid
        assert outcome.paid + outcome.carried == before == outcome.pot.total
        assert outcome.carried == 0 or outcome.paid == 0
        self.settled += 1

    def check(self, transition: Transition) -> None:
        state = self.chain.state
        check_conservation(GENESIS, state)
        assert {pot.year: (pot.total, set(pot.slashed)) for pot in state.pots} == {
            year: (pot.total, pot.slashed) for year, pot in self.model.pots.items()
        }
        found = [(bank.stake, bank.balance, bank.rewards) for bank in state.banks]
        model = self.model
        assert found == list(zip(model.stakes, model.balances, model.rewards, strict=True))
        for entry in transition.treasury_entries:
            if entry.kind is TreasuryKind.REWARD:
                self.rows[entry.fiscal_year] -= entry.amount
            elif entry.kind is not TreasuryKind.STAKE:
                before = self.rows.get(entry.fiscal_year, 0)
                self.rows[entry.fiscal_year] = before + entry.amount
        in_pots = {pot.year: pot.total for pot in state.pots if pot.total}
        assert {year: amount for year, amount in self.rows.items() if amount} == in_pots
        open_years = {pot.year for pot in state.pots} | {tally.year for tally in state.tallies}
        assert all(year > state.settled_through for year in open_years)
        assert open_years.isdisjoint(self.carried_years)
        for tally in state.tallies:
            counts = self.chain.true_counts[tally.year]
            assert tally.ballots == sum(counts.values())


@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.data())
def test_section_18_money_is_conserved_over_any_run_of_years(data: st.DataObject) -> None:
    run = Run(data)
    for _ in range(data.draw(st.integers(1, 10), label="blocks")):
        run.block()
    # Whatever came before: in the end every year can be settled, and what is left is this year's.
    run.chain.begin(run.chain.year + 1)
    run.check(run.chain.transition)
    while (due := year_to_settle(GENESIS, run.chain.state)) is not None:
        assert due >= FIRST
        transition = run.chain.extend(run.chain.settlement(due)).transition
        run.follow(transition, run.chain.year)
        run.check(transition)
    assert {pot.year for pot in run.chain.state.pots} <= {run.chain.year}
