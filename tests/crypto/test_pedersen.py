"""Commitments: IDX1 3.2."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.curve import encode_point, msm
from crypto.generators import blinding_generator, value_generator
from crypto.pedersen import commit, encode_commitment
from crypto.scalar import ORDER
from tests.crypto.universe import EURO, GOLD

values = st.integers(0, 2**64 - 1)
blindings = st.integers(1, int(ORDER) - 1)


@given(values, blindings)
@settings(max_examples=20)
def test_commitment_is_vh_plus_bg(value: int, blinding: int) -> None:
    expected = msm((value_generator(EURO), blinding_generator()), (value, blinding))
    assert commit(EURO, value, blinding) == expected
    assert encode_commitment(EURO, value, blinding) == encode_point(expected)


@given(values, values, blindings, blindings)
@settings(max_examples=20)
def test_commitments_add_up(first: int, second: int, b_1: int, b_2: int) -> None:
    total = commit(EURO, first, b_1) + commit(EURO, second, b_2)
    assert total == commit(EURO, first + second, b_1 + b_2)


def test_assets_have_bases_of_their_own() -> None:
    assert commit(EURO, 1, 7) != commit(GOLD, 1, 7)
