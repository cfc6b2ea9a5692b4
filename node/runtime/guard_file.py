"""The rollback guard: a monotone record, outside the database, of the last thing signed.

BFT-12 D4. Written and fsynced after the database commit and before the first byte is sent. If it
is ahead of the database at start, the database was restored or lost its tail, and the bank must
not sign until it has reached a sealed height beyond the guard's.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

OWNER_BYTES = 16
_LAYOUT = struct.Struct(">8s16sQIIQ")
"""Magic, owner, height u64, view u32, step u32, CRC-32 of what stands before it as u64."""
_MAGIC = b"BFT12GR2"
_OWNER_DOMAIN = b"consortium/guard/2"


class GuardCorrupt(Exception):
    """The guard file exists but cannot be trusted; the bank must not sign."""


class GuardForeign(GuardCorrupt):
    """The guard file belongs to another key or another chain."""


class GuardLocked(Exception):
    """Another process holds the guard file: two nodes with one key must not run (BFT-12 D5)."""


@dataclass(frozen=True, slots=True, order=True)
class SignaturePoint:
    """Position of a signature in a bank's life: ordered by height, then view, then step."""

    height: int
    view: int
    step: int


def guard_owner(chain_id: bytes, consensus_key: bytes) -> bytes:
    """Return the 16 bytes that tell whose signatures on which chain a guard file is about."""
    return hashlib.sha256(_OWNER_DOMAIN + chain_id + consensus_key).digest()[:OWNER_BYTES]


class GuardFile:
    """Holds an exclusive lock on the file for the life of the node."""

    def __init__(self, path: Path, owner: bytes) -> None:
        """Open and lock; `owner` is `guard_owner(...)`.

        Raises `GuardLocked`, `GuardCorrupt`, or `GuardForeign` for another owner's.
        """
        assert len(owner) == OWNER_BYTES, "an owner is a hash"
        self._path = path
        self._owner = owner
        path.parent.mkdir(parents=True, exist_ok=True)
        self.is_new = not path.exists()
        """Whether there was no file: right for a bank's first start, and at no other time."""
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            raise GuardLocked(f"{path} is locked by another running node") from error
        try:
            self._last = self._read()
        except GuardCorrupt:
            os.close(self._descriptor)
            raise

    @property
    def last(self) -> SignaturePoint | None:
        """The last recorded point, or None before the first signature."""
        return self._last

    def _read(self) -> SignaturePoint | None:
        content = os.pread(self._descriptor, _LAYOUT.size + 1, 0)
        if not content:
            return None
        if len(content) != _LAYOUT.size:
            raise GuardCorrupt(f"{self._path} has {len(content)} bytes, not {_LAYOUT.size}")
        magic, owner, height, view, step, checksum = _LAYOUT.unpack(content)
        if magic != _MAGIC or checksum != zlib.crc32(content[:-8]):
            raise GuardCorrupt(f"{self._path} fails its checksum")
        if owner != self._owner:
            raise GuardForeign(f"{self._path} is the guard file of another bank or chain")
        return SignaturePoint(height, view, step)

    def advance(self, point: SignaturePoint) -> None:
        """Record `point` durably; a point that is not later than the last one is a no-op."""
        if self._last is not None and point <= self._last:
            return
        body = _LAYOUT.pack(_MAGIC, self._owner, point.height, point.view, point.step, 0)[:-8]
        os.pwrite(self._descriptor, body + zlib.crc32(body).to_bytes(8, "big"), 0)
        # One write of less than a sector: a torn write fails the checksum and stops the bank.
        os.fsync(self._descriptor)
        if self._last is None:
            # The first time, the file's name must be on disk too.
            self._sync_directory()
        self._last = point

    def _sync_directory(self) -> None:
        directory = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def withdraw(self) -> None:
        """Remove a file that should not have been missing: the next start must miss it too."""
        assert self.is_new and self._last is None, "only what this process made is removed"
        self._path.unlink()

    def close(self) -> None:
        os.close(self._descriptor)
