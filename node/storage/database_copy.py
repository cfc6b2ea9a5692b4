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

BULK_TABLES = ["notes", "nullifiers"]
"""As long as the ledger is old: their keys are checked and sorted at once, after the last row,
which takes a fraction of the time. No other table refers to them."""
TRUNCATE_BULK = "TRUNCATE notes, nullifiers"
"""They are empty; the server takes frozen rows only for tables that this transaction emptied."""
SELECT_KEYS = """
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE conrelid = ANY(%s::regclass[]) AND contype IN ('u', 'f') ORDER BY contype DESC, conname
"""
SELECT_INDEXES = """
SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) FROM pg_index i
WHERE i.indrelid = ANY(%s::regclass[])
  AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid AND c.contype <> 'f')
ORDER BY 1
"""
SORTING_MEMORY = "128MB"


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
        target.execute(TRUNCATE_BULK)
        keys = _take_keys_off(target)
        for table in Base.metadata.sorted_tables:
            columns = sql.SQL(", ").join(
                [sql.Identifier(column.name) for column in table.columns if not column.identity]
            )
            name = sql.Identifier(table.name)
            reading = sql.SQL("COPY {} ({}) TO STDOUT (FORMAT BINARY)").format(name, columns)
            # Nobody sees the rows before the commit, so that they need no later visit to be frozen.
            options = "FORMAT BINARY, FREEZE" if table.name in BULK_TABLES else "FORMAT BINARY"
            writing = sql.SQL("COPY {} ({}) FROM STDIN (" + options + ")").format(name, columns)
            with source.cursor().copy(reading) as rows, target.cursor().copy(writing) as copy:
                for data in rows:
                    copy.write(data)
        for statement in keys:
            target.execute(statement)
        target.execute("UPDATE ledger_identity SET bank_id = %s", [bank])
        # The planner would know nothing of the new rows until the server looks by itself.
        target.execute("ANALYZE")


def settle_database(url: str) -> None:
    """Do now what the server would do in the background after so many rows, while it is used.

    Raises `psycopg.Error`.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET statement_timeout = 0")
        connection.execute("VACUUM (ANALYZE) notes, nullifiers, bins, blocks, treasury")


def _take_keys_off(connection: psycopg.Connection) -> list[sql.Composed]:
    """Drop foreign and unique keys and indexes of the bulk tables; return what restores them."""
    restoring = []
    for table, name, definition in connection.execute(SELECT_KEYS, [BULK_TABLES]).fetchall():
        place = (sql.SQL(table), sql.Identifier(name))
        connection.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(*place))
        restoring.append(
            sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(*place, sql.SQL(definition))
        )
    for name, definition in connection.execute(SELECT_INDEXES, [BULK_TABLES]).fetchall():
        connection.execute(sql.SQL("DROP INDEX {}").format(sql.SQL(name)))
        restoring.append(sql.Composed([sql.SQL(definition)]))
    connection.execute(
        sql.SQL("SET LOCAL maintenance_work_mem = {}").format(sql.Literal(SORTING_MEMORY))
    )
    return restoring
