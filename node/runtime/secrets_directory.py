"""Key files of one bank: 32-byte secrets in hexadecimal, one a file, for its owner's eyes only."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from node.rpc import private_files
from node.rpc.private_files import write_private
from node.runtime.config import ConfigurationError

__all__ = ["BankSecrets", "load_bank_secrets", "read_private", "read_secret", "write_private"]

SECRET_BYTES = 32


def read_private(path: Path) -> bytes:
    """Read a private file; raises `ConfigurationError` if it is missing or others may read it."""
    try:
        return private_files.read_private(path)
    except private_files.PrivateFileUnusable as error:
        raise ConfigurationError(str(error)) from error


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
