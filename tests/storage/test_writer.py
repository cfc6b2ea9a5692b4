"""One writing session per database, and what happens when it is lost (BFT-12 D5)."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

import psycopg
import pytest

from node.ledger.types import BankIndex, Height, View
from node.storage.configuration import DatabaseConfig
from node.storage.database import Database
from node.storage.errors import DatabaseInUse, WriterLost, WrongDatabase
from tests.ledger.chain import make_genesis
from tests.storage.conftest import BANK, Query, Story, small_config

WRITERS = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'consortium writer'
"""
WAITING_WRITERS = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
AND application_name = 'consortium writer' AND wait_event_type = 'Lock'
"""
LOST = "the session that holds the writer's lock of the database is gone"


async def test_a_second_node_is_refused(
    database: Database, migrated_url: str, story: Story
) -> None:
    with pytest.raises(DatabaseInUse) as refused:
        await Database.open(small_config(migrated_url), genesis=story.genesis, bank=BANK)

    assert str(refused.value) == "another node holds the writer's lock of this database"


async def test_a_successor_waits_for_the_lock(
    database: Database, migrated_url: str, story: Story
) -> None:
    config = replace(small_config(migrated_url), lock_wait_s=5.0)
    successor = asyncio.create_task(Database.open(config, genesis=story.genesis, bank=BANK))
    await asyncio.sleep(0)
    await database.close()

    opened = await successor

    assert (await opened.load_tip()).header.height == 0
    await opened.close()


@pytest.mark.parametrize("idle", [True, False])
async def test_a_lost_session_is_reported_once_and_writes_no_more(
    idle: bool, migrated_url: str, story: Story, query: Query
) -> None:
    lost = asyncio.get_running_loop().create_future()
    config = DatabaseConfig(migrated_url, lock_check_interval_s=0.01 if idle else 3600)
    database = await Database.open(
        config, genesis=story.genesis, bank=BANK, on_writer_lost=lost.set_result
    )
    assert database.writer_lost is None

    assert query(WRITERS) == [(True,)]
    if not idle:
        with pytest.raises(WriterLost):
            await database.persist_consensus(b"record", Height(1), View(0), 1)

    assert str(await lost) == LOST
    with pytest.raises(WriterLost) as refused:
        await database.persist_consensus(b"record", Height(1), View(0), 1)
    assert str(refused.value) == LOST
    assert database.writer_lost is refused.value
    assert await database.load_consensus() is None
    await database.close()


@pytest.mark.parametrize("turns", [1, 3, 6, 9])
async def test_a_cancelled_write_leaves_nothing_half_and_blocks_nobody(
    turns: int, database: Database, story: Story, query: Query
) -> None:
    """Cancelled at various points of the event loop's turns, before, in and after its work."""
    block = story.blocks[0].block
    bodies = {item.transaction_id: item.raw for item in story.blocks[0].transactions}
    write = asyncio.create_task(
        database.persist_consensus(b"cancelled", Height(1), View(0), 1, (block,), bodies)
    )
    for _ in range(turns):
        await asyncio.sleep(0)
    write.cancel()
    with suppress(asyncio.CancelledError):
        await write

    written = query("SELECT count(*) FROM consensus_record") == [(1,)]
    assert query("SELECT count(*) FROM transaction_bodies") == [(2 if written else 0,)]
    await database.persist_consensus(b"next", Height(1), View(0), 2, (block,), bodies)
    assert query("SELECT record, step FROM consensus_record") == [(b"next", 2)]
    assert query("SELECT count(*) FROM transaction_bodies") == [(2,)]


async def test_another_bank_is_refused(database: Database, migrated_url: str, story: Story) -> None:
    await database.close()

    with pytest.raises(WrongDatabase) as refused:
        await Database.open(small_config(migrated_url), genesis=story.genesis, bank=BankIndex(1))

    assert str(refused.value) == "the database belongs to bank 2, this node is bank 1"


async def test_another_chain_is_refused(
    database: Database, migrated_url: str, story: Story
) -> None:
    await database.close()
    other = make_genesis(banks=5)

    with pytest.raises(WrongDatabase) as refused:
        await Database.open(small_config(migrated_url), genesis=other, bank=BANK)

    assert str(refused.value) == (
        f"the database belongs to chain {story.genesis.chain_id.hex()},"
        f" this node to {other.chain_id.hex()}"
    )


async def until_the_writer_waits(query: Query) -> None:
    for _ in range(2_000):
        if query(WAITING_WRITERS) == [(1,)]:
            return
        await asyncio.sleep(0.005)
    raise AssertionError("the writer never waited for the lock")


async def test_a_session_that_ends_in_the_middle_of_a_block_leaves_nothing_of_it(
    migrated_url: str, story: Story, query: Query
) -> None:
    """The block waits for a lock halfway through its rows when its session is ended."""
    database = await Database.open(small_config(migrated_url), genesis=story.genesis, bank=BANK)
    first = story.blocks[0]
    with psycopg.connect(migrated_url) as blocker:
        blocker.execute("LOCK TABLE notes IN EXCLUSIVE MODE")
        application = asyncio.create_task(
            database.apply_block(first.block, b"seal", first.transition, first.transactions)
        )
        await until_the_writer_waits(query)
        assert query(WRITERS) == [(True,)]
        with pytest.raises(WriterLost):
            await application

    assert query("SELECT count(*) FROM transactions") == [(0,)]
    assert query("SELECT count(*) FROM transaction_bodies") == [(0,)]
    assert (await database.load_tip()).header.height == 0
    await database.close()
