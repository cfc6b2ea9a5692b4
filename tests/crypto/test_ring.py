"""Bins: IDX1 4."""

from __future__ import annotations

from random import Random

import gmpy2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.accumulator import RING_SLOT_BITS, Accumulator, pack
from crypto.curve import (
    Point,
    decode_curve,
    encode_point,
    hash_to_curve,
    identity,
    msm,
    multiply,
)
from crypto.errors import Reason, Rejected
from crypto.generators import dummy_note
from crypto.ring import ClosedBin, close_bin, ring_size
from crypto.scalar import ORDER
from crypto.transcript import hash32
from tests.crypto.universe import EURO, torsion_point, universe, vector_view, vectors

NOTES = [universe().view.bins[1].notes[index] for index in range(3)]  # type: ignore[union-attr]


@pytest.mark.parametrize("ring_base", [4, 8, 16])
def test_missing_notes_are_padded_with_the_dummy_before_4_1(ring_base: int) -> None:
    closed = close_bin(7, EURO, NOTES, ring_base)
    size = ring_base**2
    assert closed.count == 3
    assert len(closed.notes) == ring_size(ring_base) == size
    assert closed.notes == (*NOTES, *(dummy_note(position - 1) for position in range(3, size)))


@pytest.mark.parametrize("ring_base", [4, 8, 16])
def test_digest_binds_id_asset_base_and_notes_4_2(ring_base: int) -> None:
    closed = close_bin(7, EURO, NOTES, ring_base)
    assert closed.digest == hash32(
        "IDX1/ring",
        (7).to_bytes(8, "little"),
        EURO,
        bytes([ring_base, 2]),
        *(one_time_key + commitment for one_time_key, commitment in closed.notes),
    )


def test_digests_of_the_vectors() -> None:
    closed = {entry["id"]: entry["digest"] for entry in vectors()["bins"] if entry["closed"]}
    bins = vector_view().bins
    assert {bin_id: bins[bin_id].digest.hex() for bin_id in closed} == closed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, EURO, [], 8), "0 notes do not fit a ring of 64"),
        ((1, EURO, NOTES * 6, 4), "18 notes do not fit a ring of 16"),
        ((1, EURO, NOTES, 5), r"ring base 5 is none of \(4, 8, 16\)"),
        ((1, EURO[:-1], NOTES, 4), "an asset has 16 bytes, not 15"),
    ],
)
def test_impossible_bins_are_refused(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        close_bin(*arguments)  # type: ignore[arg-type]


def test_a_ring_has_exactly_its_size() -> None:
    closed = close_bin(1, EURO, NOTES, 4)
    with pytest.raises(ValueError, match="a ring of base 4 has 16 notes, not 15"):
        ClosedBin(1, EURO, closed.notes[1:], 3, 4)
    with pytest.raises(ValueError, match=r"count 17 is outside 1 \.\. 16"):
        ClosedBin(1, EURO, closed.notes, 17, 4)


@pytest.mark.parametrize("part", [0, 1])
def test_a_ring_with_a_small_order_part_is_unsound_for_a_wallet_4_4(part: int) -> None:
    note = list(NOTES[1])
    note[part] = encode_point(decode_curve(note[part]) + torsion_point(11))
    planted = close_bin(1, EURO, [NOTES[0], (note[0], note[1]), NOTES[2]], 4)
    assert len(planted.key_points) == len(planted.commitment_points) == 16
    for _ in range(2):
        with pytest.raises(Rejected) as caught:
            planted.require_strict_points()
        assert caught.value.reason is Reason.SUBGROUP
    close_bin(1, EURO, NOTES, 4).require_strict_points()


def _sum_of(accumulator: Accumulator) -> Point:
    """The right side of an accumulator, written out point by point."""
    total = identity()
    for key, packed in accumulator._packed.items():
        row = accumulator._rows[key]
        values = [packed] if len(row.points) == 1 else gmpy2.unpack(packed, row.slot_bits)
        assert len(values) <= len(row.points)
        for point, value in zip(row.points, values, strict=False):
            total = total + multiply(point, value)
    return total


def _expected(ring: ClosedBin, keys: list[int], commitments: list[int]) -> Point:
    return msm((*ring.key_points, *ring.commitment_points), (*keys, *commitments))


def _points_of(accumulator: Accumulator) -> int:
    return sum(len(row.points) for row in accumulator._rows.values())


def _own_notes(count: int, label: bytes) -> list[tuple[bytes, bytes]]:
    points = [hash_to_curve(label + b"/%d" % index) for index in range(2 * count)]
    encoded = [encode_point(point) for point in points]
    return list(zip(encoded[::2], encoded[1::2], strict=True))


@given(
    st.lists(st.integers(1, 16), min_size=1, max_size=3),
    st.randoms(use_true_random=False),
)
@settings(max_examples=12, deadline=None)
def test_padding_shares_a_slot_and_every_coefficient_keeps_its_point_10_6(
    counts: list[int], chance: Random
) -> None:
    accumulator = Accumulator(bytes)
    expected = identity()
    for bin_id, count in enumerate(counts):
        ring = close_bin(bin_id, EURO, _own_notes(count, b"bin %d" % bin_id), 4)
        for _ in range(2):
            keys, commitments = (
                [chance.randrange(int(ORDER) ** 2) for _ in range(16)] for _ in range(2)
            )
            ring.accumulate(
                accumulator, pack(keys, RING_SLOT_BITS), pack(commitments, RING_SLOT_BITS)
            )
            expected = expected + _expected(ring, keys, commitments)
    assert _sum_of(accumulator) == expected
    padding = 2 * 15 if any(count < 16 for count in counts) else 0
    assert _points_of(accumulator) == 2 * sum(counts) + padding


def test_what_only_looks_like_padding_keeps_its_own_slots_10_6() -> None:
    closed = close_bin(1, EURO, NOTES, 4)
    swapped = (*closed.notes[:14], closed.notes[15], closed.notes[14])
    rings = [ClosedBin(1, EURO, swapped, 3, 4), ClosedBin(1, EURO, closed.notes, 9, 4), closed]
    assert [ring.own_count for ring in rings] == [16, 9, 3]
    assert rings[1].digest == rings[2].digest
    accumulator = Accumulator(bytes)
    coefficients = list(range(1, 17))
    packed = pack(coefficients, RING_SLOT_BITS)
    expected = identity()
    for ring in rings:
        ring.accumulate(accumulator, packed, packed)
        expected = expected + _expected(ring, coefficients, coefficients)
    assert _sum_of(accumulator) == expected
