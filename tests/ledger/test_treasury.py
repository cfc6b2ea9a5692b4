"""Fees at every remainder, and the rows of the treasury against its state (BFT-12 18)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.ledger.effects import (
    AccountEntry,
    AccountEntryKind,
    BlockFees,
    TreasuryEntry,
    TreasuryKind,
)
from node.ledger.state import Pot, genesis_state
from node.ledger.treasury import Treasury
from node.ledger.types import Amount, BankIndex, FiscalYear, Height, TimeMs
from tests.ledger.chain import BASE, make_genesis

GENESIS = make_genesis()
STATE = genesis_state(GENESIS)
NOW_MS = TimeMs(GENESIS.time_ms + 1_000)
YEAR = FiscalYear(2026)


def shared(total: int, proposer: int = 2) -> tuple[BlockFees, Treasury]:
    treasury = Treasury(GENESIS, STATE, Height(1), NOW_MS)
    return treasury.share_fees(Amount(total), BankIndex(proposer)), treasury


@pytest.mark.parametrize(
    ("total", "creator", "approvers"),
    [
        (0, 0, 0),
        (1, 0, 1),
        (2, 0, 2),
        (3, 1, 2),
        (4, 1, 3),
        (5, 1, 4),
        (6, 2, 4),
        (100, 33, 67),
        (3 * 2**63 + 2, 2**63, 2**64 + 2),
    ],
)
def test_section_18_a_third_rounded_down_is_the_creators(
    total: int, creator: int, approvers: int
) -> None:
    fees, treasury = shared(total)
    assert fees == BlockFees(Amount(total), Amount(creator), Amount(approvers))
    bank = treasury.bank(BankIndex(2))
    assert (bank.blocks_created, bank.creator_fees, bank.balance) == (1, creator, creator)
    credited = AccountEntry(BankIndex(2), AccountEntryKind.CREATOR_FEE, BASE, Amount(creator), None)
    assert treasury.account_entries == ((credited,) if creator else ())
    assert treasury.pots == ((Pot(YEAR, Amount(approvers), Amount(0)),) if approvers else ())
    row = TreasuryEntry(
        None, YEAR, approvers, TreasuryKind.FEE, "approvers' part of the fees of block 1"
    )
    assert treasury.entries == ((row,) if approvers else ())


@given(st.integers(0, 10**15), st.integers(0, 3))
def test_section_18_no_fee_is_lost_or_made_at_any_remainder(total: int, proposer: int) -> None:
    fees, treasury = shared(total, proposer)
    assert fees.creator + fees.approvers == fees.total == total
    assert 0 <= fees.approvers - 2 * fees.creator <= 2
    assert fees.approvers - 2 * fees.creator == total % 3
    in_pots = sum(pot.total for pot in treasury.pots)
    assert in_pots + sum(bank.balance for bank in treasury.banks) == total
    assert [bank.blocks_created for bank in treasury.banks] == [
        int(bank == proposer) for bank in range(4)
    ]


@given(st.lists(st.integers(0, 1_000), max_size=6))
def test_section_18_the_third_is_taken_of_a_blocks_fees_and_not_of_each(fees: list[int]) -> None:
    """Six fees of 1 give the creator 2, not 0."""
    together, _ = shared(sum(fees))
    assert together.creator == sum(fees) // 3
    assert together.creator >= sum(fee // 3 for fee in fees)
