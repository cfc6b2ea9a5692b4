"""ISSUE and PAYOUT: how a bank's operator brings notes into being (IDX1 5.3, 7.6).

An issue spends no note, so nothing but its id keeps two of them apart: a lost answer is repeated
with the same bytes, never with new ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from crypto.build import Payment, build_issue
from crypto.layout import MAX_OUTPUTS, Kind
from crypto.note import Address
from crypto.transaction import transaction_id
from node.client.errors import (
    LedgerOverloaded,
    LedgerTimeout,
    LedgerUnavailable,
    PaymentInvalid,
    SubmissionUnsettled,
)
from node.client.ledger_client import LedgerClient
from node.client.payment_order import find_asset
from node.client.verification import SealVerifier
from node.client.wallet_data import Recipient
from node.ledger.types import Height, TransactionId
from node.wire.records import Receipt

DEFAULT_EXPIRY_HEIGHTS = 200


@dataclass(frozen=True, slots=True)
class SubmittedMint:
    """An ISSUE or PAYOUT that was handed in; keep the bytes to hand it in again."""

    transaction_id: TransactionId
    expiry: Height
    raw: bytes
    receipt: Receipt


async def issue(
    ledger: LedgerClient,
    issuer_secret: bytes,
    recipients: Sequence[Recipient],
    *,
    asset: str | None = None,
    chain_id: bytes | None = None,
) -> SubmittedMint:
    """Mint notes of an asset (None: the base asset) against the issuing bank's limit.

    `issuer_secret` is the bank's 32-byte Ed25519 seed; `recipients` (`payment_order.recipient`)
    are one to four. Raises `TransactionRefused`, for example with `issuance-limit`, and
    `SubmissionUnsettled` with the bytes to repeat if no bank answered.
    """
    return await _mint(ledger, Kind.ISSUE, issuer_secret, recipients, asset, chain_id)


async def payout(
    ledger: LedgerClient,
    issuer_secret: bytes,
    recipients: Sequence[Recipient],
    *,
    chain_id: bytes | None = None,
) -> SubmittedMint:
    """Turn money of the issuing bank's public account into notes of the base asset.

    Raises `TransactionRefused`, for example with `insufficient-account`, `SubmissionUnsettled`.
    """
    return await _mint(ledger, Kind.PAYOUT, issuer_secret, recipients, None, chain_id)


async def _mint(
    ledger: LedgerClient,
    kind: Kind,
    issuer_secret: bytes,
    recipients: Sequence[Recipient],
    asset: str | None,
    chain_id: bytes | None,
) -> SubmittedMint:
    if not 1 <= len(recipients) <= MAX_OUTPUTS:
        raise PaymentInvalid(
            f"one transaction pays 1 to {MAX_OUTPUTS} recipients, not {len(recipients)}"
        )
    genesis = await ledger.genesis(chain_id)
    _, state = SealVerifier(genesis).verify_state(await ledger.sealed_state())
    window = min(DEFAULT_EXPIRY_HEIGHTS, genesis.parameters.max_expiry_heights)
    expiry = Height(state.height + window)
    raw = await asyncio.to_thread(
        build_issue,
        kind=kind,
        chain_id=genesis.chain_id,
        asset=find_asset(genesis, asset).asset_id,
        amount=sum(recipient.amount for recipient in recipients),
        issuer_secret=issuer_secret,
        payments=[
            Payment(Address.decode(item.address), item.amount, item.memo) for item in recipients
        ],
        expiry=expiry,
    )
    minted_id = TransactionId(transaction_id(raw))
    try:
        receipt = await ledger.submit(raw)
    except (LedgerUnavailable, LedgerTimeout, LedgerOverloaded) as error:
        raise SubmissionUnsettled(error, minted_id, raw) from error
    return SubmittedMint(minted_id, expiry, raw, receipt)
