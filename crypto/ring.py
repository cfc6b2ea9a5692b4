"""Bins: the rings of notes that spend proofs hide in (IDX1 4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from crypto.accumulator import RING_SLOT_BITS, BaseRow
from crypto.curve import Point, decode_curve, require_subgroup
from crypto.encoding import u64
from crypto.generators import ASSET_BYTES, INDEX_DIGITS, dummy_note
from crypto.transcript import hash32

RING_BASES = (4, 8, 16)
"""The ring bases n a genesis may choose; a ring has n^2 notes (IDX1 4.5)."""

DEFAULT_RING_BASE = 8


def ring_size(ring_base: int) -> int:
    """The number of notes in a ring, n^2; raises ValueError for a base that is not allowed."""
    if ring_base not in RING_BASES:
        raise ValueError(f"ring base {ring_base} is none of {RING_BASES}")
    return ring_base * ring_base


@dataclass(frozen=True, slots=True)
class OpenBin:
    """A bin that still takes notes; nothing can be spent from it."""

    bin_id: int
    asset: bytes


@dataclass(frozen=True, eq=False)
class ClosedBin:
    """A full ring of notes (P, C) in their encodings, the first `count` real, the others padding.

    The digest, the decoded points and the accumulator rows are computed on first use and kept, so a
    ledger hands out one object per bin. Points are decoded by `curve`: the ledger admitted the
    notes by `strict`. Whoever was merely told the notes calls `require_strict_points`, or compares
    `digest` with certified state (IDX1 4.4). Raises ValueError for a wrong base, count, asset or
    number of notes.
    """

    bin_id: int
    asset: bytes
    notes: tuple[tuple[bytes, bytes], ...]
    count: int
    ring_base: int = DEFAULT_RING_BASE

    def __post_init__(self) -> None:
        size = ring_size(self.ring_base)
        if len(self.notes) != size:
            raise ValueError(
                f"a ring of base {self.ring_base} has {size} notes, not {len(self.notes)}"
            )
        if not 1 <= self.count <= size:
            raise ValueError(f"count {self.count} is outside 1 .. {size}")
        if len(self.asset) != ASSET_BYTES:
            raise ValueError(f"an asset has {ASSET_BYTES} bytes, not {len(self.asset)}")

    @cached_property
    def digest(self) -> bytes:
        """The 32 bytes every spend from this bin is bound to (IDX1 4.2)."""
        return hash32(
            "IDX1/ring",
            u64(self.bin_id),
            self.asset,
            bytes((self.ring_base, INDEX_DIGITS)),
            *(one_time_key + commitment for one_time_key, commitment in self.notes),
        )

    @cached_property
    def key_points(self) -> tuple[Point, ...]:
        """P_0 .. P_{N-1}; raises Rejected if a note's key is no curve point."""
        return tuple(decode_curve(one_time_key) for one_time_key, _ in self.notes)

    @cached_property
    def commitment_points(self) -> tuple[Point, ...]:
        """C_0 .. C_{N-1}; raises Rejected if a note's commitment is no curve point."""
        return tuple(decode_curve(commitment) for _, commitment in self.notes)

    @cached_property
    def key_row(self) -> BaseRow:
        """The accumulator row of the keys."""
        return BaseRow(("ring/P", self.digest), lambda: self.key_points, RING_SLOT_BITS)

    @cached_property
    def commitment_row(self) -> BaseRow:
        """The accumulator row of the commitments."""
        return BaseRow(("ring/C", self.digest), lambda: self.commitment_points, RING_SLOT_BITS)

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
