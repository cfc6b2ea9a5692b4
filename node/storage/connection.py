"""Opening connections: one place for options, the server's version, and secrecy of the URL."""

from __future__ import annotations

from typing import Any, Literal

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.string import BytesBinaryDumper, BytesDumper
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from node.storage.byte_strings import ByteStrings, ByteStringsDumper
from node.storage.configuration import MINIMUM_SERVER_VERSION, DatabaseConfig
from node.storage.errors import DatabaseUnavailable, DatabaseUrlInvalid, ServerTooOld

SCHEMES = ("postgresql://", "postgres://", "postgresql+psycopg://")

Purpose = Literal["reader", "writer", "migration"]


def connection_parameters(url: str) -> dict[str, Any]:
    """Return the libpq parameters of a URL; raises `DatabaseUrlInvalid` without repeating it."""
    scheme = next((scheme for scheme in SCHEMES if url.startswith(scheme)), None)
    if scheme is None:
        raise DatabaseUrlInvalid("the database URL does not begin with postgresql://")
    try:
        parameters = conninfo_to_dict("postgresql://" + url.removeprefix(scheme))
    except psycopg.Error:
        raise DatabaseUrlInvalid("the database URL is malformed") from None
    if not parameters.get("dbname"):
        raise DatabaseUrlInvalid("the database URL names no database")
    _require_encoded_password(parameters)
    return dict(parameters)


def _require_encoded_password(parameters: dict[str, Any]) -> None:
    """Refuse what a raw @ or / in a password does to a URL.

    Part of it would then be taken for a host, port or database, which the driver's messages quote.
    """
    ports = str(parameters.get("port") or "")
    names = f"{parameters.get('host') or ''}{parameters['dbname']}"
    if "@" in names or (ports and not ports.replace(",", "").isdecimal()):
        raise DatabaseUrlInvalid(
            "the database URL has a malformed host, port or database;"
            " special characters of the password must be percent-encoded"
        )


def session_parameters(config: DatabaseConfig, purpose: Purpose) -> dict[str, Any]:
    """Return the libpq parameters of a session for this purpose.

    A lost block must never come from a server setting, so the writer states
    `synchronous_commit=on`; pooled sessions are read-only, so only the writer can write.
    """
    url = config.writer_url if purpose == "writer" and config.writer_url else config.url
    parameters = connection_parameters(url)
    own: dict[Purpose, dict[str, str]] = {
        "reader": {"default_transaction_read_only": "on"},
        "writer": {"synchronous_commit": "on"},
        "migration": {"synchronous_commit": "on"},
    }
    settings = {
        "statement_timeout": str(config.statement_timeout_ms),
        "timezone": "UTC",
        **own[purpose],
    }
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    given = parameters.get("options")
    parameters["options"] = f"{given} {options}" if given else options
    parameters.setdefault("connect_timeout", config.connect_timeout_s)
    parameters.setdefault("application_name", f"{config.application_name} {purpose}")
    parameters.setdefault("keepalives_idle", 10)
    parameters.setdefault("keepalives_interval", 5)
    parameters.setdefault("keepalives_count", 3)
    return parameters


def connection_failure(error: psycopg.Error, parameters: dict[str, Any]) -> DatabaseUnavailable:
    """Return the error to raise instead of the driver's, with the password cut out of its text."""
    text = str(error).strip()
    password = parameters.get("password")
    if password:
        text = text.replace(str(password), "***")
    return DatabaseUnavailable(text)


def require_server_version(version: int) -> None:
    """Raise `ServerTooOld` below PostgreSQL 14; `version` as `server_version_num` has it."""
    if version < MINIMUM_SERVER_VERSION:
        raise ServerTooOld(
            f"the server is PostgreSQL {version // 10000}.{version % 10000};"
            f" version {MINIMUM_SERVER_VERSION // 10000} or later is needed"
        )


async def connect(config: DatabaseConfig, purpose: Purpose) -> psycopg.AsyncConnection:
    """Open one session; raises `DatabaseUnavailable`, `DatabaseUrlInvalid` or `ServerTooOld`."""
    parameters = session_parameters(config, purpose)
    try:
        connection = await psycopg.AsyncConnection.connect(
            **parameters,
            autocommit=purpose == "writer",
            prepare_threshold=config.prepare_threshold,
        )
    except psycopg.Error as error:
        raise connection_failure(error, parameters) from None
    try:
        require_server_version(connection.info.server_version)
    except ServerTooOld:
        await connection.close()
        raise
    # COPY picks the dumper that was registered last for a type: the compiled one, not the driver's
    # wrapper class for PEP 249.
    connection.adapters.register_dumper(bytes, BytesBinaryDumper)
    connection.adapters.register_dumper(bytes, BytesDumper)
    connection.adapters.register_dumper(ByteStrings, ByteStringsDumper)
    return connection


def create_reader_engine(config: DatabaseConfig) -> AsyncEngine:
    """Return the pooled engine for reading; nothing is connected yet.

    Statements run in autocommit, one round trip each; what needs one snapshot over several
    statements asks for a transaction.
    """

    async def open_reader() -> psycopg.AsyncConnection:
        return await connect(config, "reader")

    return create_async_engine(
        # The URL only names the driver: connections come from the creator.
        "postgresql+psycopg://",
        async_creator=open_reader,
        pool_size=config.pool_size,
        max_overflow=config.max_overflow,
        pool_timeout=config.pool_timeout_s,
        pool_recycle=config.pool_recycle_s,
        pool_pre_ping=config.pool_pre_ping,
        # The same few sessions again and again: each keeps prepared statements, here and there.
        pool_use_lifo=True,
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,
        use_native_hstore=False,
    )
