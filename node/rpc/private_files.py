"""Files of TLS material: replaced whole or not at all, keys readable by their owner only."""

from __future__ import annotations

import os
import stat
from pathlib import Path

PRIVATE_MODE = 0o600
PUBLIC_MODE = 0o644


class PrivateFileUnusable(Exception):
    """A private file is missing, unreadable or readable by others; the message names it."""


def write_private(path: Path, content: bytes) -> None:
    """Write `content` durably with mode 0600, replacing an existing file whole."""
    _replace(path, content, PRIVATE_MODE)


def write_public(path: Path, content: bytes) -> None:
    """Write `content` durably with mode 0644, replacing an existing file whole."""
    _replace(path, content, PUBLIC_MODE)


def read_private(path: Path) -> bytes:
    """Read a private file; raises `PrivateFileUnusable`, also if others may read it."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        content = path.read_bytes()
    except OSError as error:
        raise PrivateFileUnusable(f"{path}: {error.strerror}") from error
    if mode & 0o077:
        raise PrivateFileUnusable(
            f"{path} may be read by others (mode {mode:04o}); run `chmod 600 {path}`"
        )
    return content


def _replace(path: Path, content: bytes, mode: int) -> None:
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        os.fchmod(descriptor, mode)
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.write(content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(temporary, path)
