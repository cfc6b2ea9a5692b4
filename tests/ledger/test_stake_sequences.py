"""Random sequences of slashes, top-ups, withdrawals, removals and returns (BFT-12 9, 10, 18).

A plain model of the protocol's text goes along: what it expects of every bank, of the active set
of every height and of the treasury rows is compared after every block, with the invariants.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from node.ledger.governance import GovernanceKind
from node.ledger.invariants import check_conservation
from node.ledger.offences import Offence, VerifiedEvidence
from node.ledger.parameters import Parameters
from node.ledger.proofs import VerifiedTransaction
from node.ledger.rejection import Reason
from node.ledger.state import LedgerState, Pot
from node.ledger.transition import Transition
from node.ledger.types import Amount, FiscalYear, Height
from tests.ledger.chain import Chain, comparable, make_genesis

BANKS = 7
WINDOW = 3
ACCOUNT = 60_000
WORN_STAKE = 14_000
GENESIS = make_genesis(banks=BANKS, parameters=Parameters(ring_base=4, evidence_window=WINDOW))
SHARES = (5, 10, 20)


def worn_chain(worn: Sequence[int]) -> Chain:
    """As if every bank's clients had redeemed `ACCOUNT` of what bank 0 once issued, and the worn
    banks had been slashed twice, to just above the floor."""
    chain = Chain(GENESIS)
    chain.proves_ballots = False
    total = Amount(BANKS * ACCOUNT)
    base = chain.state.assets[0]
    first = replace(base.issuance[0], issued=total)
    base = replace(base, issued=total, redeemed=total, issuance=(first, *base.issuance[1:]))
    banks = [replace(bank, balance=Amount(ACCOUNT)) for bank in chain.state.banks]
    for index in worn:
        penalties = Amount(banks[index].initial_stake - WORN_STAKE)
        banks[index] = replace(
            banks[index], stake=Amount(WORN_STAKE), penalties=penalties, offences=2
        )
    pot = Pot(FiscalYear(2026), Amount(0), Amount(sum(bank.penalties for bank in banks)))
    state = replace(
        chain.state,
        banks=tuple(banks),
        assets=(base, *chain.state.assets[1:]),
        pots=(pot,),
    )
    check_conservation(GENESIS, state)
    chain.transition = replace(chain.transition, state=state)
    chain.header = replace(chain.header, post_state_root=state.root())
    return chain


@dataclass
class Account:
    """What the model knows of a bank."""

    initial: int
    stake: int
    balance: int = ACCOUNT
    offences: int = 0
    active: bool = True


@dataclass
class Model:
    """The rules in their shortest form, without the code under test."""

    accounts: list[Account]
    sets: dict[int, tuple[int, ...]] = field(default_factory=lambda: {1: tuple(range(BANKS))})
    punished: set[tuple[int, int, int]] = field(default_factory=set)
    penalties: int = 0

    def may_be_punished(self, item: VerifiedEvidence, height: int) -> bool:
        key = (item.height, item.bank, int(item.offence.offence_class))
        return (
            max(1, height - WINDOW) <= item.height <= height
            and item.bank in self.sets[item.height]
            and key not in self.punished
        )

    def slash(self, item: VerifiedEvidence) -> None:
        account = self.accounts[item.bank]
        penalty = account.stake * SHARES[min(account.offences, 2)] // 100
        account.stake -= penalty
        account.offences += 1
        self.penalties += penalty
        self.punished.add((item.height, item.bank, int(item.offence.offence_class)))

    def remove(self) -> tuple[list[int], list[int]]:
        removed, kept = [], []
        for index, account in enumerate(self.accounts):
            if account.active and 10 * account.stake < 3 * account.initial:
                if sum(other.active for other in self.accounts) > 4:
                    account.active = False
                    removed.append(index)
                else:
                    kept.append(index)
        return removed, kept


class Run:
    """The chain and the model side by side."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        self.chain = worn_chain(data.draw(st.sampled_from(((), (1,), (1, 2, 4, 5, 6)))))
        banks = self.chain.state.banks
        self.model = Model(
            [Account(bank.initial_stake, bank.stake, offences=bank.offences) for bank in banks],
            penalties=sum(bank.penalties for bank in banks),
        )
        self.rows = [int(bank.stake) for bank in banks]

    def draw_evidence(self) -> list[VerifiedEvidence]:
        """Some of it too old, in the future, against removed banks, or punished before."""
        height = self.chain.height + 1
        offences = st.sampled_from(tuple(Offence))
        heights = st.integers(max(0, height - WINDOW - 1), height + 1)
        # A bank that is accused again and again is what removals need.
        banks = st.sampled_from((1, 1, 1, 2, 2, 4, 5, 6))
        accused = st.lists(st.tuples(banks, heights, offences), max_size=12)
        return [
            self.chain.evidence(bank, at, offence)
            for bank, at, offence in self.data.draw(accused, label="evidence")
        ]

    def draw_transaction(self) -> bytes:
        chain = self.chain
        inactive = [item.index for item in chain.state.banks if not item.active]
        bank = self.data.draw(st.sampled_from((*inactive * 3, *range(BANKS))), label="bank")
        state = chain.state.banks[bank]
        match self.data.draw(st.sampled_from(("up", "restore", "down", "back"))):
            case "up":
                amount = self.data.draw(st.integers(1, ACCOUNT), label="top-up")
                return chain.move_stake(GovernanceKind.STAKE_TOP_UP, amount, bank=bank)
            case "restore":
                amount = max(1, state.initial_stake - state.stake)
                return chain.move_stake(GovernanceKind.STAKE_TOP_UP, amount, bank=bank)
            case "down":
                amount = self.data.draw(st.integers(1, ACCOUNT), label="withdrawal")
                return chain.move_stake(GovernanceKind.STAKE_WITHDRAWAL, amount, bank=bank)
        return chain.readmission(chain.terms(bank))

    def block(self) -> None:
        evidence = self.draw_evidence()
        raws = list(dict.fromkeys(self.draw_transaction() for _ in range(4)))
        candidates = [
            item for item in self.chain.judge(raws) if isinstance(item, VerifiedTransaction)
        ]
        assert len(candidates) == len(raws)
        built = self.chain.build(candidates, evidence=evidence)
        height = self.chain.height + 1
        wanted = {item.key for item in evidence if self.model.may_be_punished(item, height)}
        assert {item.key for item in built.evidence} == wanted
        second_bank = self.chain.validate(built.block, built.transactions, None, built.evidence)
        assert comparable(second_bank) == comparable(built.transition)
        assert {item.rejection.reason for item in built.dropped} <= {
            Reason.NONCE, Reason.INSUFFICIENT_ACCOUNT, Reason.STAKE_EXCESS, Reason.BANK_ACTIVE,
            Reason.STAKE_BELOW_INITIAL,
        }  # fmt: skip
        for item in built.evidence:
            self.model.slash(item)
        self.follow(built.transactions)
        removed, kept = self.model.remove()
        transition = built.transition
        assert (list(transition.removed), list(transition.kept_below_floor)) == (removed, kept)
        self.chain.apply(built.block, transition)
        self.check(transition)

    def follow(self, transactions: tuple[VerifiedTransaction, ...]) -> None:
        for item in transactions:
            transaction = item.transaction
            if item.kind is GovernanceKind.READMISSION:
                account = self.model.accounts[transaction.terms.bank]  # type: ignore[union-attr]
                assert (account.active, account.stake >= account.initial) == (False, True)
                account.active = True
                continue
            account = self.model.accounts[transaction.bank]  # type: ignore[union-attr]
            amount: int = transaction.amount  # type: ignore[union-attr]
            if item.kind is GovernanceKind.STAKE_WITHDRAWAL:
                amount = -amount
                assert account.stake + amount >= account.initial
            account.stake += amount
            account.balance -= amount
            assert account.balance >= 0

    def check(self, transition: Transition) -> None:
        state, height = self.chain.state, self.chain.height
        check_conservation(GENESIS, state)
        assert LedgerState.decode(state.encode()) == state
        assert [
            Account(bank.initial_stake, bank.stake, bank.balance, bank.offences, bank.active)
            for bank in state.banks
        ] == self.model.accounts
        active = tuple(index for index, bank in enumerate(self.model.accounts) if bank.active)
        assert len(active) >= 4
        self.model.sets[height + 1] = active
        for at in range(height + 3):
            known = state.active_set_at(GENESIS, Height(at))
            if max(1, height + 1 - WINDOW) <= at <= height + 1:
                assert known is not None
                assert known.banks == self.model.sets[at]
            else:
                assert known is None
        assert {(key.height, key.bank, key.offence_class) for key in state.punished} == {
            key for key in self.model.punished if key[0] >= height + 1 - WINDOW
        }
        assert sum(pot.penalties for pot in state.pots) == self.model.penalties
        for entry in transition.treasury_entries:
            assert entry.bank is not None
            self.rows[entry.bank] += -entry.amount if entry.kind == "penalty" else entry.amount
        assert self.rows == [bank.stake for bank in state.banks]


@settings(max_examples=200)
@given(st.data())
def test_sections_9_10_18_any_sequence_keeps_every_rule(data: st.DataObject) -> None:
    """IDX-52, 53, 58, 60, 61, 62: stakes, accounts, sets, rows and punished keys."""
    run = Run(data)
    for _ in range(data.draw(st.integers(1, 7), label="blocks")):
        run.block()
