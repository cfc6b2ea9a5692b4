"""Conservation of money (BFT-12 18): found broken when it is, and true after any run of blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crypto.transaction import Kind, Transfer
from node.ledger.invariants import InvariantBroken, check_conservation, note_supply
from node.ledger.proofs import VerifiedTransaction
from node.ledger.rejection import Reason
from node.ledger.state import LedgerState, Pot
from node.ledger.types import Amount, FiscalYear, TimeMs
from tests.ledger.chain import BASE, FEE, GOLD, Chain, comparable


def broken(state: LedgerState) -> list[tuple[LedgerState, str]]:
    base, gold = state.assets
    bank = state.banks[0]
    return [
        (
            replace(state, assets=(replace(base, redeemed=Amount(30_001)), gold)),
            f"asset {BASE.hex()}: the supply of notes is -1",
        ),
        (
            replace(state, assets=(replace(base, issued=Amount(30_001)), gold)),
            f"asset {BASE.hex()}: issued and the banks' sum differ: 30001 is not 30000",
        ),
        (
            replace(
                state,
                assets=(
                    base,
                    replace(
                        gold,
                        issued=Amount(2_001_400),
                        issuance=(
                            replace(gold.issuance[0], issued=Amount(1_400)),
                            replace(gold.issuance[1], issued=Amount(2_000_000)),
                        ),
                    ),
                ),
            ),
            f"asset {GOLD.hex()}: bank 1 issued 2000000, its limit is 1000000",
        ),
        (
            replace(state, assets=(base, replace(gold, fees=Amount(1)))),
            f"asset {GOLD.hex()} is not the base asset, yet it was redeemed, paid out or charged",
        ),
        (
            replace(state, banks=(replace(bank, balance=Amount(5)), *state.banks[1:])),
            "public accounts and redeemed + creator fees + rewards - paid out - top-ups + "
            "withdrawals differ: 5 is not 0",
        ),
        (
            replace(state, pots=(Pot(FiscalYear(2026), Amount(7), Amount(0)),)),
            "pots + rewards and fees - creator fees + penalties differ: 7 is not 0",
        ),
        (
            replace(state, banks=(replace(bank, stake=Amount(1)), *state.banks[1:])),
            "bank 0: stake and initial stake + top-ups - withdrawals - penalties differ: "
            "1 is not 45000",
        ),
        (
            replace(
                state,
                banks=(
                    replace(bank, stake=Amount(44_993), withdrawn=Amount(7), balance=Amount(7)),
                    *state.banks[1:],
                ),
            ),
            "bank 0 withdrew 7, more than its top-ups of 0",
        ),
        (
            replace(
                state,
                banks=(
                    replace(bank, stake=Amount(44_993), penalties=Amount(7)),
                    *state.banks[1:],
                ),
            ),
            "pots + rewards and fees - creator fees + penalties differ: 0 is not 7",
        ),
    ]


def broken_pots(state: LedgerState) -> list[tuple[LedgerState, str]]:
    """Rewards from nowhere, pots of what never was, and one that outlived its settlement."""
    base, gold = state.assets
    bank = state.banks[0]
    return [
        (
            replace(
                state,
                banks=(
                    replace(bank, rewards=Amount(7), balance=Amount(7)),
                    *state.banks[1:],
                ),
            ),
            "pots + rewards and fees - creator fees + penalties differ: 7 is not 0",
        ),
        (
            replace(
                state,
                banks=(replace(bank, stake=Amount(44_993), penalties=Amount(7)), *state.banks[1:]),
                pots=(Pot(FiscalYear(2026), Amount(7), Amount(0)),),
            ),
            "fees in pots: 7, there ever were 0",
        ),
        (
            replace(
                state,
                assets=(replace(base, fees=Amount(7)), gold),
                pots=(Pot(FiscalYear(2026), Amount(0), Amount(7)),),
            ),
            "penalties in pots: 7, there ever were 0",
        ),
        (
            replace(
                state,
                pots=(Pot(FiscalYear(2026), Amount(0), Amount(0)),),
                settled_through=FiscalYear(2026),
            ),
            "FY2026 has a pot or a tally, yet everything up to FY2026 is settled",
        ),
    ]


def test_each_broken_equation_is_named(funded_chain: Chain) -> None:
    check_conservation(funded_chain.genesis, funded_chain.state)
    for state, message in broken(funded_chain.state) + broken_pots(funded_chain.state):
        with pytest.raises(InvariantBroken) as error:
            check_conservation(funded_chain.genesis, state)
        assert str(error.value) == message


def test_the_supply_of_notes(chain: Chain) -> None:
    """issued + paid out - redeemed - fees."""
    chain.seal(chain.transfer(chain.mature()[:1], redeem=70))
    chain.seal(chain.mint([20], bank=1, kind=Kind.PAYOUT))
    assert [note_supply(asset) for asset in chain.state.assets] == [30_000 + 20 - 70 - 100, 1_400]


class Model:
    """What must be true, kept apart from the ledger: hidden values, balances, totals."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.balances = [0, 0, 0, 0]
        self.fees = 0

    def step(self, data: st.DataObject) -> tuple[list[bytes], set[Reason]]:
        """Draw a few transactions, valid or not; return their bytes and the reasons to expect."""
        raws: list[bytes] = []
        expected: set[Reason] = set()
        spendable = self.chain.mature()
        balances = list(self.balances)
        for _ in range(data.draw(st.integers(0, 3), label="transactions")):
            action = data.draw(
                st.sampled_from(("issue", "gold", "pay", "redeem", "payout", "twice", "overdraft")),
                label="action",
            )
            bank = data.draw(st.integers(0, 3), label="bank")
            if action == "issue":
                raws.append(self.chain.mint([400, bank], bank=bank))
            elif action == "gold":
                raws.append(self.chain.mint([9], bank=bank % 3, asset=GOLD))
            elif action == "overdraft":
                raws.append(self.chain.mint([balances[bank] + 10**6], bank=bank, kind=Kind.PAYOUT))
                expected.add(Reason.INSUFFICIENT_ACCOUNT)
            elif action == "payout" and balances[bank] > 0:
                amount = data.draw(st.integers(1, balances[bank]), label="amount")
                balances[bank] -= amount
                raws.append(self.chain.mint([amount], bank=bank, kind=Kind.PAYOUT))
            elif action in ("pay", "redeem", "twice") and spendable:
                note = spendable.pop()
                if note.value < FEE:
                    continue
                redeem = (note.value - FEE) // 2 if action == "redeem" else 0
                account = self.chain.genesis.account_of(self.chain.genesis.banks[bank].index)
                raws.append(
                    self.chain.transfer(
                        [note],
                        redeem=redeem,
                        account=account if redeem else None,
                        split=data.draw(st.integers(1, 3), label="outputs"),
                    )
                )
                balances[bank] += redeem
                if action == "twice":
                    raws.append(self.chain.transfer([note]))
                    expected.add(Reason.NULLIFIER)
        return raws, expected

    def expect(self, accepted: Sequence[VerifiedTransaction], proposer: int) -> None:
        """Predict the public accounts from the accepted transactions' own fields."""
        fees = 0
        for item in accepted:
            transaction = item.transaction
            if isinstance(transaction, Transfer):
                fees += transaction.fee
                if transaction.redeem:
                    bank = self.chain.genesis.bank_of_account(transaction.account)
                    assert bank is not None
                    self.balances[bank] += transaction.redeem
            elif transaction.kind is Kind.PAYOUT:
                bank = self.chain.genesis.bank_of_issuer(transaction.issuer)
                assert bank is not None
                self.balances[bank] -= transaction.amount
        self.balances[proposer] += fees // 3
        self.fees += fees

    def check(self) -> None:
        """Compare the public totals with the hidden truth."""
        state = self.chain.state
        check_conservation(self.chain.genesis, state)
        for asset in state.assets:
            held = [note.value for note in self.chain.unspent if note.asset == asset.asset_id]
            assert note_supply(asset) == sum(held)
        assert [bank.balance for bank in state.banks] == self.balances
        assert sum(asset.fees for asset in state.assets) == self.fees
        assert state.notes.count == len(self.chain.history.known_notes)
        assert state.nullifiers.count == len(self.chain.history.spent)
        assert state.closed_bins.count == len(self.chain.history.closed_bins)
        assert state.transaction_count == len(self.chain.history.sealed)
        filling = [asset.open_bin for asset in state.assets if asset.open_bin is not None]
        closed = sum(item.count for item in self.chain.history.closed_bins.values())
        assert closed + sum(len(item.notes) for item in filling) == state.notes.count
        assert LedgerState.decode(state.encode()) == state


@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_money_is_conserved_over_any_run_of_blocks(
    funded_chain: Chain, data: st.DataObject
) -> None:
    """IDX-16. Real proofs; candidates include double spends and overdrafts, which must be dropped
    for their reason, and every block is validated by a second bank before it is applied."""
    chain = funded_chain.fork()
    model = Model(chain)
    for _ in range(data.draw(st.integers(1, 5), label="blocks")):
        raws, expected = model.step(data)
        verdicts = chain.judge(raws)
        candidates = [item for item in verdicts if isinstance(item, VerifiedTransaction)]
        assert len(candidates) == len(raws)
        after_ms = data.draw(st.sampled_from((0, 700, 2_000)), label="after_ms")
        built = chain.build(candidates, after_ms=after_ms)
        assert {item.rejection.reason for item in built.dropped} == expected
        second_bank = chain.validate(
            built.block, built.transactions, TimeMs(built.block.header.time_ms)
        )
        assert comparable(second_bank) == comparable(built.transition)
        model.expect(built.transactions, built.block.header.proposer)
        chain.apply(built.block, built.transition)
        model.check()
