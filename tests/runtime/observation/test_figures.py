"""Histograms and percentiles."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.runtime.observation.histogram import Histogram
from node.runtime.observation.recent_values import RecentValues, percentile

VALUES = st.lists(st.integers(0, 10**9), max_size=50)


def test_a_histogram_counts_each_value_in_the_first_bucket_that_holds_it() -> None:
    histogram = Histogram((1.0, 2.0, 5.0))
    for value in (0.5, 1.0, 1.5, 5.0, 5.1):
        histogram.observe(value)
    histogram.observe(2.0, times=3)
    assert (histogram.counts, histogram.count) == ([2, 4, 1, 1], 8)
    assert histogram.sum == pytest.approx(19.1)


@given(VALUES, st.integers(1, 100))
def test_a_percentile_is_the_smallest_value_that_covers_its_share(
    values: list[int], percent: int
) -> None:
    ordered = sorted(values)
    found = percentile(ordered, percent)
    if not values:
        assert found is None
        return
    needed = math.ceil(len(values) * percent / 100)
    candidates = [v for v in ordered if sum(other <= v for other in values) >= needed]
    assert found == min(candidates)


def test_only_values_of_the_window_count_and_the_newest_of_too_many() -> None:
    recent = RecentValues(kept=3)
    for at_us, value in ((10, 7), (20, 5), (30, 9), (40, 1)):
        recent.add(at_us, value)
    assert recent.since(0) == [1, 5, 9]
    assert recent.since(30) == [1, 9]
    assert recent.since(41) == []
