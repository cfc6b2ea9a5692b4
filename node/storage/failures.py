"""Translation of the driver's and the pool's exceptions into `StorageError`s.

The driver's exceptions are not chained: their text may quote a connection string or row values.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import sqlalchemy.exc

from node.storage.errors import (
    DatabaseUnavailable,
    PoolExhausted,
    StatementTimeout,
    StorageConflict,
    StorageError,
)


def storage_error(error: psycopg.Error) -> StorageError:
    """Return our error for a driver's; names table and constraint, never a value or a URL."""
    diagnostic = error.diag
    primary = diagnostic.message_primary or type(error).__name__
    if isinstance(error, psycopg.errors.QueryCanceled):
        return StatementTimeout(primary)
    if isinstance(error, psycopg.IntegrityError):
        return StorageConflict(
            f"{type(error).__name__} of {diagnostic.constraint_name} on {diagnostic.table_name}"
        )
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return DatabaseUnavailable(f"the database connection failed: {primary}")
    return StorageError(f"{type(error).__name__}: {primary}")


@contextmanager
def storage_errors() -> Iterator[None]:
    """Translate whatever the driver or the pool raises inside the block."""
    try:
        yield
    except psycopg.Error as error:
        raise storage_error(error) from None
    except sqlalchemy.exc.TimeoutError:
        raise PoolExhausted("no pooled connection came free in time") from None
    except sqlalchemy.exc.DBAPIError as error:
        if isinstance(error.orig, psycopg.Error):
            raise storage_error(error.orig) from None
        raise StorageError(f"the database driver failed: {type(error.orig).__name__}") from None
