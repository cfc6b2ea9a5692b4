"""Nodes that talk to each other: sealing, idempotence, double spends, restarts, catch-up."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from crypto.build import Payment, build_issue
from crypto.note import SessionKeys
from crypto.transaction import Kind, transaction_id
from node.client.errors import LedgerUnavailable, RecordNotFound, TransactionRefused
from node.client.issuing import issue as submit_issue
from node.client.ledger_client import LedgerClient
from node.client.payment_order import recipient
from node.client.wallet import Wallet
from node.client.wallet_file import Passphrase
from node.ledger.types import Height, TransactionId
from node.runtime.exit_code import ExitCode
from node.wire.records import TransactionState
from tests.ledger.chain import BASE, issuer_secret
from tests.runtime.cluster import Cluster, make_cluster
from tests.runtime.observed import assert_observed

pytestmark = pytest.mark.postgres

DEADLINE_S = 40
PASSPHRASE = Passphrase("a passphrase of the tests")


@asynccontextmanager
async def running(
    directory: Path, make_database_url: Callable[[], str], banks: int
) -> AsyncIterator[Cluster]:
    cluster = make_cluster(directory, make_database_url, banks)
    cluster.start()
    try:
        async with asyncio.timeout(DEADLINE_S):
            for bank in range(banks):
                await until_ready(cluster, bank)
            yield cluster
    finally:
        assert set(await cluster.stop()) == {ExitCode.STOPPED}


async def until_ready(cluster: Cluster, *banks: int, linked: int | None = None) -> None:
    """Wait until these banks answer and are linked with `linked` banks (all by default)."""
    wanted = len(cluster.banks) if linked is None else linked
    for bank in banks:
        async with cluster.client(bank) as client:
            while True:
                try:
                    status = await client.node_status()
                    if status.ready and status.linked_banks >= wanted:
                        break
                except LedgerUnavailable:
                    pass
                await asyncio.sleep(0.05)


async def height_of(cluster: Cluster, bank: int) -> Height:
    async with cluster.client(bank) as client:
        return (await client.node_status()).height


async def block_id_at(cluster: Cluster, bank: int, height: int) -> bytes:
    async with cluster.client(bank) as client:
        return (await client.block(Height(height))).header


def make_issue(cluster: Cluster, amount: int, bank: int = 0, expiry: int = 500) -> bytes:
    keys = SessionKeys.derive(os.urandom(32), 1)
    return build_issue(
        kind=Kind.ISSUE,
        chain_id=cluster.genesis.chain_id,
        asset=BASE,
        amount=amount,
        issuer_secret=issuer_secret(bank),
        payments=[Payment(keys.address, amount, bytes(32))],
        expiry=expiry,
        ring_base=4,
        random_bytes=os.urandom,
    )


async def sealed_at(cluster: Cluster, raw: bytes, *banks: int) -> list[tuple[int, bytes]]:
    """Height and block at which each of these banks has sealed a transaction."""
    places = []
    for bank in banks:
        async with cluster.client(bank) as client:
            final = None
            async for status in client.wait_for(
                TransactionId(transaction_id(raw)), timeout_ms=20_000
            ):
                final = status
            assert final is not None and final.position is not None, final
            places.append((final.position.height, final.position.block_id))
    return places


async def submit(cluster: Cluster, bank: int, raw: bytes) -> TransactionState:
    async with cluster.client(bank) as client:
        return (await client.submit(raw)).state


async def funded_wallet(
    directory: Path, name: str, ledger: LedgerClient, values: list[int]
) -> Wallet:
    wallet = await Wallet.create(directory, name, PASSPHRASE, ledger)
    if values:
        payments = [recipient(wallet.address, value) for value in values]
        await submit_issue(ledger, issuer_secret(0), payments)
        await wallet.wait_for_funds(sum(values))
    return wallet


async def test_confidential_payment_double_spend_and_restart(
    tmp_path: Path, make_database_url: Callable[[], str]
) -> None:
    async with running(tmp_path, make_database_url, 4) as cluster:
        # An issue is sealed once, in one block, at every bank; submitting it again is harmless.
        raw = make_issue(cluster, 1_000)
        await submit(cluster, 0, raw)
        assert await submit(cluster, 1, raw) in set(TransactionState) - {TransactionState.REJECTED}
        places = await sealed_at(cluster, raw, 0, 1, 2, 3)
        assert len(set(places)) == 1
        assert await submit(cluster, 2, raw) is TransactionState.SEALED

        # Every bank tells the operators how it came to that, and only whose client sent it.
        raw = make_issue(cluster, 2_000)
        await submit(cluster, 0, raw)
        places = await sealed_at(cluster, raw, 0, 1, 2, 3)
        issued = TransactionId(transaction_id(raw))
        await assert_observed(cluster, issued, places[0][0], home=0)

        # Money moves between wallets at different banks.
        async with cluster.client(0) as at_first, cluster.client(3) as at_last:
            payer = await funded_wallet(tmp_path, "payer", at_first, [5_000])
            payee = await funded_wallet(tmp_path, "payee", at_last, [])
            payment = await payer.pay(payee.address, 1_500, memo="rent")
            await payer.wait_sealed(payment)
            await payee.wait_for_funds(1_500)
            assert payee.balance().spendable == 1_500
            await payer.wait_for_funds(5_000 - 1_500 - 100)

            # The same note spent at two banks at the same moment: one at most is sealed.
            twin = await twin_of(tmp_path, payer, at_last)
            outcomes = await asyncio.gather(
                payer.pay(payee.address, 1_000),
                twin.pay(payee.address, 2_000),
                return_exceptions=True,
            )
            refused = [item for item in outcomes if isinstance(item, TransactionRefused)]
            assert len(refused) <= 1
            await asyncio.sleep(1)
            await payee.sync()
            received = payee.balance().spendable + payee.balance().maturing
            assert received in (1_500 + 1_000, 1_500 + 2_000)
            for wallet in (payer, payee, twin):
                wallet.close()

        # A stop of the whole consortium loses nothing.
        top = await height_of(cluster, 0)
        header = await block_id_at(cluster, 0, top)
        assert set(await cluster.stop()) == {ExitCode.STOPPED}
        cluster.start()
        await until_ready(cluster, 0, 1, 2, 3)
        for bank in range(4):
            assert await block_id_at(cluster, bank, top) == header
        async with cluster.operator(0) as operator:
            with pytest.raises(RecordNotFound, match="512 heights since its start"):
                await operator.round(Height(places[0][0]))
            with pytest.raises(RecordNotFound, match="20000 transactions since its start"):
                await operator.transaction_trace(issued)
        again = make_issue(cluster, 7)
        await submit(cluster, 3, again)
        assert len(set(await sealed_at(cluster, again, 0, 1, 2, 3))) == 1


async def twin_of(directory: Path, wallet: Wallet, ledger: LedgerClient) -> Wallet:
    """A second wallet with the same seed, as a thief of one's own money would make."""
    twin = await Wallet.restore(directory, "twin", PASSPHRASE, ledger, wallet.reveal_seed())
    await twin.sync()
    return twin


