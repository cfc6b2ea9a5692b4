"""Coin selection: the rule of the module's docstring, against an exhaustive search."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.client.coin_selection import MAX_INPUTS, plan_consolidation, select_notes
from node.client.errors import ConsolidationNeeded, InsufficientFunds

VALUES = st.lists(st.integers(0, 50), max_size=9)


def best_by_search(values: list[int], target: int) -> tuple[int, int] | None:
    """(notes, sum) of the fewest notes that suffice, with the least change among those."""
    positive = [value for value in values if value > 0]
    for count in range(1, MAX_INPUTS + 1):
        sums = [sum(chosen) for chosen in combinations(positive, count)]
        enough = [total for total in sums if total >= target]
        if enough:
            return count, min(enough)
    return None


@settings(max_examples=300)
@given(VALUES, st.integers(0, 300))
def test_the_choice_is_the_best_of_all(values: list[int], target: int) -> None:
    best = best_by_search(values, target)
    if best is not None:
        chosen = select_notes(values, target)
        assert (len(chosen), sum(values[index] for index in chosen)) == best
        assert all(values[index] > 0 for index in chosen)
        assert list(chosen) == sorted(set(chosen))
    else:
        covered = sum(values) >= target and any(values)
        error = ConsolidationNeeded if covered else InsufficientFunds
        with pytest.raises(error):
            select_notes(values, target)


def test_too_many_notes_are_a_case_for_consolidation() -> None:
    with pytest.raises(ConsolidationNeeded) as caught:
        select_notes([10, 30, 20, 10, 10], 75)
    assert str(caught.value) == (
        "75 minor units are needed, but the 4 largest notes hold 70 together; merge notes first "
        "with `consolidate`"
    )


def test_missing_funds_are_said_to_be_missing() -> None:
    with pytest.raises(InsufficientFunds) as caught:
        select_notes([1, 2], 4)
    assert str(caught.value) == (
        "4 minor units are needed; 3 are spendable, 0 mature soon, 0 wait for pending payments"
    )


def test_thousands_of_notes_are_no_obstacle() -> None:
    """The largest notes are considered when three or four are needed."""
    values = list(range(1, 5_001))
    chosen = select_notes(values, 19_990)
    assert (len(chosen), sum(values[index] for index in chosen)) == (4, 19_990)


@given(VALUES, st.integers(0, 5), st.none() | st.integers(1, 300))
def test_a_consolidation_merges_disjoint_groups_that_are_worth_it(
    values: list[int], fee: int, target: int | None
) -> None:
    groups = plan_consolidation(values, fee, target)
    merged = [index for group in groups for index in group]
    assert len(merged) == len(set(merged))
    assert all(2 <= len(group) <= MAX_INPUTS for group in groups)
    assert all(sum(values[index] for index in group) > fee for group in groups)
    largest = sorted(values, reverse=True)[:MAX_INPUTS]
    if target is not None and sum(largest) >= target:
        assert groups == []
    if sum(value > 0 for value in values) <= MAX_INPUTS:
        assert groups == []


def test_only_the_notes_that_reach_the_target_are_merged() -> None:
    assert plan_consolidation([1, 9, 8, 7, 6, 5, 1], 0, 35) == [[1, 2, 3, 4]]
    assert plan_consolidation([1, 9, 8, 7, 6, 5, 1], 0, None) == [[1, 2, 3, 4], [5, 0, 6]]
