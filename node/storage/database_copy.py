"""Giving a second bank the ledger that a first one has stored: every table by COPY.

Right only where one operator holds both databases and the rows were verified on their way into
the first, for example when a consortium is made with a ledger that exists already. Otherwise a
bank learns the ledger from its peers and verifies it itself.
"""

from __future__ import annotations

import psycopg
from psycopg import sql

from node.ledger.types import BankIndex
from node.storage.tables import Base

SELECT_OWNER = "SELECT bank_id FROM ledger_identity"


def stored_bank(url: str) -> int | None:
    """Return the bank that a migrated database belongs to, None while it holds no ledger.

    Raises `psycopg.Error`.
    """
    with psycopg.connect(url) as connection:
        row = connection.execute(SELECT_OWNER).fetchone()
    return None if row is None else int(row[0])


def copy_database(source_url: str, target_url: str, bank: BankIndex) -> None:
    """Copy all rows into a migrated database without any, which belongs to `bank` then.

    In one database transaction: an interrupted copy leaves nothing. Raises `psycopg.Error`.
    """
    with psycopg.connect(source_url) as source, psycopg.connect(target_url) as target:
        for connection in (source, target):
            # One statement copies a table, however large.
            connection.execute("SET LOCAL statement_timeout = 0")
        for table in Base.metadata.sorted_tables:
            columns = sql.SQL(", ").join(
                [sql.Identifier(column.name) for column in table.columns if not column.identity]
            )
            name = sql.Identifier(table.name)
            reading = sql.SQL("COPY {} ({}) TO STDOUT (FORMAT BINARY)").format(name, columns)
            writing = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(name, columns)
            with source.cursor().copy(reading) as rows, target.cursor().copy(writing) as copy:
                for data in rows:
                    copy.write(data)
        target.execute("UPDATE ledger_identity SET bank_id = %s", [bank])
        # The planner would know nothing of the new rows until the server looks by itself.
        target.execute("ANALYZE")
