"""Integers modulo the group order: decoding, encoding, inversion.

Values are gmpy2 integers where many are multiplied and plain `int` elsewhere; both take part in the
same arithmetic, and signatures say `int` for both because gmpy2 ships no type information.
"""

import gmpy2

from crypto.errors import Reason, Rejected

ORDER: int = gmpy2.mpz(0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001)
"""The prime order r of G1 of BLS12-381 (IDX1 2.1)."""

SCALAR_BYTES = 32
SCALAR_BITS = 256


def decode_scalar(data: bytes) -> int:
    """Decode one little-endian scalar of 32 bytes (IDX1 2.3); the caller cut `data` to size.

    Raises Rejected(scalar) unless the value is below the group order.
    """
    value: int = gmpy2.mpz.from_bytes(data, "little")
    if value >= ORDER:
        raise Rejected(Reason.SCALAR, "not below the group order")
    return value


def decode_scalars(data: bytes) -> list[int]:
    """Decode a row of little-endian scalars, 32 bytes each (IDX1 2.3).

    Raises Rejected(scalar) unless every value is below the group order.
    """
    count = len(data) // SCALAR_BYTES
    values: list[int] = gmpy2.unpack(gmpy2.mpz.from_bytes(data, "little"), SCALAR_BITS)
    if max(values, default=0) >= ORDER:
        raise Rejected(Reason.SCALAR, "not below the group order")
    # unpack drops leading zero slots, but yields one for zero itself
    values.extend([gmpy2.mpz(0)] * (count - len(values)))
    return values[:count]


def encode_scalar(value: int) -> bytes:
    """Encode `value` modulo the group order as 32 little-endian bytes (IDX1 2.3)."""
    return int(value % ORDER).to_bytes(SCALAR_BYTES, "little")


def invert(value: int) -> int:
    """The inverse of `value` modulo the group order; raises ZeroDivisionError if there is none."""
    inverse: int = gmpy2.invert(value, ORDER)
    return inverse
