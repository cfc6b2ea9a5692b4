"""A session of its own for the look-ups that every batch and every vote wait for.

A pooled connection is tested before each use and handed over through three layers, which costs
more than the look-up itself. This one is kept; whoever finds it in use, or broken, takes one of the
pool.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import psycopg

OpenSession = Callable[[], Awaitable[psycopg.AsyncConnection]]


class LookupSession:
    """Read-only statements of one round trip each, one at a time."""

    def __init__(self, open_session: OpenSession) -> None:
        """`open_session` opens a read-only session; nothing is connected yet."""
        self._open_session = open_session
        self._connection: psycopg.AsyncConnection | None = None
        self._mutex = asyncio.Lock()
        self._closed = False

    async def rows(
        self, statement: str, parameters: Sequence[Any]
    ) -> list[tuple[Any, ...]] | None:
        """Run one statement in the driver's binary format.

        Returns None if the session is in use or has just broken: then ask another one. Raises what
        the driver raises about the statement, and `StorageError` if no session can be opened.
        """
        if self._mutex.locked() or self._closed:
            return None
        async with self._mutex:
            connection = await self._connected()
            try:
                async with connection.cursor(binary=True) as cursor:
                    await cursor.execute(statement, parameters)
                    return await cursor.fetchall()
            except (psycopg.OperationalError, psycopg.InterfaceError):
                if not connection.closed:
                    raise
                self._connection = None
                return None

    async def _connected(self) -> psycopg.AsyncConnection:
        if self._connection is None or self._connection.closed:
            connection = await self._open_session()
            await connection.set_autocommit(True)
            self._connection = connection
        return self._connection

    async def close(self) -> None:
        """End the session; whatever is asked afterwards is left to the pool."""
        self._closed = True
        async with self._mutex:
            if self._connection is not None:
                with contextlib.suppress(psycopg.Error):
                    await self._connection.close()
