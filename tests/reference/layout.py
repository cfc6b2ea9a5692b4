"""The bytes of a transaction and the form checks of 8.1 (IDX1 5)."""

from __future__ import annotations

from dataclasses import dataclass

from tests.reference.framing import Refused, little

TRANSFER, ISSUE, PAYOUT = 1, 2, 4
OUTPUT_BYTES = 281


@dataclass(frozen=True)
class Input:
    bin_id: int
    J: bytes
    C: bytes
    """C' of a spend, empty for the last input (5.2)."""


@dataclass(frozen=True)
class Parsed:
    """A transaction cut into its fields; points and scalars still as bytes."""

    raw: bytes
    kind: int
    chain: bytes
    asset: bytes
    head: bytes
    public_amount: int
    """fee + redeem of a TRANSFER without wrapping (7.1), or amount of an ISSUE or PAYOUT."""

    issuer: bytes
    expiry: int
    inputs: tuple[Input, ...]
    outputs: tuple[bytes, ...]
    range_proof: bytes
    spend_proofs: tuple[bytes, ...]
    issue_proof: bytes
    signature: bytes


class _Cutter:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.offset = 0

    def take(self, length: int) -> bytes:
        piece = self.data[self.offset : self.offset + length]
        self.offset += length
        return piece


def parse(raw: bytes, n: int = 8) -> Parsed:
    """8.1; raises Refused."""
    if len(raw) < 52:
        raise Refused("length")
    if raw[0] != 1:
        raise Refused("version")
    kind = raw[1]
    if kind not in (TRANSFER, ISSUE, PAYOUT):
        raise Refused("kind")
    n_in, n_out = raw[50], raw[51]
    inputs_fit = 1 <= n_in <= 4 if kind == TRANSFER else n_in == 0
    if not inputs_fit or not 1 <= n_out <= 4:
        raise Refused("count")
    head_bytes = 108 if kind == TRANSFER else 100
    inputs_bytes = 200 * n_in - 96 if kind == TRANSFER else 0
    blobs = head_bytes + inputs_bytes + OUTPUT_BYTES * n_out
    if len(raw) < blobs + 8:
        raise Refused("length")
    if raw[blobs : blobs + 8] != bytes(8):
        raise Refused("reserved")
    range_bytes = 288 + 32 * (64 * n_out + 1)
    spend_bytes = 6 * 96 + 32 * (2 * (n - 1) + 3)
    proofs_bytes = spend_bytes * n_in if kind == TRANSFER else 128 + 64
    whole = blobs + 8 + range_bytes + proofs_bytes
    if len(raw) != whole:
        raise Refused("length" if len(raw) < whole else "trailing")
    return _cut(raw, kind, n_in, n_out, head_bytes, range_bytes, spend_bytes)


def _cut(
    raw: bytes,
    kind: int,
    n_in: int,
    n_out: int,
    head_bytes: int,
    range_bytes: int,
    spend_bytes: int,
) -> Parsed:
    head = raw[:head_bytes]
    fields = _Cutter(head[52:])
    if kind == TRANSFER:
        fee, redeem = little(fields.take(8)), little(fields.take(8))
        account, issuer, public_amount = fields.take(32), b"", fee + redeem
        if (account == bytes(32)) != (redeem == 0):
            raise Refused("field")
    else:
        public_amount, issuer = little(fields.take(8)), fields.take(32)
        if public_amount == 0:
            raise Refused("field")
    body = _Cutter(raw[head_bytes:])
    inputs = tuple(
        Input(little(body.take(8)), body.take(96), body.take(96 if i < n_in - 1 else 0))
        for i in range(n_in)
    )
    outputs = tuple(body.take(OUTPUT_BYTES) for _ in range(n_out))
    body.take(8)
    return Parsed(
        raw=raw,
        kind=kind,
        chain=raw[2:34],
        asset=raw[34:50],
        head=head,
        public_amount=public_amount,
        issuer=issuer,
        expiry=little(fields.take(8)),
        inputs=inputs,
        outputs=outputs,
        range_proof=body.take(range_bytes),
        spend_proofs=tuple(body.take(spend_bytes) for _ in range(n_in)),
        issue_proof=body.take(128) if kind != TRANSFER else b"",
        signature=body.take(64) if kind != TRANSFER else b"",
    )
