"""A load test in one file: a funded ledger, and transactions that are proven already.

A load run should measure the ledger and not the prover, so `consortium load prepare` proves
beforehand. The transactions are independent of one another: no note is spent twice, every ring is
a bin that the funded ledger has closed. Any of them may be submitted, in any order, by anybody.

Layout (canonical encoding of `node.ledger.encoding`), every part bound by SHA-256:

    page of 4096 bytes: domain "consortium/workload" | version u16 = 1, or 2 if the ledger has grown
        notes | header | part lengths and digests | SHA-256 of all that stands before it | zero
        bytes
    digests: SHA-256 of each run of 256 transactions
    transactions: each `transaction_bytes` long
    archive: parts with their lengths as u32, which hold the funded ledger and the secrets of its
        banks (`node.runtime.ledger_archive`)

Page, digests and the file's length are checked when the file is opened; a run of transactions when
one of it is first read, so that a million of them cost neither time nor memory. The archive holds
private keys: the file's mode is 0600, and nobody's money may ever depend on these keys.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from crypto.layout import MAX_TRANSACTION_BYTES
from crypto.transaction import transaction_id as hash_transaction
from node.client.errors import ClientError
from node.ledger.encoding import MalformedEncoding, Reader, Writer
from node.ledger.types import HASH_BYTES, TransactionId

__all__ = [
    "LOCAL",
    "WIDE",
    "Workload",
    "WorkloadHeader",
    "WorkloadInvalid",
    "WorkloadWriter",
    "open_workload",
]

LOCAL = "local"
"""At most eight bins in every run of a hundred transactions."""
WIDE = "wide"
"""Every transaction of a run of a hundred spends from another bin."""
LOADED_VIEW_TIMEOUT_MS = 10_000
"""T0 where one machine carries all banks at full load: ten times an undisturbed full block there
(BFT-12 section 7). With the 2 s of a consortium at rest, views end while banks still verify what
all of them must verify first, and each such view costs what the next one lacks."""
MAX_VIEW_TIMEOUT_MS = 600_000

DOMAIN = "consortium/workload"
VERSION = 1
GROWN_VERSION = 2
"""Its header ends with the number of grown notes, which is not 0."""
PAGE_BYTES = 4096
RUN = 256
"""Transactions under one digest."""
PRIVATE_MODE = 0o600

_MAX_NAME = 64
_MAX_COUNT = 1 << 32
_LENGTH_BYTES = 4
_READ_BYTES = 1 << 24


class WorkloadInvalid(ClientError):
    """The file is no workload, cut short, altered, or of an unknown version."""


@dataclass(frozen=True, slots=True)
class WorkloadHeader:
    """What a report says about the load it was measured with."""

    chain_id: bytes
    """Of the funded ledger, 32 bytes."""
    name: str
    """`LOCAL` or `WIDE`."""
    ring_base: int
    bank_count: int
    transaction_count: int
    bins: int
    """That the transactions spend from."""
    bins_per_block: int
    """The most that a run of a hundred transactions (`Parameters.batch_limit`) touches."""
    funded_height: int
    """Of the last block of the funded ledger."""
    asset_code: str
    transaction_bytes: int
    """Of each."""
    expiry: int
    """The last height at which the transactions are valid."""
    grown_notes: int = 0
    """Notes of a past that is in the ledger and not in the file (`node.runtime.ledger_growth`),
    nearly all of them spent."""

    @property
    def version(self) -> int:
        """Of the file's layout."""
        return GROWN_VERSION if self.grown_notes else VERSION

    def write(self, writer: Writer) -> Writer:
        """Append the canonical encoding: the fields in the order of this class."""
        writer = (
            writer.fixed(self.chain_id, HASH_BYTES)
            .text(self.name)
            .u8(self.ring_base)
            .u8(self.bank_count)
            .u64(self.transaction_count)
            .u64(self.bins)
            .u32(self.bins_per_block)
            .u64(self.funded_height)
            .text(self.asset_code)
            .u32(self.transaction_bytes)
            .u64(self.expiry)
        )
        return writer.u64(self.grown_notes) if self.grown_notes else writer

    @staticmethod
    def read(reader: Reader, version: int) -> WorkloadHeader:
        """Read what `write` gave; raises `MalformedEncoding`."""
        return WorkloadHeader(
            chain_id=reader.fixed(HASH_BYTES),
            name=reader.text(_MAX_NAME),
            ring_base=reader.u8(),
            bank_count=reader.u8(),
            transaction_count=reader.u64(),
            bins=reader.u64(),
            bins_per_block=reader.u32(),
            funded_height=reader.u64(),
            asset_code=reader.text(_MAX_NAME),
            transaction_bytes=reader.u32(),
            expiry=reader.u64(),
            grown_notes=reader.u64() if version == GROWN_VERSION else 0,
        )


