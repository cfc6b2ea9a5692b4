"""What a rebuilt bank keeps of its old database: ballots in conflict, as far as they hold (E8)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from crypto.ballot import BallotContext, BallotKey, Decision, sign_ballot
from node.ledger.active_set import ActiveSet
from node.ledger.types import BankIndex, BlockId, Height, View
from node.runtime.bank_databases import DatabaseServer, bring_up_to_date, database_server
from node.runtime.consortium_directory import BankDirectory, ConsortiumDirectory
from node.runtime.initialise import create_consortium
from node.runtime.rebuild import Replaced, replace_database
from node.runtime.secrets_directory import load_bank_secrets
from node.storage.configuration import DatabaseConfig
from node.storage.database import Database
from node.storage.embedded_postgres import EmbeddedPostgres
from tests.runtime.test_bank_databases import admin_url

pytestmark = pytest.mark.postgres

NOW = datetime(2026, 11, 21, 10, 15, tzinfo=UTC)
ASIDE = "replaced_20261121_101500"


@pytest.fixture
def directory(tmp_path: Path) -> ConsortiumDirectory:
    made = ConsortiumDirectory(tmp_path / "consortium")
    create_consortium(made, bank_count=5)
    return made


@pytest.fixture
def server(
    directory: ConsortiumDirectory, postgres_server: EmbeddedPostgres
) -> Iterator[DatabaseServer]:
    found = database_server(directory, admin_url(postgres_server))
    found.provide(directory.bank(BankIndex(0)))
    yield found
    name = url_of(directory.bank(BankIndex(0))).rpartition("/")[2]
    postgres_server.drop_database(name, name)


def url_of(bank: BankDirectory) -> str:
    return bank.database_url_file.read_text().strip()


def pair(
    directory: ConsortiumDirectory, active: ActiveSet, bank: int, height: int
) -> tuple[bytes, bytes]:
    """What a bank leaves behind that votes twice at a height."""
    secret = load_bank_secrets(directory.bank(BankIndex(bank)).keys).ballot
    key, context = (
        BallotKey.from_bytes(secret),
        BallotContext(directory.genesis().chain_id, height, 0),
    )
    one, other = (
        sign_ballot(key, active.ballot_ring, context, BlockId(bytes(32)), decision)
        for decision in Decision
    )
    return one, other


async def stored(directory: ConsortiumDirectory) -> list[tuple[int, int, bytes, bytes, int]]:
    """The conflicts that bank 0 shows."""
    config = DatabaseConfig(url_of(directory.bank(BankIndex(0))))
    database = await Database.open(config, genesis=directory.genesis(), bank=BankIndex(0))
    try:
        rows = await database.conflicts(0)
    finally:
        await database.close()
    return [(row.sequence, row.height, row.first, row.second, row.found_at_ms) for row in rows]


async def test_e8_conflicts_that_hold_outlive_the_database_that_held_them(
    directory: ConsortiumDirectory, server: DatabaseServer
) -> None:
    genesis, bank = directory.genesis(), directory.bank(BankIndex(0))
    bring_up_to_date(bank)
    everybody = genesis.active_set([BankIndex(index) for index in range(5)])
    remaining = genesis.active_set([BankIndex(index) for index in range(4)])
    at_start = pair(directory, everybody, 4, 0)
    of_other_set = pair(directory, everybody, 1, 2)
    later = pair(directory, remaining, 1, 3)
    database = await Database.open(DatabaseConfig(url_of(bank)), genesis=genesis, bank=BankIndex(0))
    for height, found in ((0, at_start), (2, of_other_set), (3, later)):
        assert await database.add_ballot_conflict(Height(height), View(0), *found)
    await database.close()
    with psycopg.connect(url_of(bank)) as connection:
        connection.execute("INSERT INTO set_changes VALUES (0, %s)", (remaining.encode(),))
    before = await stored(directory)

    replaced = replace_database(server, bank, genesis, "replay", NOW)

    assert replaced == Replaced(ASIDE, carried_conflicts=2, false_conflicts=1, unread="")
    after = await stored(directory)
    assert [row[0] for row in after] == [0, 1]
    assert [row[1:] for row in after] == [before[0][1:], before[2][1:]]


async def test_a_database_that_cannot_be_read_is_told_and_one_without_tables_is_not(
    directory: ConsortiumDirectory, server: DatabaseServer
) -> None:
    genesis, bank = directory.genesis(), directory.bank(BankIndex(0))
    assert replace_database(server, bank, genesis, "replay", NOW) == Replaced(ASIDE, 0, 0, "")
    with psycopg.connect(url_of(bank)) as connection:
        connection.execute("ALTER TABLE ballot_conflicts RENAME COLUMN first TO damaged")

    later = NOW.replace(minute=16)
    replaced = replace_database(server, bank, genesis, "replay", later)
    assert replaced.kept == "replaced_20261121_101600"
    assert replaced.unread == 'UndefinedColumn: column "first" does not exist'
    assert await stored(directory) == []
