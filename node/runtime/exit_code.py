"""How a node's process ended: what its operator, or the supervisor, does next depends on it."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """How a node's process ended."""

    STOPPED = 0
    """As asked."""
    CONFIGURATION = 2
    """The configuration, a key, a certificate or the genesis cannot be used."""
    UNSAFE = 3
    """Going on would not be safe: another node holds the key, or stored data is corrupt."""
    DEFECT = 70
    """A broken invariant of ours; the log has the details."""
    DATABASE = 75
    """The database is not there; starting again can help."""
