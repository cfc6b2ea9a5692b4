"""The canonical bytes of transactions and the first validation step (IDX1 5 and 8.1)."""

from dataclasses import dataclass

from crypto.curve import POINT_BYTES
from crypto.encoding import read_u32, read_u64, u32, u64
from crypto.errors import Reason, Rejected
from crypto.generators import ASSET_BYTES
from crypto.layout import (
    BLOB_LENGTHS_BYTES,
    CHAIN_ID_BYTES,
    COMMON_HEAD_BYTES,
    KEY_BYTES,
    MAX_INPUTS,
    MAX_OUTPUTS,
    MAX_TRANSACTION_BYTES,
    MINT_HEAD_BYTES,
    OUTPUT_BYTES,
    SIGNATURE_BYTES,
    TRANSFER_HEAD_BYTES,
    VERSION,
    Kind,
    Layout,
    layout_of,
)
from crypto.ring import DEFAULT_RING_BASE
from crypto.transcript import hash32, hash64

__all__ = [
    "MAX_TRANSACTION_BYTES",
    "Kind",
    "Mint",
    "Output",
    "Transfer",
    "TransferInput",
    "decode_transaction",
    "mint_head",
    "transaction_id",
    "transfer_head",
]

NO_BLOBS = u32(0) + u32(0)
"""Escrow and attestation, both empty in version 1 (IDX1 5.2)."""

NO_ACCOUNT = bytes(KEY_BYTES)

_KIND_OFFSET = 1
_CHAIN_OFFSET = 2
_ASSET_OFFSET = _CHAIN_OFFSET + CHAIN_ID_BYTES
_COUNTS_OFFSET = _ASSET_OFFSET + ASSET_BYTES


@dataclass(frozen=True, slots=True)
class Output:
    """A note as it travels: P (96), C (96), E (32), view tag, ciphertext (56) (IDX1 3.2)."""

    one_time_key: bytes
    commitment: bytes
    ephemeral_key: bytes
    view_tag: int
    ciphertext: bytes

    def encode(self) -> bytes:
        """The 281 bytes on the wire."""
        return b"".join(
            (
                self.one_time_key,
                self.commitment,
                self.ephemeral_key,
                self.view_tag.to_bytes(1, "little"),
                self.ciphertext,
            )
        )

    @classmethod
    def decode(cls, data: bytes) -> "Output":
        """Split 281 bytes; raises Rejected(length) for any other number. Points stay encoded."""
        if len(data) != OUTPUT_BYTES:
            raise Rejected(Reason.LENGTH, f"an output has {OUTPUT_BYTES} bytes, not {len(data)}")
        return cls(data[:96], data[96:192], data[192:224], data[224], data[225:])


@dataclass(frozen=True, slots=True)
class TransferInput:
    """One spend: the bin it hides in, its nullifier J, its commitment C' unless it is the last."""

    bin_id: int
    nullifier: bytes
    commitment: bytes | None


@dataclass(frozen=True, slots=True)
class Transfer:
    """A decoded TRANSFER: fields are cut to size, points and scalars still encoded (IDX1 5.2)."""

    raw: bytes
    transaction_id: bytes
    chain_id: bytes
    asset: bytes
    fee: int
    redeem: int
    account: bytes
    expiry: int
    inputs: tuple[TransferInput, ...]
    outputs: tuple[Output, ...]
    layout: Layout

    @property
    def kind(self) -> Kind:
        """TRANSFER."""
        return Kind.TRANSFER

    @property
    def range_proof(self) -> bytes:
        """A || S || T || f || mu, cut out of `raw`: proofs are most of the bytes, and read once."""
        return self.raw[self.layout.range_proof : self.layout.proofs]

    @property
    def spend_proofs(self) -> tuple[bytes, ...]:
        """The proof of each input, cut out of `raw`."""
        return tuple([self.raw[start:end] for start, end in self.layout.proof_spans])


@dataclass(frozen=True, slots=True)
class Mint:
    """A decoded ISSUE or PAYOUT (IDX1 5.3)."""

    raw: bytes
    transaction_id: bytes
    kind: Kind
    chain_id: bytes
    asset: bytes
    amount: int
    issuer: bytes
    expiry: int
    outputs: tuple[Output, ...]
    signature: bytes
    layout: Layout

    @property
    def inputs(self) -> tuple[TransferInput, ...]:
        """A mint spends nothing."""
        return ()

    @property
    def range_proof(self) -> bytes:
        """A || S || T || f || mu, cut out of `raw`."""
        return self.raw[self.layout.range_proof : self.layout.proofs]

    @property
    def issue_proof(self) -> bytes:
        """R || z, cut out of `raw`."""
        return self.raw[self.layout.proofs : self.layout.total - SIGNATURE_BYTES]


def transaction_id(data: bytes) -> bytes:
    """The id of a transaction: hash32 of all its bytes (IDX1 5.5)."""
    return hash32("IDX1/txid", data)


def transfer_head(
    *,
    chain_id: bytes,
    asset: bytes,
    input_count: int,
    output_count: int,
    fee: int,
    redeem: int,
    account: bytes,
    expiry: int,
) -> bytes:
    """The 108 bytes before the inputs of a TRANSFER (IDX1 5.2)."""
    common = bytes((VERSION, Kind.TRANSFER)) + chain_id + asset + bytes((input_count, output_count))
    return common + u64(fee) + u64(redeem) + account + u64(expiry)


