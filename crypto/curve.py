"""The group: BLS12-381 G1 and its curve, on py_arkworks_bls12381 (IDX1 2). Nothing else imports
that library.

Traps of the backend that this module closes:
- its multi-scalar multiplication silently truncates lists of different lengths: `msm` compares
  them;
- 96 zero bytes decode to the identity: both decoders refuse them;
- multiplication and multi-scalar multiplication of the pinned release are plain double-and-add and
  Pippenger, right for points outside G1 (the tests hold them to it with points of order 3 and 11);
  the multiplication by `COFACTOR_MULTIPLIER` does not rely on that and doubles and adds by itself
  (IDX1 2.5).
"""

from collections.abc import Iterable, Sequence

from py_arkworks_bls12381 import G1Point, Scalar

from crypto.errors import IdentityPoint, Reason, Rejected
from crypto.scalar import ORDER, SCALAR_BYTES

Point = G1Point
"""A point of the curve E; in the subgroup G1 only where a decoder or a computation says so."""

POINT_BYTES = 96

COFACTOR_MULTIPLIER = 0xD201000000010001
"""h_eff of IDX1 2.1: maps every point of the curve into G1 and is invertible modulo the group
order."""

HASH_TO_CURVE_DST = b"IDX1_BLS12381G1_XMD:SHA-256_SSWU_RO_"
"""The single domain separation tag of IDX1 2.4."""

_IDENTITY = G1Point.identity()
_IDENTITY_BYTES = bytes(POINT_BYTES)
_COFACTOR_BITS = f"{COFACTOR_MULTIPLIER:b}"


def identity() -> Point:
    """The neutral element."""
    return _IDENTITY


def decode_curve(data: bytes) -> Point:
    """Decode 96 bytes x || y as a point of the curve, torsion allowed (the `curve` decoder of IDX1
    2.2).

    Raises Rejected(identity) for 96 zero bytes and Rejected(point) for anything else that is not
    the canonical encoding of a curve point.
    """
    if data == _IDENTITY_BYTES:
        raise Rejected(Reason.IDENTITY, "the identity is no valid point")
    try:
        return G1Point.from_xy_bytes_unchecked_be(data)
    except ValueError:
        raise Rejected(Reason.POINT, "not the canonical encoding of a curve point") from None


def require_subgroup(point: Point) -> None:
    """Raise Rejected(subgroup) unless `point` lies in the subgroup of prime order (IDX1 2.2)."""
    if not point.is_in_subgroup():
        raise Rejected(Reason.SUBGROUP, "outside the subgroup of prime order")


def decode_strict(data: bytes) -> Point:
    """Decode 96 bytes x || y as a point of G1 (the `strict` decoder of IDX1 2.2).

    Raises Rejected with `identity`, `point` or `subgroup`, in this order.
    """
    point = decode_curve(data)
    require_subgroup(point)
    return point


def encode_point(point: Point) -> bytes:
    """Encode a point as 96 bytes x || y (IDX1 2.2); raises IdentityPoint for the identity."""
    data = point.to_xy_bytes_be()
    if data == _IDENTITY_BYTES:
        raise IdentityPoint("the identity has no encoding")
    return data


def hash_to_curve(name: bytes) -> Point:
    """The point of G1 named `name`, its logarithm unknown to everybody (IDX1 2.4, RFC 9380)."""
    return G1Point.hash_to_curve(name, HASH_TO_CURVE_DST)


def _backend_scalar(value: int) -> Scalar:
    return Scalar.from_le_bytes((value % ORDER).to_bytes(SCALAR_BYTES, "little"))


def multiply(point: Point, scalar: int) -> Point:
    """`scalar` times `point`, the scalar taken modulo the group order."""
    return point * _backend_scalar(scalar)


def msm(points: Sequence[Point], scalars: Iterable[int]) -> Point:
    """The sum of scalars[i] times points[i], one multi-scalar multiplication without the
    interpreter lock.

    Scalars are taken modulo the group order, which for a point outside G1 changes the result by
    torsion alone; judge such sums with `vanishes` only. Raises ValueError for lists of different
    lengths.
    """
    backend_scalars = [
        Scalar.from_le_bytes((scalar % ORDER).to_bytes(SCALAR_BYTES, "little"))
        for scalar in scalars
    ]
    if len(points) != len(backend_scalars):
        raise ValueError(f"{len(points)} points but {len(backend_scalars)} scalars")
    return G1Point.multiexp_unchecked(list(points), backend_scalars)


def clear_cofactor(point: Point) -> Point:
    """`COFACTOR_MULTIPLIER` times `point` by plain double-and-add, right for every curve point
    (IDX1 2.5)."""
    result = point
    for bit in _COFACTOR_BITS[1:]:
        result = result + result
        if bit == "1":
            result = result + point
    return result


def vanishes(point: Point) -> bool:
    """The cofactored zero test that decides every group equation (IDX1 10.1)."""
    return clear_cofactor(point) == _IDENTITY
