"""Blocks, transactions and the tip, read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import select

from node.ledger.blocks import Block, Header
from node.ledger.encoding import MalformedEncoding
from node.ledger.state import LedgerState
from node.ledger.types import BlockId, Height, TimeMs, TransactionId
from node.storage.errors import NotFound, StoredDataCorrupt
from node.storage.reading import (
    MAX_BIGINT,
    MAX_KEYS,
    AnyRow,
    AnySelect,
    Reader,
    page_size,
    storable,
)
from node.storage.records import StoredBlock, StoredConsensus, StoredTransaction, Tip
from node.storage.tables import (
    BlockRow,
    ConsensusBody,
    ConsensusRecord,
    LedgerStateRow,
    TransactionBody,
    TransactionRow,
)

BLOCK_COLUMNS = (
    BlockRow.block_hash,
    BlockRow.block_number,
    BlockRow.header,
    BlockRow.contents,
    BlockRow.seal,
)


class ChainReader(Reader):
    """Questions about the chain itself."""

    async def load_tip(self) -> Tip:
        """Return the last applied block and its state; raises `StoredDataCorrupt`."""
        rows = await self._rows(
            select(BlockRow.header, BlockRow.seal, LedgerStateRow.state).join_from(
                LedgerStateRow, BlockRow
            )
        )
        if len(rows) != 1:
            raise StoredDataCorrupt("the ledger state row is missing")
        header_bytes, seal, state_bytes = rows[0]
        try:
            tip = Tip(Header.decode(header_bytes), LedgerState.decode(state_bytes), seal or b"")
        except MalformedEncoding as error:
            raise StoredDataCorrupt(f"the tip does not decode: {error}") from error
        if tip.header.post_state_root != tip.state.root():
            raise StoredDataCorrupt(
                f"the stored state is not the one that block {tip.header.height} commits to"
            )
        return tip

    async def load_consensus(self) -> StoredConsensus | None:
        """Return what was made durable at this height, None if nothing was (BFT-12 D3)."""
        async with self._snapshot() as connection:
            record = (
                await connection.execute(
                    select(
                        ConsensusRecord.record,
                        ConsensusRecord.height,
                        ConsensusRecord.view,
                        ConsensusRecord.step,
                    )
                )
            ).one_or_none()
            if record is None:
                return None
            bodies = (
                await connection.execute(
                    select(ConsensusBody.block).order_by(ConsensusBody.block_id)
                )
            ).scalars()
            try:
                blocks = tuple([Block.decode(data) for data in bodies])
            except MalformedEncoding as error:
                raise StoredDataCorrupt(f"a held block does not decode: {error}") from error
        return StoredConsensus(record[0], Height(record[1]), record[2], record[3], blocks)

    async def blocks(
        self, from_height: int, limit: int, max_bytes: int = 2 << 20
    ) -> tuple[StoredBlock, ...]:
        """Return consecutive blocks from a height on: at least one if it is there, at most `limit`
        and `max_bytes` of encoded blocks and seals (BFT-12 section 11)."""
        first = min(from_height, MAX_BIGINT)
        rows = await self._rows(
            select(*BLOCK_COLUMNS)
            .where(BlockRow.block_number >= first)
            .order_by(BlockRow.block_number)
            .limit(page_size(limit))
        )
        taken: list[StoredBlock] = []
        size = 0
        for block in map(_stored_block, rows):
            size += len(block.header) + len(block.contents) + len(block.seal)
            if taken and size > max_bytes:
                break
            taken.append(block)
        return tuple(taken)

    async def block_by_height(self, height: int) -> StoredBlock:
        """Return the block at a height, genesis at 0; raises `NotFound`."""
        statement = select(*BLOCK_COLUMNS).where(
            BlockRow.block_number == (height if 0 <= height <= MAX_BIGINT else -1)
        )
        return await self._block(statement, f"no block at height {height}")

    async def block_by_id(self, block_id: bytes) -> StoredBlock:
        """Return the block of an id; raises `NotFound`."""
        statement = select(*BLOCK_COLUMNS).where(BlockRow.block_hash == block_id)
        return await self._block(statement, f"no block {block_id.hex()}")

    async def held_block(self, block_id: bytes) -> bytes:
        """Return the canonical block held for a vote at this height; raises `NotFound`."""
        rows = await self._rows(
            select(ConsensusBody.block).where(ConsensusBody.block_id == block_id)
        )
        if not rows:
            raise NotFound(f"block {block_id.hex()} is not held")
        return bytes(rows[0][0])

    async def block_ids(self, from_height: int, limit: int) -> tuple[BlockId, ...]:
        """Return ids of consecutive blocks from a height on."""
        rows = await self._rows(
            select(BlockRow.block_hash)
            .where(BlockRow.block_number >= min(from_height, MAX_BIGINT))
            .order_by(BlockRow.block_number)
            .limit(page_size(limit))
        )
        return tuple([BlockId(row[0]) for row in rows])

    async def transaction(self, transaction_id: bytes) -> StoredTransaction:
        """Return where a transaction is sealed; raises `NotFound`."""
        rows = await self._rows(
            _transactions().where(TransactionRow.transaction_id == transaction_id)
        )
        if not rows:
            raise NotFound(f"no sealed transaction {transaction_id.hex()}")
        return _stored_transaction(rows[0])

    async def transactions(self, from_sequence: int, limit: int) -> tuple[StoredTransaction, ...]:
        """Return sealed transactions in ledger order from a sequence number on."""
        rows = await self._rows(
            _transactions()
            .where(TransactionRow.sequence_number >= min(from_sequence, MAX_BIGINT))
            .order_by(TransactionRow.sequence_number)
            .limit(page_size(limit))
        )
        return tuple([_stored_transaction(row) for row in rows])

    async def leaf_hashes(self, height: int) -> tuple[bytes, ...]:
        """Return the leaves of a block's Merkle tree in order (IDX1 11.1); empty if no block."""
        rows = await self._rows(
            select(TransactionRow.leaf_hash)
            .where(TransactionRow.batch_id.in_(storable([height])))
            .order_by(TransactionRow.position)
        )
        return tuple([row[0] for row in rows])

    async def block_transactions(self, height: int) -> tuple[bytes, ...]:
        """Return the bodies of a block's transactions in order; empty if no block."""
        rows = await self._rows(
            select(TransactionBody.body)
            .join_from(TransactionRow, TransactionBody)
            .where(TransactionRow.batch_id.in_(storable([height])))
            .order_by(TransactionRow.position)
        )
        return tuple([row[0] for row in rows])

    async def transaction_bodies(
        self, transaction_ids: Sequence[bytes]
    ) -> Mapping[TransactionId, bytes]:
        """Return the bodies that are stored, sealed or held for a vote, by id."""
        assert len(transaction_ids) <= MAX_KEYS, f"{len(transaction_ids)} keys in one call"
        rows = await self._rows(
            select(TransactionBody.transaction_id, TransactionBody.body).where(
                TransactionBody.transaction_id.in_(transaction_ids)
            )
        )
        return {TransactionId(row[0]): row[1] for row in rows}

    async def _block(self, statement: AnySelect, absent: str) -> StoredBlock:
        rows = await self._rows(statement)
        if not rows:
            raise NotFound(absent)
        return _stored_block(rows[0])


def _stored_block(row: AnyRow) -> StoredBlock:
    block_id, height, header, contents, seal = row
    return StoredBlock(BlockId(block_id), Height(height), header, contents, seal or b"")


def _transactions() -> AnySelect:
    return select(
        TransactionRow.transaction_id,
        TransactionRow.sequence_number,
        TransactionRow.batch_id,
        BlockRow.block_hash,
        TransactionRow.position,
        BlockRow.header,
        TransactionRow.kind,
        TransactionRow.leaf_hash,
        TransactionRow.size,
        TransactionRow.status,
    ).join(BlockRow, BlockRow.block_number == TransactionRow.batch_id)


def _stored_transaction(row: AnyRow) -> StoredTransaction:
    return StoredTransaction(
        transaction_id=TransactionId(row[0]),
        sequence_number=row[1],
        height=Height(row[2]),
        block_id=BlockId(row[3]),
        position=row[4],
        time_ms=TimeMs(Header.decode(row[5]).time_ms),
        kind=row[6],
        leaf_hash=row[7],
        size=row[8],
        status=row[9],
    )
