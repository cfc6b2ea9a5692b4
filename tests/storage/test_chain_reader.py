"""Blocks, transactions and the tip, read back."""

from __future__ import annotations

import pytest

from crypto.merkle import merkle_root_of_hashes
from node.ledger.blocks import Block, Header
from node.ledger.state import genesis_header, genesis_state
from node.storage.database import Database
from node.storage.errors import IntegrityViolation, NotFound
from node.storage.records import StoredBlock, StoredTransaction, Tip
from tests.storage.conftest import Query, Story

BEYOND = (1 << 64) - 1
"""What the wire can carry and no table can hold."""


def stored(story: Story, height: int) -> StoredBlock:
    block = story.blocks[height - 1].block
    encoded, header = block.encode(), block.header.encode()
    return StoredBlock(
        block.block_id, block.height, header, encoded[len(header) :], story.seal(height)
    )


async def test_genesis_is_block_zero(database: Database, story: Story) -> None:
    header = genesis_header(story.genesis)

    assert await database.load_tip() == Tip(header, genesis_state(story.genesis), b"")
    block = await database.block_by_height(0)
    assert Block.decode(block.encoded) == Block(header, (), (), ())
    assert (block.block_id, block.seal) == (header.block_id, b"")


async def test_blocks_come_back_byte_for_byte(told_story: Database, story: Story) -> None:
    """IDX-39, IDX-40: the hash of the stored header is the stored hash, and links to the parent."""
    blocks = await told_story.blocks(1, 100)

    assert blocks == tuple(stored(story, height) for height in range(1, 7))
    parent = genesis_header(story.genesis).block_id
    for block in blocks:
        header = Header.decode(block.header)
        assert (header.block_id, header.parent_id) == (block.block_id, parent)
        parent = block.block_id


async def test_blocks_within_limits(told_story: Database, story: Story) -> None:
    """BFT-12 11: at least one, then within the limits."""
    first, second = stored(story, 2), stored(story, 3)
    size = sum(len(block.encoded + block.seal) for block in (first, second))

    assert await told_story.blocks(2, 1) == (first,)
    assert await told_story.blocks(2, 5, max_bytes=size) == (first, second)
    assert await told_story.blocks(2, 5, max_bytes=size - 1) == (first,)
    assert await told_story.blocks(2, 5, max_bytes=0) == (first,)
    assert await told_story.blocks(2, 0) == ()
    assert await told_story.blocks(7, 5) == ()
    assert await told_story.blocks(BEYOND, 5) == ()


async def test_one_block(told_story: Database, story: Story) -> None:
    expected = stored(story, 4)

    assert await told_story.block_by_height(4) == expected
    assert await told_story.block_by_id(expected.block_id) == expected
    assert await told_story.block_ids(4, 2) == (
        expected.block_id,
        stored(story, 5).block_id,
    )


@pytest.mark.parametrize("height", [7, -1, BEYOND])
async def test_no_such_height(height: int, told_story: Database) -> None:
    with pytest.raises(NotFound) as absent:
        await told_story.block_by_height(height)

    assert str(absent.value) == f"no block at height {height}"


async def test_no_such_id(told_story: Database) -> None:
    unknown = bytes(32)

    with pytest.raises(NotFound, match=f"^no block {unknown.hex()}$"):
        await told_story.block_by_id(unknown)
    with pytest.raises(NotFound, match=f"^block {unknown.hex()} is not held$"):
        await told_story.held_block(unknown)
    with pytest.raises(NotFound, match=f"^no sealed transaction {unknown.hex()}$"):
        await told_story.transaction(unknown)


async def test_a_transaction_and_its_place(told_story: Database, story: Story) -> None:
    built = story.blocks[3]
    item = built.transactions[1]

    assert await told_story.transaction(item.transaction_id) == StoredTransaction(
        transaction_id=item.transaction_id,
        sequence_number=4,
        height=built.block.height,
        block_id=built.block.block_id,
        position=1,
        time_ms=built.block.header.time_ms,
        kind=1,
        leaf_hash=item.leaf_hash,
        size=item.size,
        status="completed",
    )


async def test_transactions_in_ledger_order(told_story: Database, story: Story) -> None:
    every = [item.transaction_id for built in story.blocks for item in built.transactions]

    page = await told_story.transactions(0, 4)
    rest = await told_story.transactions(4, 100)

    assert [item.transaction_id for item in page + rest] == every
    assert await told_story.transactions(BEYOND, 4) == ()


async def test_what_a_block_is_made_of(told_story: Database, story: Story) -> None:
    """IDX-43: the stored leaves have the header's root."""
    for built in story.blocks:
        height = built.block.height
        leaves = await told_story.leaf_hashes(height)
        bodies = await told_story.block_transactions(height)

        assert merkle_root_of_hashes(leaves) == built.block.header.transactions_root
        assert bodies == tuple(item.raw for item in built.transactions)
    assert await told_story.leaf_hashes(BEYOND) == ()
    assert await told_story.block_transactions(99) == ()


async def test_bodies_by_id(told_story: Database, story: Story) -> None:
    first, second = story.blocks[0].transactions

    found = await told_story.transaction_bodies(
        [second.transaction_id, bytes(32), first.transaction_id]
    )

    assert found == {first.transaction_id: first.raw, second.transaction_id: second.raw}
    assert await told_story.transaction_bodies([]) == {}


@pytest.mark.parametrize(
    ("tampering", "message"),
    [
        (
            "UPDATE ledger_state SET state = set_byte(state, 37, get_byte(state, 37) # 1)",
            "ledger_state at height 6: the state does not have the root that the header names",
        ),
        (
            "UPDATE ledger_state SET state = substr(state, 1, 50)",
            "ledger_state at height 6: the state does not have the root that the header names",
        ),
        (
            "UPDATE blocks SET header = set_byte(header, 80, get_byte(header, 80) # 1)",
            "blocks at height 6: the header does not have the block's hash",
        ),
        (
            "UPDATE blocks SET header = 'short'",
            "blocks at height 6: the header: byte string of 1936224114 bytes exceeds 14",
        ),
        ("DELETE FROM ledger_state", "ledger_state: the row is missing"),
    ],
)
async def test_a_tampered_tip_is_noticed(
    tampering: str, message: str, full_database: Database, query: Query
) -> None:
    query(tampering)

    with pytest.raises(IntegrityViolation) as corrupt:
        await full_database.load_tip()

    assert str(corrupt.value) == f"damaged row in {message}"
