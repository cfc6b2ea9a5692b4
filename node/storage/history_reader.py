"""The stored history as it is, row by row, for whoever checks it against what it must hash to.

Every answer comes from one snapshot of the database, so a block that is applied meanwhile is seen
whole or not at all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from crypto.ballot_proof import CONTEXT_BYTES, HEAD_BYTES
from node.ledger.types import Height
from node.storage.reading import Reader
from node.storage.records import StoredBlock

SELECT_BLOCK = """
SELECT b.block_hash, b.block_number, b.header, b.contents, b.seal, b.previous_hash, b.merkle_root,
       (extract(epoch FROM b.timestamp) * 1000)::bigint, b.miner_idx, b.state_root,
       b.transaction_count, b.seal_digest, t.block_hash, t.merkle_root
FROM blocks b LEFT JOIN transaction_batches t ON t.batch_id = b.block_number
WHERE b.block_number = %b
"""
SELECT_COUNTS_OF_VOTES = """
SELECT status, approved_banks, rejected_banks FROM transaction_batches WHERE batch_id = %b
"""
SELECT_VOTES = """
SELECT tag, decision, (extract(epoch FROM timestamp) * 1000)::bigint, bank_id, group_signature
FROM bank_voting_records WHERE batch_id = %b ORDER BY tag
"""
SELECT_SETTLEMENTS = """
SELECT s.fiscal_year, s.transaction_sequence, s.ballots, s.blocks, s.ciphertext_sum,
       (SELECT array_agg(h.bank_id ORDER BY h.bank_id) FROM settlement_shares h
        WHERE h.fiscal_year = s.fiscal_year),
       (SELECT array_agg(h.count ORDER BY h.bank_id) FROM settlement_shares h
        WHERE h.fiscal_year = s.fiscal_year)
FROM settlements s WHERE s.block_number = %b ORDER BY s.fiscal_year
"""
SELECT_TRANSACTIONS = """
SELECT t.transaction_id, t.sequence_number, t.position, t.kind, t.asset, t.fee,
       t.redeem, t.leaf_hash, t.size, b.body
FROM transactions t LEFT JOIN transaction_bodies b ON b.transaction_id = t.transaction_id
WHERE t.batch_id = %b ORDER BY t.position
"""
SELECT_NULLIFIERS = """
SELECT sequence, nullifier FROM nullifiers
WHERE transaction_sequence >= %b AND transaction_sequence < %b ORDER BY sequence
"""
SELECT_NOTES = """
SELECT n.sequence, n.transaction_sequence, n.output_index, b.asset,
       n.one_time_key || n.commitment || n.ephemeral_key
           || set_byte('\\x00'::bytea, 0, n.view_tag) || n.ciphertext
FROM notes n LEFT JOIN bins b ON b.bin_id = n.bin_id
WHERE n.transaction_sequence >= %b AND n.transaction_sequence < %b ORDER BY n.sequence
"""
SELECT_STATE = """
SELECT s.state, s.account_entry_count, s.treasury_count, b.block_number, b.state_root
FROM ledger_state s LEFT JOIN blocks b ON b.block_hash = s.block_hash
"""
SELECT_NOTE_PAGE = """
SELECT n.sequence, b.asset, n.bin_id, n.position, n.output_index,
       n.one_time_key || n.commitment || n.ephemeral_key
           || set_byte('\\x00'::bytea, 0, n.view_tag) || n.ciphertext
FROM notes n LEFT JOIN bins b ON b.bin_id = n.bin_id
WHERE n.sequence >= %b ORDER BY n.sequence LIMIT %b
"""
SELECT_NULLIFIER_PAGE = """
SELECT sequence, nullifier FROM nullifiers WHERE sequence >= %b ORDER BY sequence LIMIT %b
"""
SELECT_BIN_PAGE = """
SELECT closed_sequence, bin_id, note_count, digest FROM bins
WHERE closed_sequence >= %b ORDER BY closed_sequence LIMIT %b
"""
SELECT_BANKS = """
SELECT b.id, b.stake, b.account_balance, b.offences, b.is_active, m.blocks_mined,
       m.total_rewards, m.is_active
