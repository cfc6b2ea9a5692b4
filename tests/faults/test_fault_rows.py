"""Corrupting rows: one byte of one row, or one row less, and the operator is told which."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio

from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.fault_book import corrupted_rows, forget_corruption, note_corruption
from node.runtime.fault_processes import FaultRefused
from node.runtime.fault_rows import ROWS, corrupt
from node.runtime.secrets_directory import write_private
from tests.ledger.chain import Chain
from tests.runtime.bank_parts import Bank, funded, open_bank

pytestmark = pytest.mark.postgres


@dataclass
class Victim:
    """A bank with two blocks whose rows may be broken."""

    directory: ConsortiumDirectory
    bank: Bank
    url: str

    def read(self, query: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.url) as connection:
            return connection.execute(query.encode()).fetchall()


@pytest_asyncio.fixture
async def victim(tmp_path: Path, make_database_url: Callable[[], str]) -> AsyncIterator[Victim]:
    url = make_database_url()
    directory = ConsortiumDirectory(tmp_path)
    directory.bank(0).root.mkdir(parents=True)
    directory.run.mkdir()
    write_private(directory.bank(0).database_url_file, url.encode())
    async with open_bank(Chain(seed="corrupt"), lambda: url) as bank:
        await funded(bank)
        yield Victim(directory, bank, url)


def differing_bytes(before: object, after: object) -> list[int]:
    assert isinstance(before, bytes)
    assert isinstance(after, bytes)
    assert len(before) == len(after)
    return [i for i, (one, two) in enumerate(zip(before, after, strict=True)) if one != two]


QUERIES = {
    "block": "SELECT header FROM blocks WHERE block_number = 2",
    "seal": "SELECT seal FROM blocks WHERE block_number = 2",
    "state": "SELECT state FROM ledger_state",
    "transaction": "SELECT body FROM transaction_bodies",
}
PLACES = {
    "block": "header of block 2",
    "seal": "seal of block 2",
    "state": "ledger state after the tip",
    "transaction": "body of transaction ",
}


@pytest.mark.parametrize("row", QUERIES)
async def test_one_byte_changes_and_the_operator_is_told_which(victim: Victim, row: str) -> None:
    ((before,),) = victim.read(QUERIES[row])
    text = corrupt(victim.directory, 0, row)
    ((after,),) = victim.read(QUERIES[row])
    (place,) = differing_bytes(before, after)
    assert text.startswith(PLACES[row])
    assert text.endswith(f", byte {place}")


async def test_an_earlier_block_can_be_chosen(victim: Victim) -> None:
    assert corrupt(victim.directory, 0, "block", 1).startswith("header of block 1, byte ")
    with pytest.raises(FaultRefused, match="nothing is sealed at that height"):
        corrupt(victim.directory, 0, "block", 9)
    with pytest.raises(FaultRefused, match="no transaction is sealed at that height"):
        corrupt(victim.directory, 0, "transaction", 2)


async def test_a_nullifier_is_removed(victim: Victim) -> None:
    with pytest.raises(FaultRefused, match="nothing was spent yet"):
        corrupt(victim.directory, 0, "nullifier")
    with psycopg.connect(victim.url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO nullifiers (sequence, nullifier, transaction_sequence) "
            "VALUES (0, %s, 0)",
            (b"\x05" * 96,),
        )
    assert corrupt(victim.directory, 0, "nullifier") == f"nullifier 0, {'05' * 96} (removed)"
    assert victim.read("SELECT count(*) FROM nullifiers") == [(0,)]


async def test_what_is_not_there_is_refused_with_the_reason(victim: Victim) -> None:
    with pytest.raises(FaultRefused) as refused:
        corrupt(victim.directory, 0, "evidence")
    assert str(refused.value) == "amberfield has no such row: the bank holds no evidence"
    with pytest.raises(FaultRefused, match="only while a height is being decided"):
        corrupt(victim.directory, 0, "consensus")
    write_private(
        victim.directory.bank(0).database_url_file, b"postgresql://u:secret@127.0.0.1:1/none"
    )
    with pytest.raises(FaultRefused) as lost:
        corrupt(victim.directory, 0, "state")
    assert "secret" not in str(lost.value)


def test_every_row_that_the_command_offers_is_there() -> None:
    from node.cli.fault import ROW_NAMES

    assert tuple(ROWS) == ROW_NAMES


def test_corruptions_are_remembered_until_a_bank_is_repaired(tmp_path: Path) -> None:
    directory = ConsortiumDirectory(tmp_path)
    assert corrupted_rows(directory) == {}
    note_corruption(directory, 3, "seal of block 7, byte 9")
    note_corruption(directory, 3, "ledger state after the tip, byte 1")
    note_corruption(directory, 1, "seal of block 7, byte 9")
    assert corrupted_rows(directory) == {
        3: ("seal of block 7, byte 9", "ledger state after the tip, byte 1"),
        1: ("seal of block 7, byte 9",),
    }
    forget_corruption(directory, 3)
    assert list(corrupted_rows(directory)) == [1]
    (directory.run / "corrupted.json").write_text("[")
    assert corrupted_rows(directory) == {}
    assert os.listdir(directory.run) == ["corrupted.json"]
