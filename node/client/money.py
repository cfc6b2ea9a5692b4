"""Amounts as the commands read and print them: major units, exactly, with the asset's code."""

from __future__ import annotations

from dataclasses import dataclass

from node.client.amount import format_amount, parse_amount
from node.client.errors import AmountInvalid
from node.client.payment_order import find_asset
from node.ledger.definitions import AssetDefinition
from node.ledger.genesis import Genesis
from node.ledger.types import Amount


@dataclass(frozen=True, slots=True)
class Money:
    """Some minor units of one asset."""

    amount: Amount
    asset: AssetDefinition

    def __str__(self) -> str:
        return f"{self.text} {self.asset.code}"

    @property
    def text(self) -> str:
        """Major units without the code, for example `12.50`."""
        return format_amount(self.amount, self.asset.decimals)

    @staticmethod
    def none_of(asset: AssetDefinition) -> Money:
        """Return nothing of an asset, from which `of` makes amounts."""
        return Money(Amount(0), asset)

    def of(self, amount: int) -> Money:
        """Return another amount of the same asset."""
        return Money(Amount(amount), self.asset)


def read_money(genesis: Genesis, text: str, code: str | None) -> Money:
    """Read an amount of an asset (None: the base asset).

    Raises `AmountInvalid` for what is no positive amount, `PaymentInvalid` for an unknown asset.
    """
    asset = find_asset(genesis, code)
    amount = parse_amount(text, asset.decimals)
    if amount == 0:
        raise AmountInvalid("an amount of nothing moves nothing")
    return Money(amount, asset)


def money_of(genesis: Genesis, amount: int, asset_id: bytes) -> Money:
    """Return an amount of the asset with this id, which must be verified to be of this genesis."""
    asset = genesis.asset(asset_id)
    assert asset is not None, "sealed and own notes are of an asset of the genesis"
    return Money(Amount(amount), asset)
