"""Treasury rows added up: what leaves one place must have come into another (BFT-12 18)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.client.treasury_books import Equation, TreasuryBooks
from node.ledger.effects import TreasuryKind
from node.ledger.state import LedgerState, genesis_state
from node.ledger.state_records import Pot
from node.ledger.types import Amount, BankIndex, FiscalYear
from tests.ledger.chain import make_genesis

GENESIS = make_genesis()
STATE = genesis_state(GENESIS)


@dataclass(frozen=True)
class Row:
    bank: int | None
    fiscal_year: int
    amount: int
    kind: str


STAKES = [Row(bank.index, 2026, bank.initial_stake, "stake") for bank in GENESIS.banks]


def faults(state: LedgerState, *rows: Row) -> list[str]:
    books = TreasuryBooks()
    for row in (*STAKES, *rows):
        books.add(row)
    return books.faults(state)


def with_pot(fees: int, penalties: int = 0, carried: int = 0) -> LedgerState:
    pot = Pot(FiscalYear(2026), Amount(fees), Amount(penalties), Amount(carried))
    return replace(STATE, pots=(pot,))


def test_the_genesis_adds_up() -> None:
    assert faults(STATE) == []
    books = TreasuryBooks()
    for row in STAKES[1:]:
        books.add(row)
    assert books.faults(STATE) == [
        "the stake and penalty rows do not add up to what the banks' states say"
    ]


def test_each_source_of_a_pot_is_compared_by_itself() -> None:
    fee, carry = Row(None, 2026, 200, "fee"), Row(None, 2026, 30, "carry")
    assert faults(with_pot(200, carried=30), fee, carry) == []
    assert faults(with_pot(230), fee, carry) == [
        "the fee rows of FY2026 do not add up to its pot",
        "the carry rows of FY2026 do not add up to its pot",
    ]
    assert faults(STATE, fee) == ["FY2026 has ended, and 200 of its pot went nowhere"]


def test_a_penalty_leaves_the_stake_and_enters_the_pot() -> None:
    taken = STATE.banks[2].stake // 20
    banks = tuple(
        replace(bank, stake=Amount(bank.stake - taken), penalties=Amount(taken))
        if bank.index == 2
        else bank
        for bank in STATE.banks
    )
    slashed = replace(with_pot(0, penalties=taken), banks=banks)
    row = Row(2, 2026, taken, "penalty")
    assert faults(slashed, row) == []
    assert faults(slashed, replace(row, bank=1)) == [
        "the stake and penalty rows do not add up to what the banks' states say",
        "the penalty rows do not add up to what the banks' states say",
    ]
    books = TreasuryBooks()
    books.add(row)
    assert books.pot(2026).slashed == (BankIndex(2),)


def test_a_pot_that_was_shared_out_is_gone() -> None:
    rewarded = replace(
        STATE,
        banks=tuple(
            replace(bank, rewards=Amount(50)) if bank.index < 2 else bank for bank in STATE.banks
        ),
    )
    paid = [Row(None, 2026, 100, "fee"), Row(0, 2026, 50, "reward"), Row(1, 2026, 50, "reward")]
    assert faults(rewarded, *paid) == []
    assert faults(replace(rewarded, pots=with_pot(100).pots), *paid) == [
        "FY2026 has a pot, although rows say that it was shared out"
    ]
    assert faults(rewarded, *paid[:2], replace(paid[2], amount=49)) == [
        "FY2026 has ended, and 1 of its pot went nowhere",
        "the reward rows do not add up to what the banks' states say",
    ]


def test_a_carried_pot_is_in_the_later_year() -> None:
    later = replace(STATE, pots=(Pot(FiscalYear(2028), Amount(0), Amount(0), carried=Amount(70)),))
    moved = [
        Row(None, 2026, 70, "fee"),
        Row(None, 2026, -70, "carry"),
        Row(None, 2028, 70, "carry"),
    ]
    assert faults(later, *moved) == []
    assert faults(later, *moved[:2]) == ["the carry rows of FY2028 do not add up to its pot"]


kinds = st.sampled_from([kind.value for kind in TreasuryKind if kind is not TreasuryKind.STAKE])
rows = st.builds(
    Row,
    bank=st.integers(0, 3),
    fiscal_year=st.integers(2026, 2028),
    amount=st.integers(-500, 500),
    kind=kinds,
)


@given(st.lists(rows, max_size=12), st.data())
def test_the_order_of_rows_does_not_matter(listed: list[Row], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(listed))
    assert faults(STATE, *listed) == faults(STATE, *shuffled)


@given(rows.filter(lambda row: row.amount != 0))
def test_no_single_row_goes_unnoticed(row: Row) -> None:
    assert faults(STATE, row)


@pytest.mark.parametrize("field", ["stake", "rewards", "creator_fees", "withdrawn"])
def test_section_18_the_equation_notices_money_from_nowhere(field: str) -> None:
    assert Equation.of(GENESIS, STATE).holds
    first, *others = STATE.banks
    richer = replace(first, **{field: getattr(first, field) + 1})
    assert not Equation.of(GENESIS, replace(STATE, banks=(richer, *others))).holds
