"""Multiplication of points that are multiplied often: tables of their multiples.

`FixedBase` needs no doublings: a third of the time of `crypto.curve.multiply`, for 1 ms and 180 KiB
when it is made. `MultiplesTable` is for sums over several points, which share their doublings:
`sum_of_multiples` of 25 points takes two thirds of the time of `crypto.curve.msm`, for 0.5 ms and
90 KiB a point. Like all multiplication here they are not constant-time (IDX1 12.3).
"""

from __future__ import annotations

from collections.abc import Sequence

from crypto.curve import Point, identity
from crypto.scalar import ORDER, SCALAR_BYTES

_DIGIT_BITS = 4
_DIGIT_VALUES = 1 << _DIGIT_BITS
_DIGITS = 8 * SCALAR_BYTES // _DIGIT_BITS


class FixedBase:
    """A point of G1 and its multiples d 16^i P for every digit d and position i."""

    __slots__ = ("_rows", "point")

    def __init__(self, point: Point) -> None:
        self.point = point
        self._rows: list[list[Point]] = []
        base = point
        for _ in range(_DIGITS):
            row = [identity(), base]
            while len(row) < _DIGIT_VALUES:
                row.append(row[-1] + base)
            self._rows.append(row)
            base = row[-1] + base

    def multiply(self, scalar: int) -> Point:
        """`scalar` times the point, the scalar taken modulo the group order."""
        result = identity()
        rows = iter(self._rows)
        for byte in int(scalar % ORDER).to_bytes(SCALAR_BYTES, "little"):
            result = result + next(rows)[byte % _DIGIT_VALUES] + next(rows)[byte // _DIGIT_VALUES]
        return result


_BYTE_BITS = 8
_BYTE_VALUES = 1 << _BYTE_BITS
_HALF_BYTES = SCALAR_BYTES // 2


class MultiplesTable:
    """A point P of G1, the multiples of P and of 2^128 P up to 255, for `sum_of_multiples`."""

    __slots__ = ("high", "low", "point")

    def __init__(self, point: Point) -> None:
        self.point = point
        self.low = _multiples(point)
        shifted = point
        for _ in range(_BYTE_BITS * _HALF_BYTES):
            shifted = shifted + shifted
        self.high = _multiples(shifted)


def _multiples(point: Point) -> list[Point]:
    multiples = [identity(), point]
    while len(multiples) < _BYTE_VALUES:
        multiples.append(multiples[-1] + point)
    return multiples


def sum_of_multiples(tables: Sequence[MultiplesTable], scalars: Sequence[int]) -> Point:
    """The sum of scalars[i] times the point of tables[i], scalars taken modulo the group order.

    Straus' method: byte by byte, both halves of every scalar at once, all points sharing the
    doublings. Raises ValueError for lists of different lengths.
    """
    if len(tables) != len(scalars):
        raise ValueError(f"{len(tables)} tables but {len(scalars)} scalars")
    encoded = [int(scalar % ORDER).to_bytes(SCALAR_BYTES, "big") for scalar in scalars]
    rows = [table.high for table in tables] + [table.low for table in tables]
    halves = [data[:_HALF_BYTES] for data in encoded] + [data[_HALF_BYTES:] for data in encoded]
    result = identity()
    for digits in zip(*halves, strict=True):
        for _ in range(_BYTE_BITS):
            result = result + result
        for multiples, digit in zip(rows, digits, strict=True):
            if digit:
                result = result + multiples[digit]
    return result
