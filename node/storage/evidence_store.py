"""Evidence on its way into the ledger: stored before it is spoken of, settled with its block.

An item is `pending` from the moment this bank has verified it. The block that punishes its key
settles it in the same database transaction that stores the block: `recorded`, or `superseded` by
another item of that key. What grows too old to be recorded is `expired` (BFT-12 section 9).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import psycopg

from node.ledger.blocks import Block
from node.ledger.effects import Punishment
from node.ledger.offences import VerifiedEvidence
from node.ledger.types import BankIndex, Height
from node.storage.errors import IntegrityViolation

INSERT_PENDING = """
INSERT INTO evidence (evidence_id, sequence, offence, offence_class, bank_id, offence_height, raw,
                      source_bank_id)
SELECT %b, (SELECT coalesce(max(sequence) + 1, 0) FROM evidence), %b, %b, %b, %b, %b, %b
ON CONFLICT (evidence_id) DO NOTHING
"""
SELECT_RAW = "SELECT raw FROM evidence WHERE evidence_id = %b"

UPSERT_RECORDED = """
INSERT INTO evidence (evidence_id, sequence, offence, offence_class, bank_id, offence_height, raw,
                      status, block_number, stake_before, penalty, ordinal)
SELECT %b, (SELECT coalesce(max(sequence) + 1, 0) FROM evidence), %b, %b, %b, %b, %b,
       'recorded', %b, %s, %s, %b
ON CONFLICT (evidence_id) DO UPDATE
SET status = excluded.status, block_number = excluded.block_number,
    stake_before = excluded.stake_before, penalty = excluded.penalty, ordinal = excluded.ordinal
"""
SUPERSEDE = """
UPDATE evidence SET status = 'superseded', block_number = %b
WHERE status = 'pending' AND bank_id = %b AND offence_height = %b AND offence_class = %b
"""
EXPIRE = """
UPDATE evidence SET status = 'expired' WHERE status = 'pending' AND offence_height < %b
"""
ANY_PENDING = "SELECT EXISTS (SELECT FROM evidence WHERE status = 'pending')"


async def insert_pending(
    connection: psycopg.AsyncConnection, evidence: VerifiedEvidence, source: BankIndex
) -> bool:
    """Store an item in a database transaction of its own; return whether it was new.

    Raises `IntegrityViolation` if other bytes stand under its id.
    """
    await connection.execute("BEGIN")
    inserted = await connection.execute(
        INSERT_PENDING,
        (
            evidence.evidence_id,
            evidence.offence.value,
            int(evidence.offence.offence_class),
            evidence.bank,
            evidence.height,
            evidence.raw,
            source,
        ),
    )
    if inserted.rowcount == 0:
        row = await (await connection.execute(SELECT_RAW, [evidence.evidence_id])).fetchone()
        if row is None or row[0] != evidence.raw:
            raise IntegrityViolation(
                "evidence",
                None,
                f"item {evidence.evidence_id.hex()} does not have the bytes that its id hashes",
            )
    await connection.execute("COMMIT")
    return inserted.rowcount == 1


async def settle(
    connection: psycopg.AsyncConnection,
    block: Block,
    punishments: Sequence[Punishment],
    oldest_punishable: Height,
) -> None:
    """Mark what this block punishes, and what the next one may no longer punish.

    `oldest_punishable` is the lowest height of an offence that the next block may punish. Runs
    inside the block's database transaction.
    """
    items = _items_by_id(block)
    height = block.height
    for punishment in punishments:
        offence_class = int(punishment.offence.offence_class)
        key = (punishment.bank, punishment.height, offence_class)
        await connection.execute(
            UPSERT_RECORDED,
            (
                punishment.evidence_id,
                punishment.offence.value,
                offence_class,
                punishment.bank,
                punishment.height,
                items[punishment.evidence_id],
                height,
                punishment.stake_before,
                punishment.amount,
                punishment.ordinal,
            ),
        )
        await connection.execute(SUPERSEDE, (height, *key))
    await connection.execute(EXPIRE, [oldest_punishable])


def _items_by_id(block: Block) -> Mapping[bytes, bytes]:
    return {hashlib.sha256(raw).digest(): raw for raw in block.evidence}
