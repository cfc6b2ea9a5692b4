"""A sealed block becomes rows: everything in one database transaction, or nothing.

Small statements share two pipelined round trips, one before and one with the commit; what grows
with the number of transactions goes by COPY between them. The update of `ledger_state` names the
parent it expects, so a block can only follow the tip.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import psycopg

from crypto.transaction import Mint, Transfer
from node.ledger.blocks import HEADER_BYTES, Block
from node.ledger.genesis import Genesis
from node.ledger.proofs import VerifiedTransaction
from node.ledger.state import BankState, LedgerState
from node.ledger.state_records import TALLY_BYTES, Tally
from node.ledger.transition import Transition
from node.ledger.types import TimeMs, TransactionId
from node.storage.errors import StorageConflict
from node.storage.evidence_store import ANY_PENDING, settle
from node.storage.journal import (
    BODY_TYPES,
    COPY_BODIES,
    INSERT_RECORD,
    Journal,
    Position,
    copy_rows,
)
from node.storage.row_digests import FOUND, TipDigests, require_sound

INSERT_BLOCK = """
INSERT INTO blocks (block_hash, block_number, previous_hash, merkle_root, timestamp, miner_idx,
                    state_root, transaction_count, header, contents, seal, seal_digest)
VALUES (%b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b, %b)
"""
INSERT_SET_CHANGE = "INSERT INTO set_changes (block_number, active_set) VALUES (%b, %b)"
INSERT_BATCH = """
INSERT INTO transaction_batches (batch_id, block_hash, merkle_root, created_at)
VALUES (%b, %b, %b, %b)
"""
COUNT_PARENT_BATCH = """
UPDATE transaction_batches SET status = 'approved', approved_banks = %b, rejected_banks = %b
WHERE batch_id = %b
"""
INSERT_VOTES = """
INSERT INTO bank_voting_records (batch_id, decision, tag, timestamp, group_signature)
SELECT %b, vote.decision, vote.tag, %b, vote.ballot
FROM unnest(%b::text[], %b::bytea[], %b::bytea[]) AS vote (decision, tag, ballot)
"""
ADVANCE_TIP = """
UPDATE ledger_state
SET block_hash = %b, state = %b, account_entry_count = %b, treasury_count = %b
WHERE block_hash = %b
"""
INSERT_BINS = """
INSERT INTO bins (bin_id, asset, opened_at)
SELECT * FROM unnest(%b::bigint[], %b::bytea[], %b::timestamptz[])
"""
CLOSE_BINS = """
UPDATE bins SET closed_at_height = %b, closed_sequence = closing.sequence,
                note_count = closing.note_count, digest = closing.digest
FROM unnest(%b::bigint[], %b::bigint[], %b::smallint[], %b::bytea[])
    AS closing (bin_id, sequence, note_count, digest)
WHERE bins.bin_id = closing.bin_id
"""
UPDATE_BANKS = """
UPDATE banks SET stake = changed.stake, account_balance = changed.account_balance,
                 offences = changed.offences, is_active = changed.is_active
FROM unnest(%b::smallint[], %b::numeric[], %b::numeric[], %b::integer[], %b::boolean[])
    AS changed (id, stake, account_balance, offences, is_active)
WHERE banks.id = changed.id
"""
UPDATE_MINERS = """
UPDATE miners SET blocks_mined = changed.blocks_mined, total_rewards = changed.total_rewards,
                  is_active = changed.is_active
FROM unnest(%b::smallint[], %b::bigint[], %b::numeric[], %b::boolean[])
    AS changed (idx, blocks_mined, total_rewards, is_active)
WHERE miners.idx = changed.idx
"""
INSERT_ACCOUNT_ENTRY = """
INSERT INTO account_entries (entry, bank_id, kind, asset, amount, transaction_sequence,
                             block_number)
VALUES (%b, %b, %b, %b, %s, %b, %b)
"""
INSERT_TREASURY = """
INSERT INTO treasury (record, bank_id, fiscal_year, amount, type, block_number, timestamp, reason)
VALUES (%b, %b, %b, %s, %b, %b, %b, %b)
"""
INSERT_SETTLEMENT = """
INSERT INTO settlements (fiscal_year, block_number, transaction_sequence, pot, carried, ballots,
                         blocks, ciphertext_sum)
