"""Sessions, the pool and its limits, and the secrecy of the URL."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator
from dataclasses import replace

import psycopg
import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from node.storage.configuration import DatabaseConfig
from node.storage.connection import connect, create_reader_engine, require_server_version
from node.storage.errors import (
    DatabaseUnavailable,
    DatabaseUrlInvalid,
    PoolExhausted,
    ServerTooOld,
    StatementTimeout,
    StorageError,
)
from node.storage.failures import storage_errors
from node.storage.migrations import migrate

BACKEND = text("SELECT pg_backend_pid()")


@pytest_asyncio.fixture
async def engine(migrated_url: str) -> AsyncIterator[AsyncEngine]:
    opened = create_reader_engine(DatabaseConfig(migrated_url, pool_timeout_s=0.05))
    yield opened
    await opened.dispose()


async def test_thirty_connections_and_no_more(engine: AsyncEngine) -> None:
    """IDX-02: 20 kept, 10 beyond them, the 31st waits in vain."""
    pool = engine.pool
    assert isinstance(pool, AsyncAdaptedQueuePool)
    assert pool.size() == 20
    connections = [await engine.connect() for _ in range(30)]

    with pytest.raises(PoolExhausted) as refused, storage_errors():
        await engine.connect()

    assert str(refused.value) == "no pooled connection came free in time"
    assert pool.overflow() == 10
    for connection in connections:
        await connection.close()


async def test_pool_survives_the_loss_of_every_connection(
    engine: AsyncEngine, migrated_url: str
) -> None:
    """IDX-03: pre-ping."""
    connections = [await engine.connect() for _ in range(3)]
    pids = {await connection.scalar(BACKEND) for connection in connections}
    for connection in connections:
        await connection.close()
    with psycopg.connect(migrated_url, autocommit=True) as killer:
        for pid in pids:
            killer.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])

    async with engine.connect() as connection:
        assert await connection.scalar(BACKEND) not in pids


async def test_old_connections_are_replaced(migrated_url: str) -> None:
    """IDX-04: recycled after an hour by default; here at once."""
    assert DatabaseConfig(migrated_url).pool_recycle_s == 3600
    engine = create_reader_engine(DatabaseConfig(migrated_url, pool_recycle_s=0))
    pids = []
    for _ in range(2):
        async with engine.connect() as connection:
            pids.append(await connection.scalar(BACKEND))
        # The pool reads a coarse clock: any positive age is too old.
        await asyncio.sleep(0.02)
    await engine.dispose()

    assert pids[0] != pids[1]


@pytest.mark.parametrize("purpose", ["reader", "writer"])
async def test_long_statements_are_cancelled(purpose: str, migrated_url: str) -> None:
    """IDX-05."""
    config = DatabaseConfig(migrated_url)
    assert config.statement_timeout_ms == 30_000
    connection = await connect(replace(config, statement_timeout_ms=20), purpose)
    shown = await (await connection.execute("SHOW statement_timeout")).fetchone()

    with pytest.raises(StatementTimeout) as cancelled, storage_errors():
        await connection.execute("SELECT pg_sleep(5)")

    assert shown == ("20ms",)
    assert str(cancelled.value) == "canceling statement due to statement timeout"
    await connection.close()


def test_no_limit_is_no_setting(migrated_url: str) -> None:
    with pytest.raises(ValueError, match="statement_timeout_ms must be positive"):
        DatabaseConfig(migrated_url, statement_timeout_ms=0)


async def test_pooled_sessions_cannot_write(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        with pytest.raises(StorageError) as refused, storage_errors():
            await connection.execute(text("CREATE TABLE t (i int)"))

    assert str(refused.value) == (
        "ReadOnlySqlTransaction: cannot execute CREATE TABLE in a read-only transaction"
    )


async def test_the_writer_commits_synchronously(migrated_url: str) -> None:
    """BFT-12 D1, whatever the server's default says."""
    separator = "&" if "?" in migrated_url else "?"
    url = f"{migrated_url}{separator}options=-c%20synchronous_commit%3Doff"
    connection = await connect(DatabaseConfig(url), "writer")

    shown = await (await connection.execute("SHOW synchronous_commit")).fetchone()

    assert shown == ("on",)
    await connection.close()


def test_old_servers_are_refused() -> None:
    """IDX-01."""
    require_server_version(140000)
    with pytest.raises(ServerTooOld) as refused:
        require_server_version(130014)

    assert str(refused.value) == "the server is PostgreSQL 13.14; version 14 or later is needed"


SECRET = "hunter2hunter2"


@pytest.mark.parametrize(
    ("url", "error"),
    [
        (f"postgresql://role:{SECRET}@127.0.0.1:1/name", DatabaseUnavailable),
        (f"postgresql://role:{SECRET}@127.0.0.1:port/name", DatabaseUrlInvalid),
        (f"postgresql://role:{SECRET}@[::1/name", DatabaseUrlInvalid),
        (f"postgresql://role:{SECRET}@127.0.0.1:1/name?{SECRET}", DatabaseUrlInvalid),
        (f"postgresql://role:{SECRET}@127.0.0.1:1", DatabaseUrlInvalid),
        (f"postgresql://role:p@{SECRET}@127.0.0.1:1/name", DatabaseUrlInvalid),
        (f"postgresql://role:{SECRET}/p@127.0.0.1:1/name", DatabaseUrlInvalid),
        (f"postgresql://role:p/{SECRET}@127.0.0.1:1/name", DatabaseUrlInvalid),
        (f"postgresql://role:{SECRET}?p@127.0.0.1:1/name", DatabaseUnavailable),
        (f"mysql://role:{SECRET}@127.0.0.1:1/name", DatabaseUrlInvalid),
        (f"role:{SECRET}", DatabaseUrlInvalid),
    ],
)
async def test_no_failure_tells_the_password(url: str, error: type[StorageError]) -> None:
    config = DatabaseConfig(url, writer_url=url, connect_timeout_s=2)
    texts = [repr(config), str(config)]
    for attempt in (lambda: connect(config, "reader"), lambda: asyncio.to_thread(migrate, url)):
        with pytest.raises(error) as refused:
            await attempt()
        texts += [str(refused.value), repr(refused.value)]
        texts += traceback.format_exception(refused.value)

    assert not [line for line in texts if SECRET in line]


async def test_a_refused_password_is_not_told(migrated_url: str) -> None:
    parameters = psycopg.conninfo.conninfo_to_dict(migrated_url)
    url = f"postgresql://{parameters['user']}:{SECRET}@127.0.0.1:{parameters['port']}/name"

    with pytest.raises(DatabaseUnavailable, match="password authentication failed") as refused:
        await connect(DatabaseConfig(url), "reader")

    assert SECRET not in "".join(traceback.format_exception(refused.value))


async def test_a_lost_connection_is_named_without_values(
    engine: AsyncEngine, migrated_url: str
) -> None:
    async def fail(connection: AsyncConnection) -> None:
        with storage_errors():
            await connection.execute(text("SELECT 1"))

    async with engine.connect() as connection:
        pid = await connection.scalar(BACKEND)
        with psycopg.connect(migrated_url, autocommit=True) as killer:
            killer.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        with pytest.raises(DatabaseUnavailable) as lost:
            await fail(connection)

    assert str(lost.value) == (
        "the database connection failed: terminating connection due to administrator command"
    )
