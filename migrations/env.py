"""Runs the migrations on the connection that `node.storage.migrations` hands over.

For the `alembic` command line the URL comes from the environment variable
CONSORTIUM_DATABASE_URL, never from a file or an argument: it holds a password.
"""

from __future__ import annotations

import os

from alembic import context
from sqlalchemy import Connection

from node.storage.migrations import connect_for_migration
from node.storage.tables import Base


def run(connection: Connection) -> None:
    context.configure(
        connection=connection, target_metadata=Base.metadata, transaction_per_migration=True
    )
    with context.begin_transaction():
        context.run_migrations()


def run_from_command_line() -> None:
    url = os.environ.get("CONSORTIUM_DATABASE_URL")
    if url is None:
        raise SystemExit("set CONSORTIUM_DATABASE_URL to the database to migrate")
    with connect_for_migration(url) as connection:
        run(connection)


if context.is_offline_mode():
    raise SystemExit("migrations run against a database; --sql is not supported")

if (given := context.config.attributes.get("connection")) is not None:
    run(given)
else:
    run_from_command_line()
