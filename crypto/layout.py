"""Where every field of a transaction lies: one table per kind, counts and ring base (IDX1 5, 6.2,
7.3).

The order of `points` is the order in which IDX1 8.3 judges them.
"""

from dataclasses import dataclass
from enum import IntEnum
from functools import cache

from crypto.curve import POINT_BYTES
from crypto.encoding import U32_BYTES, U64_BYTES
from crypto.generators import ASSET_BYTES, INDEX_DIGITS
from crypto.scalar import SCALAR_BYTES

VERSION = 0x01
CHAIN_ID_BYTES = 32
KEY_BYTES = 32
"""Size of an Ed25519 or X25519 public key and of an account."""
SIGNATURE_BYTES = 64
COMMON_HEAD_BYTES = 2 + CHAIN_ID_BYTES + ASSET_BYTES + 2
TRANSFER_HEAD_BYTES = COMMON_HEAD_BYTES + 2 * U64_BYTES + KEY_BYTES + U64_BYTES
MINT_HEAD_BYTES = COMMON_HEAD_BYTES + U64_BYTES + KEY_BYTES + U64_BYTES
MEMO_BYTES = 32
CIPHERTEXT_BYTES = U64_BYTES + MEMO_BYTES + 16
OUTPUT_BYTES = 2 * POINT_BYTES + KEY_BYTES + 1 + CIPHERTEXT_BYTES
BLOB_LENGTHS_BYTES = 2 * U32_BYTES
VALUE_BITS = 64
RANGE_POINT_COUNT = 3
SPEND_POINT_COUNT = 6
MAX_INPUTS = 4
MAX_OUTPUTS = 4


class Kind(IntEnum):
    """The kind byte at offset 1 (IDX1 5.1); a ballot is never a transaction."""

    TRANSFER = 1
    ISSUE = 2
    BALLOT = 3
    PAYOUT = 4


def range_proof_bytes(output_count: int) -> int:
    """Size of a range proof over `output_count` values (IDX1 6.2)."""
    return RANGE_POINT_COUNT * POINT_BYTES + SCALAR_BYTES * (VALUE_BITS * output_count + 1)


def spend_scalar_count(ring_base: int) -> int:
    """Scalars of a spend proof: the digits' responses but for the first of each row, zA, zK, zG."""
    return INDEX_DIGITS * (ring_base - 1) + 3


def spend_proof_bytes(ring_base: int) -> int:
    """Size of a spend proof (IDX1 7.3, 4.5)."""
    return SPEND_POINT_COUNT * POINT_BYTES + SCALAR_BYTES * spend_scalar_count(ring_base)


@dataclass(frozen=True, slots=True)
class PointField:
    """One encoded point: its bytes are data[start:end], `strict` asks for the subgroup check."""

    start: int
    end: int
    strict: bool
    name: str


@dataclass(frozen=True, slots=True)
class Layout:
    """Offsets in bytes of the parts of a transaction; ends are starts of what follows."""

    inputs: tuple[tuple[int, int], ...]
    outputs: tuple[tuple[int, int], ...]
    blob_lengths: int
    range_proof: int
    proofs: int
    """Start of the spend proofs, or of the issue proof."""
    proof_spans: tuple[tuple[int, int], ...]
    """Start and end of each spend proof; empty for a mint."""
    total: int
    points: tuple[PointField, ...]
    strict_points: tuple[int, ...]
    """Indices in `points` of those that must lie in the subgroup."""
    scalars: tuple[tuple[int, int], ...]
    """Start and end of each row of scalars, in wire order."""


class _Cursor:
    def __init__(self, offset: int) -> None:
        self.offset = offset
        self.points: list[PointField] = []

    def skip(self, size: int) -> tuple[int, int]:
        start = self.offset
        self.offset += size
        return start, self.offset

    def point(self, name: str, *, strict: bool) -> None:
        self.points.append(PointField(*self.skip(POINT_BYTES), strict, name))


def _lay_inputs(cursor: _Cursor, count: int) -> tuple[tuple[int, int], ...]:
    spans = []
    for index in range(count):
        start = cursor.offset
        cursor.skip(U64_BYTES)
        cursor.point(f"nullifier of input {index}", strict=True)
        if index < count - 1:
            cursor.point(f"commitment of input {index}", strict=False)
        spans.append((start, cursor.offset))
    return tuple(spans)


def _lay_outputs(cursor: _Cursor, count: int) -> tuple[tuple[int, int], ...]:
    spans = []
    for index in range(count):
        start = cursor.offset
        cursor.point(f"one-time key of output {index}", strict=True)
        cursor.point(f"commitment of output {index}", strict=True)
        cursor.skip(OUTPUT_BYTES - 2 * POINT_BYTES)
        spans.append((start, cursor.offset))
    return tuple(spans)


@cache
def layout_of(kind: Kind, input_count: int, output_count: int, ring_base: int) -> Layout:
    """The layout of a transaction with these counts (IDX1 5.2, 5.3); the caller checked the counts.
    """
    is_transfer = kind is Kind.TRANSFER
    cursor = _Cursor(TRANSFER_HEAD_BYTES if is_transfer else MINT_HEAD_BYTES)
    inputs = _lay_inputs(cursor, input_count)
    outputs = _lay_outputs(cursor, output_count)
    blob_lengths, _ = cursor.skip(BLOB_LENGTHS_BYTES)
    range_proof = cursor.offset
    for name in "AST":
        cursor.point(f"{name} of the range proof", strict=False)
    scalars = [cursor.skip(SCALAR_BYTES * (VALUE_BITS * output_count + 1))]
    proofs = cursor.offset
    proof_spans = []
    for index in range(input_count):
        start = cursor.offset
        for name in ("A", "B", "X0", "X1", "Y0", "Y1"):
            cursor.point(f"{name} of spend proof {index}", strict=False)
        scalars.append(cursor.skip(SCALAR_BYTES * spend_scalar_count(ring_base)))
        proof_spans.append((start, cursor.offset))
    if not is_transfer:
        cursor.point("R of the issue proof", strict=False)
        scalars.append(cursor.skip(SCALAR_BYTES))
        cursor.skip(SIGNATURE_BYTES)
    return Layout(
        inputs=inputs,
        outputs=outputs,
        blob_lengths=blob_lengths,
        range_proof=range_proof,
        proofs=proofs,
        proof_spans=tuple(proof_spans),
        total=cursor.offset,
        points=tuple(cursor.points),
        strict_points=tuple(index for index, point in enumerate(cursor.points) if point.strict),
        scalars=tuple(scalars),
    )


MAX_TRANSACTION_BYTES = layout_of(Kind.TRANSFER, MAX_INPUTS, MAX_OUTPUTS, 16).total
"""No valid transaction of any ring base is longer; refuse longer messages before parsing them."""
