"""Amounts on the command line: exact, in major units (node.client.amount)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.client.errors import AmountInvalid, PaymentInvalid
from node.client.money import Money, money_of, read_money
from node.ledger.types import Amount
from tests.ledger.chain import GOLD, make_genesis

GENESIS = make_genesis()
INR, XAU = GENESIS.assets


@given(amount=st.integers(1, (1 << 64) - 1), asset=st.sampled_from(GENESIS.assets))
def test_what_is_printed_can_be_typed(amount: int, asset: object) -> None:
    money = Money(Amount(amount), INR if asset is INR else XAU)
    assert read_money(GENESIS, money.text, money.asset.code) == money


def test_amounts_are_of_the_base_asset_unless_told_otherwise() -> None:
    assert str(read_money(GENESIS, " 12.5 ", None)) == "12.50 INR"
    assert str(read_money(GENESIS, "12.5", "xau")) == "12.5000 XAU"
    assert str(money_of(GENESIS, 7, GOLD)) == "0.0007 XAU"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0", "an amount of nothing moves nothing"),
        ("0.00", "an amount of nothing moves nothing"),
        ("-1", "'-1' is not an amount such as 12 or 12.50"),
        ("1,50", "'1,50' is not an amount such as 12 or 12.50"),
        ("1.005", "'1.005' has more than 2 decimal places"),
        ("184467440737095516.16", "'184467440737095516.16' exceeds the largest amount of a note"),
    ],
)
def test_anything_else_is_refused_and_nothing_is_rounded(text: str, message: str) -> None:
    with pytest.raises(AmountInvalid) as caught:
        read_money(GENESIS, text, None)
    assert str(caught.value) == message


def test_an_unknown_asset_is_answered_with_those_there_are() -> None:
    with pytest.raises(PaymentInvalid) as caught:
        read_money(GENESIS, "1", "EUR")
    assert str(caught.value) == "there is no asset 'EUR'; this ledger has INR, XAU"
