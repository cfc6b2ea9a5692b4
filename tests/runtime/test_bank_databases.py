"""Where the banks' databases live, and that each has its own."""

from __future__ import annotations

import stat
from pathlib import Path

import psycopg
import pytest

from node.runtime.bank_databases import (
    EmbeddedServer,
    ExternalServer,
    bring_up_to_date,
    database_server,
)
from node.runtime.config import ConfigurationError
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.initialise import create_consortium
from node.storage.embedded_postgres import EmbeddedPostgres
from node.storage.migrations import SCHEMA_REVISION


@pytest.fixture
def directory(tmp_path: Path) -> ConsortiumDirectory:
    place = ConsortiumDirectory(tmp_path / "consortium")
    create_consortium(place, bank_count=4)
    return place


def admin_url(server: EmbeddedPostgres) -> str:
    password = (server.log_path.parent / "superuser_password").read_text().strip()
    return server.url("postgres", "postgres", password)


def test_the_choice_of_a_server_is_remembered(directory: ConsortiumDirectory) -> None:
    assert isinstance(database_server(directory), EmbeddedServer)
    assert isinstance(database_server(directory), EmbeddedServer)
    with pytest.raises(ConfigurationError) as refused:
        database_server(directory, "postgresql://elsewhere")
    assert str(refused.value) == (
        f"the ledgers of {directory.root} are in its own PostgreSQL server; "
        "leave --database-url out, or give another directory with --data"
    )


def test_existing_databases_are_named_by_a_template(directory: ConsortiumDirectory) -> None:
    server = database_server(directory, "postgresql://u:p@db.example/ledger_{bank}")
    server.provide(directory.bank(3))
    path = directory.bank(3).database_url_file
    assert path.read_text() == "postgresql://u:p@db.example/ledger_03\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    # The next start needs no URL, and asks for none of a bank that has one.
    assert database_server(directory) == ExternalServer(directory.genesis().chain_id)
    database_server(directory).provide(directory.bank(3))
    with pytest.raises(ConfigurationError, match="give --database-url"):
        database_server(directory).provide(directory.bank(2))


@pytest.mark.postgres
def test_databases_are_made_on_a_server_of_somebody_else(
    directory: ConsortiumDirectory, postgres_server: EmbeddedPostgres
) -> None:
    server = database_server(directory, admin_url(postgres_server))
    names = []
    for bank in (0, 1):
        place = directory.bank(bank)
        server.provide(place)
        names.append(place.database_url_file.read_text().strip().rpartition("/")[2])
    try:
        bring_up_to_date(directory.bank(0))
        url = directory.bank(0).database_url_file.read_text().strip()
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == (
                SCHEMA_REVISION,
            )
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(url.removesuffix(names[0]) + names[1])
    finally:
        for name in names:
            postgres_server.drop_database(name, name)


def schemas_and_revision(url: str) -> tuple[set[str], bool]:
    """What the bank's role sees: replaced schemas, and whether it stands on empty ground."""
    with psycopg.connect(url) as connection:
        names = connection.execute("SELECT nspname FROM pg_namespace").fetchall()
        found = connection.execute("SELECT to_regclass('public.blocks') IS NULL").fetchone()
    assert found is not None
    return {str(name) for (name,) in names if str(name).startswith("replaced_")}, bool(found[0])


@pytest.mark.postgres
def test_a_database_on_a_server_of_somebody_else_is_replaced_within_itself(
    directory: ConsortiumDirectory, postgres_server: EmbeddedPostgres
) -> None:
    """The bank's role may make no other database, but owns this one."""
    server = database_server(directory, admin_url(postgres_server))
    bank = directory.bank(0)
    server.provide(bank)
    url = bank.database_url_file.read_text().strip()
    try:
        bring_up_to_date(bank)

        kept = server.replace(bank, "replaced_20261121_101500")

        assert kept == "replaced_20261121_101500"
        assert bank.database_url_file.read_text().strip() == url
        assert schemas_and_revision(url) == ({kept}, True)
        bring_up_to_date(bank)
        assert schemas_and_revision(url) == ({kept}, False)
        server.drop_replaced(bank, kept)
        assert schemas_and_revision(url) == (set(), False)
    finally:
        name = url.rpartition("/")[2]
        postgres_server.drop_database(name, name)


@pytest.mark.postgres
def test_a_database_is_renamed_although_somebody_is_connected(
    postgres_server: EmbeddedPostgres,
) -> None:
    postgres_server.create_database("renamed_01", "renamed_01", "secret")
    try:
        with psycopg.connect(postgres_server.url("renamed_01", "renamed_01", "secret")):
            assert postgres_server.rename_database("renamed_01", "renamed_01_aside")
        assert not postgres_server.rename_database("renamed_01", "renamed_01_aside")
        url = postgres_server.url("renamed_01_aside", "renamed_01", "secret")
        psycopg.connect(url).close()
    finally:
        postgres_server.drop_database("renamed_01_aside", "renamed_01")


def test_a_server_that_cannot_be_used_is_not_quoted(directory: ConsortiumDirectory) -> None:
    server = database_server(directory, "postgresql://boss:sesame@127.0.0.1:1/postgres")
    with pytest.raises(ConfigurationError) as refused:
        server.provide(directory.bank(0))
    assert str(refused.value) == (
        "the database of amberfield could not be made with the URL given with --database-url: "
        "OperationalError"
    )
    assert not directory.bank(0).database_url_file.exists()
