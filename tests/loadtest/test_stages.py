"""Shapes: how many users there are at which part of a run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.options import OPEN, SHAPES, SOAK, SPIKE, STEP, requested_shape
from loadtest.stages import OPEN_USERS, STEPS, users_at

parts = st.floats(0, 1)
counts = st.integers(1, 10_000)


@given(shape=st.sampled_from([STEP, SPIKE, SOAK]), users=counts, part=parts)
def test_there_is_always_somebody_and_never_more_than_asked_for(
    shape: str, users: int, part: float
) -> None:
    assert 1 <= users_at(shape, users, part) <= users


@given(shape=st.sampled_from([STEP, SOAK]), users=counts, one=parts, other=parts)
def test_steps_and_soaks_only_rise(shape: str, users: int, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert users_at(shape, users, low) <= users_at(shape, users, high)


def test_the_stages_of_a_hundred_users() -> None:
    assert [users_at(STEP, 100, step / STEPS) for step in range(STEPS)] == [20, 40, 60, 80, 100]
    assert [users_at(SPIKE, 100, part) for part in (0, 0.35, 0.5, 0.65, 0.9)] == [
        *(20, 100, 20, 100, 20)
    ]
    assert [users_at(SOAK, 100, part) for part in (0, 0.025, 0.05, 1)] == [1, 50, 100, 100]
    assert users_at(OPEN, 100, 0.5) == OPEN_USERS


@pytest.mark.parametrize("shape", SHAPES)
def test_the_shape_is_known_before_locust_reads_its_options(
    shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert requested_shape(["-u", "3", "--shape", shape, "--headless"]) == shape
    assert requested_shape([f"--shape={shape}", "-f", "locustfile.py"]) == shape
    monkeypatch.setenv("CONSORTIUM_SHAPE", shape)
    assert requested_shape(["--headless"]) == shape


def test_without_a_shape_users_are_those_that_locust_is_asked_for() -> None:
    assert requested_shape(["-u", "3"]) == "constant"
