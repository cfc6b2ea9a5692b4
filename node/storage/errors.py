"""What can go wrong between a node and its own database, named by whose fault it is.

The operator's: `DatabaseUrlInvalid`, `ServerTooOld`, `SchemaOutdated`, `LedgerFormatOutdated`,
`WrongDatabase`, `DatabaseInUse`. The environment's: `DatabaseUnavailable`, `PoolExhausted`,
`StatementTimeout`, `WriterLost`. The caller's: `NotFound`, `BodyMissing`. Ours or a tampered
database's:
`StorageConflict`, on which the node stops, and `IntegrityViolation`, on which it halts: it signs
nothing more and waits for `consortium node rebuild`.

No message and no cause chain carries a connection string: drivers quote them, passwords included.
"""

from __future__ import annotations


class StorageError(Exception):
    """Base of everything that this package raises on purpose."""


class DatabaseUrlInvalid(StorageError):
    """The configured URL is not a PostgreSQL URL; the message never repeats it."""


class DatabaseUnavailable(StorageError):
    """The server cannot be reached, refuses the role, or dropped the connection."""


class ServerTooOld(StorageError):
    """The server's version is below the minimum."""


class SchemaOutdated(StorageError):
    """The database is not at the schema revision this software was written for."""


class WrongDatabase(StorageError):
    """The database belongs to another bank or another chain."""


class DatabaseInUse(StorageError):
    """Another node holds the writer's lock of this database (BFT-12 D5)."""


class WriterLost(StorageError):
    """The connection that holds the writer's lock is gone: this process may write no more."""


class PoolExhausted(StorageError):
    """Every pooled connection is in use and none came free in time."""


class StatementTimeout(StorageError):
    """A statement ran longer than the configured limit and was cancelled by the server."""


class NotFound(StorageError):
    """Nothing is stored under the key asked for."""


class BeforeSnapshot(NotFound):
    """It is older than the snapshot with which this bank's ledger begins: other banks have it."""

    def __init__(self, what: str, first_height: int) -> None:
        super().__init__(
            f"this bank joined by a snapshot of height {first_height - 1} and does not hold {what};"
            " ask another bank"
        )
        self.first_height = first_height
        """The lowest height above genesis at which this bank holds whole blocks."""


class BodyMissing(StorageError):
    """A block was to be stored without the bytes of one of its transactions (BFT-12 D2)."""


class StorageConflict(StorageError):
    """The database refuses what the ledger found valid, or is not at the expected height."""


class LedgerFormatOutdated(StorageError):
    """The stored ledger was written by another version of the software, in another format."""


class IntegrityViolation(StorageError):
    """A stored row is not what this bank wrote: it does not decode, or has another hash."""

    def __init__(self, table: str, height: int | None, detail: str) -> None:
        """`height` is that of the block that the row belongs to, None where it belongs to none."""
        where = table if height is None else f"{table} at height {height}"
        super().__init__(f"damaged row in {where}: {detail}")
        self.table = table
        self.height = height
        self.detail = detail
