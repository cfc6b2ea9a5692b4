"""Bringing databases to the schema."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from node.storage.database import Database
from node.storage.errors import SchemaOutdated
from node.storage.migrations import (
    MIGRATIONS_DIRECTORY,
    SCHEMA_REVISION,
    downgrade,
    migrate,
    migrate_async,
)
from tests.storage.conftest import BANK, Story, small_config
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
        assert connection.execute("SELECT * FROM alembic_version").fetchall() == [("003",)]


async def test_concurrent_migrations_take_turns(database_url: str) -> None:
    await asyncio.gather(*(migrate_async(database_url) for _ in range(4)))

    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT * FROM alembic_version").fetchall() == [("003",)]


def test_downgrade_leaves_nothing(database_url: str) -> None:
    migrate(database_url)

    downgrade(database_url, "base")

    assert catalog(database_url) == set()


async def test_a_database_that_is_not_migrated_is_refused(database_url: str, story: Story) -> None:
    with pytest.raises(SchemaOutdated) as refused:
        await Database.open(small_config(database_url), genesis=story.genesis, bank=BANK)

    assert str(refused.value) == (
        "the database is at schema revision none, this software needs 003: migrate it first"
    )
