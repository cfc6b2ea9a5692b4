"""The curve on py_ecc: decoders, generators, sums, the cofactored rule (IDX1 2, 10.1)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from hashlib import sha256

from py_ecc.bls.hash_to_curve import hash_to_G1
from py_ecc.fields import optimized_bls12_381_FQ as Coordinate
from py_ecc.optimized_bls12_381 import (
    Z1,
    add,
    double,
    field_modulus,
    is_inf,
    multiply,
    neg,
    normalize,
)

from tests.reference.framing import R_ORDER, Refused

Point = tuple[Coordinate, Coordinate, Coordinate]
Term = tuple[int, Point]

IDENTITY: Point = Z1
H_EFF = 0xD201000000010001
DST = b"IDX1_BLS12381G1_XMD:SHA-256_SSWU_RO_"


def decode_on_curve(data: bytes) -> Point:
    """The `curve` decoder of 2.2; raises Refused("identity") or Refused("point")."""
    if data == bytes(96):
        raise Refused("identity")
    x, y = int.from_bytes(data[:48], "big"), int.from_bytes(data[48:], "big")
    on_curve = (y * y - x * x * x - 4) % field_modulus == 0
    if len(data) != 96 or x >= field_modulus or y >= field_modulus or not on_curve:
        raise Refused("point")
    return (Coordinate(x), Coordinate(y), Coordinate(1))


@cache
def decode_strict(data: bytes) -> Point:
    """The `strict` decoder of 2.2; raises Refused with "identity", "point" or "subgroup"."""
    point = decode_on_curve(data)
    if not is_inf(multiply(point, R_ORDER)):
        raise Refused("subgroup")
    return point


def encode(point: Point) -> bytes:
    """The 96 bytes of 2.2; the identity comes out as 96 zero bytes, which no caller may accept."""
    if is_inf(point):
        return bytes(96)
    x, y = normalize(point)
    return int(x).to_bytes(48, "big") + int(y).to_bytes(48, "big")


@cache
def gen(name: bytes) -> Point:
    """hash_to_curve(name) with the one DST of 2.4."""
    return hash_to_G1(name, DST, sha256)


def value_generator(asset: bytes) -> Point:
    return gen(b"H/value/" + asset)


def negative(point: Point) -> Point:
    return neg(point)


def times(factor: int, point: Point) -> Point:
    """Plain double-and-add, right for every point of the curve (2.5)."""
    return multiply(point, factor % R_ORDER)


def total(points: Iterable[Point]) -> Point:
    result = IDENTITY
    for point in points:
        result = add(result, point)
    return result


def combination(terms: Iterable[Term]) -> Point:
    """Sum of scalar times point, by windows of `width` bits from the top (Pippenger's buckets).

    Factors are taken modulo r, so a term outside the subgroup is right up to torsion, which is
    all that the cofactored rule looks at.
    """
    reduced = [(factor % R_ORDER, point) for factor, point in terms]
    width = 3 if len(reduced) < 16 else 4 if len(reduced) < 64 else 6
    result = IDENTITY
    for shift in reversed(range(0, 255, width)):
        for _ in range(width):
            result = double(result)
        result = add(result, _window_sum(reduced, shift, width))
    return result


def _window_sum(terms: list[Term], shift: int, width: int) -> Point:
    buckets = [IDENTITY] * (1 << width)
    for factor, point in terms:
        digit = factor >> shift & (1 << width) - 1
        if digit:
            buckets[digit] = add(buckets[digit], point)
    running = weighted = IDENTITY
    for bucket in reversed(buckets[1:]):
        running = add(running, bucket)
        weighted = add(weighted, running)
    return weighted


def vanishes(difference: Point) -> bool:
    """The cofactored rule of 10.1: does h_eff times the point equal the identity?"""
    return is_inf(multiply(difference, H_EFF))
