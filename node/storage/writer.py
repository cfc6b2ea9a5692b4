"""The one session that may write, and the lock that makes it the only one (BFT-12 D5).

The session that holds the advisory lock is the session that writes. So a process that lost the
lock cannot write even before it notices: its only way to write went with the lock. The lock is
the database's, so one node per database; the file lock of the rollback guard does the same per
data directory.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import psycopg
from psycopg.pq import TransactionStatus

from node.storage.configuration import DatabaseConfig
from node.storage.connection import connect
from node.storage.errors import DatabaseInUse, WriterLost
from node.storage.failures import storage_error, storage_errors

WRITER_LOCK = 0x4246_5431_3257
"""Key of the advisory lock ("BFT12W"); advisory locks are apart in each database."""

LOCK_RETRY_S = 0.1


class Writer:
    """Owns the writing session; every write is one database transaction under its mutex."""

    def __init__(
        self,
        connection: psycopg.AsyncConnection,
        check_interval_s: float,
        on_lost: Callable[[WriterLost], None] | None,
    ) -> None:
        self._connection = connection
        self._server_version = str(connection.info.server_version)
        self._mutex = asyncio.Lock()
        self._check_interval_s = check_interval_s
        self._on_lost = on_lost
        self._lost: WriterLost | None = None
        self._closing = False
        self._watch = asyncio.get_running_loop().create_task(self._watch_idle_session())

    @classmethod
    async def open(
        cls, config: DatabaseConfig, on_lost: Callable[[WriterLost], None] | None
    ) -> Writer:
        """Connect and take the lock; raises `DatabaseInUse` if another node keeps it."""
        connection = await connect(config, "writer")
        try:
            await _take_lock(connection, config.lock_wait_s)
        except BaseException:
            await connection.close()
            raise
        return cls(connection, config.lock_check_interval_s, on_lost)

    @property
    def server_version(self) -> str:
        """Version of the server as PostgreSQL numbers it, for example `180004`."""
        return self._server_version

    @property
    def lost(self) -> WriterLost | None:
        """Why this process may write no more; None while it may."""
        return self._lost

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[psycopg.AsyncConnection]:
        """Yield the session for one database transaction.

        The body sends BEGIN and COMMIT itself, so that they share round trips with its statements;
        whatever is left open by an exception is rolled back. Raises `WriterLost` and what
        `storage_error` makes of the driver's errors.
        """
        async with self._mutex:
            if self._lost is not None:
                raise self._lost
            try:
                yield self._connection
            except BaseException as error:
                await self._roll_back()
                if isinstance(error, psycopg.Error):
                    raise (self.lost or storage_error(error)) from None
                raise
            status = self._connection.info.transaction_status
            assert status == TransactionStatus.IDLE, "the body commits"

    async def close(self) -> None:
        """End the session and with it the lock."""
        self._closing = True
        self._watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._watch
        async with self._mutex:
            await self._connection.close()

    async def _roll_back(self) -> None:
        try:
            if self._connection.info.transaction_status != TransactionStatus.IDLE:
                await self._connection.execute("ROLLBACK")
        except psycopg.Error:
            await self._connection.close()
        if self._connection.closed:
            self._report_loss()

    def _report_loss(self) -> None:
        if self._lost is not None or self._closing:
            return
        self._lost = WriterLost("the session that holds the writer's lock of the database is gone")
        if self._on_lost is not None:
            self._on_lost(self._lost)

    async def _watch_idle_session(self) -> None:
        while self._lost is None:
            await asyncio.sleep(self._check_interval_s)
            if self._mutex.locked():
                continue
            async with self._mutex:
                try:
                    await self._connection.execute("SELECT 1")
                except psycopg.Error:
                    await self._connection.close()
                    self._report_loss()


async def _take_lock(connection: psycopg.AsyncConnection, wait_s: float) -> None:
    """Take the writer's lock; a predecessor's session may need a moment to end."""
    attempts = max(1, round(wait_s / LOCK_RETRY_S))
    with storage_errors():
        for attempt in range(attempts):
            if attempt:
                await asyncio.sleep(LOCK_RETRY_S)
            cursor = await connection.execute("SELECT pg_try_advisory_lock(%s)", [WRITER_LOCK])
            row = await cursor.fetchone()
            if row is not None and row[0]:
                return
    raise DatabaseInUse("another node holds the writer's lock of this database")
