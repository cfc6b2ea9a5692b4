"""One database and one role a bank: in one embedded server for all, in an embedded server for each
(`own_databases`), or in a server that somebody runs.

`databases.json` remembers which. The URLs, passwords included, stand in one file a bank that only
its owner may read.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psycopg
from psycopg import sql

from node.runtime.config import ConfigurationError
from node.runtime.consortium_directory import BankDirectory, ConsortiumDirectory
from node.runtime.regulator.place import DATABASE_NAME, RegulatorPlace
from node.runtime.secrets_directory import read_private, write_private
from node.storage import postgres_roles
from node.storage.embedded_postgres import STATEMENT_TIMEOUT_MS, EmbeddedPostgres
from node.storage.migrations import migrate
from node.storage.postgres_errors import PostgresError

EMBEDDED = "embedded"
OWN = "own"
EXTERNAL = "external"

PASSWORD_BYTES = 24
BANK_PLACEHOLDER = "{bank}"
CONNECT_TIMEOUT_S = 10

STOP_PATIENCE_S = 2.0
"""After this the server is stopped at once; what was committed it recovers at the next start."""


class DatabaseServer(Protocol):
    """Where the banks' databases live. All methods block."""

    @property
    def description(self) -> str:
        """What to call it in a message."""
        ...

    def start(self) -> None:
        """Make sure that it runs."""
        ...

    def is_running(self) -> bool:
        """Whether it runs, as far as that can be told."""
        ...

    def provide(self, bank: BankDirectory) -> None:
        """Make sure that the bank has its database, and write its URL."""
        ...

    def provide_regulator(self, regulator: RegulatorPlace) -> None:
        """Make sure that the regulator has a database of its own, and write its URL.

        Raises `PostgresError`, or `ConfigurationError` if the server has none for it.
        """
        ...

    def replace(self, bank: BankDirectory, label: str) -> str | None:
        """Give the bank an empty database under the same URL; the node must be stopped.

        `label` tells the old one apart. Returns what the old one is called now, None if there was
        none. Raises `PostgresError`, or `ConfigurationError` if the server does not allow it.
        """
        ...

    def drop_replaced(self, bank: BankDirectory, name: str) -> None:
        """Drop what `replace` kept under this name."""
        ...

    def flush(self) -> None:
        """Have it write what it holds in memory, so that stopping takes less time."""
        ...

    def stop(self) -> None:
        """Stop it, if it is ours."""
        ...


class EmbeddedServer:
    """The consortium's own PostgreSQL server."""

    def __init__(self, directory: ConsortiumDirectory) -> None:
        """Raises `PostgresError` if the server programs are not installed."""
        self._server = embedded_server(directory.postgres)

    @property
    def description(self) -> str:
        return f"PostgreSQL {self._server.server_version}, port {self._server.port}"

    @property
    def pid(self) -> int | None:
        """Process id of the running server, None if there is none."""
        return self._server.pid

    def start(self) -> None:
        self._server.start()

    def is_running(self) -> bool:
        return self._server.is_running()

    def provide(self, bank: BankDirectory) -> None:
        provide_database(self._server, bank.database_url_file, database_name(bank.bank))

    def provide_regulator(self, regulator: RegulatorPlace) -> None:
        provide_database(self._server, regulator.database_url_file, DATABASE_NAME)

    def replace(self, bank: BankDirectory, label: str) -> str | None:
        return replace_database(
            self._server, bank.database_url_file, database_name(bank.bank), label
        )

    def drop_replaced(self, bank: BankDirectory, name: str) -> None:
        self._server.drop_database(name)

    def flush(self) -> None:
        # A server that is gone or going has nothing to flush.
        with contextlib.suppress(PostgresError, psycopg.Error):
            self._server.checkpoint()

    def stop(self) -> None:
        self._server.stop()


def embedded_server(directory: Path) -> EmbeddedPostgres:
    """Return the server of this directory; raises `PostgresError` if there are no programs."""
    return EmbeddedPostgres(directory, stop_timeout_s=STOP_PATIENCE_S)


def database_name(bank: int) -> str:
    """Return what a bank's database and its role are called in an embedded server."""
    return f"bank_{bank:02d}"


def provide_database(server: EmbeddedPostgres, url_file: Path, name: str) -> None:
    """Make sure that a running embedded server has this database, and write its URL."""
    present = _written_url(url_file)
    password = present.password if present is not None else None
    if password is None:
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        server.create_database(name, name, password)
    # The server's port may be another one than before.
    _write_url(url_file, server.url(name, name, password))


def replace_database(
    server: EmbeddedPostgres, url_file: Path, name: str, label: str
) -> str | None:
    """Put a database of a running embedded server aside (`DatabaseServer.replace`)."""
    present = _written_url(url_file)
    if present is None or present.password is None:
        raise ConfigurationError(f"{url_file} names no database and password")
    aside = f"{name}_{label}"
    renamed = server.rename_database(name, aside)
    server.create_database(name, name, present.password)
    return aside if renamed else None


