"""Multiplication by tables agrees with the backend's own."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.curve import hash_to_curve, identity, msm, multiply
from crypto.fixed_base import FixedBase, MultiplesTable, sum_of_multiples
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


TABLES = [MultiplesTable(hash_to_curve(b"point %d" % index)) for index in range(3)]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-(2**260), 2**260), min_size=1, max_size=3))
def test_a_sum_of_multiples_agrees_with_the_backends(scalars: list[int]) -> None:
    tables = TABLES[: len(scalars)]
    assert sum_of_multiples(tables, scalars) == msm([table.point for table in tables], scalars)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.sampled_from([0, 1, 255, 256, 2**128 - 1, 2**128, 2**254]), min_size=3, max_size=3)
)
def test_a_sum_over_the_ends_of_bytes_and_halves(scalars: list[int]) -> None:
    expected = identity()
    for table, scalar in zip(TABLES, scalars, strict=True):
        expected = expected + multiply(table.point, scalar)
    assert sum_of_multiples(TABLES, scalars) == expected


def test_a_sum_needs_one_scalar_for_each_table() -> None:
    assert sum_of_multiples([], []) == identity()
    with pytest.raises(ValueError, match=r"^3 tables but 2 scalars$"):
        sum_of_multiples(TABLES, [1, 2])
