"""Damage that was found, read back."""

from __future__ import annotations

from sqlalchemy import select

from node.storage.errors import IntegrityViolation
from node.storage.reading import Reader
from node.storage.tables import IntegrityFinding


class IntegrityReader(Reader):
    """Questions about the database itself."""

    async def findings(self) -> tuple[IntegrityViolation, ...]:
        """Return the damage found in this database so far, oldest first."""
        rows = await self._rows(
            select(
                IntegrityFinding.damaged_table, IntegrityFinding.height, IntegrityFinding.detail
            ).order_by(IntegrityFinding.finding_id)
        )
        return tuple([IntegrityViolation(row[0], row[1], row[2]) for row in rows])
