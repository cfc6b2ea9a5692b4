"""Bins: the rings of notes that spend proofs hide in (IDX1 4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import gmpy2

from crypto.accumulator import RING_SLOT_BITS, Accumulator, BaseRow
from crypto.curve import POINT_BYTES, Point, decode_curve, require_subgroup
from crypto.encoding import u64
from crypto.generators import ASSET_BYTES, INDEX_DIGITS, dummy_note
from crypto.transcript import hash32

RING_BASES = (4, 8, 16)
"""The ring bases n a genesis may choose; a ring has n^2 notes (IDX1 4.5)."""

DEFAULT_RING_BASE = 8
_NOTE_BYTES = 2 * POINT_BYTES


def ring_size(ring_base: int) -> int:
    """The number of notes in a ring, n^2; raises ValueError for a base that is not allowed."""
    if ring_base not in RING_BASES:
        raise ValueError(f"ring base {ring_base} is none of {RING_BASES}")
    return ring_base * ring_base


@cache
def _padding(ring_base: int) -> bytes:
    """P || C of the padding notes 0 .. n^2 - 2, one after another."""
    notes = [dummy_note(index) for index in range(ring_size(ring_base) - 1)]
    return b"".join([one_time_key + commitment for one_time_key, commitment in notes])


@cache
def _padding_rows(ring_base: int) -> tuple[BaseRow, BaseRow]:
    """The accumulator rows of the padding notes' keys and commitments, which all bins share."""
    keys = _key_points(_padding(ring_base))
    commitments = _commitment_points(_padding(ring_base))
    return (
        BaseRow(("dummy/P", ring_base), lambda: keys, RING_SLOT_BITS),
        BaseRow(("dummy/C", ring_base), lambda: commitments, RING_SLOT_BITS),
    )


@dataclass(frozen=True, slots=True)
class OpenBin:
    """A bin that still takes notes; nothing can be spent from it."""

    bin_id: int
    asset: bytes


