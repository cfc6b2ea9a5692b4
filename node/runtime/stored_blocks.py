"""Sealed blocks from the database, in the shapes in which they travel (BFT-12 section 17)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager

from node.consensus.certificates import Seal
from node.ledger.encoding import MalformedEncoding
from node.ledger.types import Height
from node.rpc.backend import BeforeSnapshot
from node.storage.database import Database
from node.storage.errors import BeforeSnapshot as BeforeStoredSnapshot
from node.storage.records import StoredBlock as DatabaseBlock
from node.storage.records import StoredSetChange
from node.wire.records import PublishedBlock, PublishedSetChange, StoredBlock

PAGE_BLOCKS = 20
PAGE_BYTES = 2 << 20


@contextmanager
def naming_the_snapshot() -> Iterator[None]:
    """Answer a question about what is older than this bank's ledger by saying so."""
    try:
        yield
    except BeforeStoredSnapshot as error:
        raise BeforeSnapshot(str(error), Height(error.first_height)) from error


async def stored_blocks(
    database: Database, from_height: Height, to_height: Height
) -> AsyncGenerator[DatabaseBlock, None]:
    """Yield the blocks from one height to another, both included, in order."""
    height = from_height
    while height <= to_height:
        with naming_the_snapshot():
            page = await database.blocks(height, limit=PAGE_BLOCKS, max_bytes=PAGE_BYTES)
        if not page:
            return
        for stored in page:
            if stored.height > to_height:
                return
            yield stored
        height = Height(page[-1].height + 1)


async def published_block(
    database: Database, stored: DatabaseBlock, include_transactions: bool
) -> PublishedBlock:
    """Return the block as anybody gets it, without the signatures in its seal.

    Genesis is a header alone. Raises `IntegrityViolation` for a seal that is none any more.
    """
    if stored.height == 0:
        return PublishedBlock(header=stored.header, block=b"", certificate=b"")
    transactions: tuple[bytes, ...] = ()
    if include_transactions:
        transactions = await database.block_transactions(stored.height)
    certificate = published_certificate(database, stored.height, stored.seal)
    return PublishedBlock(stored.header, stored.encoded, certificate, transactions)


def published_certificate(database: Database, height: Height, seal: bytes) -> bytes:
    """Return the ballot certificate of the seal stored for a height; empty for genesis.

    Raises `IntegrityViolation` for a seal that is none any more.
    """
    if height == 0:
        return b""
    try:
        return Seal.decode(seal).published().encode()
    except MalformedEncoding as error:
        raise database.seal_damaged(height, str(error)) from error


def published_seal(seal: bytes) -> bytes:
    """Return the ballot certificate of a canonical seal; empty at height 0.

    Raises `MalformedEncoding`.
    """
    return Seal.decode(seal).published().encode() if seal else b""


def published_set_change(database: Database, stored: StoredSetChange) -> PublishedSetChange:
    """Return a change of the active set as anybody gets it; raises `IntegrityViolation`."""
    certificate = published_certificate(database, stored.height, stored.seal)
    return PublishedSetChange(stored.header, certificate, stored.active_set)


def sealed_block(stored: DatabaseBlock) -> StoredBlock:
    """Return the block as other banks get it, whole but for the bodies of its transactions."""
    if stored.height == 0:
        return StoredBlock(header=stored.header, block=b"", seal=b"")
    return StoredBlock(stored.header, stored.encoded, stored.seal)
