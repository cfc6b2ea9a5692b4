"""The weighted sum of equations: IDX1 6.5, 10.1, 10.4-10.6."""

from __future__ import annotations

import pytest

from crypto.accumulator import (
    RING_SLOT_BITS,
    SLOT_BITS,
    Accumulator,
    BaseRow,
    EquationsFail,
    blinding_row,
    pack,
    single_row,
)
from crypto.curve import hash_to_curve, msm, multiply
from crypto.generators import blinding_generator
from crypto.randomness import Coins
from crypto.scalar import ORDER
from tests.crypto.universe import torsion_point

POINTS = tuple(hash_to_curve(b"row of the tests %d" % index) for index in range(4))
ROW = BaseRow("row of the tests", lambda: POINTS)


def _accumulator() -> Accumulator:
    return Accumulator(Coins(b"weights").take)


def test_an_equation_that_holds_passes_and_one_that_does_not_fails() -> None:
    accumulator = _accumulator()
    accumulator.add_left((msm(POINTS, (3, 0, 5, 7)),), (2,))
    accumulator.add_right(ROW, pack((6, 0, 10, 14)))
    accumulator.check()
    accumulator.add_right(ROW, pack((0, 0, 1)))
    with pytest.raises(EquationsFail, match="the equations do not hold"):
        accumulator.check()


def test_nothing_holds() -> None:
    _accumulator().check()


def test_rows_of_one_key_are_one_slot_each_and_trailing_zeros_cost_nothing_10_6() -> None:
    accumulator = _accumulator()
    again = BaseRow(ROW.key, lambda: POINTS)
    accumulator.add_right(ROW, pack((1, 2)))
    accumulator.add_right(again, pack((4,)))
    accumulator.add_left(POINTS[:2], (5, 2))
    accumulator.check()


def test_a_row_of_one_point_takes_any_integer() -> None:
    accumulator = _accumulator()
    accumulator.add_right(blinding_row(), -7 - 3 * ORDER)
    accumulator.add_left((blinding_generator(),), (-7,))
    accumulator.check()


@pytest.mark.parametrize(
    ("slot_bits", "factor_bits", "headroom_bits"), [(SLOT_BITS, 128, 65), (RING_SLOT_BITS, 255, 66)]
)
def test_slots_hold_the_promised_number_of_items_6_5(
    slot_bits: int, factor_bits: int, headroom_bits: int
) -> None:
    largest = ORDER - 1
    factor = min(2**factor_bits - 1, largest)
    row = BaseRow("headroom", lambda: POINTS, slot_bits)
    accumulator = _accumulator()
    accumulator.add_right(row, factor * pack((largest,) * 4, slot_bits) * 2**headroom_bits)
    total = factor * largest * 2**headroom_bits
    accumulator.add_left((msm(POINTS, (1, 1, 1, 1)),), (total,))
    accumulator.check()


def test_weights_are_odd_128_bit_and_fresh_10_5() -> None:
    accumulator = _accumulator()
    weights = [accumulator.draw_weight() for _ in range(100)]
    assert all(weight % 2 == 1 and weight < 2**128 for weight in weights)
    assert len(set(weights)) == 100
    assert max(weights) > 2**120


def test_errors_of_two_equations_do_not_cancel_10_5() -> None:
    wrong = multiply(POINTS[0], 5)
    accumulator = _accumulator()
    accumulator.add_left((wrong,), (accumulator.draw_weight(),))
    accumulator.add_left((-wrong,), (accumulator.draw_weight(),))
    with pytest.raises(EquationsFail):
        accumulator.check()


@pytest.mark.parametrize("order", [3, 11])
def test_small_order_parts_are_ignored_by_rule_10_1(order: int) -> None:
    accumulator = _accumulator()
    accumulator.add_left((POINTS[0] + torsion_point(order),), (accumulator.draw_weight(),))
    with pytest.raises(EquationsFail):
        accumulator.check()
    for _ in range(30):
        accumulator = _accumulator()
        weight = accumulator.draw_weight()
        accumulator.add_left((POINTS[0] + torsion_point(order),), (weight,))
        accumulator.add_right(single_row("P", lambda: POINTS[0]), weight)
        accumulator.check()


def test_a_refused_challenge_fails_whatever_the_equations_say() -> None:
    accumulator = _accumulator()
    accumulator.refuse()
    with pytest.raises(EquationsFail, match="a challenge is zero"):
        accumulator.check()
