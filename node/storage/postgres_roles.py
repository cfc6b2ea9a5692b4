"""One database and one role a bank, closed to every other role.

Statements here run as superuser on the maintenance database. A password reaches the server only
as a SCRAM-SHA-256 verifier, so that no log of the server can ever hold it.
"""

from __future__ import annotations

import re

import psycopg
from psycopg import sql

Connection = psycopg.Connection[tuple[object, ...]]

NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
"""Names of databases and roles: what PostgreSQL takes without quotes, at most 63 bytes."""

CLOSED_DATABASES = ("postgres", "template1")
"""Databases that exist from the beginning; only the superuser may connect to them."""


def close_to_public(connection: Connection) -> None:
    """Keep ordinary roles out of the databases that every cluster begins with."""
    for database in CLOSED_DATABASES:
        connection.execute(
            sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(database))
        )


def create_role(
    connection: Connection, role: str, password: str, *, statement_timeout_ms: int
) -> None:
    """Create a login role without any privilege, or set the password of an existing one.

    Raises `ValueError` if the name is not a plain PostgreSQL name.
    """
    _check_name(role)
    verifier = connection.pgconn.encrypt_password(
        password.encode(), role.encode(), b"scram-sha-256"
    ).decode()
    found = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
    verb = "CREATE" if found is None else "ALTER"
    connection.execute(
        sql.SQL(
            verb + " ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD {}"
        ).format(sql.Identifier(role), sql.Literal(verifier))
    )
    connection.execute(
        sql.SQL("ALTER ROLE {} SET statement_timeout = {}").format(
            sql.Identifier(role), sql.Literal(statement_timeout_ms)
        )
    )


def create_database(connection: Connection, name: str, owner: str) -> None:
    """Create a database that only its owner may connect to; an existing one is left as it is.

    Raises `ValueError` for a name that is not plain, or if the database belongs to another role.
    """
    _check_name(name)
    found = connection.execute(
        "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s", [name]
    ).fetchone()
    if found is None:
        connection.execute(
            sql.SQL(
                "CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'"
            ).format(sql.Identifier(name), sql.Identifier(owner))
        )
    elif found != (owner,):
        raise ValueError(f"the database {name} belongs to the role {found[0]}, not to {owner}")
    connection.execute(
        sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name))
    )


def rename_database(connection: Connection, name: str, new_name: str) -> bool:
    """Rename a database with everything in it, ending its connections; False if there is none.

    Raises `ValueError` if a name is not plain.
    """
    _check_name(name)
    _check_name(new_name)
    found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
    if found is None:
        return False
    # Nobody new gets in between the end of the old connections and the new name.
    limit = sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS {}")
    connection.execute(limit.format(sql.Identifier(name), sql.Literal(False)))
    connection.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [name]
    )
    connection.execute(
        sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
            sql.Identifier(name), sql.Identifier(new_name)
        )
    )
    connection.execute(limit.format(sql.Identifier(new_name), sql.Literal(True)))
    return True


def drop_database(connection: Connection, name: str) -> None:
    """Drop a database with everything in it, ending its connections; none is no error."""
    _check_name(name)
    connection.execute(
        sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    )


def drop_role(connection: Connection, role: str) -> None:
    """Drop a role that owns nothing any more; none is no error."""
    _check_name(role)
    connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))


def _check_name(name: str) -> None:
    if NAME.fullmatch(name) is None:
        raise ValueError(f"not a plain PostgreSQL name: {name!r}")
