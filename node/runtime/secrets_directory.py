"""Key files of one bank: 32-byte secrets in hexadecimal, one a file, for its owner's eyes only."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from node.runtime.config import ConfigurationError

SECRET_MODE = 0o600
SECRET_BYTES = 32


def write_private(path: Path, content: bytes) -> None:
    """Create `path` with mode 0600 and `content`, durably; an existing file is replaced whole."""
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, SECRET_MODE)
    try:
        os.fchmod(descriptor, SECRET_MODE)
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(temporary, path)


def read_private(path: Path) -> bytes:
    """Read a private file; raises `ConfigurationError` if it is missing or others may read it."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    if mode & 0o077:
        raise ConfigurationError(
            f"{path} may be read by others (mode {mode:04o}); run `chmod 600 {path}`"
        )
    return content


def read_secret(path: Path) -> bytes:
    """Read a 32-byte hexadecimal secret; the error never shows what the file holds."""
    try:
        secret = bytes.fromhex(read_private(path).decode("ascii").strip())
    except ValueError:
        raise ConfigurationError(f"{path} is not a hexadecimal key") from None
    if len(secret) != SECRET_BYTES:
        raise ConfigurationError(f"{path} must hold {SECRET_BYTES} bytes, not {len(secret)}")
    return secret


@dataclass(frozen=True, slots=True)
class BankSecrets:
    """The secrets that a running node needs; they never appear in a repr."""

    consensus: bytes = field(repr=False)
    """Ed25519 seed of the consensus key."""
    ballot: bytes = field(repr=False)
    """Ballot key x (IDX1 9.1), 32 bytes little-endian."""


def load_bank_secrets(directory: Path) -> BankSecrets:
    """Load what the node signs with; the issuing key stays with the operator's commands."""
    return BankSecrets(
        consensus=read_secret(directory / "consensus.key"),
        ballot=read_secret(directory / "ballot.key"),
    )
