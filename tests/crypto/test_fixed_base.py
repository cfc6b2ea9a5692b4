"""Multiplication by a table agrees with the backend's own."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.curve import hash_to_curve, identity, multiply
from crypto.fixed_base import FixedBase
from crypto.scalar import ORDER

BASE = FixedBase(hash_to_curve(b"a point multiplied often"))


@settings(max_examples=50, deadline=None)
@given(st.integers(-(2**260), 2**260))
def test_the_table_agrees_with_multiplication(scalar: int) -> None:
    assert BASE.multiply(scalar) == multiply(BASE.point, scalar)


def test_the_ends_of_the_range() -> None:
    assert BASE.multiply(0) == BASE.multiply(int(ORDER)) == identity()
    assert BASE.multiply(1) == BASE.point
    assert BASE.multiply(-1) == BASE.multiply(int(ORDER) - 1) == -BASE.point
