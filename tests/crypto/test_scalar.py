"""Scalars: IDX1 2.3."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.errors import Reason, Rejected
from crypto.scalar import ORDER, decode_scalar, decode_scalars, encode_scalar, invert

scalars = st.integers(0, int(ORDER) - 1)


@given(scalars)
def test_encoding_round_trips(value: int) -> None:
    encoded = encode_scalar(value)
    assert len(encoded) == 32
    assert decode_scalar(encoded) == value
    assert int.from_bytes(encoded, "little") == value


@given(st.lists(st.one_of(scalars, st.just(0)), max_size=20))
def test_rows_round_trip_with_zeros_anywhere(values: list[int]) -> None:
    assert decode_scalars(b"".join(map(encode_scalar, values))) == values


@pytest.mark.parametrize("value", [int(ORDER), int(ORDER) + 1, 2**255, 2**256 - 1])
def test_values_from_the_order_up_are_refused_2_3(value: int) -> None:
    encoded = value.to_bytes(32, "little")
    for row in (encoded, encoded + bytes(32), bytes(32) + encoded):
        with pytest.raises(Rejected) as caught:
            decode_scalars(row)
        assert caught.value.reason is Reason.SCALAR
    with pytest.raises(Rejected, match="scalar: not below the group order"):
        decode_scalar(encoded)


def test_order_minus_one_is_legal_2_3() -> None:
    encoded = (int(ORDER) - 1).to_bytes(32, "little")
    assert decode_scalars(encoded) == [ORDER - 1]


def test_a_scalar_that_shares_the_top_limb_of_the_order_is_compared_exactly_2_3() -> None:
    top_limb = int(ORDER) >> 192 << 192
    assert decode_scalars(top_limb.to_bytes(32, "little")) == [top_limb]
    with pytest.raises(Rejected):
        decode_scalars((top_limb + 2**192 - 1).to_bytes(32, "little"))


@given(st.integers(1, int(ORDER) - 1))
def test_inverse(value: int) -> None:
    assert value * invert(value) % ORDER == 1


def test_zero_has_no_inverse() -> None:
    with pytest.raises(ZeroDivisionError):
        invert(0)
