"""Dividing what a bank mints into notes."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from node.cli.minting import MintOrder
from node.client.money import Money
from node.ledger.types import Amount, BankIndex
from tests.ledger.chain import make_genesis

INR = make_genesis().base_asset


@given(amount=st.integers(1, (1 << 64) - 1), note_count=st.integers(1, 400))
def test_shares_are_as_equal_as_can_be_and_lose_nothing(amount: int, note_count: int) -> None:
    assume(amount >= note_count)
    order = MintOrder(BankIndex(0), "alice", "", Money(Amount(amount), INR), note_count, 60)
    shares = order.shares()
    assert (len(shares), sum(shares)) == (note_count, amount)
    assert shares == sorted(shares, reverse=True)
    assert shares[0] - shares[-1] in (0, 1)
    assert shares[-1] >= 1