VALUES (%b, %b, %b, %s, %s, %b, %b, %b)
"""
INSERT_SHARES = """
INSERT INTO settlement_shares (fiscal_year, bank_id, count, reward)
SELECT %b, * FROM unnest(%b::smallint[], %b::bigint[], %s::numeric[])
"""
DELETE_RECORD = "DELETE FROM consensus_record"
DELETE_HELD_BLOCKS = "DELETE FROM consensus_bodies"
DELETE_ORPHANS = "DELETE FROM transaction_bodies WHERE transaction_id = ANY(%b)"

COPY_TRANSACTIONS = """
COPY transactions (transaction_id, sequence_number, batch_id, position, kind, asset, fee, redeem,
                   leaf_hash, size, timestamp, status) FROM STDIN (FORMAT BINARY)
"""
TRANSACTION_TYPES = (
    *("bytea", "int8", "int8", "int2", "int2", "bytea", "numeric", "numeric"),
    *("bytea", "int4", "timestamptz", "text"),
)
COPY_NULLIFIERS = """
COPY nullifiers (sequence, nullifier, transaction_sequence) FROM STDIN (FORMAT BINARY)
"""
NULLIFIER_TYPES = ("int8", "bytea", "int8")
COPY_NOTES = """
COPY notes (sequence, one_time_key, commitment, ephemeral_key, view_tag, ciphertext, bin_id,
            position, transaction_sequence, output_index) FROM STDIN (FORMAT BINARY)
"""
NOTE_TYPES = (
    *("int8", "bytea", "bytea", "bytea", "int2", "bytea", "int8"),
    *("int2", "int8", "int2"),
)

SEALED = "completed"
"""Status of a transaction as it is stored: a seal is final (BFT-12 P6)."""

APPROVED = "approve"
REJECTED = "reject"

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def timestamp(time_ms: TimeMs) -> datetime:
    """Return a header time as the database's type, exact to the millisecond."""
    return EPOCH + timedelta(milliseconds=time_ms)