@dataclass(frozen=True, slots=True)
class _Page:
    header: WorkloadHeader
    digests_digest: bytes
    archive_bytes: int
    archive_digest: bytes

    @property
    def run_count(self) -> int:
        return -(-self.header.transaction_count // RUN)

    @property
    def transactions_at(self) -> int:
        return PAGE_BYTES + HASH_BYTES * self.run_count

    @property
    def archive_at(self) -> int:
        header = self.header
        return self.transactions_at + header.transaction_count * header.transaction_bytes

    @property
    def file_bytes(self) -> int:
        return self.archive_at + self.archive_bytes

    def encode(self) -> bytes:
        writer = self.header.write(Writer().text(DOMAIN).u16(self.header.version))
        body = (
            writer.fixed(self.digests_digest, HASH_BYTES)
            .u64(self.archive_bytes)
            .fixed(self.archive_digest, HASH_BYTES)
            .finish()
        )
        return (body + hashlib.sha256(body).digest()).ljust(PAGE_BYTES, b"\0")

    @staticmethod
    def decode(page: bytes) -> _Page:
        reader = Reader(page)
        if reader.text(len(DOMAIN)) != DOMAIN:
            raise MalformedEncoding("it is no workload")
        version = reader.u16()
        if version not in (VERSION, GROWN_VERSION):
            raise MalformedEncoding(
                f"it is a workload of version {version}, not {VERSION} or {GROWN_VERSION}"
            )
        found = _Page(
            WorkloadHeader.read(reader, version),
            digests_digest=reader.fixed(HASH_BYTES),
            archive_bytes=reader.u64(),
            archive_digest=reader.fixed(HASH_BYTES),
        )
        # One value has one page: its digest and the padding are compared with it.
        if found.encode() != page:
            raise MalformedEncoding("its first page was altered")
        header = found.header
        if (
            header.name not in (LOCAL, WIDE)
            or header.transaction_count > _MAX_COUNT
            or not 1 <= header.transaction_bytes <= MAX_TRANSACTION_BYTES
        ):
            raise MalformedEncoding("its header is out of range")
        return found


class Workload:
    """An open workload file; `with open_workload(path) as workload:`.

    May be read by threads and by forked processes at the same time.
    """

    def __init__(self, path: Path, page: _Page, descriptor: int) -> None:
        """`descriptor` is of the open file, and belongs to this object from now on."""
        self.path = path
        self.header = page.header
        self._page = page
        # Not mapped: what was read would count as memory of the load for as long as it runs.
        self._descriptor = descriptor
        self._digests = self._read(PAGE_BYTES, page.transactions_at)
        self._sound: set[int] = set()

    def __len__(self) -> int:
        return self.header.transaction_count

    def __getitem__(self, index: int) -> bytes:
        """Return the canonical bytes of a transaction; raises `WorkloadInvalid`, IndexError."""
        if not 0 <= index < len(self):
            raise IndexError(f"the workload has transactions 0 to {len(self) - 1}, not {index}")
        run = index // RUN
        if run not in self._sound:
            self._check_run(run)
        return self._transactions(index, index + 1)

    def transaction_id(self, index: int) -> TransactionId:
        """Return the id of a transaction; raises as indexing does."""
        return TransactionId(hash_transaction(self[index]))

    def transactions(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield canonical bytes in file order; raises `WorkloadInvalid`."""
        for index in range(start, len(self) if stop is None else min(stop, len(self))):
            yield self[index]

    def archive(self) -> Iterator[bytes]:
        """Yield the parts of the funded ledger with its secrets, all checked before the first.

        Raises `WorkloadInvalid`, also if others may read the file.
        """
        mode = stat.S_IMODE(self.path.stat().st_mode)
        if mode & 0o077:
            raise WorkloadInvalid(
                f"{self.path} holds private keys and may be read by others (mode {mode:04o}); "
                f"run `chmod 600 {self.path}`"
            )
        self._check_archive()
        return self._parts()

    def verify(self) -> None:
        """Check every byte now; raises `WorkloadInvalid`."""
        for run in range(self._page.run_count):
            self._check_run(run)
        self._check_archive()

    def close(self) -> None:
        """Release the file; nothing may be read after that."""
        os.close(self._descriptor)

    def __enter__(self) -> Workload:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _transactions(self, start: int, stop: int) -> bytes:
        at, length = self._page.transactions_at, self.header.transaction_bytes
        return self._read(at + start * length, at + stop * length)

    def _read(self, start: int, stop: int) -> bytes:
        """Return the bytes of the file from `start` to `stop`, both within it."""
        parts = []
        while start < stop:
            part = os.pread(self._descriptor, stop - start, start)
            if not part:
                raise self._altered("its end")
            parts.append(part)
            start += len(part)
        return b"".join(parts)

    def _check_run(self, run: int) -> None:
        raw = self._transactions(run * RUN, min((run + 1) * RUN, len(self)))
        expected = self._digests[run * HASH_BYTES : (run + 1) * HASH_BYTES]
        if hashlib.sha256(raw).digest() != expected:
            raise self._altered(f"run {run} of its transactions")
        self._sound.add(run)

    def _check_archive(self) -> None:
        digest = hashlib.sha256()
        for at in range(self._page.archive_at, self._page.file_bytes, _READ_BYTES):
            digest.update(self._read(at, min(at + _READ_BYTES, self._page.file_bytes)))
        if digest.digest() != self._page.archive_digest:
            raise self._altered("its funded ledger")

    def _parts(self) -> Iterator[bytes]:
        at, end = self._page.archive_at, self._page.file_bytes
        while at < end:
            length = int.from_bytes(self._read(at, at + _LENGTH_BYTES), "big")
            at += _LENGTH_BYTES + length
            if at > end:
                raise self._altered("the list of parts of its funded ledger")
            yield self._read(at - length, at)

    def _altered(self, what: str) -> WorkloadInvalid:
        return WorkloadInvalid(
            f"{self.path}: {what} was altered; make the file again with `consortium load prepare`"
        )


def open_workload(path: Path) -> Workload:
    """Open a workload file; raises `WorkloadInvalid` if it is missing, cut short or altered."""
    try:
        with path.open("rb") as file:
            page = _Page.decode(file.read(PAGE_BYTES))
            found = os.fstat(file.fileno()).st_size
            if found != page.file_bytes:
                raise MalformedEncoding(f"it has {found} bytes, not {page.file_bytes}")
            descriptor = os.dup(file.fileno())
    except OSError as error:
        raise WorkloadInvalid(f"{path} cannot be read: {error.strerror}") from error
    except MalformedEncoding as error:
        raise WorkloadInvalid(
            f"{path}: {error}; `consortium load prepare` makes a workload"
        ) from error
    workload = Workload(path, page, descriptor)
    if hashlib.sha256(workload._digests).digest() != page.digests_digest:
        workload.close()
        raise workload._altered("its list of digests")
    return workload


class WorkloadWriter:
    """A workload file in the making: mode 0600, there whole or not at all.

    `with WorkloadWriter(path, count, transaction_bytes) as writer:`, then `append` for the parts
    of the archive in order, `put` for the transactions in any order, and `finish`; without it
    nothing stays. All raise OSError.
    """

    def __init__(self, path: Path, transaction_count: int, transaction_bytes: int) -> None:
        self._path = path
        self._temporary = path.with_name(path.name + ".new")
        self._count = transaction_count
        self._length = transaction_bytes
        self._transactions_at = PAGE_BYTES + HASH_BYTES * -(-transaction_count // RUN)
        self._missing = bytearray(b"\1" * transaction_count)
        self._archive = hashlib.sha256()
        self._archive_bytes = 0
        self._finished = False
        descriptor = os.open(self._temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC, PRIVATE_MODE)
        os.fchmod(descriptor, PRIVATE_MODE)
        self._file = os.fdopen(descriptor, "w+b")

    def append(self, part: bytes) -> None:
        """Add one part to the archive."""
        self._file.seek(self._transactions_at + self._count * self._length + self._archive_bytes)
        for piece in (Writer().u32(len(part)).finish(), part):
            self._file.write(piece)
            self._archive.update(piece)
            self._archive_bytes += len(piece)

    def put(self, index: int, transaction: bytes) -> None:
        """Write the transaction that stands at this place."""
        assert len(transaction) == self._length, "all transactions have one length"
        assert self._missing[index], "one transaction a place"
        self._missing[index] = 0
        self._file.seek(self._transactions_at + index * self._length)
        self._file.write(transaction)

    def finish(self, header: WorkloadHeader) -> None:
        """Write the digests and the first page, and give the file its name."""
        assert not any(self._missing), "every place was written"
        assert header.transaction_count == self._count, "the header counts the transactions"
        assert header.transaction_bytes == self._length, "the header knows their length"
        self._file.seek(self._transactions_at)
        digests = b"".join(
            hashlib.sha256(self._file.read(min(RUN, self._count - first) * self._length)).digest()
            for first in range(0, self._count, RUN)
        )
        page = _Page(
            header, hashlib.sha256(digests).digest(), self._archive_bytes, self._archive.digest()
        )
        self._file.seek(0)
        self._file.write(page.encode() + digests)
        self._file.flush()
        os.fsync(self._file.fileno())
        os.replace(self._temporary, self._path)
        self._finished = True

    def __enter__(self) -> WorkloadWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()
        if not self._finished:
            self._temporary.unlink(missing_ok=True)
