"""A bank's database is damaged and rebuilt with the commands an operator has."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from node.client.issuing import issue
from node.client.payment_order import recipient
from node.client.wallet import Wallet
from node.client.wallet_file import Passphrase
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.guard_file import GuardFile, SignaturePoint, guard_owner
from node.runtime.secrets_directory import read_private, read_secret
from tests.scenarios.consortium_process import ConsortiumProcess

pytestmark = [pytest.mark.processes, pytest.mark.postgres]

BANKS = 4
"""All four are needed for a seal: what the damaged bank does not sign is not sealed."""
DUNMERE = 3


@pytest.fixture
def consortium(reachable_directory: Path) -> Iterator[ConsortiumProcess]:
    process = ConsortiumProcess(ConsortiumDirectory(reachable_directory / "data"), banks=BANKS)
    try:
        yield process
    finally:
        process.abandon()


def execute(consortium: ConsortiumProcess, statement: str) -> list[tuple[object, ...]]:
    url = read_private(consortium.directory.bank(DUNMERE).database_url_file).decode().strip()
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


async def until_halted(consortium: ConsortiumProcess) -> str:
    """Return what `consortium up` told its operator."""
    async with asyncio.timeout(60):
        while True:
            for line in consortium.log.read_text().splitlines():
                if line.startswith("dunmere has halted at height "):
                    return line
            await asyncio.sleep(0.2)


def last_signature(consortium: ConsortiumProcess) -> SignaturePoint | None:
    genesis = consortium.directory.genesis()
    owner = guard_owner(genesis.chain_id, genesis.banks[DUNMERE].consensus_key)
    guard = GuardFile(consortium.directory.bank(DUNMERE).guard_file, owner)
    try:
        return guard.last
    finally:
        guard.close()


async def test_a_damaged_bank_halts_and_is_rebuilt_from_its_peers(
    consortium: ConsortiumProcess,
) -> None:
    await asyncio.to_thread(consortium.start)
    directory = consortium.directory
    secret = read_secret(directory.bank(0).keys / "issuer.key")
    async with consortium.client(0) as ledger:
        wallet = await Wallet.create(
            directory.root.parent, "wallet", Passphrase("of the tests"), ledger
        )
        await issue(ledger, secret, [recipient(wallet.address, 5_000)])
        await wallet.wait_for_funds(5_000)

        execute(consortium, "UPDATE ledger_state SET state = set_byte(state, 60, 77)")
        second = asyncio.create_task(issue(ledger, secret, [recipient(wallet.address, 700)]))
        halted = await until_halted(consortium)
        assert "and signs nothing: damaged row in ledger_state at height " in halted, halted
        assert "`consortium node rebuild dunmere`" in halted

        report = await asyncio.to_thread(consortium.json, "node", "rebuild", "dunmere", "--yes")
        assert (report["bank"], report["name"], report["dropped"]) == (DUNMERE, "dunmere", False)
        assert set(report["compared_with"]) <= {0, 1, 2} and report["compared_with"]
        assert report["height"] >= 1
        kept = report["replaced_database"]
        assert kept.startswith("bank_03_replaced_")

        # It votes again: what waited for it is sealed, and is the same everywhere.
        await second
        await wallet.wait_for_funds(5_700)
    doctor = await asyncio.to_thread(consortium.json, "doctor", "--full")
    assert doctor["clean"], doctor
    assert consortium.log.read_text().count("dunmere has halted") == 1

    # The guard file outlived the database, and the rebuilt bank went on from there.
    await asyncio.to_thread(consortium.interrupt)
    signed = last_signature(consortium)
    assert signed is not None and signed.height >= report["height"]

    # While nothing runs, the database is replaced all the same.
    report = await asyncio.to_thread(
        consortium.json, "node", "rebuild", "dunmere", "--yes", "--drop-old"
    )
    assert (report["height"], report["replaced_database"], report["dropped"]) == (0, None, True)
    await asyncio.to_thread(consortium.start)
    doctor = await asyncio.to_thread(consortium.json, "doctor")
    assert doctor["clean"], doctor
    databases = {str(row[0]) for row in execute(consortium, "SELECT datname FROM pg_database")}
    assert {name for name in databases if "replaced" in name} == {kept}