class ClosedBin:
    """A full ring of notes (P, C) in their encodings, the first `count` real, the others padding.

    The digest and the accumulator rows are computed on first use and kept, so a ledger hands out
    one object per bin. Points are decoded by `curve` each time they are asked for: the ledger
    admitted the notes by `strict`, decoding costs a fortieth of what a multiplication by them
    does, and decoded points take twice the memory of their encodings. Whoever was merely told the
    notes calls `require_strict_points`, or compares `digest` with certified state (IDX1 4.4).
    """

    bin_id: int
    asset: bytes
    packed: bytes
    """P || C of every note, one after another."""
    count: int
    ring_base: int

    def __init__(
        self,
        bin_id: int,
        asset: bytes,
        notes: Sequence[tuple[bytes, bytes]],
        count: int,
        ring_base: int = DEFAULT_RING_BASE,
    ) -> None:
        """Raises ValueError for a wrong base, count, asset, number of notes or length of a note."""
        size = ring_size(ring_base)
        if len(notes) != size:
            raise ValueError(f"a ring of base {ring_base} has {size} notes, not {len(notes)}")
        if not 1 <= count <= size:
            raise ValueError(f"count {count} is outside 1 .. {size}")
        if len(asset) != ASSET_BYTES:
            raise ValueError(f"an asset has {ASSET_BYTES} bytes, not {len(asset)}")
        if any(len(encoding) != POINT_BYTES for note in notes for encoding in note):
            raise ValueError(f"a note is two points of {POINT_BYTES} bytes")
        packed = b"".join([one_time_key + commitment for one_time_key, commitment in notes])
        self._set(bin_id, asset, packed, count, ring_base)

    def _set(self, bin_id: int, asset: bytes, packed: bytes, count: int, ring_base: int) -> None:
        self.bin_id = bin_id
        self.asset = asset
        self.packed = packed
        self.count = count
        self.ring_base = ring_base

    @classmethod
    def of_packed(
        cls, bin_id: int, asset: bytes, packed: bytes, count: int, ring_base: int, digest: bytes
    ) -> "ClosedBin":
        """Return a bin again from its own fields and digest, without checking them again."""
        closed = cls.__new__(cls)
        closed._set(bin_id, asset, packed, count, ring_base)
        closed.__dict__["digest"] = digest
        return closed

    @property
    def notes(self) -> tuple[tuple[bytes, bytes], ...]:
        """(P, C) of every position."""
        return tuple([(note[:POINT_BYTES], note[POINT_BYTES:]) for note in _split(self.packed)])

    @cached_property
    def digest(self) -> bytes:
        """The 32 bytes every spend from this bin is bound to (IDX1 4.2)."""
        return hash32(
            "IDX1/ring",
            u64(self.bin_id),
            self.asset,
            bytes((self.ring_base, INDEX_DIGITS)),
            *_split(self.packed),
        )

    @property
    def key_points(self) -> tuple[Point, ...]:
        """P_0 .. P_{N-1}; raises Rejected if a note's key is no curve point."""
        return _key_points(self.packed)

    @property
    def commitment_points(self) -> tuple[Point, ...]:
        """C_0 .. C_{N-1}; raises Rejected if a note's commitment is no curve point."""
        return _commitment_points(self.packed)

    @cached_property
    def own_count(self) -> int:
        """How many of the first notes are no padding at its place.

        That is `count` in every bin of a ledger, and all in one that was made up otherwise.
        """
        size = ring_size(self.ring_base)
        if self.count == size:
            return size
        padding = _padding(self.ring_base)[(self.count - 1) * _NOTE_BYTES :]
        return self.count if self.packed[self.count * _NOTE_BYTES :] == padding else size

    @cached_property
    def _own_rows(self) -> tuple[BaseRow, BaseRow]:
        """The accumulator rows of the keys and commitments that are no padding."""
        count = self.own_count
        own = slice(count * _NOTE_BYTES)
        # the digest does not bind the count
        keys, commitments = ("ring/P", self.digest, count), ("ring/C", self.digest, count)
        return (
            BaseRow(keys, lambda: _key_points(self.packed[own]), RING_SLOT_BITS),
            BaseRow(commitments, lambda: _commitment_points(self.packed[own]), RING_SLOT_BITS),
        )

    def accumulate(self, accumulator: Accumulator, keys: int, commitments: int) -> None:
        """Add coefficients of P_0 .. P_{N-1} and of C_0 .. C_{N-1} to the right side.

        Both are packed in slots of RING_SLOT_BITS. A padding note is the same point in every bin
        that has it, so its coefficients meet in one slot: a batch over bins that closed early
        multiplies as many points as they have real notes, and the padding once (IDX1 4.1, 10.6).
        """
        own_keys, own_commitments = self._own_rows
        own_bits = self.own_count * RING_SLOT_BITS
        accumulator.add_right(own_keys, gmpy2.f_mod_2exp(keys, own_bits))
        accumulator.add_right(own_commitments, gmpy2.f_mod_2exp(commitments, own_bits))
        if self.own_count == ring_size(self.ring_base):
            return
        padding_keys, padding_commitments = _padding_rows(self.ring_base)
        # position p holds padding note p - 1
        shift = own_bits - RING_SLOT_BITS
        accumulator.add_right(padding_keys, keys >> own_bits << shift)
        accumulator.add_right(padding_commitments, commitments >> own_bits << shift)

    @cached_property
    def _strict_points_required(self) -> bool:
        for point in (*self.key_points, *self.commitment_points):
            require_subgroup(point)
        return True

    def require_strict_points(self) -> None:
        """Raise Rejected unless every point of the ring lies in the subgroup; checked once (IDX1
        4.4)."""
        _ = self._strict_points_required


def close_bin(
    bin_id: int,
    asset: bytes,
    real_notes: Sequence[tuple[bytes, bytes]],
    ring_base: int = DEFAULT_RING_BASE,
) -> ClosedBin:
    """Close a bin over its real notes; position p without one takes padding note p - 1 (IDX1 4.1).

    Raises ValueError for no note or more than the ring holds.
    """
    count = len(real_notes)
    size = ring_size(ring_base)
    if not 1 <= count <= size:
        raise ValueError(f"{count} notes do not fit a ring of {size}")
    padding = (dummy_note(position - 1) for position in range(count, size))
    return ClosedBin(bin_id, asset, (*real_notes, *padding), count, ring_base)


def _split(packed: bytes) -> list[bytes]:
    return [packed[start : start + _NOTE_BYTES] for start in range(0, len(packed), _NOTE_BYTES)]


def _key_points(packed: bytes) -> tuple[Point, ...]:
    return tuple([decode_curve(note[:POINT_BYTES]) for note in _split(packed)])


def _commitment_points(packed: bytes) -> tuple[Point, ...]:
    return tuple([decode_curve(note[POINT_BYTES:]) for note in _split(packed)])
