"""What a transaction shows to everybody, as commands, page and export tell it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from crypto.transaction import Mint, Transfer
from node.client.errors import RecordsInvalid
from node.client.money import Money, money_of
from node.ledger.definitions import AssetDefinition
from node.ledger.fiscal_year import label
from node.ledger.genesis import Genesis
from node.ledger.governance import LedgerTransaction, Readmission, StakeMovement
from node.ledger.rejection import Rejection
from node.ledger.rules import decode
from node.ledger.settlement import PotCarry, Settlement
from node.ledger.types import Height
from node.runtime.consortium_directory import short_name

FEE = "fee"
REDEEMED = "redeemed"


@dataclass(frozen=True, slots=True)
class TransactionSummary:
    """What a transaction shows to everybody (IDX1 5.2, 5.3)."""

    transaction_id: str
    kind: str
    """`transfer`, `issue`, `payout`, `stake-top-up`, `stake-withdrawal`, `readmission`,
    `settlement` or `pot-carry`."""
    asset: str
    inputs: int
    outputs: int
    bins: tuple[int, ...]
    """Bins among whose notes the spent ones hide, input by input."""
    amounts: Mapping[str, Money]
    """Public amounts by name: `fee` and `redeemed`, or `amount`."""
    bank: str
    """The bank that issued, paid out, is redeemed to or is itself the matter; empty for a
    payment."""
    size_bytes: int
    expiry_height: Height
    fiscal_year: str = ""
    """`FY2026` of a settlement or a pot that is carried forward, empty otherwise."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Recorded approvals by bank, as a settlement proves them."""

    @staticmethod
    def of(raw: bytes, genesis: Genesis) -> TransactionSummary:
        """Read canonical bytes; raises `RecordsInvalid` for what no bank of this chain can seal."""
        try:
            decoded = decode(raw, genesis)
        except Rejection as error:
            raise RecordsInvalid(f"the transaction does not decode: {error}") from error
        asset: AssetDefinition | None = genesis.base_asset
        if isinstance(decoded, Transfer | Mint):
            asset = genesis.asset(decoded.asset)
        if asset is None or decoded.chain_id != genesis.chain_id:
            raise RecordsInvalid("the transaction is of another chain")
        amounts, bank = _public_parts(decoded, genesis)
        year, counts = _settled(decoded)
        return TransactionSummary(
            transaction_id=decoded.transaction_id.hex(),
            kind=decoded.kind.name.lower().replace("_", "-"),
            asset=asset.code,
            inputs=len(decoded.inputs),
            outputs=len(decoded.outputs),
            bins=tuple([item.bin_id for item in decoded.inputs]),
            amounts=amounts,
            bank=bank,
            size_bytes=len(raw),
            expiry_height=Height(decoded.expiry),
            fiscal_year=year,
            counts=counts,
        )

    def amount_text(self) -> str:
        """Return the public amounts in a few words."""
        if self.fiscal_year:
            return self.fiscal_year
        shown = [f"{name} {money}" for name, money in self.amounts.items() if money.amount]
        return ", ".join(shown) if shown else "no fee"

    def to_json_object(self) -> dict[str, object]:
        """Return everything by name; amounts in minor units."""
        return {
            "transaction_id": self.transaction_id,
            "kind": self.kind,
            "asset": self.asset,
            "bank": self.bank,
            **{f"{name}_minor": money.amount for name, money in self.amounts.items()},
            "inputs": self.inputs,
            "outputs": self.outputs,
            "bins": list(self.bins),
            "size_bytes": self.size_bytes,
            "expiry_height": self.expiry_height,
            **({"fiscal_year": self.fiscal_year} if self.fiscal_year else {}),
            **({"counts": dict(self.counts)} if self.counts else {}),
        }


def _public_parts(
    transaction: LedgerTransaction, genesis: Genesis
) -> tuple[Mapping[str, Money], str]:
    if isinstance(transaction, Settlement | PotCarry):
        return {}, ""
    if isinstance(transaction, Readmission):
        return {}, short_name(transaction.terms.bank)
    if isinstance(transaction, StakeMovement):
        amount = money_of(genesis, transaction.amount, genesis.base_asset.asset_id)
        return {"amount": amount}, short_name(transaction.bank)
    asset = transaction.asset

    def money(amount: int) -> Money:
        return money_of(genesis, amount, asset)

    if isinstance(transaction, Mint):
        issuer = genesis.bank_of_issuer(transaction.issuer)
        return {"amount": money(transaction.amount)}, "" if issuer is None else short_name(issuer)
    account = genesis.bank_of_account(transaction.account)
    amounts = {FEE: money(transaction.fee), REDEEMED: money(transaction.redeem)}
    return amounts, "" if account is None else short_name(account)


def _settled(transaction: LedgerTransaction) -> tuple[str, Mapping[str, int]]:
    if isinstance(transaction, PotCarry):
        return label(transaction.year), {}
    if isinstance(transaction, Settlement):
        counts = {short_name(item.bank): item.count for item in transaction.claim.counts}
        return label(transaction.year), counts
    return "", {}
