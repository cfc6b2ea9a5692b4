"""Header and block encodings (BFT-12 2, 3)."""

from __future__ import annotations

import hashlib
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.ledger.blocks import (
    HEADER_BYTES,
    MAX_BALLOT_BYTES,
    MAX_BLOCK_BYTES,
    MAX_PARENT_BALLOTS,
    MAX_TRANSACTIONS,
    Block,
    Header,
)
from node.ledger.encoding import MalformedEncoding

hashes = st.binary(min_size=32, max_size=32)
headers = st.builds(
    Header,
    chain_id=hashes,
    height=st.integers(0, 2**64 - 1),
    parent_id=hashes,
    original_view=st.integers(0, 2**32 - 1),
    proposer=st.integers(0, 2**16 - 1),
    time_ms=st.integers(0, 2**64 - 1),
    transactions_root=hashes,
    evidence_root=hashes,
    ballots_root=hashes,
    transaction_count=st.integers(0, 2**32 - 1),
    post_state_root=hashes,
    next_set_hash=hashes,
)
blocks = st.builds(
    Block,
    header=headers,
    parent_ballots=st.lists(st.binary(max_size=20), max_size=3).map(tuple),
    evidence=st.lists(st.binary(max_size=20), max_size=3).map(tuple),
    transaction_ids=st.lists(hashes, max_size=4).map(tuple),
)


@given(headers)
def test_header_round_trip(header: Header) -> None:
    data = header.encode()
    assert (len(data), Header.decode(data)) == (HEADER_BYTES, header)
    assert header.block_id == hashlib.sha256(data).digest()


@given(headers)
def test_the_block_id_covers_every_field(header: Header) -> None:
    """IDX-40: flip any field and the id differs."""
    changed = [
        replace(
            header,
            **{field.name: bytes(b ^ 1 for b in value) if isinstance(value, bytes) else value ^ 1},
        ).block_id
        for field in fields(header)
        for value in [getattr(header, field.name)]
    ]
    assert len({header.block_id, *changed}) == len(changed) + 1


@given(blocks)
def test_block_round_trip(block: Block) -> None:
    decoded = Block.decode(block.encode())
    assert (decoded, decoded.block_id, decoded.height) == (
        block,
        block.header.block_id,
        block.header.height,
    )


@given(blocks, st.data())
def test_truncated_and_extended_blocks_are_refused(block: Block, data: st.DataObject) -> None:
    encoded = block.encode()
    with pytest.raises(MalformedEncoding):
        Block.decode(encoded[: data.draw(st.integers(0, len(encoded) - 1))])
    with pytest.raises(MalformedEncoding, match=r"^1 bytes follow the value$"):
        Block.decode(encoded + b"\x00")


HEADER = Header(*(bytes(32) if field.type == "bytes" or "Id" in str(field.type) else 0
                  for field in fields(Header)))  # type: ignore[arg-type]  # fmt: skip


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (
            Block(HEADER, (b"",) * (MAX_PARENT_BALLOTS + 1), (), ()),
            "list of 17 items exceeds 16",
        ),
        (
            Block(HEADER, (bytes(MAX_BALLOT_BYTES + 1),), (), ()),
            "byte string of 1520 bytes exceeds 1519",
        ),
        (
            Block(HEADER, (), (), (bytes(32),) * (MAX_TRANSACTIONS + 1)),  # type: ignore[arg-type]
            "list of 101 items exceeds 100",
        ),
        (
            Block(HEADER, (), (bytes(MAX_BLOCK_BYTES),), ()),
            "block of 2097436 bytes exceeds 2097152",
        ),
    ],
)
def test_limits_hold_before_anything_is_kept(block: Block, message: str) -> None:
    """BFT-12 3: every list has a byte limit."""
    with pytest.raises(MalformedEncoding) as error:
        Block.decode(block.encode())
    assert str(error.value) == message


def test_bytes_of_something_else_are_no_header() -> None:
    with pytest.raises(MalformedEncoding, match=r"^not a block header$"):
        Header.decode(b"\x00\x00\x00\x0e" + b"bft12/1/heades" + bytes(HEADER_BYTES - 18))
