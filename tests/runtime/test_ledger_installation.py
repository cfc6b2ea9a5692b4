"""Beginning with a ledger that was made elsewhere: whole, resumable, and of one chain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from node.client.workload_file import Workload, WorkloadWriter, open_workload
from node.ledger.types import BankIndex
from node.runtime.config import ConfigurationError
from node.runtime.consortium_directory import BankDirectory, ConsortiumDirectory
from node.runtime.initialise import create_consortium
from node.runtime.integrity_scrubber import IntegrityScrubber
from node.runtime.ledger_growth import GrownLedger
from node.runtime.ledger_installation import (
    ArchiveInvalid,
    LedgerDiffers,
    install_ledger,
    require_whole_ledger,
    require_workload_consortium,
)
from node.runtime.load_preparation import WorkloadOrder, prepare_workload
from node.runtime.secrets_directory import read_private, write_private
from node.storage.configuration import DatabaseConfig
from node.storage.database import Database

pytestmark = pytest.mark.postgres

BLOCKS = 2
KEYS = """
SELECT conname, pg_get_constraintdef(oid), NULL FROM pg_constraint
UNION ALL SELECT NULL, NULL, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 3
"""


class SharedServer:
    """The databases of the tests' server, in place of the consortium's own."""

    def __init__(self, make_url: Callable[[], str]) -> None:
        self._make_url = make_url

    def start(self) -> None: ...

    def provide(self, bank: BankDirectory) -> None:
        if not bank.database_url_file.exists():
            write_private(bank.database_url_file, self._make_url().encode())

    def flush(self) -> None: ...


@pytest.fixture(scope="module")
def workload(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workload]:
    path = tmp_path_factory.mktemp("load") / "small.load"
    # 26 bins of 16 notes: 104 issues, one block of a hundred and one of four.
    order = WorkloadOrder(26, "wide", ring_base=4, bank_count=4, seed=1, jobs=2)
    assert prepare_workload(path, order).funded_height == BLOCKS
    with open_workload(path) as opened:
        yield opened


@pytest.fixture
def directory(tmp_path: Path) -> ConsortiumDirectory:
    return ConsortiumDirectory(tmp_path / "consortium")


def quiet(step: str, done: int, total: int) -> None: ...


def rows(bank: BankDirectory, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(read_private(bank.database_url_file).decode()) as connection:
        return connection.execute(query.encode()).fetchall()


async def tip_of(directory: ConsortiumDirectory, bank: BankDirectory) -> tuple[int, bytes]:
    config = DatabaseConfig(read_private(bank.database_url_file).decode(), pool_size=1)
    database = await Database.open(config, genesis=directory.genesis(), bank=bank.index)
    try:
        tip = await database.load_tip()
        return tip.header.height, tip.state.root()
    finally:
        await database.close()


async def test_every_bank_gets_the_whole_ledger_though_it_was_interrupted(
    directory: ConsortiumDirectory, workload: Workload, make_database_url: Callable[[], str]
) -> None:
    server = SharedServer(make_database_url)
    assert require_workload_consortium(directory, workload) is True
    with pytest.raises(ConfigurationError, match="only a part of the ledger"):
        require_whole_ledger(directory)

    class Interrupted(Exception):
        pass

    def interrupting(step: str, done: int, total: int) -> None:
        if (step, done) in interruptions:
            interruptions.remove((step, done))
            raise Interrupted

    interruptions = {("verifying the ledger", 1), ("copying the ledger", 2)}
    for _ in range(2):
        with pytest.raises(Interrupted):
            await install_ledger(directory, server, workload, interrupting)
        assert require_workload_consortium(directory, workload) is False
    await install_ledger(directory, server, workload, quiet)
    require_whole_ledger(directory)

    banks = [directory.bank(bank) for bank in range(4)]
    tips = [await tip_of(directory, bank) for bank in banks]
    assert {height for height, _ in tips} == {BLOCKS}
    assert len({root for _, root in tips}) == 1
    assert all(bank.guard_file.read_bytes() == b"" for bank in banks)
    assert [rows(bank, "SELECT bank_id FROM ledger_identity") for bank in banks] == [
        [(bank.index,)] for bank in banks
    ]
    counted = "SELECT (SELECT count(*) FROM notes), (SELECT count(*) FROM transaction_bodies)"
    assert {tuple(rows(bank, counted)) for bank in banks} == {((26 * 16, 104),)}
    closed = "SELECT count(*) FROM bins WHERE closed_at_height IS NOT NULL"
    assert rows(banks[3], closed) == [(26,)]


async def test_section_11_every_bank_begins_with_a_past_as_after_a_snapshot(
    directory: ConsortiumDirectory, tmp_path: Path, make_database_url: Callable[[], str]
) -> None:
    """Its lists, books and blocks hold at every bank, though the installation was interrupted."""
    path = tmp_path / "grown.load"
    order = WorkloadOrder(3, ring_base=4, bank_count=4, seed=1, jobs=1, grown_notes=2_000)
    header = prepare_workload(path, order)
    server = SharedServer(make_database_url)

    class Interrupted(Exception):
        pass

    def interrupting(step: str, done: int, total: int) -> None:
        if (step, done) in interruptions:
            interruptions.remove((step, done))
            raise Interrupted

    interruptions = {
        ("growing: nullifiers", 2_000),
        ("verifying the ledger", header.funded_height),
        ("copying the ledger", 2),
    }
    with open_workload(path) as workload:
        require_workload_consortium(directory, workload)
        for _ in range(3):
            with pytest.raises(Interrupted):
                await install_ledger(directory, server, workload, interrupting)
        await install_ledger(directory, server, workload, quiet)
    banks = [directory.bank(bank) for bank in range(4)]
    tips = [await tip_of(directory, bank) for bank in banks]
    assert {height for height, _ in tips} == {header.funded_height} == {8}
    assert len({root for _, root in tips}) == 1
    counted = (
        "SELECT (SELECT count(*) FROM notes), (SELECT count(*) FROM nullifiers), "
        "(SELECT count(*) FROM blocks), (SELECT block_number FROM snapshot_origin)"
    )
    assert {tuple(rows(bank, counted)) for bank in banks} == {
        ((2_768 + 16, 2_000, 1 + 8, 7),)
    }
    # A database that was copied has the keys of one that was written row by row.
    assert rows(banks[3], KEYS) == rows(banks[0], KEYS) != []
    for bank in (banks[0], banks[3]):
        await walk_history(directory, bank)


async def walk_history(directory: ConsortiumDirectory, bank: BankDirectory) -> None:
    """Check everything that the bank stores, as it does itself all the time."""
    config = DatabaseConfig(read_private(bank.database_url_file).decode(), pool_size=1)
    genesis = directory.genesis()
    database = await Database.open(config, genesis=genesis, bank=bank.index)
    try:
        height = (await database.load_tip()).state.height
        await IntegrityScrubber(genesis, database, lambda: height, 100).walk()
    finally:
        await database.close()


async def test_a_past_that_the_seal_does_not_certify_is_not_installed(
    directory: ConsortiumDirectory, tmp_path: Path, make_database_url: Callable[[], str]
) -> None:
    path, forged = tmp_path / "grown.load", tmp_path / "forged.load"
    order = WorkloadOrder(3, ring_base=4, bank_count=4, seed=1, jobs=1, grown_notes=100)
    prepare_workload(path, order)
    with open_workload(path) as workload:
        founding, past, *blocks = workload.archive()
        grown = GrownLedger.decode(past)
        other = replace(grown, growth=replace(grown.growth, seed=bytes(32)))
        header, raws = workload.header, list(workload.transactions())
    with WorkloadWriter(forged, len(raws), header.transaction_bytes) as writer:
        for part in (founding, other.encode(), *blocks):
            writer.append(part)
        for index, raw in enumerate(raws):
            writer.put(index, raw)
        writer.finish(header)
    with open_workload(forged) as workload:
        require_workload_consortium(directory, workload)
        server = SharedServer(make_database_url)
        with pytest.raises(ArchiveInvalid, match="the past of the ledger: notes: "):
            await install_ledger(directory, server, workload, quiet)
    counted = "SELECT (SELECT count(*) FROM notes), (SELECT count(*) FROM blocks)"
    assert rows(directory.bank(0), counted) == [(0, 1)]


def test_a_consortium_of_another_chain_is_left_alone(
    directory: ConsortiumDirectory, workload: Workload
) -> None:
    create_consortium(directory, bank_count=4)
    before = directory.genesis_file.read_bytes()
    with pytest.raises(LedgerDiffers, match="give another directory with --data"):
        require_workload_consortium(directory, workload)
    assert directory.genesis_file.read_bytes() == before
    require_whole_ledger(directory)


def test_keys_are_those_of_the_file_and_certificates_are_new(
    directory: ConsortiumDirectory, workload: Workload, tmp_path: Path
) -> None:
    require_workload_consortium(directory, workload)
    twin = ConsortiumDirectory(tmp_path / "twin")
    require_workload_consortium(twin, workload)
    for name in ("consensus.key", "ballot.key", "issuer.key"):
        one, other = (place.bank(2).keys / name for place in (directory, twin))
        assert read_private(one) == read_private(other)
    assert read_private(directory.regulator / "draw.root") == read_private(
        twin.regulator / "draw.root"
    )
    authorities = {place.certificates / "ca.crt" for place in (directory, twin)}
    assert len({path.read_bytes() for path in authorities}) == 2
    assert directory.genesis().banks[BankIndex(2)] == twin.genesis().banks[2]
