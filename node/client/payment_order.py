"""From what the owner wants to a proven transaction."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from crypto.build import Payment, SpendableNote, build_transfer
from crypto.layout import MAX_OUTPUTS
from crypto.note import Address
from crypto.transaction import NO_ACCOUNT, decode_transaction
from node.client.address import decode_address
from node.client.amount import MAX_AMOUNT
from node.client.errors import PaymentInvalid
from node.client.wallet_data import (
    MEMO_BYTES,
    Attempt,
    PaymentPurpose,
    PaymentRecord,
    Recipient,
)
from node.ledger.definitions import AssetDefinition
from node.ledger.genesis import Genesis
from node.ledger.types import Amount, AssetId, Height, TransactionId

NOTHING = Amount(0)

MAX_RECIPIENTS = MAX_OUTPUTS - 1
"""One output is always the change, even of nothing: so every payment looks the same, and its
change note tells the wallet with certainty that it was sealed."""


@dataclass(frozen=True, slots=True)
class PaymentOrder:
    """What leaves the wallet, before notes are chosen."""

    purpose: PaymentPurpose
    asset: AssetId
    recipients: tuple[Recipient, ...]
    fee: Amount
    redeem: Amount = NOTHING
    account: bytes = NO_ACCOUNT

    @property
    def needed(self) -> int:
        """What the chosen notes must cover."""
        return sum(recipient.amount for recipient in self.recipients) + self.fee + self.redeem


def encode_memo(memo: str | bytes) -> bytes:
    """Return the 32 bytes of a memo, filled up with zero bytes; raises `PaymentInvalid`."""
    raw = memo.encode("utf-8") if isinstance(memo, str) else memo
    if len(raw) > MEMO_BYTES:
        raise PaymentInvalid(f"a memo has at most {MEMO_BYTES} bytes, this one {len(raw)}")
    return raw.ljust(MEMO_BYTES, b"\x00")


def decode_memo(memo: bytes) -> str:
    """Return a memo as text; bytes that are no text are shown in hexadecimal."""
    stripped = memo.rstrip(b"\x00")
    try:
        text = stripped.decode("utf-8")
    except UnicodeDecodeError:
        return stripped.hex()
    return text if text.isprintable() else stripped.hex()


def recipient(to: Address | str, amount: int, memo: str | bytes = b"") -> Recipient:
    """Return one payee; raises `AddressInvalid`, `PaymentInvalid`."""
    address = decode_address(to) if isinstance(to, str) else to
    if not 1 <= amount <= MAX_AMOUNT:
        raise PaymentInvalid(f"an amount of {amount} minor units cannot be paid")
    return Recipient(address.encode(), Amount(amount), encode_memo(memo))


def find_asset(genesis: Genesis, code: str | None) -> AssetDefinition:
    """Return the asset with this code, the base asset for None; raises `PaymentInvalid`."""
    if code is None:
        return genesis.base_asset
    for asset in genesis.assets:
        if asset.code == code.upper():
            return asset
    known = ", ".join(asset.code for asset in genesis.assets)
    raise PaymentInvalid(f"there is no asset {code!r}; this ledger has {known}")


def flat_fee(genesis: Genesis, asset: AssetDefinition) -> Amount:
    """Return the fee of a TRANSFER: only those of the base asset cost one (BFT-12 18)."""
    return genesis.parameters.transfer_fee if asset.is_base else NOTHING


def require_recipients(recipients: Sequence[Recipient]) -> None:
    """Raise `PaymentInvalid` unless one transaction can pay them all."""
    if not 1 <= len(recipients) <= MAX_RECIPIENTS:
        raise PaymentInvalid(
            f"one transaction pays 1 to {MAX_RECIPIENTS} recipients, not {len(recipients)}"
        )


def build_attempt(
    *,
    chain_id: bytes,
    ring_base: int,
    payment: PaymentRecord,
    inputs: Sequence[SpendableNote],
    change_to: Address,
    expiry: Height,
) -> Attempt:
    """Prove a transaction for a payment: some 10 ms for each input and output of CPU time.

    The place of the change among the outputs is drawn by chance, so that it tells nothing. The
    rings must be certified (`CertifiedRings`).
    """
    change = sum(note.value for note in inputs) - payment.amount - payment.fee
    payments = [
        Payment(Address.decode(item.address), item.amount, item.memo) for item in payment.recipients
    ]
    change_index = secrets.randbelow(len(payments) + 1)
    payments.insert(change_index, Payment(change_to, change))
    raw = build_transfer(
        chain_id=chain_id,
        asset=payment.asset,
        inputs=inputs,
        payments=payments,
        fee=payment.fee,
        redeem=payment.redeem,
        account=payment.account,
        expiry=expiry,
        rings_certified=True,
    )
    transaction = decode_transaction(raw, ring_base)
    return Attempt(
        transaction_id=TransactionId(transaction.transaction_id),
        expiry=expiry,
        change_key=transaction.outputs[change_index].one_time_key,
        raw=raw,
    )
