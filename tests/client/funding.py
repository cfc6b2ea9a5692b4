"""Money for wallets, as an issuing bank makes it."""

from __future__ import annotations

from collections.abc import Sequence

from crypto.build import Payment, build_issue
from crypto.transaction import Kind
from node.client.address import decode_address
from tests.client.small_bank import SealedLedger
from tests.ledger.chain import BASE, FAR, issuer_secret


def mint_to(
    ledger: SealedLedger, address: str, values: Sequence[int], asset: bytes = BASE
) -> bytes:
    """Bytes of an ISSUE that pays these values, at most four, to one address."""
    return build_issue(
        kind=Kind.ISSUE,
        chain_id=ledger.chain.genesis.chain_id,
        asset=asset,
        amount=sum(values),
        issuer_secret=issuer_secret(0),
        payments=[Payment(decode_address(address), value) for value in values],
        expiry=FAR,
        random_bytes=ledger.chain.coins.take,
    )


def fund(ledger: SealedLedger, address: str, values: Sequence[int], asset: bytes = BASE) -> None:
    """Issue notes of these values to an address and close their bins."""
    raws = [
        mint_to(ledger, address, values[start : start + 4], asset)
        for start in range(0, len(values), 4)
    ]
    ledger.seal_matured(*raws)
