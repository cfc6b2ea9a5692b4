"""What can go wrong with the embedded PostgreSQL server; each error names whose move it is."""

from __future__ import annotations

from pathlib import Path


class PostgresError(Exception):
    """Base of all errors of the embedded server. The message is fit for an operator to read."""


class PostgresBinariesMissing(PostgresError):
    """The server programs are not installed, or the server's user cannot run them."""


class PostgresDirectoryRefused(PostgresError):
    """The data directory cannot be used as it is: permissions, foreign content, lost password."""


class PostgresVersionMismatch(PostgresError):
    """The data directory was written by another major version of PostgreSQL."""

    def __init__(self, directory: Path, found: str, expected: str) -> None:
        super().__init__(
            f"{directory} was written by PostgreSQL {found}; the installed programs are "
            f"{expected}. Dump its databases with PostgreSQL {found} and load them into a new "
            "data directory, or start with another data directory."
        )
        self.directory = directory
        self.found = found
        self.expected = expected


class PostgresInitialisationFailed(PostgresError):
    """initdb did not make a cluster; `output` holds what it said."""

    def __init__(self, reason: str, output: str) -> None:
        super().__init__(f"PostgreSQL could not be initialised: {reason}\n{output}".rstrip())
        self.output = output


class PostgresStartFailed(PostgresError):
    """The server did not come up; `log_tail` holds the last lines of its log."""

    def __init__(self, reason: str, log_tail: str) -> None:
        super().__init__(f"PostgreSQL did not start: {reason}\n{log_tail}".rstrip())
        self.reason = reason
        self.log_tail = log_tail


class PostgresStopFailed(PostgresError):
    """Processes of the server are still there after every signal."""


class PostgresNotRunning(PostgresError):
    """A call that needs the running server came before `start` or after `stop`."""


class PostgresBusy(PostgresError):
    """Another process has been starting or stopping the same server for too long."""
