"""Sealed blocks from the database, in the shape in which they travel."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager

from node.ledger.types import Height
from node.rpc.backend import BeforeSnapshot
from node.storage.database import Database
from node.storage.errors import BeforeSnapshot as BeforeStoredSnapshot
from node.storage.records import StoredBlock as DatabaseBlock
from node.wire.records import StoredBlock

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


async def as_wire_block(
    database: Database, stored: DatabaseBlock, include_transactions: bool
) -> StoredBlock:
    """Return the block as clients get it; genesis is a header alone."""
    if stored.height == 0:
        return StoredBlock(header=stored.header, block=b"", seal=b"")
    transactions: tuple[bytes, ...] = ()
    if include_transactions:
        transactions = await database.block_transactions(stored.height)
    return StoredBlock(stored.header, stored.encoded, stored.seal, transactions)
