"""What all readers share: the pooled engine, one way to run a statement, limits of pages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from sqlalchemy import Row, Select, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from node.ledger.genesis import Genesis
from node.ledger.types import TimeMs
from node.storage.errors import IntegrityViolation
from node.storage.failures import storage_errors
from node.storage.lookup_session import LookupSession

AnyRow = Row[*tuple[Any, ...]]
AnySelect = Select[*tuple[Any, ...]]

MAX_BIGINT = (1 << 63) - 1
"""Largest number a BIGINT column holds; the wire carries u64, and nothing is stored beyond this."""

MAX_PAGE = 1_000
"""Most rows one call returns."""

MAX_KEYS = 10_000
"""Most keys one call looks up."""


def page_size(limit: int) -> int:
    """Return `limit` cut to what one call may return; a negative limit is our caller's bug."""
    assert limit >= 0, f"a page of {limit} rows"
    return min(limit, MAX_PAGE)


def storable(numbers: Sequence[int]) -> list[int]:
    """Return those numbers that can be keys at all; u64 from outside may exceed BIGINT."""
    assert len(numbers) <= MAX_KEYS, f"{len(numbers)} keys in one call"
    return [number for number in numbers if 0 <= number <= MAX_BIGINT]


ROWS_PER_FETCH = 1_000
"""Of what is streamed because it may be long."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def time_ms_of(moment: datetime) -> TimeMs:
    """Return a stored time in milliseconds since the epoch, exact."""
    return TimeMs((moment - _EPOCH) // timedelta(milliseconds=1))


def field_bytes(value: bytes | int | str | None) -> bytes:
    """Return one field of a digested row: a length of eight bytes and its bytes, big-endian."""
    match value:
        case None:
            data = b""
        case int():
            data = value.to_bytes(8, "big")
        case str():
            data = value.encode()
        case _:
            data = value
    return len(data).to_bytes(8, "big") + data


class Reader:
    """Runs read-only statements on pooled connections."""

    def __init__(
        self,
        engine: AsyncEngine,
        genesis: Genesis,
        on_violation: Callable[[IntegrityViolation], None] | None = None,
        lookups: LookupSession | None = None,
    ) -> None:
        """`on_violation` is told of every damaged row that a read comes across."""
        self._engine = engine
        self._lookups = lookups
        self._genesis = genesis
        self._on_violation = on_violation

    @property
    def engine(self) -> AsyncEngine:
        """The pool; its sessions are read-only."""
        return self._engine

    def _violation(self, table: str, height: int | None, detail: str) -> IntegrityViolation:
        """Report a damaged row and return the error to raise."""
        violation = IntegrityViolation(table, height, detail)
        self._report(violation)
        return violation

    def _report(self, violation: IntegrityViolation) -> None:
        if self._on_violation is not None:
            self._on_violation(violation)

    async def _rows(
        self, statement: AnySelect | TextClause, parameters: dict[str, Any] | None = None
    ) -> Sequence[AnyRow]:
        """Run one statement in one round trip and return all its rows."""
        with storage_errors():
            async with self._engine.connect() as connection:
                return (await connection.execute(statement, parameters)).all()

    async def _driver_rows(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Run one statement with these parameters, such as arrays, in the driver's binary format.

        A batch looks up hundreds of keys: as text that would take five times as long.
        """
        with storage_errors():
            if self._lookups is not None:
                rows = await self._lookups.rows(statement, parameters)
                if rows is not None:
                    return rows
            async with self._engine.connect() as connection:
                pooled = await connection.get_raw_connection()
                driver = pooled.driver_connection
                assert isinstance(driver, psycopg.AsyncConnection)
                async with driver.cursor(binary=True) as cursor:
                    await cursor.execute(statement, parameters)
                    return await cursor.fetchall()

    @asynccontextmanager
    async def _driver_snapshot(self) -> AsyncIterator[psycopg.AsyncCursor[Any]]:
        """Yield the driver's cursor, in its binary format, on one moment of the database."""
        with storage_errors():
            async with self._engine.connect() as connection:
                await connection.execution_options(isolation_level="REPEATABLE READ")
                # The transaction begins with SQLAlchemy, so that the pool rolls it back.
                await connection.execute(text("SELECT 1"))
                pooled = await connection.get_raw_connection()
                driver = pooled.driver_connection
                assert isinstance(driver, psycopg.AsyncConnection)
                async with driver.cursor(binary=True) as cursor:
                    yield cursor

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[AsyncConnection]:
        """Yield a connection whose statements all see the same moment."""
        with storage_errors():
            async with self._engine.connect() as connection:
                await connection.execution_options(isolation_level="REPEATABLE READ")
                yield connection

    async def _streamed(
        self, connection: AsyncConnection, statement: AnySelect | TextClause
    ) -> AsyncIterator[AnyRow]:
        """Yield the rows of one statement in constant memory."""
        async for rows in self._streamed_pages(connection, statement):
            for row in rows:
                yield row

    async def _streamed_pages(
        self, connection: AsyncConnection, statement: AnySelect | TextClause
    ) -> AsyncIterator[Sequence[AnyRow]]:
        """Yield the rows of one statement as they are fetched: of many, that takes less time."""
        options = {"yield_per": ROWS_PER_FETCH}
        async with connection.stream(statement, execution_options=options) as result:
            async for rows in result.partitions():
                yield rows
