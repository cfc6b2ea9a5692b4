"""Replacing one bank's database by an empty one, so that it learns the ledger from its peers.

Keys and guard file stay: the bank is the same one, and signs nothing at heights at which it may
have signed before (BFT-12 D4). The node that starts on the empty database verifies every seal with
its signatures and ballots, every header, voting record, transaction, settlement and state root that
its peers give it; a peer can withhold and not deceive. The old database is kept beside the new one
until its operator drops it, and with it the ballots in conflict that this bank had found: other
banks that saw them keep them too.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from node.ledger.types import Height
from node.runtime.bank_databases import DatabaseServer, bring_up_to_date
from node.runtime.config import load_node_config, render_node_config
from node.runtime.consortium_directory import BankDirectory, ConsortiumDirectory
from node.runtime.guard_file import GuardCorrupt, GuardFile, SignaturePoint, guard_owner
from node.runtime.running_consortium import (
    end_processes,
    node_processes,
)


def aside_label(now: datetime) -> str:
    """Return the name that tells a replaced database apart, by the second."""
    return f"replaced_{now.astimezone(UTC):%Y%m%d_%H%M%S}"


def end_node(bank: BankDirectory, directory: ConsortiumDirectory, *, patience_s: float) -> None:
    """End whatever process still runs this bank, asking first."""
    config = str(bank.config_file.resolve())
    mine = [item for item in node_processes(directory) if config in item.cmdline()]
    if mine:
        end_processes(mine, patience_s=patience_s)


def signed_up_to(directory: ConsortiumDirectory, bank: BankDirectory) -> SignaturePoint | None:
    """Return the last signature that the guard file knows of; the node must be stopped.

    Raises `GuardLocked` if it is not, and `GuardCorrupt` also for a file that is gone.
    """
    if not bank.guard_file.exists():
        raise GuardCorrupt(f"{bank.guard_file} is gone")
    guard = GuardFile(bank.guard_file, _owner(directory, bank))
    try:
        return guard.last
    finally:
        guard.close()


def replace_guard(
    directory: ConsortiumDirectory, bank: BankDirectory, sealed_height: Height, now: datetime
) -> SignaturePoint:
    """Put a lost or damaged guard file's worst case in its place, and return it.

    `sealed_height` is the highest that any bank tells of. This bank may have applied one block
    more than all that answer, and signed at the height after it; nowhere above.
    """
    if bank.guard_file.exists():
        bank.guard_file.rename(bank.guard_file.with_suffix(f".{aside_label(now)}"))
    guard = GuardFile(bank.guard_file, _owner(directory, bank))
    point = SignaturePoint(sealed_height + 2, 0, 0)
    guard.advance(point)
    guard.close()
    return point


def _owner(directory: ConsortiumDirectory, bank: BankDirectory) -> bytes:
    genesis = directory.genesis()
    return guard_owner(genesis.chain_id, genesis.banks[bank.bank].consensus_key)


def replace_database(
    databases: DatabaseServer, bank: BankDirectory, join: str, now: datetime
) -> str | None:
    """Give a stopped bank an empty, migrated database; return what the old one is called now.

    `join` is how the node will learn the ledger (`NodeConfig.join`). Raises `PostgresError`,
    `StorageError` or `ConfigurationError`.
    """
    config = load_node_config(bank.config_file)
    if config.join != join:
        text = render_node_config(replace(config, join=join), bank.root.resolve())
        bank.config_file.write_text(text, encoding="utf-8")
    kept = databases.replace(bank, aside_label(now))
    bring_up_to_date(bank)
    return kept
