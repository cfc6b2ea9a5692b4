"""A bank's own database server: there while the node runs, adopted if it was left, gone after."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from node.ledger.types import BankIndex
from node.runtime.bank_databases import database_server
from node.runtime.config import NodeConfig, load_node_config
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.initialise import Machines, create_consortium
from node.runtime.own_databases import OwnServers, own_database

pytestmark = pytest.mark.postgres

BANK = BankIndex(2)


@pytest.fixture
def directory(reachable_directory: Path) -> Iterator[ConsortiumDirectory]:
    place = ConsortiumDirectory(reachable_directory / "consortium")
    addresses = tuple(f"127.0.0.{number}:7440" for number in range(2, 6))
    create_consortium(place, bank_count=4, machines=Machines(addresses))
    yield place
    OwnServers(place).stop()


@pytest.fixture
def config(directory: ConsortiumDirectory) -> NodeConfig:
    return load_node_config(directory.bank(BANK).config_file)


def connected_as(config: NodeConfig) -> object:
    with psycopg.connect(config.database.url_file.read_text().strip()) as connection:
        return connection.execute("SELECT current_user, current_database()").fetchone()


def test_it_runs_as_long_as_the_node(directory: ConsortiumDirectory, config: NodeConfig) -> None:
    servers = OwnServers(directory)
    with own_database(config):
        first = config.database.url_file.read_text()
        assert config.database.url_file.stat().st_mode & 0o077 == 0
        assert connected_as(config) == ("bank_02", "bank_02")
        assert servers.is_running()
        assert directory.own_postgres(BANK).is_dir()
    assert not servers.is_running()

    # Somebody was faster: the server is adopted, and the password is what it was.
    servers.provide(directory.bank(BANK))
    with own_database(config):
        assert connected_as(config) == ("bank_02", "bank_02")
        assert config.database.url_file.read_text().partition("@")[0] == first.partition("@")[0]
    assert not servers.is_running()

    # A signal while it starts must not leave it behind, in a session of its own as it is.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "node.runtime.own_databases.provide_database",
            lambda *_: os.kill(os.getpid(), signal.SIGTERM),
        )
        with pytest.raises(SystemExit) as ended, own_database(config):
            pytest.fail("the server was provided although a signal had come")
    assert ended.value.code == 128 + signal.SIGTERM
    assert not servers.is_running()


def test_a_database_is_put_aside_and_made_anew(
    directory: ConsortiumDirectory, config: NodeConfig
) -> None:
    """What `consortium node rebuild` needs on a bank's own machine."""
    servers = database_server(directory)
    assert isinstance(servers, OwnServers)
    bank = directory.bank(BANK)
    try:
        servers.provide(bank)
        with psycopg.connect(config.database.url_file.read_text().strip()) as connection:
            connection.execute("CREATE TABLE old (number int)")
        assert servers.replace(bank, "replaced") == "bank_02_replaced"
        with psycopg.connect(config.database.url_file.read_text().strip()) as connection:
            assert connection.execute("SELECT to_regclass('old')").fetchone() == (None,)
        servers.drop_replaced(bank, "bank_02_replaced")
        servers.flush()
    finally:
        servers.stop()
    assert not servers.is_running()


def test_a_bank_without_a_server_of_its_own_has_none_to_start(tmp_path: Path) -> None:
    place = ConsortiumDirectory(tmp_path / "consortium")
    create_consortium(place, bank_count=4)
    config = load_node_config(place.bank(BANK).config_file)
    with own_database(config):
        assert not config.database.url_file.exists()
    assert not place.postgres.exists()