FROM banks b LEFT JOIN miners m ON m.idx = b.id ORDER BY b.id
"""
SELECT_TREASURY_SUMS = """
SELECT bank_id, sum(CASE type WHEN 'stake' THEN amount WHEN 'penalty' THEN -amount END)
FROM treasury WHERE type IN ('stake', 'penalty') GROUP BY bank_id ORDER BY bank_id
"""
SELECT_POT_SUMS = """
SELECT fiscal_year, type, sum(amount) FROM treasury
WHERE type IN ('fee', 'penalty', 'carry', 'reward') GROUP BY fiscal_year, type
ORDER BY fiscal_year, type
"""
SELECT_REWARD_SUMS = """
SELECT bank_id, sum(amount) FROM treasury WHERE type = 'reward' GROUP BY bank_id ORDER BY bank_id
"""
SELECT_DAMAGED_SETTLEMENT = """
SELECT s.fiscal_year, s.block_number FROM settlements s
WHERE s.pot <> s.carried + (SELECT coalesce(sum(h.reward), 0) FROM settlement_shares h
                            WHERE h.fiscal_year = s.fiscal_year)
   OR s.carried <> (SELECT coalesce(-sum(t.amount), 0) FROM treasury t
                    WHERE t.type = 'carry' AND t.amount < 0 AND t.fiscal_year = s.fiscal_year)
   OR EXISTS (SELECT h.bank_id, h.reward FROM settlement_shares h
              WHERE h.fiscal_year = s.fiscal_year AND h.reward > 0
              EXCEPT ALL SELECT t.bank_id, t.amount FROM treasury t
              WHERE t.type = 'reward' AND t.fiscal_year = s.fiscal_year)
ORDER BY s.fiscal_year LIMIT 1
"""
SELECT_ACCOUNT_SUMS = """
SELECT bank_id,
       sum(CASE WHEN kind IN ('payout', 'stake-top-up') THEN -amount ELSE amount END)
FROM account_entries GROUP BY bank_id ORDER BY bank_id
"""
SELECT_COUNTS = """
SELECT (SELECT count(*) FROM treasury), (SELECT coalesce(max(record) + 1, 0) FROM treasury),
       (SELECT count(*) FROM account_entries),
       (SELECT coalesce(max(entry) + 1, 0) FROM account_entries)
"""
SELECT_DAMAGED_EVIDENCE = """
SELECT evidence_id, block_number FROM evidence WHERE sha256(raw) <> evidence_id LIMIT 1
"""

SELECT_DAMAGED_CONFLICT = """
SELECT sequence, height FROM ballot_conflicts
WHERE substr(first, %b, 96) <> tag OR substr(second, %b, 96) <> tag
   OR substr(first, 1, %b) <> substr(second, 1, %b)
   OR substr(first, 1, %b) = substr(second, 1, %b)
ORDER BY sequence LIMIT 1
"""
"""One tag, one context, two messages (IDX1 9.3): the ballots' proofs are the regulator's to see."""

Rows = Sequence[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class TransactionHistory:
    """A row of `transactions` and the body beside it, None if there is none."""

    transaction_id: bytes
    sequence_number: int
    position: int
    kind: int
    asset: bytes | None
    fee: int
    redeem: int
    leaf_hash: bytes
    size: int
    body: bytes | None


@dataclass(frozen=True, slots=True)
class BlockHistory:
    """Everything that is stored of one block."""

    stored: StoredBlock
    previous_hash: bytes | None
    merkle_root: bytes
    time_ms: int
    miner: int | None
    state_root: bytes
    transaction_count: int
    seal_digest: bytes | None
    batch: tuple[bytes, bytes] | None
    """Block hash and Merkle root of the batch row."""
    parent_counts: tuple[str, int | None, int | None] | None = None
    """Status, approvals and rejections of the parent's batch row, None if there is none."""
    parent_votes: Rows = field(default=())
    """(tag, decision, time in ms, bank, ballot) on the parent, by increasing tag."""
    settlements: Rows = field(default=())
    """(year, transaction sequence, ballots, blocks, sum, banks, counts) of years it settled."""
    transactions: tuple[TransactionHistory, ...] = ()
    nullifiers: Rows = field(default=())
    """(sequence, nullifier) in ledger order."""
    notes: Rows = field(default=())
    """(sequence, transaction sequence, output index, asset, output of 281 bytes)."""


@dataclass(frozen=True, slots=True)
class ListPage:
    """Consecutive rows of a list that the state certifies, and the state at that moment."""

    state: bytes
    rows: Rows


@dataclass(frozen=True, slots=True)
class LedgerBooks:
    """What mirrors the state or adds up to it, and the state at that moment."""

    state: bytes
    account_entry_count: int
    treasury_count: int
    banks: Rows
    """id, stake, balance, offences, active, blocks mined, rewards, active as creator."""
    stakes: Rows
    """(bank, stake rows less penalty rows)."""
    balances: Rows
    """(bank, sum of account entries)."""
    treasury_rows: tuple[int, int]
    """How many there are, and the highest number plus 1."""
    account_rows: tuple[int, int]
    pots: Rows
    """(fiscal year, type, sum) of treasury rows that fill or empty a year's pot."""
    rewards: Rows
    """(bank, sum of its rewards)."""
    damaged_settlement: tuple[int, int] | None
    """Year and height of one whose rewards and carry are not its pot, or not in the treasury."""
    damaged_evidence: tuple[bytes, int | None] | None
    """Id and height of an evidence item whose bytes do not hash to its id."""
    damaged_conflict: tuple[int, int] | None
    """Number and height of two ballots that are not in conflict."""


