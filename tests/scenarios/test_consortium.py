"""Twelve banks as twelve processes: payments, kill -9, a lost quorum, restarts, the doctor."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.client.errors import LedgerError
from node.client.issuing import issue
from node.client.ledger_client import LedgerClient
from node.client.payment_order import recipient
from node.client.wallet import Wallet
from node.client.wallet_file import Passphrase
from node.ledger.types import Height
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.secrets_directory import read_secret
from tests.scenarios.consortium_process import ConsortiumProcess

pytestmark = [pytest.mark.processes, pytest.mark.postgres, pytest.mark.whole_machine]

PASSPHRASE = Passphrase("a passphrase of the tests")
FEE = 100


@pytest.fixture
def consortium(reachable_directory: Path) -> Iterator[ConsortiumProcess]:
    process = ConsortiumProcess(ConsortiumDirectory(reachable_directory / "data"))
    try:
        yield process
    finally:
        process.abandon()


async def header_at(consortium: ConsortiumProcess, bank: int, height: int) -> bytes:
    async with consortium.client(bank) as client:
        return (await client.block(Height(height))).header


async def height_of(consortium: ConsortiumProcess, bank: int) -> int:
    async with consortium.client(bank) as client:
        return (await client.node_status()).height


async def until_height(consortium: ConsortiumProcess, bank: int, height: int) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                if await height_of(consortium, bank) >= height:
                    return
            except LedgerError:
                pass
            await asyncio.sleep(0.2)


async def fund(consortium: ConsortiumProcess, ledger: LedgerClient, to: Wallet, value: int) -> None:
    secret = read_secret(consortium.directory.bank(0).keys / "issuer.key")
    await issue(ledger, secret, [recipient(to.address, value)])
    await to.wait_for_funds(value)


async def pay_and_wait(payer: Wallet, payee: Wallet, amount: int) -> int:
    """Pay, wait for the seal and for the change; return the height."""
    before = payer.balance().spendable
    place = await payer.wait_sealed(await payer.pay(payee.address, amount))
    await payer.wait_for_funds(before - amount - FEE)
    return place.header.height


async def test_twelve_processes(consortium: ConsortiumProcess) -> None:
    directory = consortium.directory.root.parent
    await asyncio.to_thread(consortium.start)

    async with consortium.client(0) as first, consortium.client(5) as fifth:
        payer = await Wallet.create(directory, "payer", PASSPHRASE, first)
        payee = await Wallet.create(directory, "payee", PASSPHRASE, fifth)
        # Confidential money moves between wallets at different banks.
        await fund(consortium, first, payer, 1_000_000)
        await pay_and_wait(payer, payee, 5_000)
        await payee.wait_for_funds(5_000)

        # kill -9 of one bank: the others go on, and it catches up when it returns.
        consortium.kill(7)
        height = await pay_and_wait(payer, payee, 6_000)
        await asyncio.to_thread(consortium.run, "node", "start", "heathmark")
        await until_height(consortium, 7, height)
        assert await header_at(consortium, 7, height) == await header_at(consortium, 0, height)

        # Three banks down: the ledger halts, safely, and says whom it lacks.
        for bank in (1, 2, 3):
            consortium.kill(bank)
        top = await height_of(consortium, 0)
        stalled = await payer.pay(payee.address, 7_000)
        _, status = await asyncio.gather(
            asyncio.sleep(6), asyncio.to_thread(consortium.run, "status", check=False)
        )
        assert await height_of(consortium, 0) == top
        for name in ("birchmoor", "cedarholm", "dunmere"):
            assert name in status.stdout.lower()
        # One of them back makes ten: what was admitted meanwhile is sealed.
        await asyncio.to_thread(consortium.run, "node", "start", "2")
        await payer.wait_sealed(stalled)
        await asyncio.gather(
            *(asyncio.to_thread(consortium.run, "node", "start", bank) for bank in ("1", "3"))
        )
        payer.close()
        payee.close()

    # Three restarts of the whole consortium lose nothing.
    for round_number in range(3):
        top = await height_of(consortium, 0)
        for bank in range(12):
            await until_height(consortium, bank, top)
        header = await header_at(consortium, 0, top)
        elapsed_s = await asyncio.to_thread(consortium.interrupt)
        assert elapsed_s < 10, "Ctrl-C ends every process"
        await asyncio.to_thread(consortium.start)
        for bank in range(12):
            assert await header_at(consortium, bank, top) == header
        async with consortium.client(round_number) as ledger:
            payer = await Wallet.open(directory, "payer", PASSPHRASE, ledger)
            payee = await Wallet.open(directory, "payee", PASSPHRASE, ledger)
            await payer.sync()
            await pay_and_wait(payer, payee, 1_000)
            await payee.wait_for_funds(18_000 + (round_number + 1) * 1_000)
            payer.close()
            payee.close()

    # The doctor finds twelve identical ledgers, everything verified again.
    report = await asyncio.to_thread(consortium.json, "doctor", "--full")
    assert report["clean"] is True, report
    await asyncio.to_thread(consortium.interrupt)
