"""Parts of a snapshot as stubs and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.ledger.blocks import HEADER_BYTES
from node.ledger.types import AssetId
from node.wire import peer_pb2
from node.wire.fields import MalformedMessage
from node.wire.snapshot_codec import MAX_PART_BYTES, part_from_stub, part_to_stub
from node.wire.snapshot_records import (
    BinPart,
    HeaderPart,
    NotePart,
    NullifierPart,
    SnapshotBin,
    SnapshotNote,
    SnapshotPart,
)
from tests.rpc.doubles import SNAPSHOT

U64 = st.integers(0, (1 << 64) - 1)
U16 = st.integers(0, (1 << 16) - 1)


def exactly(length: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=length, max_size=length)


def some(items: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(items, min_size=1, max_size=3).map(tuple)


NOTES = st.builds(
    SnapshotNote, exactly(16).map(AssetId), U64, U16, st.integers(0, 255), exactly(281)
)
PARTS = st.one_of(
    some(exactly(HEADER_BYTES)).map(HeaderPart),
    some(NOTES).map(NotePart),
    some(exactly(96)).map(NullifierPart),
    some(st.builds(SnapshotBin, U64, U16, exactly(32))).map(BinPart),
    st.sampled_from(SNAPSHOT),
)


@given(PARTS)
def test_round_trip(part: SnapshotPart) -> None:
    assert part_from_stub(part_to_stub(part)) == part


def test_the_packed_form_is_that_of_the_contract() -> None:
    """peer.proto: fixed sizes, integers big-endian."""
    note = SnapshotNote(AssetId(bytes(range(16))), 0x0102030405060708, 0x090A, 0x0B, b"o" * 281)
    assert part_to_stub(NotePart((note, note))).notes == 2 * (
        bytes(range(16)) + bytes(range(1, 12)) + b"o" * 281
    )
    closed = SnapshotBin(0x0102030405060708, 0x090A, b"d" * 32)
    assert part_to_stub(BinPart((closed,))).closed_bins == bytes(range(1, 11)) + b"d" * 32


@pytest.mark.parametrize(
    ("stub", "error"),
    [
        (peer_pb2.SnapshotPart(), "part: no part of a snapshot that is known here"),
        (
            peer_pb2.SnapshotPart(notes=b""),
            "notes: must have 308 to 1048576 bytes, not 0",
        ),
        (
            peer_pb2.SnapshotPart(nullifiers=bytes(97)),
            "nullifiers: 97 bytes are no items of 96 bytes",
        ),
        (
            peer_pb2.SnapshotPart(headers=bytes(MAX_PART_BYTES + 1)),
            "headers: must have 268 to 1048576 bytes, not 1048577",
        ),
        (peer_pb2.SnapshotPart(treasury={}), "treasury: an empty part"),
        (
            peer_pb2.SnapshotPart(start={"tip": {"header": b"short"}}),
            "header: must have 268 bytes, not 5",
        ),
    ],
)
def test_malformed_parts_are_refused(stub: peer_pb2.SnapshotPart, error: str) -> None:
    with pytest.raises(MalformedMessage) as refused:
        part_from_stub(stub)
    assert str(refused.value) == error