class BlockApplication:
    """One sealed block on its way into the database."""

    def __init__(
        self,
        block: Block,
        seal: bytes,
        transition: Transition,
        transactions: Sequence[VerifiedTransaction],
        genesis: Genesis,
    ) -> None:
        header = block.header
        assert transition.state.height == header.height, "the transition is this block's"
        assert transition.state.root() == header.post_state_root, "the transition is this block's"
        given = tuple([item.transaction_id for item in transactions])
        assert given == block.transaction_ids, "the transactions are this block's, in order"
        self._block = block
        self._header = header
        self._seal = seal
        self._transition = transition
        self._transactions = transactions
        self._genesis = genesis
        self._evidence_left = False
        self._sealed_at = timestamp(header.time_ms)

    async def store(self, journal: Journal, record: ConsensusRecordRow | None) -> None:
        """Write everything and advance the journal's position; raises `StorageConflict`."""
        async with journal.write() as (connection, position):
            self._require_next(position)
            self._first_sequence = position.state.transaction_count
            self._sequence_of = dict(
                zip(self._block.transaction_ids, count(self._first_sequence), strict=False)
            )
            await self._store_block(connection, position)
            await self._store_transactions(connection, position)
            await self._store_accounts_and_commit(connection, position, record)
            self._advance(position, record)

    def _require_next(self, position: Position) -> None:
        if self._header.parent_id != position.block_id:
            raise StorageConflict(
                f"block {self._header.height} does not follow the stored tip at height"
                f" {position.state.height}"
            )

    async def _store_block(self, connection: psycopg.AsyncConnection, position: Position) -> None:
        header, transition = self._header, self._transition
        async with connection.pipeline():
            await connection.execute("BEGIN")
            found = await connection.execute(FOUND, prepare=True, binary=True)
            await connection.execute(INSERT_BLOCK, self._block_row(), prepare=True)
            await connection.execute(
                INSERT_BATCH,
                (header.height, header.block_id, header.transactions_root, self._sealed_at),
                prepare=True,
            )
            advanced = await connection.execute(
                ADVANCE_TIP,
                (
                    header.block_id,
                    transition.state.encode(),
                    position.account_entry_count + len(transition.account_entries),
                    position.treasury_count + len(transition.treasury_entries),
                    header.parent_id,
                ),
                prepare=True,
            )
            await self._record_parent_votes(connection, position.state)
            await self._store_bins(connection)
            await self._mirror_banks(connection, position.state.banks)
            await connection.execute(DELETE_RECORD, prepare=True)
            if position.held_blocks:
                await connection.execute(DELETE_HELD_BLOCKS, prepare=True)
        row = await found.fetchone()
        assert row is not None, "the query always has one row"
        require_sound(row, position.row_digests(), position.state.height)
        if advanced.rowcount != 1:
            raise StorageConflict(f"the stored tip is no longer the parent of {header.height}")

    def _block_row(self) -> tuple[Any, ...]:
        header = self._header
        encoded = self._block.encode()
        return (
            header.block_id,
            header.height,
            header.parent_id,
            header.transactions_root,
            self._sealed_at,
            header.proposer,
            header.post_state_root,
            header.transaction_count,
            encoded[:HEADER_BYTES],
            encoded[HEADER_BYTES:],
            self._seal,
            hashlib.sha256(self._seal).digest(),
        )

    async def _record_parent_votes(
        self, connection: psycopg.AsyncConnection, parent: LedgerState
    ) -> None:
        """Genesis is no batch, and nobody voted on it."""
        if parent.height == 0:
            return
        votes = self._transition.votes
        columns = (
            [APPROVED if vote.approve else REJECTED for vote in votes],
            [vote.tag for vote in votes],
            [vote.ballot for vote in votes],
        )
        row = (parent.height, timestamp(parent.time_ms), *columns)
        await connection.execute(INSERT_VOTES, row, prepare=True)
        approved = sum(vote.approve for vote in votes)
        counts = (approved, len(votes) - approved, parent.height)
        await connection.execute(COUNT_PARENT_BATCH, counts, prepare=True)

    async def _store_bins(self, connection: psycopg.AsyncConnection) -> None:
        opened, closed = self._transition.opened_bins, self._transition.closed_bins
        if opened:
            columns = (
                [item.bin_id for item in opened],
                [item.asset for item in opened],
                [timestamp(item.opened_at_ms) for item in opened],
            )
            await connection.execute(INSERT_BINS, columns, prepare=True)
        if closed:
            first = self._transition.state.closed_bins.count - len(closed)
            closing = (
                self._header.height,
                [item.bin.bin_id for item in closed],
                list(range(first, first + len(closed))),
                [item.bin.count for item in closed],
                [item.bin.digest for item in closed],
            )
            await connection.execute(CLOSE_BINS, closing, prepare=True)

    async def _mirror_banks(
        self, connection: psycopg.AsyncConnection, before: Sequence[BankState]
    ) -> None:
        known = set(before)
        changed = [bank for bank in self._transition.state.banks if bank not in known]
        if not changed:
            return
        indices = [bank.index for bank in changed]
        active = [bank.active for bank in changed]
        banks = (
            indices,
            [bank.stake for bank in changed],
            [bank.balance for bank in changed],
            [bank.offences for bank in changed],
            active,
        )
        miners = (
            indices,
            [bank.blocks_created for bank in changed],
            [bank.creator_fees for bank in changed],
            active,
        )
        await connection.execute(UPDATE_BANKS, banks, prepare=True)
        await connection.execute(UPDATE_MINERS, miners, prepare=True)

    async def _store_transactions(
        self, connection: psycopg.AsyncConnection, position: Position
    ) -> None:
        missing = [
            (item.transaction_id, item.raw)
            for item in self._transactions
            if item.transaction_id not in position.held_transactions
        ]
        if missing:
            await copy_rows(connection, COPY_BODIES, BODY_TYPES, missing)
        if self._transactions:
            await copy_rows(
                connection, COPY_TRANSACTIONS, TRANSACTION_TYPES, self._transaction_rows()
            )
        if self._transition.nullifiers:
            await copy_rows(connection, COPY_NULLIFIERS, NULLIFIER_TYPES, self._nullifier_rows())
        if self._transition.notes:
            await copy_rows(connection, COPY_NOTES, NOTE_TYPES, self._note_rows())

    def _transaction_rows(self) -> Iterator[tuple[Any, ...]]:
        for position, item in enumerate(self._transactions):
            transaction = item.transaction
            transfer = transaction if isinstance(transaction, Transfer) else None
            yield (
                item.transaction_id,
                self._first_sequence + position,
                self._header.height,
                position,
                int(transaction.kind),
                transaction.asset if isinstance(transaction, Transfer | Mint) else None,
                transfer.fee if transfer else 0,
                transfer.redeem if transfer else 0,
                item.leaf_hash,
                item.size,
                self._sealed_at,
                SEALED,
            )

    def _nullifier_rows(self) -> Iterator[tuple[Any, ...]]:
        spent = self._transition.nullifiers
        first = self._transition.state.nullifiers.count - len(spent)
        for sequence, item in enumerate(spent, first):
            yield (sequence, item.nullifier, self._sequence_of[item.transaction_id])

    def _note_rows(self) -> Iterator[tuple[Any, ...]]:
        for note in self._transition.notes:
            output = note.output
            yield (
                note.sequence,
                output.one_time_key,
                output.commitment,
                output.ephemeral_key,
                output.view_tag,
                output.ciphertext,
                note.bin_id,
                note.position,
                self._sequence_of[note.transaction_id],
                note.output_index,
            )

    async def _store_accounts_and_commit(
        self,
        connection: psycopg.AsyncConnection,
        position: Position,
        record: ConsensusRecordRow | None,
    ) -> None:
        orphans = position.held_transactions - self._sequence_of.keys()
        if self._transition.punishments or position.pending_evidence:
            await self._settle_evidence(connection)
        async with connection.pipeline():
            active_set = self._transition.state.active_set(self._genesis)
            if active_set.set_hash != position.state.active_set(self._genesis).set_hash:
                row = (self._header.height, active_set.encode())
                await connection.execute(INSERT_SET_CHANGE, row)
            for row in self._account_rows(position.account_entry_count):
                await connection.execute(INSERT_ACCOUNT_ENTRY, row, prepare=True)
            for row in self._treasury_rows(position.treasury_count):
                await connection.execute(INSERT_TREASURY, row, prepare=True)
            await self._store_settlement(connection, position.state)
            if orphans:
                await connection.execute(DELETE_ORPHANS, (list(orphans),), prepare=True)
            if record is not None:
                await connection.execute(INSERT_RECORD, record, prepare=True)
            await connection.execute("COMMIT")

    async def _settle_evidence(self, connection: psycopg.AsyncConnection) -> None:
        """Offences are rare: the round trips here cost nothing in the normal case."""
        oldest = self._transition.state.oldest_punishable(self._genesis)
        await settle(connection, self._block, self._transition.punishments, oldest)
        row = await (await connection.execute(ANY_PENDING)).fetchone()
        self._evidence_left = row is not None and bool(row[0])

    async def _store_settlement(
        self, connection: psycopg.AsyncConnection, before: LedgerState
    ) -> None:
        """Write the year that the block ends, if it does, with the tally as the block found it."""
        ended = self._transition.settlement
        if ended is None:
            return
        key = (ended.year, self._genesis.opener_key)
        tally = next(
            (item for item in before.tallies if (item.year, item.opener_key) == key),
            Tally(*key, bytes(TALLY_BYTES), 0, 0),
        )
        sequence = self._sequence_of[TransactionId(ended.transaction_id)]
        settled = (
            *(ended.year, self._header.height, sequence),
            *(ended.pot.total, ended.carried),
            *(tally.ballots, tally.blocks, tally.ciphertext_sum),
        )
        await connection.execute(INSERT_SETTLEMENT, settled)
        if ended.rows:
            columns = (
                [row.bank for row in ended.rows],
                [row.count for row in ended.rows],
                [row.reward for row in ended.rows],
            )
            await connection.execute(INSERT_SHARES, (ended.year, *columns))

    def _account_rows(self, first: int) -> Iterator[tuple[Any, ...]]:
        for number, entry in enumerate(self._transition.account_entries, first):
            sequence = (
                None if entry.transaction_id is None else self._sequence_of[entry.transaction_id]
            )
            yield (
                number,
                entry.bank,
                entry.kind.value,
                entry.asset,
                entry.amount,
                sequence,
                self._header.height,
            )

    def _treasury_rows(self, first: int) -> Iterator[tuple[Any, ...]]:
        for number, entry in enumerate(self._transition.treasury_entries, first):
            yield (
                number,
                entry.bank,
                entry.fiscal_year,
                entry.amount,
                entry.kind.value,
                self._header.height,
                self._sealed_at,
                entry.reason,
            )

    def _advance(self, position: Position, record: ConsensusRecordRow | None) -> None:
        position.block_id = self._header.block_id
        position.state = self._transition.state
        position.account_entry_count += len(self._transition.account_entries)
        position.treasury_count += len(self._transition.treasury_entries)
        position.tip = TipDigests.of(self._block, self._seal)
        position.record = None if record is None else hashlib.sha256(record[3]).digest()
        position.held_blocks = {}
        position.held_transactions = set()
        position.pending_evidence = self._evidence_left


ConsensusRecordRow = tuple[int, int, int, bytes]
"""height, view, step, record: the parameters of `INSERT_RECORD`."""
