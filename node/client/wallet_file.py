"""One encrypted file a wallet: `NAME.wallet`, mode 0600, replaced atomically, locked while open.

Layout (canonical encoding of `node.ledger.encoding`):

    domain "consortium/wallet" | version u16 = 1 | kind u8 (1 passphrase, 2 key file)
    scrypt: log2 N u8 | r u8 | p u8 (all zero for a key file) | salt 16 | nonce 12 | ciphertext

The key is scrypt (RFC 7914) of the passphrase or HKDF-SHA256 (RFC 5869) of the key file's 32
bytes; the contents are sealed with ChaCha20-Poly1305 (RFC 8439), everything before the ciphertext
is associated data. Each save draws a fresh nonce. A new file is written beside the old one,
flushed to disk and renamed over it, so a crash leaves the old or the new contents, never a mix.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from node.client.errors import (
    WalletCorrupt,
    WalletError,
    WalletExists,
    WalletLocked,
    WalletNameInvalid,
    WalletNotFound,
    WrongPassphrase,
)
from node.client.wallet_data import WalletData
from node.ledger.encoding import MalformedEncoding, Reader, Writer

FILE_DOMAIN = b"consortium/wallet"
FILE_VERSION = 1
KEY_FILE_INFO = b"consortium/wallet-key-file"
SUFFIX = ".wallet"
KEY_BYTES = 32
SALT_BYTES = 16
NONCE_BYTES = 12
MAX_FILE_BYTES = 1 << 30

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ScryptCost:
    """Cost of guessing a passphrase; stored in the file, so that it can be raised later."""

    log2_n: int = 15
    r: int = 8
    p: int = 3
    """N = 2^15, r = 8, p = 3 costs 32 MiB and some 0.2 s a guess, one of the settings that the
    OWASP password storage guidance calls equivalent."""

    def require_sane(self) -> None:
        """Raise `WalletCorrupt` for a cost no wallet is written with: a file must not hang us."""
        if not (10 <= self.log2_n <= 20 and 1 <= self.r <= 16 and 1 <= self.p <= 16):
            raise WalletCorrupt(f"scrypt cost {self} is out of range")


@dataclass(frozen=True, slots=True)
class Passphrase:
    """A secret that a person remembers."""

    text: str = field(repr=False)
    cost: ScryptCost = ScryptCost()


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A file of 32 random bytes in hexadecimal, for wallets that open unattended."""

    path: Path

    @staticmethod
    def create(path: Path) -> KeyFile:
        """Write a fresh key with mode 0600; raises FileExistsError rather than replace one."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(os.urandom(KEY_BYTES).hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
        return KeyFile(path)

    def read(self) -> bytes:
        """Return the 32 bytes; raises `WalletError` naming the file and what is wrong with it."""
        try:
            if stat.S_IMODE(self.path.stat().st_mode) & 0o077:
                raise WalletError(f"{self.path} is readable by others; set its mode to 0600")
            key = bytes.fromhex(self.path.read_text(encoding="ascii").strip())
        except FileNotFoundError as error:
            raise WalletError(f"key file {self.path} does not exist") from error
        except ValueError as error:
            raise WalletError(f"key file {self.path} is not hexadecimal") from error
        if len(key) != KEY_BYTES:
            raise WalletError(f"key file {self.path} does not hold {KEY_BYTES} bytes")
        return key


Secret = Passphrase | KeyFile


@dataclass(frozen=True, slots=True)
class _Envelope:
    """Everything in the file but the nonce and the ciphertext."""

    kind: int
    cost: ScryptCost | None
    salt: bytes

    def encode(self) -> bytes:
        cost = self.cost or ScryptCost(0, 0, 0)
        writer = Writer().blob(FILE_DOMAIN).u16(FILE_VERSION).u8(self.kind)
        return writer.u8(cost.log2_n).u8(cost.r).u8(cost.p).fixed(self.salt, SALT_BYTES).finish()


_PASSPHRASE_KIND = 1
_KEY_FILE_KIND = 2


def require_valid_name(name: str) -> str:
    """Return `name`; raises `WalletNameInvalid` unless it is a safe file name."""
    if not _NAME.fullmatch(name):
        raise WalletNameInvalid(
            f"{name!r}: a wallet's name has 1-63 of a-z, 0-9, '-' and '_', a letter or digit first"
        )
    return name


def list_wallets(directory: Path) -> tuple[str, ...]:
    """Return the names of the wallets in `directory`, sorted."""
    if not directory.is_dir():
        return ()
    names = (path.name.removesuffix(SUFFIX) for path in directory.glob(f"*{SUFFIX}"))
    return tuple(sorted(name for name in names if _NAME.fullmatch(name)))


class WalletFile:
    """An open wallet file: holds the lock and the derived key until `close`."""

    def __init__(self, path: Path, lock: int, envelope: _Envelope, key: bytes) -> None:
        self.path = path
        self._lock: int | None = lock
        self._envelope = envelope
        self._key = key
        self._writing = threading.Lock()
        """A save in a thread goes on when its task is cancelled; the next one waits for it."""

    def __repr__(self) -> str:
        return f"WalletFile({self.path.name!r})"

    @staticmethod
    def create(directory: Path, name: str, secret: Secret, contents: WalletData) -> WalletFile:
        """Create a wallet and leave it open; raises `WalletExists`, `WalletLocked`."""
        require_valid_name(name)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = directory / f"{name}{SUFFIX}"
        with _lock(path) as lock:
            if path.exists():
                raise WalletExists(f"wallet {name!r} already exists in {directory}")
            envelope = _new_envelope(secret)
            file = WalletFile(path, lock, envelope, _derive_key(secret, envelope))
            file.save(contents)
            return file

    @staticmethod
    def open(directory: Path, name: str, secret: Secret) -> tuple[WalletFile, WalletData]:
        """Open and decrypt a wallet.

        Raises `WalletNotFound`, `WalletLocked`, `WalletCorrupt`, `WrongPassphrase`.
        """
        require_valid_name(name)
        path = directory / f"{name}{SUFFIX}"
        if not path.exists():
            raise WalletNotFound(f"there is no wallet {name!r} in {directory}")
        with _lock(path) as lock:
            envelope, nonce, ciphertext = _read(path)
            key = _derive_key(secret, envelope)
            return WalletFile(path, lock, envelope, key), _decrypt(
                path, key, envelope, nonce, ciphertext
            )

    def save(self, contents: WalletData) -> None:
        """Replace the file by these contents; when this returns they are on disk."""
        plaintext = contents.encode()
        with self._writing:
            if self._lock is None:
                raise WalletError(f"{self.path.name} was closed")
            nonce = os.urandom(NONCE_BYTES)
            associated = self._envelope.encode()
            ciphertext = ChaCha20Poly1305(self._key).encrypt(nonce, plaintext, associated)
            _replace(self.path, associated + nonce + ciphertext)

    def change_secret(self, secret: Secret, contents: WalletData) -> None:
        """Encrypt under another passphrase or key file from now on, with a fresh salt."""
        envelope = _new_envelope(secret)
        key = _derive_key(secret, envelope)
        with self._writing:
            self._key, self._envelope = key, envelope
        self.save(contents)

    def close(self) -> None:
        """Release the lock and forget the key; closing twice is harmless."""
        with self._writing:
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None
                self._key = b""

    def __enter__(self) -> WalletFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[int]:
    """Hold the wallet's lock; it is released only if the block raises.

    The lock file stays: removing it would let two processes lock two different files.
    """
    descriptor = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise WalletLocked(
                f"wallet {path.stem!r} is open in another process; try again when it is done"
            ) from error
        yield descriptor
    except BaseException:
        os.close(descriptor)
        raise


def _new_envelope(secret: Secret) -> _Envelope:
    salt = os.urandom(SALT_BYTES)
    if isinstance(secret, Passphrase):
        if not secret.text:
            raise WalletError("an empty passphrase protects nothing")
        secret.cost.require_sane()
        return _Envelope(_PASSPHRASE_KIND, secret.cost, salt)
    return _Envelope(_KEY_FILE_KIND, None, salt)


def _derive_key(secret: Secret, envelope: _Envelope) -> bytes:
    if isinstance(secret, Passphrase):
        if envelope.cost is None:
            raise WrongPassphrase("this wallet opens with a key file, not with a passphrase")
        cost = envelope.cost
        derivation = Scrypt(envelope.salt, KEY_BYTES, 1 << cost.log2_n, cost.r, cost.p)
        return derivation.derive(secret.text.encode("utf-8"))
    if envelope.cost is not None:
        raise WrongPassphrase("this wallet opens with a passphrase, not with a key file")
    return HKDF(hashes.SHA256(), KEY_BYTES, envelope.salt, KEY_FILE_INFO).derive(secret.read())


def _read(path: Path) -> tuple[_Envelope, bytes, bytes]:
    if path.stat().st_size > MAX_FILE_BYTES:
        raise WalletCorrupt(f"{path} is larger than any wallet")
    data = path.read_bytes()
    reader = Reader(data)
    try:
        if reader.blob(len(FILE_DOMAIN)) != FILE_DOMAIN:
            raise WalletCorrupt(f"{path} is not a wallet")
        version = reader.u16()
        if version != FILE_VERSION:
            raise WalletCorrupt(f"{path} has version {version}; this program reads {FILE_VERSION}")
        kind = reader.u8()
        cost = ScryptCost(reader.u8(), reader.u8(), reader.u8())
        salt, nonce = reader.fixed(SALT_BYTES), reader.fixed(NONCE_BYTES)
    except MalformedEncoding as error:
        raise WalletCorrupt(f"{path} is cut short or is not a wallet") from error
    if kind not in (_PASSPHRASE_KIND, _KEY_FILE_KIND):
        raise WalletCorrupt(f"{path} has an unknown kind of secret, {kind}")
    if kind == _PASSPHRASE_KIND:
        cost.require_sane()
    elif cost != ScryptCost(0, 0, 0):
        raise WalletCorrupt(f"{path} opens with a key file but names a scrypt cost")
    envelope = _Envelope(kind, cost if kind == _PASSPHRASE_KIND else None, salt)
    return envelope, nonce, data[len(envelope.encode()) + NONCE_BYTES :]


def _decrypt(
    path: Path, key: bytes, envelope: _Envelope, nonce: bytes, ciphertext: bytes
) -> WalletData:
    try:
        plaintext = ChaCha20Poly1305(key).decrypt(nonce, ciphertext, envelope.encode())
    except InvalidTag:
        raise WrongPassphrase(
            f"{path.name} does not open: wrong passphrase or key file, or the file was altered"
        ) from None
    try:
        return WalletData.decode(plaintext)
    except MalformedEncoding as error:
        raise WalletCorrupt(f"{path} holds contents of another version: {error}") from error


def _replace(path: Path, data: bytes) -> None:
    new = path.with_suffix(".new")
    # Left over from a crash before the rename; the lock is ours, so nobody else is writing it.
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
