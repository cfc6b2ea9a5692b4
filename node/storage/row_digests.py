"""Whether the rows that a signature would rest on are still what this bank wrote.

A bank must not sign on top of a damaged tip. So the statement that makes a consensus record
durable first compares, inside the server, the digests of five values with those that this process
remembers: the tip's header, contents and seal, the ledger state, and the previous record, and the
blocks held for a vote with them. If one differs, nothing is written and the call raises
`IntegrityViolation`; nothing that was to follow the record is sent (BFT-12 D1). It costs no round
trip and no bytes on the wire but the digests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from node.ledger.blocks import HEADER_BYTES, Block
from node.storage.errors import IntegrityViolation

FOUND = """
SELECT state.block_hash AS tip, sha256(block.header) AS header, sha256(block.contents) AS contents,
       sha256(block.seal) AS seal, sha256(state.state) AS state, sha256(record.record) AS record,
       (SELECT sha256(string_agg(held.block, ''::bytea ORDER BY held.block_id))
        FROM consensus_bodies held) AS held_blocks
FROM (VALUES (1)) AS always (one)
LEFT JOIN ledger_state AS state ON true
LEFT JOIN blocks AS block ON block.block_hash = state.block_hash
LEFT JOIN consensus_record AS record ON true
"""
"""Always one row; a missing row of the ledger shows as NULLs."""

WRITE_RECORD_IF_SOUND = f"""
WITH found AS ({FOUND}),
given AS (SELECT %b::bigint AS height, %b::bigint AS view, %b::bigint AS step, %b::bytea AS record),
written AS (
    INSERT INTO consensus_record (height, view, step, record, digest)
    SELECT given.height, given.view, given.step, given.record, sha256(given.record)
    FROM given CROSS JOIN found
    WHERE (found.tip, found.header, found.contents, found.seal, found.state, found.record,
           found.held_blocks)
        IS NOT DISTINCT FROM (%b::bytea, %b::bytea, %b::bytea, %b::bytea, %b::bytea, %b::bytea,
                              %b::bytea)
    ON CONFLICT (singleton) DO UPDATE
    SET height = excluded.height, view = excluded.view, step = excluded.step,
        record = excluded.record, digest = excluded.digest
)
SELECT * FROM found
"""


@dataclass(frozen=True, slots=True)
class TipDigests:
    """SHA-256 of what is stored of the tip."""

    block_id: bytes
    """Also the digest of the header."""
    contents: bytes
    seal: bytes | None
    """None at height 0."""
    state: bytes
    """The header's post-state root."""

    @staticmethod
    def of(block: Block, seal: bytes) -> TipDigests:
        """Return the digests of a block that is about to be stored."""
        contents = block.encode()[HEADER_BYTES:]
        return TipDigests(
            block.block_id,
            hashlib.sha256(contents).digest(),
            hashlib.sha256(seal).digest(),
            block.header.post_state_root,
        )


def row_of(
    tip: TipDigests, record: bytes | None, held_blocks: Mapping[Any, bytes]
) -> tuple[bytes | None, ...]:
    """Return what `FOUND` must find; `record` is a digest, `held_blocks` are encoded, by id."""
    held = b"".join([held_blocks[block_id] for block_id in sorted(held_blocks)])
    return (
        tip.block_id,
        tip.block_id,
        tip.contents,
        tip.seal,
        tip.state,
        record,
        hashlib.sha256(held).digest() if held_blocks else None,
    )


PLACES = (
    ("ledger_state", "the name of the tip"),
    ("blocks", "the header of the tip"),
    ("blocks", "the list of the tip's transactions"),
    ("blocks", "the seal of the tip"),
    ("ledger_state", "the state"),
    ("consensus_record", "the consensus record"),
    ("consensus_bodies", "a block held for a vote"),
)
"""Table and wording of each column of `FOUND`."""


def require_sound(
    found: tuple[bytes | None, ...], expected: tuple[bytes | None, ...], height: int
) -> None:
    """Raise `IntegrityViolation` for the first difference; `height` is the tip's."""
    for is_there, written, (table, what) in zip(found, expected, PLACES, strict=True):
        if is_there == written:
            continue
        at = height + 1 if table.startswith("consensus") else height
        fault = "is missing" if is_there is None else "is not what this bank wrote"
        raise IntegrityViolation(table, at, f"{what} {fault}")


def require_seal(seal: bytes | None, digest: bytes | None, height: int) -> None:
    """Raise `IntegrityViolation` unless a seal has the digest that is stored with it."""
    if seal is not None and hashlib.sha256(seal).digest() != digest:
        raise IntegrityViolation(
            "blocks", height, "the seal does not have the digest stored with it"
        )