class HistoryReader(Reader):
    """Questions of whoever looks for damage."""

    async def block_history(self, height: Height, *, whole: bool) -> BlockHistory | None:
        """Return what is stored of a block, None if there is no such row.

        Without `whole` the header's row alone, as below a snapshot.
        """
        async with self._driver_snapshot() as cursor:
            row = await (await cursor.execute(SELECT_BLOCK, [height])).fetchone()
            if row is None:
                return None

            async def rows(statement: str, key: int) -> Rows:
                return await (await cursor.execute(statement, [key])).fetchall()

            transactions: list[TransactionHistory] = []
            nullifiers: Rows = ()
            notes: Rows = ()
            counts: Rows = ()
            votes: Rows = ()
            settlements: Rows = ()
            if whole:
                found = await rows(SELECT_TRANSACTIONS, height)
                transactions = [TransactionHistory(*item) for item in found]
                counts = await rows(SELECT_COUNTS_OF_VOTES, height - 1)
                votes = await rows(SELECT_VOTES, height - 1)
                settlements = await rows(SELECT_SETTLEMENTS, height)
            if transactions:
                numbers = [item.sequence_number for item in transactions]
                span = [min(numbers), max(numbers) + 1]
                nullifiers = await (await cursor.execute(SELECT_NULLIFIERS, span)).fetchall()
                notes = await (await cursor.execute(SELECT_NOTES, span)).fetchall()
        return BlockHistory(
            stored=StoredBlock(row[0], row[1], row[2], row[3], row[4] or b""),
            previous_hash=row[5],
            merkle_root=row[6],
            time_ms=row[7],
            miner=row[8],
            state_root=row[9],
            transaction_count=row[10],
            seal_digest=row[11],
            batch=None if row[12] is None else (row[12], row[13]),
            parent_counts=(counts[0][0], counts[0][1], counts[0][2]) if counts else None,
            parent_votes=votes,
            settlements=settlements,
            transactions=tuple(transactions),
            nullifiers=nullifiers,
            notes=notes,
        )

    async def note_page(self, first: int, limit: int) -> ListPage:
        """Return (sequence, asset, bin id, position, output index, output) in ledger order."""
        return await self._page(SELECT_NOTE_PAGE, first, limit)

    async def nullifier_page(self, first: int, limit: int) -> ListPage:
        """Return (sequence, nullifier) in ledger order."""
        return await self._page(SELECT_NULLIFIER_PAGE, first, limit)

    async def closed_bin_page(self, first: int, limit: int) -> ListPage:
        """Return (sequence, bin id, real notes, digest) in closing order."""
        return await self._page(SELECT_BIN_PAGE, first, limit)

    async def books(self) -> LedgerBooks:
        """Return everything that mirrors the state or adds up to it."""
        async with self._driver_snapshot() as cursor:
            state, entry_count, treasury_count = await self._state(cursor)

            async def rows(statement: str, *parameters: int) -> Rows:
                return await (await cursor.execute(statement, parameters)).fetchall()

            counts = (await rows(SELECT_COUNTS))[0]
            damaged = await rows(SELECT_DAMAGED_EVIDENCE)
            unsettled = await rows(SELECT_DAMAGED_SETTLEMENT)
            tag_at = HEAD_BYTES + 1
            extents = (tag_at, tag_at, CONTEXT_BYTES, CONTEXT_BYTES, HEAD_BYTES, HEAD_BYTES)
            no_conflict = await rows(SELECT_DAMAGED_CONFLICT, *extents)
            return LedgerBooks(
                state=state,
                account_entry_count=entry_count,
                treasury_count=treasury_count,
                banks=await rows(SELECT_BANKS),
                stakes=await rows(SELECT_TREASURY_SUMS),
                balances=await rows(SELECT_ACCOUNT_SUMS),
                treasury_rows=(counts[0], counts[1]),
                account_rows=(counts[2], counts[3]),
                pots=await rows(SELECT_POT_SUMS),
                rewards=await rows(SELECT_REWARD_SUMS),
                damaged_settlement=(unsettled[0][0], unsettled[0][1]) if unsettled else None,
                damaged_evidence=(damaged[0][0], damaged[0][1]) if damaged else None,
                damaged_conflict=(no_conflict[0][0], no_conflict[0][1]) if no_conflict else None,
            )

    async def _page(self, statement: str, first: int, limit: int) -> ListPage:
        async with self._driver_snapshot() as cursor:
            state = (await self._state(cursor))[0]
            rows = await (await cursor.execute(statement, [first, limit])).fetchall()
            return ListPage(state, rows)

    async def _state(self, cursor: psycopg.AsyncCursor[Any]) -> tuple[bytes, int, int]:
        row = await (await cursor.execute(SELECT_STATE)).fetchone()
        if row is None:
            raise self._violation("ledger_state", None, "the row is missing")
        state, account_entry_count, treasury_count, height, root = row
        if hashlib.sha256(state).digest() != root:
            raise self._violation(
                "ledger_state", height, "the state does not have the root that the header names"
            )
        return state, account_entry_count, treasury_count
