"""Ballots in conflict, taken out of a database that is replaced and put into its successor.

They are evidence that only this bank may have seen, and prove themselves: whoever moves them
verifies them first, for the old database may be damaged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import psycopg

from node.ledger.ballots import ballot_tag
from node.ledger.types import Height, View
from node.storage.failures import storage_errors

CONNECT_TIMEOUT_S = 10

SELECT_CONFLICTS = """
SELECT height, view, first, second, found_at FROM ballot_conflicts ORDER BY sequence
"""
SELECT_SET_CHANGES = "SELECT block_number, active_set FROM set_changes ORDER BY block_number"
INSERT_CONFLICT = """
INSERT INTO ballot_conflicts (sequence, height, view, tag, first, second, found_at)
VALUES (%b, %b, %b, %b, %b, %b, %b)
"""


@dataclass(frozen=True, slots=True)
class KeptConflict:
    """Two ballots as they are stored, `first` being the lower; nothing is verified."""

    height: Height
    view: View
    first: bytes
    second: bytes
    found_at: datetime


@dataclass(frozen=True, slots=True)
class KeptConflicts:
    """All that a database holds, in the order in which its bank found them."""

    conflicts: tuple[KeptConflict, ...]
    set_changes: tuple[tuple[Height, bytes], ...]
    """Height of the block and canonical active set after it, lowest first."""


def read_conflicts(url: str) -> KeptConflicts:
    """Read a database that no node writes any more; blocks.

    One that was never migrated holds none. Raises `StorageError` if it cannot be read.
    """
    with _connected(url) as connection:
        try:
            found = connection.execute(SELECT_CONFLICTS).fetchall()
            changes = connection.execute(SELECT_SET_CHANGES).fetchall()
        except psycopg.errors.UndefinedTable:
            return KeptConflicts((), ())
    return KeptConflicts(
        tuple([KeptConflict(*row) for row in found]),
        tuple([(Height(row[0]), bytes(row[1])) for row in changes]),
    )


def write_conflicts(url: str, conflicts: Sequence[KeptConflict]) -> None:
    """Put verified pairs, each tag once, into a new, migrated database; blocks.

    Raises `StorageError`; then nothing is written.
    """
    with _connected(url) as connection:
        for sequence, item in enumerate(conflicts):
            tag = ballot_tag(item.first)
            row = (sequence, item.height, item.view, tag, item.first, item.second, item.found_at)
            connection.execute(INSERT_CONFLICT, row)


@contextmanager
def _connected(url: str) -> Iterator[psycopg.Connection]:
    with (
        storage_errors(),
        psycopg.connect(url, connect_timeout=CONNECT_TIMEOUT_S) as connection,
    ):
        yield connection
