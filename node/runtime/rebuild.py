"""Replacing one bank's database by an empty one, so that it learns the ledger from its peers.

Keys and guard file stay: the bank is the same one, and signs nothing at heights at which it may
have signed before (BFT-12 D4). The node that starts on the empty database verifies every seal with
its signatures and ballots, every header, voting record, transaction, settlement and state root that
its peers give it; a peer can withhold and not deceive. The old database is kept beside the new one
until its operator drops it.

One thing the peers cannot give back: ballots in conflict that this bank alone may have seen, which
convict a bank once the regulator opens one (BFT-12 E8). They prove themselves, so those that still
do are carried over; a database that they cannot be read from is not dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from node.ledger.active_set import ActiveSet
from node.ledger.ballots import VerifiedBallot, ballot_message, ballot_tag, verify_ballots
from node.ledger.encoding import MalformedEncoding
from node.ledger.genesis import Genesis
from node.ledger.types import Height
from node.runtime.bank_databases import DatabaseServer, bring_up_to_date
from node.runtime.config import load_node_config, render_node_config
from node.runtime.consortium_directory import BankDirectory, ConsortiumDirectory
from node.runtime.guard_file import GuardCorrupt, GuardFile, SignaturePoint, guard_owner
from node.runtime.running_consortium import (
    end_processes,
    node_processes,
)
from node.runtime.secrets_directory import read_private
from node.storage.conflict_transfer import (
    KeptConflict,
    KeptConflicts,
    read_conflicts,
    write_conflicts,
)
from node.storage.errors import StorageError


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


@dataclass(frozen=True, slots=True)
class Replaced:
    """What became of a bank's old database."""

    kept: str | None
    """What it is called now; None if there was none."""
    carried_conflicts: int
    """Ballots in conflict that the new one has from it."""
    false_conflicts: int
    """Rows of it that do not prove what they say any more."""
    unread: str
    """Why its conflicts could not be read; empty if they could."""


def sound_conflicts(genesis: Genesis, found: KeptConflicts) -> tuple[KeptConflict, ...]:
    """Return the pairs that prove that a bank cast two ballots, each tag once."""
    sound: dict[bytes, KeptConflict] = {}
    for item in found.conflicts:
        active = _set_at(genesis, found.set_changes, item.height)
        raws = (item.first, item.second)
        verdicts = verify_ballots(
            raws,
            chain_id=genesis.chain_id,
            height=item.height,
            view=item.view,
            active_set=active,
        )
        if not all(isinstance(verdict, VerifiedBallot) for verdict in verdicts):
            continue
        tags = {ballot_tag(raw) for raw in raws}
        if len(tags) == 1 and ballot_message(item.first) != ballot_message(item.second):
            sound.setdefault(tags.pop(), item)
    return tuple(sound.values())


def _set_at(
    genesis: Genesis, set_changes: Sequence[tuple[Height, bytes]], height: Height
) -> ActiveSet:
    """Return the set of a height as a database tells it, made of keys of the genesis.

    One that is damaged or false verifies nothing, and misleads nobody: who judges the evidence
    knows the set.
    """
    every_bank = tuple([bank.index for bank in genesis.banks])
    banks = every_bank
    for changed_at, encoded in set_changes:
        if changed_at < height:
            try:
                told = ActiveSet.decode(encoded).banks
            except MalformedEncoding:
                continue
            if told and set(told) <= set(every_bank):
                banks = told
    return genesis.active_set(banks)


def replace_database(
    databases: DatabaseServer,
    bank: BankDirectory,
    genesis: Genesis,
    join: str,
    now: datetime,
) -> Replaced:
    """Give a stopped bank an empty, migrated database; say what became of the old one.

    `join` is how the node will learn the ledger (`NodeConfig.join`). Raises `PostgresError`,
    `StorageError` or `ConfigurationError`.
    """
    config = load_node_config(bank.config_file)
    if config.join != join:
        text = render_node_config(replace(config, join=join), bank.root.resolve())
        bank.config_file.write_text(text, encoding="utf-8")
    url = read_private(bank.database_url_file).decode("utf-8").strip()
    found, unread = KeptConflicts((), ()), ""
    try:
        found = read_conflicts(url)
    except StorageError as error:
        unread = str(error)
    sound = sound_conflicts(genesis, found)
    kept = databases.replace(bank, aside_label(now))
    bring_up_to_date(bank)
    write_conflicts(read_private(bank.database_url_file).decode("utf-8").strip(), sound)
    return Replaced(
        kept=kept,
        carried_conflicts=len(sound),
        false_conflicts=len(found.conflicts) - len(sound),
        unread=unread if kept is not None else "",
    )