async def test_a_bank_that_was_away_catches_up(
    tmp_path: Path, make_database_url: Callable[[], str]
) -> None:
    """BFT-12 section 11, and section 7: six of seven decide without the seventh."""
    async with running(tmp_path, make_database_url, 7) as cluster:
        away = cluster.banks[6]
        await away.stop()
        raws = [make_issue(cluster, amount) for amount in range(1, 4)]
        for bank, raw in enumerate(raws):
            await submit(cluster, bank, raw)
            await sealed_at(cluster, raw, bank)
        away.start()
        await until_ready(cluster, 6, linked=7)
        places = [await sealed_at(cluster, raws[-1], bank) for bank in (0, 6)]
        assert places[0] == places[1]
        async with cluster.operator(6) as operator:
            trace = await operator.transaction_trace(TransactionId(transaction_id(raws[0])))
        assert trace.source.startswith("bank "), "its body came from one of the others"
        assert trace.events[-1].kind.value == "applied"


async def test_without_a_quorum_nothing_is_sealed_until_the_bank_returns(
    tmp_path: Path, make_database_url: Callable[[], str]
) -> None:
    """BFT-12 section 1: with 4 banks the quorum is 4; halting is safe, and it ends by itself."""
    async with running(tmp_path, make_database_url, 4) as cluster:
        await cluster.banks[3].stop()
        raw = make_issue(cluster, 1)
        await submit(cluster, 0, raw)
        before = await height_of(cluster, 0)
        await asyncio.sleep(3)
        assert await height_of(cluster, 0) == before
        cluster.banks[3].start()
        places = await sealed_at(cluster, raw, 0, 3)
        assert places[0] == places[1]


async def test_d5_a_second_node_with_the_same_key_refuses_to_run(
    tmp_path: Path, make_database_url: Callable[[], str]
) -> None:
    async with running(tmp_path, make_database_url, 4) as cluster:
        from tests.runtime.cluster import RunningBank

        second = RunningBank(cluster.banks[0].config)
        second.start()
        assert second.task is not None
        assert await second.task is ExitCode.UNSAFE
        await until_ready(cluster, 0)
