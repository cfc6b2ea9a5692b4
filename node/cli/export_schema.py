"""The public schema of `consortium export`, version 1: what each table and column means.

Five tables, a file each. `T.jsonl` holds one JSON object a line, with every column of the table in
this order and null where there is none; `T.parquet` holds the same rows in the same order under the
same names. A row belongs to the block that carries it: votes on block h are recorded by block
h + 1, and are exported with that one. So the files of adjoining ranges, put one after the other,
are those of the whole range, and any bank gives the same rows for the same range: the same bytes
of JSON, and of Parquet where the version of pyarrow is the same.

Types, as JSON and as Parquet:

    heights, counts    number            UINT_64, UINT_32 or UINT_16
    money              number            INT_64, minor units of the asset (exact; no fractions)
    ids, hashes, tags  hexadecimal text  STRING: the same text that commands, pages and logs show,
                                         so that rows join with them and between both formats
    time               ISO 8601 text     TIMESTAMP(ms, UTC), the header's time of the block
    lists              array             LIST

Nothing here is private: it is what every client of the ledger may read. The amounts, payers and
payees of payments are not in it, for no bank knows them; votes name no bank, for nobody but the
opener could (BFT-12 section 17). A column keeps its name and meaning within a schema version;
new ones may be added at the end of a table.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

SCHEMA_VERSION = 1


class ColumnType(StrEnum):
    """What values of a column are."""

    UINT16 = "uint16"
    UINT32 = "uint32"
    UINT64 = "uint64"
    INT32 = "int32"
    MONEY = "int64"
    """Minor units."""
    BOOLEAN = "boolean"
    TEXT = "text"
    HEX = "hex"
    TIME = "time"
    """Milliseconds since the Unix epoch in a row; text and timestamp in the files."""
    UINT64_LIST = "list of uint64"
    HEX_LIST = "list of hex"
    APPROVALS = "list of {bank: text, count: uint64}"


@dataclass(frozen=True, slots=True)
class Column:
    """A named value of every row."""

    name: str
    type: ColumnType
    meaning: str
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """One file of rows."""

    name: str
    meaning: str
    columns: tuple[Column, ...]


def _column(name: str, kind: ColumnType, meaning: str) -> Column:
    return Column(name, kind, meaning)


def _optional(name: str, kind: ColumnType, meaning: str) -> Column:
    return Column(name, kind, meaning, nullable=True)


BLOCKS = Table(
    "blocks",
    "One row a sealed block, by height; height 0 is the genesis.",
    (
        _column("height", ColumnType.UINT64, "number of the block"),
        _column("block_id", ColumnType.HEX, "SHA-256 of the canonical header"),
        _column("parent_id", ColumnType.HEX, "id of the block before it"),
        _column("time", ColumnType.TIME, "header time"),
        _optional("proposer", ColumnType.TEXT, "bank that created it; null for the genesis"),
        _column("original_view", ColumnType.UINT32, "view in which it was created; 0 at once"),
        _column("transactions", ColumnType.UINT32, "number of transactions"),
        _column("transaction_bytes", ColumnType.UINT64, "their canonical bytes together"),
        _column("evidence", ColumnType.UINT16, "items of evidence that it records"),
        _column("recorded_votes", ColumnType.UINT16, "ballots about its parent that it records"),
        _column("fees", ColumnType.MONEY, "fees of its transactions, base asset"),
        _column("transactions_root", ColumnType.HEX, "Merkle root of the transactions"),
        _column("evidence_root", ColumnType.HEX, "Merkle root of the evidence"),
        _column("ballots_root", ColumnType.HEX, "Merkle root of the recorded votes"),
        _column("post_state_root", ColumnType.HEX, "SHA-256 of the state after it"),
        _column("next_set_hash", ColumnType.HEX, "SHA-256 of the next height's active set"),
    ),
)

TRANSACTIONS = Table(
    "transactions",
    "One row a sealed transaction, by height and place in the block.",
    (
        _column("height", ColumnType.UINT64, "block that holds it"),
        _column("index", ColumnType.UINT32, "place in the block, from 0"),
        _column("transaction_id", ColumnType.HEX, "hash of its canonical bytes"),
        _column("time", ColumnType.TIME, "header time of the block"),
        _column(
            "kind",
            ColumnType.TEXT,
            "transfer, issue, payout, stake-top-up, stake-withdrawal, readmission, settlement or "
            "pot-carry",
        ),
        _column("asset", ColumnType.TEXT, "code of the asset"),
        _optional("fee", ColumnType.MONEY, "public fee of a transfer"),
        _optional("redeemed", ColumnType.MONEY, "what a transfer pays out to a bank's account"),
        _optional(
            "amount", ColumnType.MONEY, "public amount of an issue, payout or stake movement"
        ),
        _optional("bank", ColumnType.TEXT, "issuing, paying, redeeming or concerned bank"),
        _column("inputs", ColumnType.UINT16, "notes spent, each hidden among those of its bin"),
        _column("outputs", ColumnType.UINT16, "notes created"),
        _column("bins", ColumnType.UINT64_LIST, "bins that the inputs spend from, in their order"),
        _column("nullifiers", ColumnType.HEX_LIST, "of the inputs, in their order"),
        _column("size_bytes", ColumnType.UINT32, "canonical bytes"),
        _column("expiry_height", ColumnType.UINT64, "last height at which it could be sealed"),
        _optional("fiscal_year", ColumnType.TEXT, "year of a settlement or carried pot: FY2026"),
        _column("approvals", ColumnType.APPROVALS, "counts that a settlement proves, by bank"),
    ),
)

VOTES = Table(
    "votes",
    "One row a recorded vote, by height and tag; which bank cast it is not known.",
    (
        _column("height", ColumnType.UINT64, "block voted on"),
        _column("block_id", ColumnType.HEX, "its id"),
        _column("recorded_height", ColumnType.UINT64, "block that records the vote"),
        _column("view", ColumnType.UINT32, "view of the vote"),
        _column("tag", ColumnType.HEX, "96 bytes, one for each bank and height, linked to neither"),
        _column("approve", ColumnType.BOOLEAN, "whether it approves"),
    ),
)

TREASURY = Table(
    "treasury",
    "One row a movement of stakes and pots, in ledger order; minor units of the base asset.",
    (
        _column("sequence", ColumnType.UINT64, "number in the whole list, from 0"),
        _column("height", ColumnType.UINT64, "block that moved it; 0 for the initial stakes"),
        _column("fiscal_year", ColumnType.INT32, "calendar year in which the fiscal year begins"),
        _column("kind", ColumnType.TEXT, "stake, fee, penalty, reward or carry"),
        _optional("bank", ColumnType.TEXT, "whose stake or reward; null for a pot"),
        _column("amount", ColumnType.MONEY, "negative for what leaves a stake or a year's pot"),
        _column("reason", ColumnType.TEXT, "why, in words"),
    ),
)

EVIDENCE = Table(
    "evidence",
    "One row an item of evidence that a block records, in the order of the blocks.",
    (
        _column("recorded_height", ColumnType.UINT64, "block that records and punishes it"),
        _column("evidence_id", ColumnType.HEX, "SHA-256 of the item"),
        _column("offence", ColumnType.TEXT, "E1 to E8"),
        _column("bank", ColumnType.TEXT, "the convicted bank"),
        _column("offence_height", ColumnType.UINT64, "height of the offence"),
        _column("size_bytes", ColumnType.UINT32, "canonical bytes"),
        _optional("penalty", ColumnType.MONEY, "taken from the stake, base asset"),
    ),
)

TABLES = (BLOCKS, TRANSACTIONS, VOTES, TREASURY, EVIDENCE)
"""In the order of the manifest."""


def schema_object() -> dict[str, object]:
    """Return the schema as a JSON value."""
    return {
        "schema_version": SCHEMA_VERSION,
        "tables": [
            {
                "name": table.name,
                "meaning": table.meaning,
                "columns": [
                    {
                        "name": column.name,
                        "type": column.type.value,
                        "nullable": column.nullable,
                        "meaning": column.meaning,
                    }
                    for column in table.columns
                ],
            }
            for table in TABLES
        ],
    }
