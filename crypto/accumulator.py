"""One multi-scalar multiplication for the equations of many proofs (IDX1 10.4-10.6).

Every verification equation is written

    sum of (coefficient x point of the proof)  =  sum of (coefficient x shared base)

multiplied by a fresh odd weight of its own, and added up. `Accumulator.check` subtracts the right
side from the left in one multi-scalar multiplication and applies the cofactored zero test.

An item (a collected transaction, a collected ballot) adds itself like this:

    weight = accumulator.draw_weight()
    accumulator.add_left(points, coefficients)         points that occur in this item alone
    accumulator.add_right(row, packed)                 bases that many items share

A `BaseRow` carries its own points, so a slot can never see two bases; rows are found by `key`: the
hashed name of the generators, or the digest of the ring. The coefficients of a row with several
points travel packed in ONE integer, coefficient i in bits i * slot_bits and up, each non-negative;
for a row of a single point the "packed" value is the plain coefficient, of either sign. Slots are
not reduced while items are added: SLOT_BITS hold a 128-bit weight times a scalar
for 2^65 items, RING_SLOT_BITS a product of two scalars for 2^66 items (IDX1 6.5).
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import cache, lru_cache
from typing import Protocol

import gmpy2

from crypto.curve import Point, msm, vanishes
from crypto.errors import CryptoError, Reason
from crypto.generators import (
    blinding_generator,
    key_generator,
    nullifier_generator,
    value_generator,
)
from crypto.randomness import RandomBytes
from crypto.scalar import ORDER

SLOT_BITS = 448
"""Slot for weight x scalar: 383 bits and 65 bits of headroom."""

RING_SLOT_BITS = 576
"""Slot for scalar x scalar: 510 bits and 66 bits of headroom."""

WEIGHT_BYTES = 16
_WEIGHTS_PER_DRAW = 32


class EquationsFail(CryptoError):
    """The weighted sum of the accumulated equations is not zero."""


class BaseRow:
    """A row of points shared by many equations; `load` yields them when a check first needs them.
    """

    __slots__ = ("_load", "key", "slot_bits")

    def __init__(
        self, key: Hashable, load: Callable[[], Sequence[Point]], slot_bits: int = SLOT_BITS
    ) -> None:
        self.key = key
        self.slot_bits = slot_bits
        self._load = load

    @property
    def points(self) -> Sequence[Point]:
        """The points of the row, coefficient i belongs to points[i]."""
        return self._load()


def single_row(name: Hashable, load: Callable[[], Point]) -> BaseRow:
    """A row of one point, whose coefficient may be any integer."""
    return BaseRow(name, lambda: (load(),))


@cache
def blinding_row() -> BaseRow:
    """The row of G."""
    return single_row("G/blind", blinding_generator)


@cache
def key_row() -> BaseRow:
    """The row of K."""
    return single_row("K/key", key_generator)


@cache
def nullifier_row() -> BaseRow:
    """The row of U."""
    return single_row("U/tag", nullifier_generator)


@lru_cache(maxsize=1024)
def value_row(asset: bytes) -> BaseRow:
    """The row of H of one asset."""
    return single_row(("H/value", asset), lambda: value_generator(asset))


def pack(coefficients: Sequence[int], slot_bits: int = SLOT_BITS) -> int:
    """Pack non-negative coefficients below 2^slot_bits for `Accumulator.add_right`."""
    packed: int = gmpy2.pack(list(coefficients), slot_bits)
    return packed


class Accumulator:
    """The weighted sum of equations; made after all judged bytes are fixed, and used for one check.

    `random_bytes` yields the weights (IDX1 10.5): the operating system's in a node, a seeded
    generator in the simulator. They must be unknown to whoever made the proofs.
    """

    def __init__(self, random_bytes: RandomBytes) -> None:
        self._random_bytes = random_bytes
        self._weights: list[int] = []
        self._points: list[Point] = []
        self._coefficients: list[int] = []
        self._packed: dict[Hashable, int] = {}
        self._rows: dict[Hashable, BaseRow] = {}
        self._refused = False

    def draw_weight(self) -> int:
        """A fresh odd weight of 128 bits (IDX1 10.5)."""
        if not self._weights:
            data = self._random_bytes(WEIGHT_BYTES * _WEIGHTS_PER_DRAW)
            self._weights = [
                gmpy2.mpz.from_bytes(data[start : start + WEIGHT_BYTES], "little") | 1
                for start in range(0, len(data), WEIGHT_BYTES)
            ]
        return self._weights.pop()

    def add_left(self, points: Iterable[Point], coefficients: Iterable[int]) -> None:
        """Add coefficient x point for each pair to the left side; integers of any sign and size."""
        self._points.extend(points)
        self._coefficients.extend(coefficients)

    def add_right(self, row: BaseRow, packed: int) -> None:
        """Add the packed coefficients of a row of shared bases to the right side."""
        key = row.key
        if key in self._packed:
            self._packed[key] += packed
        else:
            self._packed[key] = packed
            self._rows[key] = row

    def refuse(self) -> None:
        """Make `check` fail: an item met a challenge of zero, which is refused."""
        self._refused = True

    def check(self) -> None:
        """Raise EquationsFail unless the cofactored sum is zero (IDX1 10.1)."""
        if self._refused:
            raise EquationsFail("a challenge is zero")
        points = list(self._points)
        coefficients = list(self._coefficients)
        for key, packed in self._packed.items():
            row = self._rows[key]
            row_points = row.points
            single = len(row_points) == 1
            values = [packed] if single else gmpy2.unpack(packed, row.slot_bits)
            # unpack drops leading zero slots, and their bases with them
            points.extend(row_points[: len(values)])
            coefficients.extend([-value for value in values])
        if not vanishes(msm(points, coefficients)):
            raise EquationsFail("the equations do not hold")


class BatchItem(Protocol):
    """What a batch can verify: anything collected with nothing left to check but its equations, and
    that some of its points lie in G1."""

    @property
    def unchecked_points(self) -> Sequence[Point]:
        """Points that must lie in G1 and that nobody asked yet (`crypto.subgroup`)."""
        ...

    @property
    def equation_kinds(self) -> tuple[Reason, ...]:
        """The reasons its equations can fail with, in the order of IDX1 8.7."""
        ...

    def accumulate(self, accumulator: Accumulator, only: Reason | None = None) -> None:
        """Add every equation, or those of one kind alone, each under its own fresh weight."""
        ...


assert ORDER.bit_length() + 8 * WEIGHT_BYTES < SLOT_BITS
assert 2 * ORDER.bit_length() < RING_SLOT_BITS
