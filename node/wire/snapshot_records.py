"""What a snapshot is made of, as it travels from one bank to another (`Peer.FetchSnapshot`).

Nothing in it is verified yet; `node.runtime.snapshot_verification` does that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from node.ledger.types import AssetId
from node.wire.records import SealedState, TreasuryMovement


class SnapshotNote(NamedTuple):
    """A note as the ledger's accumulator takes it in (`node.ledger.accumulators.add_note`)."""

    asset: AssetId
    bin_id: int
    position: int
    output_index: int
    output: bytes
    """The 281 bytes of IDX1 3.2."""


class SnapshotBin(NamedTuple):
    """A closed bin as the ledger's accumulator takes it in."""

    bin_id: int
    note_count: int
    """Real notes."""
    digest: bytes
    """IDX1 4.2."""


@dataclass(frozen=True, slots=True)
class SnapshotStart:
    """The tip with its seal and state; it certifies the lists that follow."""

    tip: SealedState
    treasury_rows: int
    """How many follow: a claim."""


@dataclass(frozen=True, slots=True)
class HeaderPart:
    """Canonical headers of consecutive heights, the first part from height 1 on."""

    headers: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class NotePart:
    """Notes in ledger order."""

    notes: tuple[SnapshotNote, ...]


@dataclass(frozen=True, slots=True)
class NullifierPart:
    """Nullifiers in ledger order."""

    nullifiers: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class BinPart:
    """Closed bins in closing order."""

    bins: tuple[SnapshotBin, ...]


@dataclass(frozen=True, slots=True)
class TreasuryPart:
    """Treasury rows in ledger order."""

    rows: tuple[TreasuryMovement, ...]


SnapshotPart = SnapshotStart | HeaderPart | NotePart | NullifierPart | BinPart | TreasuryPart
