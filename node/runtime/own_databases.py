"""An embedded PostgreSQL server for each bank: where every bank has a machine of its own.

A node that is configured so starts its server and stops it (`own_database`). `OwnServers` is the
same for commands that see to several banks' databases from one machine, as when a ledger is
installed; whoever of the two comes second adopts what runs.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import psycopg

from node.runtime.bank_databases import (
    database_name,
    embedded_server,
    provide_database,
    replace_database,
)
from node.runtime.config import NodeConfig
from node.runtime.consortium_directory import BankDirectory, ConsortiumDirectory
from node.runtime.regulator.place import DATABASE_NAME, RegulatorPlace
from node.storage.embedded_postgres import EmbeddedPostgres
from node.storage.postgres_errors import PostgresError

REGULATOR = "regulator"


@contextlib.contextmanager
def own_database(config: NodeConfig) -> Iterator[None]:
    """Run the bank's own database server meanwhile, if it is configured to have one.

    Its database is made at the first start and its URL written. Raises `PostgresError`,
    `ConfigurationError`.
    """
    directory = config.database.server_directory
    if directory is None:
        yield
        return
    # PostgreSQL's unprivileged user must not have to pass through the bank's own directory.
    with _serving(directory.resolve(), config.database.url_file, database_name(config.bank)):
        yield


@contextlib.contextmanager
def own_regulator_database(place: RegulatorPlace) -> Iterator[None]:
    """Run a database server for the regulator meanwhile, on a machine of its own.

    Raises `PostgresError`, `ConfigurationError`.
    """
    directory = _regulator_server(place.directory)
    with _serving(directory, place.database_url_file, DATABASE_NAME):
        yield


@contextlib.contextmanager
def _serving(directory: Path, url_file: Path, name: str) -> Iterator[None]:
    server = embedded_server(directory)
    try:
        with _ended_by_signals():
            server.start()
            provide_database(server, url_file, name)
        yield
    finally:
        server.stop()


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM raise `SystemExit`: the server is in a session of its own and would stay."""

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class OwnServers:
    """The servers of all banks of a directory, each started when its database is asked for.

    A `DatabaseServer`. Raises `PostgresError` where that protocol says so.
    """

    def __init__(self, directory: ConsortiumDirectory) -> None:
        self._directory = directory
        self._servers: dict[Path, EmbeddedPostgres] = {}

    @property
    def description(self) -> str:
        version = self._server(_regulator_server(self._directory)).server_version
        return f"PostgreSQL {version}, a server a bank,"

    def start(self) -> None:
        """Start those that are there; `provide` makes and starts a bank's."""
        for server in self._present():
            server.start()

    def is_running(self) -> bool:
        """Whether any of them runs; those that do not are started by `provide`."""
        return any(server.is_running() for server in self._present())

    def provide(self, bank: BankDirectory) -> None:
        server = self._bank_server(bank)
        server.start()
        provide_database(server, bank.database_url_file, database_name(bank.bank))

    def provide_regulator(self, regulator: RegulatorPlace) -> None:
        server = self._server(_regulator_server(self._directory))
        server.start()
        provide_database(server, regulator.database_url_file, DATABASE_NAME)

    def replace(self, bank: BankDirectory, label: str) -> str | None:
        server = self._bank_server(bank)
        server.start()
        return replace_database(server, bank.database_url_file, database_name(bank.bank), label)

    def drop_replaced(self, bank: BankDirectory, name: str) -> None:
        self._bank_server(bank).drop_database(name)

    def flush(self) -> None:
        for server in self._present():
            # One that is gone or going has nothing to flush.
            with contextlib.suppress(PostgresError, psycopg.Error):
                server.checkpoint()

    def stop(self) -> None:
        for server in self._present():
            server.stop()

    def _bank_server(self, bank: BankDirectory) -> EmbeddedPostgres:
        return self._server(self._directory.own_postgres(bank.bank))

    def _server(self, directory: Path) -> EmbeddedPostgres:
        if directory not in self._servers:
            self._servers[directory] = embedded_server(directory)
        return self._servers[directory]

    def _present(self) -> list[EmbeddedPostgres]:
        """Return those that were ever started here: on its own machine a bank's is one."""
        postgres = self._directory.postgres
        return [self._server(path) for path in sorted(postgres.glob("*")) if path.is_dir()]


def _regulator_server(directory: ConsortiumDirectory) -> Path:
    return directory.postgres / REGULATOR
