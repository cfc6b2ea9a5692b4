"""Stubs of `SnapshotPart` to values and back. Lists are packed: their items have one size."""

from __future__ import annotations

import struct

from node.ledger.blocks import HEADER_BYTES
from node.ledger.types import ASSET_BYTES, HASH_BYTES, POINT_BYTES, AssetId
from node.wire import codec, peer_pb2
from node.wire.fields import OUTPUT_BYTES, MalformedMessage, bounded_bytes
from node.wire.limits import MAX_RECORDS_PER_PAGE
from node.wire.snapshot_records import (
    BinPart,
    HeaderPart,
    NotePart,
    NullifierPart,
    SnapshotBin,
    SnapshotNote,
    SnapshotPart,
    SnapshotStart,
    TreasuryPart,
)

MAX_PART_BYTES = 1 << 20
"""Of a packed list in one part."""

_NOTE = struct.Struct(f">{ASSET_BYTES}sQHB{OUTPUT_BYTES}s")
_BIN = struct.Struct(f">QH{HASH_BYTES}s")

HEADERS_PER_PART = MAX_PART_BYTES // HEADER_BYTES
NOTES_PER_PART = MAX_PART_BYTES // _NOTE.size
NULLIFIERS_PER_PART = MAX_PART_BYTES // POINT_BYTES
BINS_PER_PART = MAX_PART_BYTES // _BIN.size
TREASURY_ROWS_PER_PART = MAX_RECORDS_PER_PAGE


def part_to_stub(part: SnapshotPart) -> peer_pb2.SnapshotPart:
    """Build the stub of one part."""
    match part:
        case SnapshotStart():
            start = peer_pb2.SnapshotStart(
                tip=codec.sealed_state_to_stub(part.tip), treasury_rows=part.treasury_rows
            )
            return peer_pb2.SnapshotPart(start=start)
        case HeaderPart():
            return peer_pb2.SnapshotPart(headers=b"".join(part.headers))
        case NotePart():
            return peer_pb2.SnapshotPart(notes=b"".join([_NOTE.pack(*n) for n in part.notes]))
        case NullifierPart():
            return peer_pb2.SnapshotPart(nullifiers=b"".join(part.nullifiers))
        case BinPart():
            return peer_pb2.SnapshotPart(closed_bins=b"".join([_BIN.pack(*b) for b in part.bins]))
        case TreasuryPart():
            return peer_pb2.SnapshotPart(treasury=codec.treasury_to_stub(part.rows))


def part_from_stub(stub: peer_pb2.SnapshotPart) -> SnapshotPart:
    """Read one part; raises `MalformedMessage`. What it claims is for the receiver to verify."""
    kind = stub.WhichOneof("part")
    match kind:
        case "start":
            return SnapshotStart(
                codec.sealed_state_from_stub(stub.start.tip), stub.start.treasury_rows
            )
        case "headers":
            return HeaderPart(_cut(kind, stub.headers, HEADER_BYTES))
        case "notes":
            return NotePart(tuple([_note(item) for item in _cut(kind, stub.notes, _NOTE.size)]))
        case "nullifiers":
            return NullifierPart(_cut(kind, stub.nullifiers, POINT_BYTES))
        case "closed_bins":
            items = _cut(kind, stub.closed_bins, _BIN.size)
            return BinPart(tuple([SnapshotBin(*_BIN.unpack(item)) for item in items]))
        case "treasury":
            rows = codec.treasury_from_stub(stub.treasury)
            if not rows:
                raise MalformedMessage("treasury", "an empty part")
            return TreasuryPart(rows)
        case _:
            raise MalformedMessage("part", "no part of a snapshot that is known here")


def _note(item: bytes) -> SnapshotNote:
    asset, bin_id, position, output_index, output = _NOTE.unpack(item)
    return SnapshotNote(AssetId(asset), bin_id, position, output_index, output)


def _cut(field: str, packed: bytes, size: int) -> tuple[bytes, ...]:
    bounded_bytes(field, packed, MAX_PART_BYTES, minimum=size)
    if len(packed) % size:
        raise MalformedMessage(field, f"{len(packed)} bytes are no items of {size} bytes")
    return tuple([packed[at : at + size] for at in range(0, len(packed), size)])
