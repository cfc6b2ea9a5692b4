"""Runs the regulator's migrations on the connection that `node.storage.migrations` hands over."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from node.storage.regulator.tables import METADATA


def run(connection: Connection) -> None:
    context.configure(
        connection=connection, target_metadata=METADATA, transaction_per_migration=True
    )
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode() or "connection" not in context.config.attributes:
    raise SystemExit("these migrations are run by `consortium regulator run`")

run(context.config.attributes["connection"])
