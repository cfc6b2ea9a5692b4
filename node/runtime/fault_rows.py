"""Corrupting one stored row of a bank, as a failing disk or an intruder with its password would.

Each row is changed by SQL in the bank's own database; nothing in the node is told. It must find
out by itself, before it signs anything else on top of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import psycopg
from psycopg.rows import dict_row

from node.runtime.consortium_directory import ConsortiumDirectory, short_name
from node.runtime.fault_databases import CONNECT_TIMEOUT_S
from node.runtime.fault_processes import FaultRefused
from node.runtime.secrets_directory import read_private


@dataclass(frozen=True, slots=True)
class CorruptibleRow:
    """How one kind of row is corrupted; the statement returns what it changed."""

    description: str
    """One line for the operator."""
    statement: str
    """May name %(height)s; returns `place`, one line on what was changed, if it changed a row."""
    absent: str
    """Why there may be no such row."""


def _flip(table: str, column: str, row: str, place: str) -> str:
    """Invert the byte in the middle of a column of the one row that `row` selects."""
    middle = f"length({column}) / 2"
    return (
        f"UPDATE {table} SET {column} = "
        f"set_byte({column}, {middle}, 255 - get_byte({column}, {middle})) "
        f"WHERE {row} RETURNING {place} AS place, {middle} AS byte"
    )


_AT_HEIGHT = (
    "block_number = COALESCE(%(height)s::bigint, (SELECT max(block_number) FROM blocks)) "
    "AND block_number > 0"
)

ROWS: Mapping[str, CorruptibleRow] = {
    "block": CorruptibleRow(
        "a byte of a sealed block's header",
        _flip("blocks", "header", _AT_HEIGHT, "'header of block ' || block_number"),
        "nothing is sealed at that height",
    ),
    "seal": CorruptibleRow(
        "a byte of a block's seal",
        _flip("blocks", "seal", _AT_HEIGHT, "'seal of block ' || block_number"),
        "nothing is sealed at that height",
    ),
    "state": CorruptibleRow(
        "a byte of the ledger state after the tip",
        _flip("ledger_state", "state", "TRUE", "'ledger state after the tip'"),
        "there is no state",
    ),
    "consensus": CorruptibleRow(
        "a byte of the durable consensus record",
        _flip(
            "consensus_record",
            "record",
            "TRUE",
            "'consensus record of height ' || height || ', view ' || view",
        ),
        "the record is there only while a height is being decided; try again under load",
    ),
    "transaction": CorruptibleRow(
        "a byte of a sealed transaction's body",
        _flip(
            "transaction_bodies",
            "body",
            "transaction_id = (SELECT transaction_id FROM transactions "
            "WHERE batch_id = COALESCE(%(height)s::bigint, batch_id) "
            "ORDER BY sequence_number DESC LIMIT 1)",
            "'body of transaction ' || encode(transaction_id, 'hex')",
        ),
        "no transaction is sealed at that height",
    ),
    "nullifier": CorruptibleRow(
        "the last nullifier, removed",
        "DELETE FROM nullifiers WHERE sequence = (SELECT max(sequence) FROM nullifiers) "
        "RETURNING 'nullifier ' || sequence || ', ' || encode(nullifier, 'hex') AS place, "
        "NULL::int AS byte",
        "nothing was spent yet",
    ),
    "evidence": CorruptibleRow(
        "a byte of the last item of evidence",
        _flip(
            "evidence",
            "raw",
            "sequence = (SELECT max(sequence) FROM evidence)",
            "'evidence ' || encode(evidence_id, 'hex')",
        ),
        "the bank holds no evidence",
    ),
}
"""By the name on the command line."""


def corrupt(directory: ConsortiumDirectory, bank: int, row: str, height: int | None = None) -> str:
    """Corrupt a row of a bank's database; return what was changed, in words.

    `row` is a key of `ROWS`; `height` chooses the block where that makes sense, by default the
    latest. Raises `FaultRefused` if there is no such row or no database.
    """
    chosen = ROWS[row]
    url = read_private(directory.bank(bank).database_url_file).decode("utf-8").strip()
    try:
        with psycopg.connect(
            url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S, row_factory=dict_row
        ) as connection:
            cursor = connection.execute(chosen.statement.encode(), {"height": height})
            changed = cursor.fetchone()
    except psycopg.OperationalError as error:
        raise FaultRefused(
            f"the database of {short_name(bank)} does not answer ({type(error).__name__}); "
            "`consortium status` shows what runs"
        ) from None
    if changed is None:
        raise FaultRefused(f"{short_name(bank)} has no such row: {chosen.absent}")
    if changed["byte"] is None:
        return f"{changed['place']} (removed)"
    return f"{changed['place']}, byte {changed['byte']}"
