"""The writing side: what is in flight at this height, and how statements reach the disk.

A `Journal` repeats in memory the few facts of the database that every write needs. They are
loaded from the database, change only after a commit, and are loaded again after any failure, so
they never tell of something that is not on disk.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg

from node.ledger.blocks import Block
from node.ledger.encoding import MalformedEncoding
from node.ledger.state import LedgerState
from node.ledger.types import BlockId, Height, TransactionId
from node.storage.errors import BodyMissing, StoredDataCorrupt
from node.storage.writer import Writer

UPSERT_RECORD = """
INSERT INTO consensus_record (height, view, step, record) VALUES (%b, %b, %b, %b)
ON CONFLICT (singleton) DO UPDATE
SET height = excluded.height, view = excluded.view, step = excluded.step, record = excluded.record
"""
INSERT_BODY = "INSERT INTO consensus_bodies (block_id, height, block) VALUES (%b, %b, %b)"
COPY_BODIES = "COPY transaction_bodies (transaction_id, body) FROM STDIN (FORMAT BINARY)"
BODY_TYPES = ("bytea", "bytea")

SELECT_TIP = "SELECT block_hash, state, account_entry_count, treasury_count FROM ledger_state"
SELECT_HELD_BLOCKS = "SELECT block_id, block FROM consensus_bodies"
SELECT_STORED = "SELECT transaction_id FROM transaction_bodies WHERE transaction_id = ANY(%s)"


@dataclass
class Position:
    """Where the database stands: the tip, the next row numbers, and what the height has stored."""

    block_id: BlockId
    state: LedgerState
    account_entry_count: int
    treasury_count: int
    held_blocks: set[BlockId] = field(default_factory=set)
    """Blocks stored for this height's votes."""
    held_transactions: set[TransactionId] = field(default_factory=set)
    """Transactions whose bodies are stored for those blocks and are not sealed."""


class Journal:
    """Serialises writes and keeps the `Position` true to the database."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self._position: Position | None = None

    @asynccontextmanager
    async def write(self) -> AsyncIterator[tuple[psycopg.AsyncConnection, Position]]:
        """Yield session and position for one transaction; the body updates the position last."""
        async with self.writer.transaction() as connection:
            position = self._position or await load_position(connection)
            # Forgotten until the body is through: an outcome that is unknown is read again.
            self._position = None
            yield connection, position
            self._position = position

    async def persist_consensus(
        self,
        record: bytes,
        height: Height,
        view: int,
        step: int,
        bodies: Sequence[Block],
        transactions: Mapping[TransactionId, bytes],
    ) -> None:
        """See `Database.persist_consensus`."""
        async with self.write() as (connection, position):
            assert height == position.state.height + 1, "a statement is about the next block"
            new_blocks = {
                block.block_id: block
                for block in bodies
                if block.block_id not in position.held_blocks
            }
            new_transactions = {
                transaction_id: raw
                for transaction_id, raw in transactions.items()
                if transaction_id not in position.held_transactions
            }
            held = position.held_transactions | new_transactions.keys()
            require_bodies(new_blocks.values(), held)
            async with connection.pipeline():
                await connection.execute("BEGIN")
                await connection.execute(UPSERT_RECORD, (height, view, step, record), prepare=True)
                for block_id, block in new_blocks.items():
                    await connection.execute(
                        INSERT_BODY, (block_id, height, block.encode()), prepare=True
                    )
                if not new_transactions:
                    await connection.execute("COMMIT")
            if new_transactions:
                await copy_rows(connection, COPY_BODIES, BODY_TYPES, new_transactions.items())
                await connection.execute("COMMIT")
            position.held_blocks |= new_blocks.keys()
            position.held_transactions = held


def require_bodies(blocks: Iterable[Block], held: Collection[TransactionId]) -> None:
    """Raise `BodyMissing` unless every transaction of the blocks is held (BFT-12 D2)."""
    for block in blocks:
        for transaction_id in block.transaction_ids:
            if transaction_id not in held:
                raise BodyMissing(
                    f"transaction {transaction_id.hex()} of block {block.block_id.hex()}"
                    " is neither stored nor given"
                )


async def load_position(connection: psycopg.AsyncConnection) -> Position:
    """Read the position from the database; raises `StoredDataCorrupt`."""
    row = await _fetch_one(connection, SELECT_TIP)
    if row is None:
        raise StoredDataCorrupt("the ledger state row is missing")
    try:
        state = LedgerState.decode(row[1])
        held = await connection.execute(SELECT_HELD_BLOCKS)
        blocks = {BlockId(block_id): Block.decode(data) for block_id, data in await held.fetchall()}
    except MalformedEncoding as error:
        raise StoredDataCorrupt(f"stored bytes do not decode: {error}") from error
    named = {item for block in blocks.values() for item in block.transaction_ids}
    stored = await connection.execute(SELECT_STORED, [list(named)])
    return Position(
        block_id=BlockId(row[0]),
        state=state,
        account_entry_count=row[2],
        treasury_count=row[3],
        held_blocks=set(blocks),
        held_transactions={TransactionId(item) for (item,) in await stored.fetchall()},
    )


async def copy_rows(
    connection: psycopg.AsyncConnection,
    statement: str,
    types: Sequence[str],
    rows: Iterable[Sequence[Any]],
) -> None:
    """Send rows in PostgreSQL's binary COPY format: no parsing, one multi-row insertion."""
    cursor = connection.cursor()
    async with cursor.copy(statement) as copy:
        copy.set_types(types)
        for row in rows:
            await copy.write_row(row)


async def _fetch_one(connection: psycopg.AsyncConnection, statement: str) -> tuple[Any, ...] | None:
    cursor = await connection.execute(statement)
    return await cursor.fetchone()
