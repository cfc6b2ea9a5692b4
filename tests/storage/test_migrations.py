"""Bringing databases to the schema."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace

import psycopg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from node.storage.database import Database
from node.storage.errors import LedgerFormatOutdated, SchemaOutdated
from node.storage.migrations import (
    MIGRATIONS_DIRECTORY,
    SCHEMA_REVISION,
    downgrade,
    migrate,
    migrate_async,
)
from tests.storage.conftest import BANK, Query, Story, small_config
from tests.storage.test_tables import catalog


def test_the_software_expects_the_newest_revision() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS_DIRECTORY))

    assert ScriptDirectory.from_config(config).get_heads() == [SCHEMA_REVISION]


def test_migrating_again_changes_nothing(database_url: str) -> None:
    """IDX-88: recorded, and a re-run is a no-op."""
    migrate(database_url)
    before = catalog(database_url)

    migrate(database_url)

    assert catalog(database_url) == before
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT * FROM alembic_version").fetchall() == [("004",)]


async def test_concurrent_migrations_take_turns(database_url: str) -> None:
    await asyncio.gather(*(migrate_async(database_url) for _ in range(4)))

    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT * FROM alembic_version").fetchall() == [("004",)]


def test_downgrade_leaves_nothing(database_url: str) -> None:
    migrate(database_url)

    downgrade(database_url, "base")

    assert catalog(database_url) == set()


async def test_a_database_that_is_not_migrated_is_refused(database_url: str, story: Story) -> None:
    with pytest.raises(SchemaOutdated) as refused:
        await Database.open(small_config(database_url), genesis=story.genesis, bank=BANK)

    assert str(refused.value) == (
        "the database is at schema revision none, this software needs 004: migrate it first"
    )


def test_a_database_with_rows_of_the_first_revision_is_upgraded(database_url: str) -> None:
    """A record that was written before records had digests gets its own."""
    migrate(database_url, "001")
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO consensus_record (height, view, step, record) VALUES (7, 1, 3, 'record')"
        )

    migrate(database_url)

    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT height, record, digest FROM consensus_record").fetchone()
    assert row == (7, b"record", hashlib.sha256(b"record").digest())


def test_seals_of_the_third_revision_get_their_digests(database_url: str) -> None:
    """And going back is refused where rows stand that the revision before has no place for."""
    migrate(database_url, "003")
    with psycopg.connect(database_url) as connection:
        key = "sha256('key')"
        keys = f"{key}, {key} || {key} || {key}, {key}"
        connection.execute(
            "INSERT INTO banks (id, name, type, stake, initial_stake, consensus_key, ballot_key,"
            f" issuer_key) VALUES (0, 'Bank', 'public', 1, 1, {keys})"
        )
        connection.execute(f"INSERT INTO miners (idx, public_key) VALUES (0, {key})")
        connection.execute(
            "INSERT INTO blocks VALUES"
            f" ({key}, 0, NULL, {key}, now(), NULL, {key}, 0, '', '', NULL, now()),"
            f" (sha256('next'), 1, {key}, {key}, now(), 0, {key}, 0, '', 'lists', 'seal', now())"
        )

    migrate(database_url)

    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT seal_digest FROM blocks ORDER BY block_number").fetchall()
        connection.execute(
            "INSERT INTO treasury VALUES (0, NULL, 2026, -1, 'carry', 0, now(), 'carried')"
        )
    assert rows == [(None,), (hashlib.sha256(b"seal").digest(),)]
    with pytest.raises(Exception, match="ck_treasury"):
        downgrade(database_url, "003")


async def test_a_ledger_of_another_format_is_refused_and_not_called_damaged(
    database: Database, query: Query
) -> None:
    """Its hashes are right, so nothing rotted: another version of the software wrote it."""
    tip = await database.load_tip()
    old = b"\x00\x00\x00\x12consortium/state/1" + bytes(40)
    header = replace(tip.header, post_state_root=hashlib.sha256(old).digest())
    query(
        "WITH block AS (UPDATE blocks SET header = %s, block_hash = %s)"
        " UPDATE ledger_state SET state = %s, block_hash = %s",
        *(header.encode(), header.block_id, old, header.block_id),
    )

    with pytest.raises(LedgerFormatOutdated) as refused:
        await database.load_tip()

    assert str(refused.value) == (
        "the stored ledger is in the format of another version of the software (not a ledger"
        " state): go on with that version, or start a new consortium in another directory with"
        " `consortium up --data DIRECTORY`"
    )
