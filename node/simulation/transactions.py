"""Transactions with the canonical layout of IDX1 5 around contents that nobody computed.

Whoever may spend a note is a matter of the proof oracle; here are only the bytes.
"""

from __future__ import annotations

import hashlib

from crypto.encoding import u64
from crypto.layout import CHAIN_ID_BYTES, OUTPUT_BYTES, Kind, layout_of
from crypto.transaction import mint_head, transfer_head
from node.ledger.genesis import Genesis
from node.ledger.types import POINT_BYTES, Amount, BankIndex

_FILLING = b"simulated transaction"


def mint_bytes(
    genesis: Genesis,
    kind: Kind,
    bank: BankIndex,
    amount: Amount,
    *,
    number: int,
    outputs: int,
    expiry: int,
) -> bytes:
    """Return an ISSUE or a PAYOUT; `number` makes its outputs unlike any other's."""
    layout = layout_of(kind, 0, outputs, genesis.parameters.ring_base)
    head = mint_head(
        kind=kind,
        chain_id=genesis.chain_id,
        asset=genesis.base_asset.asset_id,
        output_count=outputs,
        amount=amount,
        issuer=genesis.banks[bank].issuer_key,
        expiry=expiry,
    )
    return _padded(head + _outputs(number, outputs), layout.total)


def transfer_bytes(
    genesis: Genesis,
    spends: list[tuple[int, bytes]],
    *,
    number: int,
    outputs: int,
    redeem: Amount,
    account: bytes,
    expiry: int,
) -> bytes:
    """Return a TRANSFER; `spends` holds bin and nullifier (96 bytes) of each input."""
    layout = layout_of(Kind.TRANSFER, len(spends), outputs, genesis.parameters.ring_base)
    head = transfer_head(
        chain_id=genesis.chain_id,
        asset=genesis.base_asset.asset_id,
        input_count=len(spends),
        output_count=outputs,
        fee=genesis.parameters.transfer_fee,
        redeem=redeem,
        account=account,
        expiry=expiry,
    )
    inputs = b""
    for (bin_id, nullifier), (start, end) in zip(spends, layout.inputs, strict=True):
        inputs += u64(bin_id) + nullifier + bytes(end - start - 8 - POINT_BYTES)
    return _padded(head + inputs + _outputs(number, outputs), layout.total)


def nullifier_of(one_time_key: bytes) -> bytes:
    """Return the nullifier of a simulated note, 96 bytes."""
    return hashlib.shake_256(b"nullifier" + one_time_key).digest(POINT_BYTES)


def _outputs(number: int, count: int) -> bytes:
    seed = _FILLING + number.to_bytes(CHAIN_ID_BYTES, "big")
    return hashlib.shake_256(seed).digest(count * OUTPUT_BYTES)


def _padded(front: bytes, total: int) -> bytes:
    return front + bytes(total - len(front))
