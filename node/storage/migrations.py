"""Bringing a database to the schema of this software, and telling whether it is there.

The migrations themselves lie in `migrations/` at the root of the project. Running them again is a
no-op; two processes that migrate one database at once take turns.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import NullPool

from node.storage.configuration import DatabaseConfig
from node.storage.connection import connection_failure, require_server_version, session_parameters
from node.storage.errors import SchemaOutdated
from node.storage.failures import storage_errors

SCHEMA_REVISION = "004"
"""The revision this software reads and writes; a test holds it to the newest migration."""

MIGRATIONS_DIRECTORY = Path(__file__).resolve().parents[2] / "migrations"

MIGRATION_LOCK = 0x4246_5431_324D
"""Key of the advisory lock that orders concurrent migrations ("BFT12M")."""


_ALEMBIC = threading.Lock()
"""Alembic keeps its context in module globals: one migration at a time in a process."""


@contextmanager
def connect_for_migration(url: str) -> Iterator[Connection]:
    """Yield a connection that holds the migration lock; raises `DatabaseUnavailable`."""
    config = DatabaseConfig(url)
    parameters = session_parameters(config, "migration")

    def open_connection() -> psycopg.Connection:
        try:
            connection = psycopg.connect(**parameters)
        except psycopg.Error as error:
            raise connection_failure(error, parameters) from None
        require_server_version(connection.info.server_version)
        return connection

    engine = create_engine(
        "postgresql+psycopg://",
        creator=open_connection,
        poolclass=NullPool,
        hide_parameters=True,
        use_native_hstore=False,
    )
    lock = {"lock": MIGRATION_LOCK}
    with storage_errors(), engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), lock)
        connection.commit()
        try:
            yield connection
        finally:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:lock)"), lock)
            connection.commit()


def migrate(
    url: str, revision: str = "head", *, directory: Path = MIGRATIONS_DIRECTORY
) -> None:
    """Upgrade the database to `revision`; blocks, so call it outside the event loop.

    `directory` holds the migrations: those of a bank, unless the database is another party's.
    """
    _run(url, "upgrade", revision, directory)


def downgrade(url: str, revision: str) -> None:
    """Take the database back to `revision`, `base` for empty. Loses what the schema loses."""
    _run(url, "downgrade", revision, MIGRATIONS_DIRECTORY)


async def migrate_async(url: str, revision: str = "head") -> None:
    """Upgrade the database to `revision` in a thread."""
    await asyncio.to_thread(migrate, url, revision)


def _run(url: str, command_name: str, revision: str, directory: Path) -> None:
    # Imported here: a running node needs neither Alembic nor its templates in memory.
    from alembic import command
    from alembic.config import Config

    with connect_for_migration(url) as connection:
        config = Config()
        config.set_main_option("script_location", str(directory).replace("%", "%%"))
        config.attributes["connection"] = connection
        run: Any = getattr(command, command_name)
        with _ALEMBIC:
            run(config, revision)


async def require_schema(connection: AsyncConnection) -> None:
    """Raise `SchemaOutdated` unless the database is at `SCHEMA_REVISION`."""
    present = await connection.scalar(text("SELECT to_regclass('alembic_version') IS NOT NULL"))
    found = (
        await connection.scalar(text("SELECT version_num FROM alembic_version"))
        if present
        else None
    )
    if found != SCHEMA_REVISION:
        raise SchemaOutdated(
            f"the database is at schema revision {found or 'none'}, this software needs"
            f" {SCHEMA_REVISION}: migrate it first"
        )
