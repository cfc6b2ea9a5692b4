"""The audit log of the regulator's database, and the transactions that its rows belong to."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from node.ledger.types import TimeMs
from node.storage.errors import StorageError
from node.storage.failures import storage_errors
from node.storage.regulator.records import FIRST_AUDIT_HASH, AuditRow
from node.storage.regulator.tables import AUDIT_LOG

PAGE_ROWS = 1_000


class AuditLogBroken(StorageError):
    """A row of the audit log was changed or is missing; the message says which."""


class AuditedDatabase:
    """A database in which every act has a row of one chain; all methods raise `StorageError`."""

    def __init__(self, engine: AsyncEngine, now_ms: Callable[[], int]) -> None:
        """`now_ms` is the wall clock."""
        self._engine = engine
        self._now_ms = now_ms

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncConnection]:
        with storage_errors():
            async with self._engine.begin() as connection:
                yield connection

    async def _rows(self, statement: Any) -> Sequence[Mapping[str, Any]]:
        async with self._transaction() as connection:
            return [dict(row) for row in (await connection.execute(statement)).mappings()]

    async def audit(self, action: str, actor: str, event_data: Mapping[str, Any]) -> AuditRow:
        """Append one act to the audit log and return its row."""
        async with self._transaction() as connection:
            return await self._audit(connection, action, actor, event_data)

    async def _audit(
        self,
        connection: AsyncConnection,
        action: str,
        actor: str,
        event_data: Mapping[str, Any],
    ) -> AuditRow:
        # Two writers take turns, so that the chain has no branches.
        await connection.execute(sa.text("LOCK TABLE audit_log IN EXCLUSIVE MODE"))
        statement = sa.select(AUDIT_LOG).order_by(AUDIT_LOG.c.sequence.desc()).limit(1)
        last = (await connection.execute(statement)).mappings().first()
        row = AuditRow(
            sequence=1 if last is None else int(last["sequence"]) + 1,
            time_ms=TimeMs(self._now_ms()),
            action=action,
            actor=actor,
            event_data=json.dumps(event_data, sort_keys=True, separators=(",", ":")),
            previous_hash=FIRST_AUDIT_HASH if last is None else bytes(last["hash"]),
            hash=b"",
        )
        row = replace(row, hash=row.computed_hash())
        await connection.execute(sa.insert(AUDIT_LOG).values(asdict(row)))
        return row

    async def audit_rows(
        self, actions: Sequence[str] = (), from_sequence: int = 1, limit: int | None = None
    ) -> tuple[AuditRow, ...]:
        """Return rows of the audit log in order; of these actions only, if any are given."""
        statement = sa.select(AUDIT_LOG).where(AUDIT_LOG.c.sequence >= from_sequence)
        if actions:
            statement = statement.where(AUDIT_LOG.c.action.in_(list(actions)))
        statement = statement.order_by(AUDIT_LOG.c.sequence).limit(limit)
        return tuple([AuditRow(**row) for row in await self._rows(statement)])

    async def audit_count(self, action: str) -> int:
        """Return how many rows there are of an action."""
        statement = sa.select(sa.func.count().label("number")).where(AUDIT_LOG.c.action == action)
        return int((await self._rows(statement))[0]["number"])

    async def check_audit_log(self) -> int:
        """Follow the chain of the whole audit log; return its length.

        Raises `AuditLogBroken` at the first row that was changed, or follows a missing one.
        """
        expected, previous = 1, FIRST_AUDIT_HASH
        while page := await self.audit_rows(from_sequence=expected, limit=PAGE_ROWS):
            for row in page:
                if row.sequence != expected or row.previous_hash != previous:
                    raise AuditLogBroken(f"the audit log breaks off before row {row.sequence}")
                if row.computed_hash() != row.hash:
                    raise AuditLogBroken(f"row {row.sequence} of the audit log was changed")
                expected, previous = expected + 1, row.hash
        return expected - 1
