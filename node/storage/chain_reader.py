"""Blocks, transactions and the tip, read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from sqlalchemy import select

from node.ledger.blocks import Block, Header
from node.ledger.encoding import MalformedEncoding
from node.ledger.state import LedgerState
from node.ledger.types import BlockId, Height, TransactionId
from node.storage.errors import IntegrityViolation, LedgerFormatOutdated, NotFound
from node.storage.reading import (
    MAX_BIGINT,
    MAX_KEYS,
    AnyRow,
    AnySelect,
    page_size,
    storable,
)
from node.storage.records import (
    StoredBlock,
    StoredConsensus,
    StoredSetChange,
    StoredTransaction,
    Tip,
)
from node.storage.row_digests import require_seal
from node.storage.snapshot_reader import SnapshotReader
from node.storage.tables import (
    BlockRow,
    ConsensusBody,
    ConsensusRecord,
    LedgerStateRow,
    SetChangeRow,
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


class ChainReader(SnapshotReader):
    """Questions about the chain itself."""

    async def load_tip(self) -> Tip:
        """Return the last applied block and its state; raises `IntegrityViolation`."""
        rows = await self._rows(
            select(
                BlockRow.block_hash,
                BlockRow.block_number,
                BlockRow.header,
                BlockRow.seal,
                BlockRow.seal_digest,
                LedgerStateRow.state,
            ).join_from(LedgerStateRow, BlockRow)
        )
        if len(rows) != 1:
            raise self._violation("ledger_state", None, "the row is missing")
        block_id, height, header_bytes, seal, seal_digest, state_bytes = rows[0]
        try:
            header = Header.decode(header_bytes)
        except MalformedEncoding as error:
            raise self._violation("blocks", height, f"the header: {error}") from error
        if header.block_id != block_id or header.height != height:
            raise self._violation("blocks", height, "the header does not have the block's hash")
        try:
            require_seal(seal, seal_digest, height)
        except IntegrityViolation as violation:
            self._report(violation)
            raise
        if hashlib.sha256(state_bytes).digest() != header.post_state_root:
            raise self._violation(
                "ledger_state", height, "the state does not have the root that the header names"
            )
        try:
            return Tip(header, LedgerState.decode(state_bytes), seal or b"")
        except MalformedEncoding as error:
            raise LedgerFormatOutdated(
                "the stored ledger is in the format of another version of the software"
                f" ({error}): go on with that version, or start a new consortium in another"
                " directory with `consortium up --data DIRECTORY`"
            ) from error

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
                        ConsensusRecord.digest,
                    )
                )
            ).one_or_none()
            if record is None:
                return None
            held = (
                await connection.execute(
                    select(ConsensusBody.block_id, ConsensusBody.block).order_by(
                        ConsensusBody.block_id
                    )
                )
            ).all()
        height = Height(record[1])
        if hashlib.sha256(record[0]).digest() != record[4]:
            raise self._violation(
                "consensus_record", height, "the record does not have the digest stored with it"
            )
        blocks = tuple([self._held_block(height, row[0], row[1]) for row in held])
        return StoredConsensus(record[0], height, record[2], record[3], blocks)

    def _held_block(self, height: Height, block_id: bytes, data: bytes) -> Block:
        try:
            block = Block.decode(data)
        except MalformedEncoding as error:
            raise self._violation(
                "consensus_bodies", height, f"a held block does not decode: {error}"
            ) from error
        if block.block_id != block_id:
            raise self._violation("consensus_bodies", height, "a held block has another hash")
        return block

    async def blocks(
        self, from_height: int, limit: int, max_bytes: int = 2 << 20
    ) -> tuple[StoredBlock, ...]:
        """Return consecutive blocks from a height on: at least one if it is there, at most `limit`
        and `max_bytes` of encoded blocks and seals (BFT-12 section 11); raises `BeforeSnapshot`."""
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
            await self._require_whole(block)
            size += len(block.header) + len(block.contents) + len(block.seal)
            if taken and size > max_bytes:
                break
            taken.append(block)
        return tuple(taken)

    async def block_by_height(self, height: int) -> StoredBlock:
        """Return the block at a height, genesis at 0; raises `NotFound`, `BeforeSnapshot`."""
        statement = select(*BLOCK_COLUMNS).where(
            BlockRow.block_number == (height if 0 <= height <= MAX_BIGINT else -1)
        )
        return await self._block(statement, f"no block at height {height}")

    async def block_by_id(self, block_id: bytes) -> StoredBlock:
        """Return the block of an id; raises `NotFound`, `BeforeSnapshot`."""
        statement = select(*BLOCK_COLUMNS).where(BlockRow.block_hash == block_id)
        return await self._block(statement, f"no block {block_id.hex()}")

    async def header_at(self, height: int) -> Header:
        """Return the header at a height, also below a snapshot; raises `NotFound`."""
        found = await self.headers(height, height + 1) if 0 <= height < MAX_BIGINT else []
        if not found:
            raise NotFound(f"no block at height {height}")
        try:
            return Header.decode(found[0])
        except MalformedEncoding as error:
            raise self._violation("blocks", height, f"the header: {error}") from error

    def header_of(self, stored: StoredBlock) -> Header:
        """Decode a stored block's header; raises `IntegrityViolation` if it is damaged."""
        try:
            header = Header.decode(stored.header)
        except MalformedEncoding as error:
            raise self._violation("blocks", stored.height, f"the header: {error}") from error
        if (header.block_id, header.height) != (stored.block_id, stored.height):
            raise self._violation(
                "blocks", stored.height, "the header does not have the block's hash"
            )
        return header

    def block_of(self, stored: StoredBlock) -> Block:
        """Decode a stored block; raises `IntegrityViolation` if header or lists are damaged."""
        self.header_of(stored)
        try:
            return Block.decode(stored.encoded)
        except MalformedEncoding as error:
            raise self._violation("blocks", stored.height, f"the lists: {error}") from error

    def seal_damaged(self, height: Height, detail: str) -> IntegrityViolation:
        """Report that a stored seal is damaged, which only consensus can tell; to be raised."""
        return self._violation("blocks", height, f"the seal: {detail}")

    def transactions_damaged(self, height: Height) -> IntegrityViolation:
        """Report that a block's transactions are not those of its header; to be raised."""
        return self._violation(
            "transactions", height, "they do not have the Merkle root of the header"
        )

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
        return self._stored_transaction(rows[0])

    async def transactions(self, from_sequence: int, limit: int) -> tuple[StoredTransaction, ...]:
        """Return sealed transactions in ledger order from a sequence number on."""
        rows = await self._rows(
            _transactions()
            .where(TransactionRow.sequence_number >= min(from_sequence, MAX_BIGINT))
            .order_by(TransactionRow.sequence_number)
            .limit(page_size(limit))
        )
        return tuple([self._stored_transaction(row) for row in rows])

    async def set_changes(self, below_height: int) -> tuple[StoredSetChange, ...]:
        """Return the changes of the active set by blocks below a height, oldest first."""
        rows = await self._rows(
            select(
                SetChangeRow.block_number, BlockRow.header, BlockRow.seal, SetChangeRow.active_set
            )
            .join_from(SetChangeRow, BlockRow)
            .where(SetChangeRow.block_number < min(below_height, MAX_BIGINT))
            .order_by(SetChangeRow.block_number)
        )
        return tuple(
            [
                StoredSetChange(Height(height), header, seal or b"", active_set)
                for height, header, seal, active_set in rows
            ]
        )

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

    def _stored_transaction(self, row: AnyRow) -> StoredTransaction:
        try:
            header = Header.decode(row[5])
        except MalformedEncoding as error:
            raise self._violation("blocks", row[2], f"the header: {error}") from error
        return StoredTransaction(
            transaction_id=TransactionId(row[0]),
            sequence_number=row[1],
            height=Height(row[2]),
            block_id=BlockId(row[3]),
            position=row[4],
            time_ms=header.time_ms,
            kind=row[6],
            leaf_hash=row[7],
            size=row[8],
            status=row[9],
        )

    async def _block(self, statement: AnySelect, absent: str) -> StoredBlock:
        rows = await self._rows(statement)
        if not rows:
            raise NotFound(absent)
        block = _stored_block(rows[0])
        await self._require_whole(block)
        return block

    async def _require_whole(self, block: StoredBlock) -> None:
        """Raise `BeforeSnapshot` where this bank keeps the header alone."""
        if not block.contents and 0 < block.height < await self.first_height():
            raise await self.before_snapshot(f"the block of height {block.height}")


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
