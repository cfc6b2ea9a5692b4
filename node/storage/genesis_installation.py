"""Block 0 in an empty database, or proof that the database already belongs here."""

from __future__ import annotations

import psycopg
from psycopg import sql

from node.ledger.blocks import Block
from node.ledger.genesis import Genesis
from node.ledger.state import genesis_header
from node.ledger.transition import genesis_transition
from node.ledger.types import BankIndex
from node.storage.block_application import timestamp
from node.storage.errors import WrongDatabase
from node.storage.writer import Writer

SELECT_IDENTITY = "SELECT chain_id, bank_id FROM ledger_identity"


def insert(table: str, *columns: str) -> sql.Composed:
    """Return the statement that inserts one row with these columns."""
    return sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.SQL(", ").join([sql.Placeholder()] * len(columns)),
    )


async def install_genesis(writer: Writer, genesis: Genesis, bank: BankIndex) -> None:
    """Write block 0 into an empty database; do nothing in one that belongs to this bank.

    Raises `WrongDatabase` for a database of another chain or another bank.
    """
    async with writer.transaction() as connection:
        cursor = await connection.execute(SELECT_IDENTITY)
        identity = await cursor.fetchone()
        if identity is not None:
            _require_identity(identity[0], identity[1], genesis, bank)
            return
        await connection.execute("BEGIN")
        await _insert_banks(connection, genesis)
        await _insert_block(connection, genesis)
        await connection.execute(
            insert("ledger_identity", "chain_id", "bank_id", "base_asset", "base_asset_decimals"),
            (genesis.chain_id, bank, genesis.base_asset.asset_id, genesis.base_asset.decimals),
        )
        await connection.execute("COMMIT")


def _require_identity(chain_id: bytes, bank_id: int, genesis: Genesis, bank: BankIndex) -> None:
    if chain_id != genesis.chain_id:
        raise WrongDatabase(
            f"the database belongs to chain {chain_id.hex()}, this node to {genesis.chain_id.hex()}"
        )
    if bank_id != bank:
        raise WrongDatabase(f"the database belongs to bank {bank_id}, this node is bank {bank}")


async def _insert_banks(connection: psycopg.AsyncConnection, genesis: Genesis) -> None:
    into_banks = insert(
        "banks",
        *("id", "name", "type", "stake", "initial_stake"),
        *("consensus_key", "ballot_key", "issuer_key"),
    )
    into_miners = insert("miners", "idx", "public_key")
    for bank in genesis.banks:
        stake = bank.initial_stake
        keys = (bank.consensus_key, bank.ballot_key, bank.issuer_key)
        await connection.execute(
            into_banks, (bank.index, bank.name, bank.sector.value, stake, stake, *keys)
        )
        await connection.execute(into_miners, (bank.index, bank.consensus_key))


async def _insert_block(connection: psycopg.AsyncConnection, genesis: Genesis) -> None:
    header = genesis_header(genesis)
    transition = genesis_transition(genesis)
    encoded = Block(header, (), (), ()).encode()
    header_bytes = header.encode()
    await connection.execute(
        insert(
            "blocks",
            *("block_hash", "block_number", "merkle_root", "timestamp", "state_root"),
            *("transaction_count", "header", "contents"),
        ),
        (
            header.block_id,
            header.height,
            header.transactions_root,
            timestamp(header.time_ms),
            header.post_state_root,
            header.transaction_count,
            header_bytes,
            encoded[len(header_bytes) :],
        ),
    )
    into_treasury = insert(
        "treasury",
        *("record", "bank_id", "fiscal_year", "amount", "type"),
        *("block_number", "timestamp", "reason"),
    )
    for number, entry in enumerate(transition.treasury_entries):
        await connection.execute(
            into_treasury,
            (
                *(number, entry.bank, entry.fiscal_year, entry.amount, entry.kind.value),
                *(header.height, timestamp(header.time_ms), entry.reason),
            ),
        )
    await connection.execute(
        insert("ledger_state", "block_hash", "state", "account_entry_count", "treasury_count"),
        (
            header.block_id,
            transition.state.encode(),
            len(transition.account_entries),
            len(transition.treasury_entries),
        ),
    )
