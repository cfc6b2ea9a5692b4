"""Bins: IDX1 4."""

from __future__ import annotations

import pytest

from crypto.curve import decode_curve, encode_point
from crypto.errors import Reason, Rejected
from crypto.generators import dummy_note
from crypto.ring import ClosedBin, close_bin, ring_size
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
