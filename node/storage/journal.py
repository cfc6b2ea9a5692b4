"""The writing side: what is in flight at this height, and how statements reach the disk.

A `Journal` repeats in memory the few facts of the database that every write needs. They are
loaded from the database, change only after a commit, and are loaded again after any failure, so
they never tell of something that is not on disk.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg

from node.ledger.blocks import Block, Header
from node.ledger.encoding import MalformedEncoding
from node.ledger.offences import VerifiedEvidence
from node.ledger.state import LedgerState
from node.ledger.types import BankIndex, BlockId, Height, TransactionId
from node.storage.errors import BodyMissing, IntegrityViolation
from node.storage.evidence_store import insert_pending
from node.storage.row_digests import (
    WRITE_RECORD_IF_SOUND,
    TipDigests,
    require_seal,
    require_sound,
    row_of,
)
from node.storage.writer import Writer

INSERT_RECORD = """
INSERT INTO consensus_record (height, view, step, record, digest)
SELECT given.*, sha256(given.record)
FROM (SELECT %b::bigint AS height, %b::bigint AS view, %b::bigint AS step, %b::bytea AS record)
    AS given
"""
INSERT_BODY = "INSERT INTO consensus_bodies (block_id, height, block) VALUES (%b, %b, %b)"
COPY_BODIES = "COPY transaction_bodies (transaction_id, body) FROM STDIN (FORMAT BINARY)"
BODY_TYPES = ("bytea", "bytea")

SELECT_TIP = """
SELECT state.block_hash, state.state, state.account_entry_count, state.treasury_count,
       block.block_number, block.header, block.contents, block.seal, block.seal_digest,
       record.height, record.record, record.digest,
       EXISTS (SELECT FROM evidence WHERE status = 'pending')
FROM ledger_state AS state
LEFT JOIN blocks AS block ON block.block_hash = state.block_hash
LEFT JOIN consensus_record AS record ON true
"""
SELECT_HELD_BLOCKS = "SELECT block_id, block FROM consensus_bodies"
SELECT_STORED = "SELECT transaction_id FROM transaction_bodies WHERE transaction_id = ANY(%s)"


@dataclass
class Position:
    """Where the database stands: the tip, the next row numbers, and what the height has stored."""

    block_id: BlockId
    state: LedgerState
    account_entry_count: int
    treasury_count: int
    tip: TipDigests
    """What the rows of the tip must hash to."""
    record: bytes | None = None
    """SHA-256 of the consensus record."""
    held_blocks: dict[BlockId, bytes] = field(default_factory=dict)
    """Blocks stored for this height's votes, encoded."""
    held_transactions: set[TransactionId] = field(default_factory=set)
    """Transactions whose bodies are stored for those blocks and are not sealed."""
    pending_evidence: bool = False
    """Whether any item waits to be settled."""

    def row_digests(self) -> tuple[bytes | None, ...]:
        """What `row_digests.FOUND` must find."""
        return row_of(self.tip, self.record, self.held_blocks)


class Journal:
    """Serialises writes and keeps the `Position` true to the database."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self._position: Position | None = None
        self._last_tip: TipDigests | None = None
        """Outlives a failed write: rows that are read again are held to it."""

    @asynccontextmanager
    async def write(self) -> AsyncIterator[tuple[psycopg.AsyncConnection, Position]]:
        """Yield session and position for one transaction; the body updates the position last."""
        async with self.writer.transaction() as connection:
            position = self._position or await self._load(connection)
            # Forgotten until the body is through: an outcome that is unknown is read again.
            self._position = None
            yield connection, position
            self._position, self._last_tip = position, position.tip

    async def _load(self, connection: psycopg.AsyncConnection) -> Position:
        position = await load_position(connection)
        last = self._last_tip
        if last is not None and last.block_id == position.tip.block_id:
            found = row_of(position.tip, None, {})
            require_sound(found, row_of(last, None, {}), position.state.height)
        return position

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
            fresh = [block for block in bodies if block.block_id not in position.held_blocks]
            new_blocks = {block.block_id: block.encode() for block in fresh}
            new_transactions = {
                transaction_id: raw
                for transaction_id, raw in transactions.items()
                if transaction_id not in position.held_transactions
            }
            held = position.held_transactions | new_transactions.keys()
            require_bodies(fresh, held)
            expected = position.row_digests()
            async with connection.pipeline():
                await connection.execute("BEGIN")
                found = await connection.execute(
                    WRITE_RECORD_IF_SOUND,
                    (height, view, step, record, *expected),
                    prepare=True,
                    binary=True,
                )
                for block_id, encoded in new_blocks.items():
                    await connection.execute(INSERT_BODY, (block_id, height, encoded), prepare=True)
                if not new_transactions:
                    await connection.execute("COMMIT")
            row = await found.fetchone()
            assert row is not None, "the query always has one row"
            require_sound(row, expected, position.state.height)
            if new_transactions:
                await copy_rows(connection, COPY_BODIES, BODY_TYPES, new_transactions.items())
                await connection.execute("COMMIT")
            position.record = hashlib.sha256(record).digest()
            position.held_blocks |= new_blocks
            position.held_transactions = held

    async def add_evidence(self, evidence: VerifiedEvidence, source: BankIndex) -> bool:
        """See `Database.add_evidence`."""
        async with self.write() as (connection, position):
            is_new = await insert_pending(connection, evidence, source)
            position.pending_evidence = True
            return is_new


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
    """Read the position from the database; raises `IntegrityViolation`."""
    row = await _fetch_one(connection, SELECT_TIP)
    if row is None:
        raise IntegrityViolation("ledger_state", None, "the row is missing")
    block_id, state, account_entries, treasury, height, header, contents = row[:7]
    seal, seal_digest, record_height, record, record_digest, pending = row[7:]
    if header is None or hashlib.sha256(header).digest() != block_id:
        raise IntegrityViolation("blocks", height, "the header does not have the block's hash")
    require_seal(seal, seal_digest, height)
    if record is not None and hashlib.sha256(record).digest() != record_digest:
        raise IntegrityViolation(
            "consensus_record", record_height, "the record does not have the digest stored with it"
        )
    held_rows = await (await connection.execute(SELECT_HELD_BLOCKS)).fetchall()
    try:
        tip = Header.decode(header)
        blocks = {BlockId(held_id): Block.decode(data) for held_id, data in held_rows}
    except MalformedEncoding as error:
        raise IntegrityViolation(
            "consensus_bodies", height + 1, f"a held block does not decode: {error}"
        ) from error
    if hashlib.sha256(state).digest() != tip.post_state_root:
        raise IntegrityViolation(
            "ledger_state", height, "the state does not have the root that the header names"
        )
    if any(held_id != block.block_id for held_id, block in blocks.items()):
        raise IntegrityViolation("consensus_bodies", height + 1, "a held block has another hash")
    named = {item for block in blocks.values() for item in block.transaction_ids}
    stored = await connection.execute(SELECT_STORED, [list(named)])
    return Position(
        block_id=BlockId(block_id),
        state=LedgerState.decode(state),
        account_entry_count=account_entries,
        treasury_count=treasury,
        tip=TipDigests(
            block_id,
            hashlib.sha256(contents).digest(),
            seal_digest,
            tip.post_state_root,
        ),
        record=record_digest,
        held_blocks=dict(held_rows),
        held_transactions={TransactionId(item) for (item,) in await stored.fetchall()},
        pending_evidence=pending,
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