def mint_head(
    *,
    kind: Kind,
    chain_id: bytes,
    asset: bytes,
    output_count: int,
    amount: int,
    issuer: bytes,
    expiry: int,
) -> bytes:
    """The 100 bytes before the outputs of an ISSUE or PAYOUT (IDX1 5.3)."""
    common = bytes((VERSION, kind)) + chain_id + asset + bytes((0, output_count))
    return common + u64(amount) + issuer + u64(expiry)


def core_digest(head: bytes, inputs: list[bytes], outputs: list[bytes]) -> bytes:
    """`core`, 64 bytes: what the range proof binds; an input is bin || digest || J || C' (IDX1
    5.5)."""
    return hash64("IDX1/core", head, *inputs, *outputs)


def proof_digest(core: bytes, range_proof: bytes) -> bytes:
    """`dig`, 64 bytes: what spend and issue proofs bind, with both blobs empty (IDX1 5.5)."""
    return hash64("IDX1/digest", core, b"", b"", range_proof)


def decode_transaction(data: bytes, ring_base: int = DEFAULT_RING_BASE) -> Transfer | Mint:
    """Step 8.1 alone: the form. Raises Rejected; no point or scalar is looked at."""
    if len(data) < COMMON_HEAD_BYTES:
        raise Rejected(Reason.LENGTH, f"{len(data)} bytes hold no head")
    if data[0] != VERSION:
        raise Rejected(Reason.VERSION, f"version {data[0]}")
    kind = _decode_kind(data[_KIND_OFFSET])
    input_count, output_count = data[_COUNTS_OFFSET], data[_COUNTS_OFFSET + 1]
    allowed_inputs = range(1, MAX_INPUTS + 1) if kind is Kind.TRANSFER else range(1)
    if input_count not in allowed_inputs or not 1 <= output_count <= MAX_OUTPUTS:
        raise Rejected(Reason.COUNT, f"{input_count} inputs and {output_count} outputs")
    layout = layout_of(kind, input_count, output_count, ring_base)
    _check_size(data, layout)
    if kind is Kind.TRANSFER:
        return _decode_transfer(data, layout)
    return _decode_mint(data, kind, layout)


def _decode_kind(value: int) -> Kind:
    if value not in (Kind.TRANSFER, Kind.ISSUE, Kind.PAYOUT):
        raise Rejected(Reason.KIND, f"kind {value} is no transaction")
    return Kind(value)


def _check_size(data: bytes, layout: Layout) -> None:
    blobs = layout.blob_lengths
    if len(data) < blobs + BLOB_LENGTHS_BYTES:
        raise Rejected(Reason.LENGTH, f"{len(data)} bytes end before the blob lengths")
    # both lengths sit at fixed offsets in version 1, whatever the first one says
    if data[blobs : blobs + BLOB_LENGTHS_BYTES] != NO_BLOBS:
        escrow, attestation = read_u32(data, blobs), read_u32(data, blobs + 4)
        raise Rejected(Reason.RESERVED, f"escrow of {escrow}, attestation of {attestation} bytes")
    if len(data) < layout.total:
        raise Rejected(Reason.LENGTH, f"{len(data)} of {layout.total} bytes")
    if len(data) > layout.total:
        raise Rejected(Reason.TRAILING, f"{len(data) - layout.total} bytes after the end")


def _decode_outputs(data: bytes, layout: Layout) -> tuple[Output, ...]:
    return tuple([Output.decode(data[start:end]) for start, end in layout.outputs])


def _decode_input(data: bytes, start: int, end: int) -> TransferInput:
    commitment_at = start + 8 + POINT_BYTES
    return TransferInput(
        read_u64(data, start),
        data[start + 8 : commitment_at],
        data[commitment_at:end] if commitment_at < end else None,
    )


def _decode_transfer(data: bytes, layout: Layout) -> Transfer:
    fee_at = COMMON_HEAD_BYTES
    redeem = read_u64(data, fee_at + 8)
    account = data[fee_at + 16 : fee_at + 48]
    if (redeem == 0) != (account == NO_ACCOUNT):
        raise Rejected(Reason.FIELD, "an account belongs to a redeemed amount, and only to one")
    return Transfer(
        raw=data,
        transaction_id=transaction_id(data),
        chain_id=data[_CHAIN_OFFSET:_ASSET_OFFSET],
        asset=data[_ASSET_OFFSET:_COUNTS_OFFSET],
        fee=read_u64(data, fee_at),
        redeem=redeem,
        account=account,
        expiry=read_u64(data, TRANSFER_HEAD_BYTES - 8),
        inputs=tuple([_decode_input(data, start, end) for start, end in layout.inputs]),
        outputs=_decode_outputs(data, layout),
        layout=layout,
    )


def _decode_mint(data: bytes, kind: Kind, layout: Layout) -> Mint:
    amount_at = COMMON_HEAD_BYTES
    amount = read_u64(data, amount_at)
    if amount == 0:
        raise Rejected(Reason.FIELD, "an amount of zero")
    return Mint(
        raw=data,
        transaction_id=transaction_id(data),
        kind=kind,
        chain_id=data[_CHAIN_OFFSET:_ASSET_OFFSET],
        asset=data[_ASSET_OFFSET:_COUNTS_OFFSET],
        amount=amount,
        issuer=data[amount_at + 8 : amount_at + 8 + KEY_BYTES],
        expiry=read_u64(data, MINT_HEAD_BYTES - 8),
        outputs=_decode_outputs(data, layout),
        signature=data[layout.total - SIGNATURE_BYTES :],
        layout=layout,
    )
