"""Whether many points lie in G1, asked at once: IDX1 2.2, 10.2."""

from __future__ import annotations

import os
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto import subgroup
from crypto.curve import Point, hash_to_curve, identity, multiply, require_subgroup
from crypto.errors import Reason, Rejected
from crypto.layout import MAX_INPUTS, MAX_OUTPUTS, Kind, layout_of
from crypto.randomness import Coins, RandomBytes
from crypto.subgroup import FEW_POINTS, ROUNDS, require_all_in_subgroup
from tests.crypto.universe import torsion_point

BASE = hash_to_curve(b"a point of the tests")
MANY = 120


@cache
def _points() -> tuple[Point, ...]:
    points = [BASE]
    while len(points) < MANY:
        points.append(points[-1] + BASE)
    return tuple(points)


def _with_torsion(parts: dict[int, Point]) -> list[Point]:
    return [point + parts.get(at, identity()) for at, point in enumerate(_points())]


def _is_outside(point: Point) -> bool:
    try:
        require_subgroup(point)
    except Rejected:
        return True
    return False


@pytest.mark.parametrize("count", [0, 1, 50, MANY])
def test_points_of_the_subgroup_always_pass_2_2(count: int) -> None:
    require_all_in_subgroup(_points()[:count], os.urandom)


@given(at=st.integers(0, MANY - 1), order=st.sampled_from([3, 11]), seed=st.binary(max_size=8))
@settings(max_examples=25, deadline=None)
def test_one_torsion_part_is_found_wherever_it_is_2_2(at: int, order: int, seed: bytes) -> None:
    points = _with_torsion({at: torsion_point(order)})
    with pytest.raises(Rejected) as caught:
        require_all_in_subgroup(points, Coins(seed).take)
    assert caught.value.reason is Reason.SUBGROUP
    with pytest.raises(Rejected):
        require_all_in_subgroup(points[at : at + 1], Coins(seed).take)


def test_torsion_parts_that_cancel_in_the_plain_sum_are_found_2_2() -> None:
    part = torsion_point(3)
    points = _with_torsion({5: part, 80: -part})
    assert sum(points, identity()) == sum(_points(), identity())
    with pytest.raises(Rejected):
        require_all_in_subgroup(points, os.urandom)


@pytest.mark.parametrize("shared", range(1, 6))
def test_at_least_42_sums_are_looked_at_and_two_thirds_show_order_three_10_2(shared: int) -> None:
    points = _with_torsion({17: torsion_point(3)})
    sums = subgroup._random_sums(points, shared, Coins(b"coefficients").take)
    assert len(sums) >= ROUNDS == 42
    outside = sum(_is_outside(point) for point in sums)
    # the share is 2/3; the seed is fixed, so this is no matter of luck
    assert 0.5 * len(sums) <= outside <= 0.84 * len(sums)


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_sums_have_the_balanced_ternary_digits_as_coefficients(data: st.DataObject) -> None:
    shared = data.draw(st.integers(1, 4))
    largest = (3**shared - 1) // 2
    values = data.draw(st.lists(st.integers(0, 50), min_size=largest, max_size=largest))
    expected = [0] * shared
    for number, value in enumerate(values, start=1):
        rest = number
        for digit_at in range(shared):
            digit = (rest + 1) % 3 - 1
            expected[digit_at] += digit * value
            rest = (rest - digit) // 3
    buckets = [multiply(BASE, value) for value in values]
    assert subgroup._sums_of_rounds(buckets) == [multiply(BASE, value) for value in expected]


def _source(data: bytes) -> RandomBytes:
    pieces = iter((data, bytes(10_000)))
    return lambda size_bytes: next(pieces)[:size_bytes]


def test_bytes_that_are_not_uniform_modulo_three_are_drawn_again() -> None:
    drawn = bytes(range(230, 256))
    assert subgroup._uniform_bytes(20, _source(drawn)) == bytes(range(230, 243)) + bytes(7)
    assert 243 % 3**subgroup._MAX_SHARED_ROUNDS == 0


def test_more_points_share_more_rounds() -> None:
    counts = (FEW_POINTS, 120, 500, 2000)
    assert [subgroup._shared_rounds(count) for count in counts] == [3, 3, 4, 5]


def _no_randomness(size_bytes: int) -> bytes:
    raise AssertionError(f"{size_bytes} bytes were drawn")


def test_the_points_of_one_transaction_are_asked_one_by_one_10_2() -> None:
    most = layout_of(Kind.TRANSFER, MAX_INPUTS, MAX_OUTPUTS, 8).strict_points
    assert len(most) == 12 <= FEW_POINTS
    require_all_in_subgroup(_points()[:FEW_POINTS], _no_randomness)
    with pytest.raises(AssertionError):
        require_all_in_subgroup(_points()[: FEW_POINTS + 1], _no_randomness)
