"""Multiplication of a point that is multiplied often: a table of its multiples replaces doublings.

A third of the time of `crypto.curve.multiply`, for 1 ms and 256 KiB when the table is made. Like
all multiplication here it is not constant-time (IDX1 12.3).
"""

from __future__ import annotations

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