@dataclass(frozen=True, slots=True)
class ExternalServer:
    """A server that somebody else runs; databases are there already or are made with `admin_url`.

    Exactly one of the two is given the first time, and neither later.
    """

    chain_id: bytes
    admin_url: str | None = None
    """Of a role that may create roles and databases."""
    url_template: str | None = None
    """URL of a bank's existing database, with `{bank}` for its index."""

    @property
    def description(self) -> str:
        return "the PostgreSQL server given with --database-url"

    def start(self) -> None:
        """Nothing to do: the nodes say if it is not there."""

    def is_running(self) -> bool:
        return True

    def provide(self, bank: BankDirectory) -> None:
        if _written_url(bank.database_url_file) is not None:
            return
        if self.url_template is not None:
            url = self.url_template.replace(BANK_PLACEHOLDER, f"{bank.bank:02d}")
            _write_url(bank.database_url_file, url)
        elif self.admin_url is not None:
            self._create(bank, self.admin_url, database_name(bank.bank))
        else:
            raise ConfigurationError(f"{bank.database_url_file} is missing; give --database-url")

    def provide_regulator(self, regulator: RegulatorPlace) -> None:
        if _written_url(regulator.database_url_file) is not None:
            return
        if self.admin_url is None:
            raise ConfigurationError(
                f"{regulator.database_url_file} is missing: make a database for the regulator "
                "and write its URL there, or give --no-regulator"
            )
        self._create(regulator, self.admin_url, "regulator")

    def _create(
        self, bank: BankDirectory | RegulatorPlace, admin_url: str, party: str
    ) -> None:
        name = f"consortium_{self.chain_id.hex()[:8]}_{party}"
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        try:
            with psycopg.connect(
                admin_url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S
            ) as connection:
                postgres_roles.create_role(
                    connection, name, password, statement_timeout_ms=STATEMENT_TIMEOUT_MS
                )
                postgres_roles.create_database(connection, name, name)
        except psycopg.Error as error:
            # The driver's message may quote the URL; its first line without it is enough.
            raise ConfigurationError(
                f"the database of {bank.short_name} could not be made with the URL given with "
                f"--database-url: {type(error).__name__}"
            ) from None
        parts = urllib.parse.urlsplit(admin_url)
        host = parts.netloc.rpartition("@")[2]
        _write_url(
            bank.database_url_file,
            urllib.parse.urlunsplit(
                parts._replace(netloc=f"{name}:{password}@{host}", path=f"/{name}")
            ),
        )

    def replace(self, bank: BankDirectory, label: str) -> str | None:
        """Within the database, for its role may make no other: the old tables get a schema."""
        with self._as_bank(bank) as connection:
            name = sql.Identifier(label)
            connection.execute(sql.SQL("ALTER SCHEMA public RENAME TO {}").format(name))
            connection.execute("CREATE SCHEMA public")
        return label

    def drop_replaced(self, bank: BankDirectory, name: str) -> None:
        with self._as_bank(bank) as connection:
            connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(name)))

    @contextlib.contextmanager
    def _as_bank(self, bank: BankDirectory) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
        """Open one transaction as the bank's own role."""
        url = read_private(bank.database_url_file).decode("utf-8").strip()
        try:
            with psycopg.connect(url, connect_timeout=CONNECT_TIMEOUT_S) as connection:
                yield connection
        except psycopg.Error as error:
            raise ConfigurationError(
                f"the database of {bank.short_name} could not be replaced ({type(error).__name__});"
                f" make an empty one and write its URL into {bank.database_url_file}"
            ) from None

    def flush(self) -> None:
        """Its own operator's business."""

    def stop(self) -> None:
        """It is not ours to stop."""


def database_server(
    directory: ConsortiumDirectory, external_url: str | None = None
) -> DatabaseServer:
    """Return the server of this consortium; `external_url` chooses one when it first starts.

    Raises `ConfigurationError` if another kind of server holds the databases already.
    """
    path = _kind_file(directory)
    kind = EMBEDDED if external_url is None else EXTERNAL
    if path.exists():
        remembered = json.loads(path.read_text(encoding="utf-8")).get("server")
        if external_url is not None and remembered != kind:
            raise ConfigurationError(
                f"the ledgers of {directory.root} are in its own PostgreSQL server; "
                "leave --database-url out, or give another directory with --data"
            )
        kind = remembered
    else:
        _remember(directory, kind)
    if kind == EMBEDDED:
        return EmbeddedServer(directory)
    if kind == OWN:
        # Here, for it builds on this module.
        from node.runtime.own_databases import OwnServers

        return OwnServers(directory)
    chain_id = directory.genesis().chain_id
    if external_url is not None and BANK_PLACEHOLDER in external_url:
        return ExternalServer(chain_id, url_template=external_url)
    return ExternalServer(chain_id, admin_url=external_url)


def remember_own_servers(directory: ConsortiumDirectory) -> None:
    """Note that each bank of the consortium there has an embedded server of its own."""
    _remember(directory, OWN)


def has_own_servers(directory: ConsortiumDirectory) -> bool:
    """Whether each bank of the consortium there has an embedded server of its own."""
    path = _kind_file(directory)
    if not path.exists():
        return False
    return bool(json.loads(path.read_text(encoding="utf-8")).get("server") == OWN)


def _remember(directory: ConsortiumDirectory, kind: str) -> None:
    document = json.dumps({"server": kind}) + "\n"
    _kind_file(directory).write_text(document, encoding="utf-8")


def _kind_file(directory: ConsortiumDirectory) -> Path:
    return directory.root / "databases.json"


def bring_up_to_date(bank: BankDirectory) -> None:
    """Migrate the bank's database to the present schema; raises `StorageError`."""
    migrate(read_private(bank.database_url_file).decode("utf-8").strip())


def _written_url(url_file: Path) -> urllib.parse.SplitResult | None:
    if not url_file.exists():
        return None
    return urllib.parse.urlsplit(read_private(url_file).decode("utf-8").strip())


def _write_url(url_file: Path, url: str) -> None:
    write_private(url_file, url.encode("utf-8") + b"\n")
