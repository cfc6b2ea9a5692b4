"""What a bank must not forget before it speaks (BFT-12 section 4)."""

from __future__ import annotations

import pytest

from node.ledger.types import Height, TransactionId, View
from node.storage.database import Database
from node.storage.errors import BodyMissing
from node.storage.records import StoredConsensus
from tests.storage.conftest import BANK, Query, Story, small_config

ONE, ZERO = Height(1), View(0)


def bodies_of(story: Story, height: int) -> dict[TransactionId, bytes]:
    return {item.transaction_id: item.raw for item in story.blocks[height - 1].transactions}


async def test_nothing_is_in_flight_at_first(database: Database) -> None:
    assert await database.load_consensus() is None


async def test_record_block_and_bodies_are_stored_together(
    database: Database, story: Story
) -> None:
    """D1, D2."""
    block, bodies = story.blocks[0].block, bodies_of(story, 1)

    await database.persist_consensus(b"record", ONE, ZERO, 1, (block,), bodies)

    assert await database.load_consensus() == StoredConsensus(b"record", ONE, 0, 1, (block,))
    assert await database.transaction_bodies(list(bodies)) == bodies
    assert await database.held_block(block.block_id) == block.encode()


async def test_a_later_record_replaces_and_stores_no_body_again(
    database: Database, story: Story, query: Query
) -> None:
    block, bodies = story.blocks[0].block, bodies_of(story, 1)
    await database.persist_consensus(b"vote", ONE, ZERO, 1, (block,), bodies)
    stored = query("SELECT transaction_id, xmin::text FROM transaction_bodies ORDER BY 1")

    await database.persist_consensus(b"commit", ONE, View(3), 2, (block,), bodies)

    assert await database.load_consensus() == StoredConsensus(b"commit", ONE, 3, 2, (block,))
    assert query("SELECT transaction_id, xmin::text FROM transaction_bodies ORDER BY 1") == stored


async def test_a_restarted_bank_knows_what_it_has_stored(
    database: Database, migrated_url: str, story: Story
) -> None:
    """D3: the block's transactions need not be handed over again."""
    block = story.blocks[0].block
    await database.persist_consensus(b"vote", ONE, ZERO, 1, (block,), bodies_of(story, 1))
    await database.close()

    again = await Database.open(small_config(migrated_url), genesis=story.genesis, bank=BANK)
    await again.persist_consensus(b"commit", ONE, ZERO, 2, (block,))

    assert await again.load_consensus() == StoredConsensus(b"commit", ONE, 0, 2, (block,))
    await again.close()


async def test_a_block_without_its_bodies_is_refused_whole(
    database: Database, story: Story, query: Query
) -> None:
    """D2: an approval must not leave before the body is durable."""
    block, bodies = story.blocks[0].block, bodies_of(story, 1)
    missing = block.transaction_ids[1]
    del bodies[missing]

    with pytest.raises(BodyMissing) as refused:
        await database.persist_consensus(b"vote", ONE, ZERO, 1, (block,), bodies)

    assert str(refused.value) == (
        f"transaction {missing.hex()} of block {block.block_id.hex()} is neither stored nor given"
    )
    assert await database.load_consensus() is None
    assert query("SELECT count(*) FROM transaction_bodies") == [(0,)]


async def test_bodies_that_no_block_names_are_kept_until_the_height_is_sealed(
    database: Database, story: Story, query: Query
) -> None:
    first, fourth = story.blocks[0], bodies_of(story, 4)
    await database.persist_consensus(
        b"vote", ONE, ZERO, 1, (first.block,), {**bodies_of(story, 1), **fourth}
    )
    assert query("SELECT count(*) FROM transaction_bodies") == [(7,)]

    await database.apply_block(first.block, b"seal", first.transition, first.transactions)

    assert await database.transaction_bodies(list(fourth)) == {}
    assert query("SELECT count(*) FROM transaction_bodies") == [(2,)]
    assert query("SELECT count(*) FROM consensus_bodies") == [(0,)]
    assert await database.load_consensus() is None
