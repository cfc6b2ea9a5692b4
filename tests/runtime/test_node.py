"""Nodes that talk to each other: sealing, idempotence, double spends, restarts."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from crypto.build import Payment, build_issue
from crypto.note import SessionKeys
from crypto.transaction import Kind, transaction_id
from node.ledger.types import TransactionId
from tests.ledger.chain import BASE, issuer_secret
from tests.runtime.cluster import Cluster, make_cluster

pytestmark = pytest.mark.postgres


@pytest.fixture
async def cluster(
    tmp_path: Path, make_database_url: Callable[[], str]
) -> AsyncIterator[Cluster]:
    running = make_cluster(tmp_path, make_database_url)
    running.start()
    yield running
    await running.stop()


def issue(cluster: Cluster, amount: int, bank: int = 0, expiry: int = 500) -> bytes:
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


async def wait_sealed(cluster: Cluster, raw: bytes, *banks: int) -> list[int]:
    heights = []
    for bank in banks:
        async with cluster.client(bank) as client:
            async for status in client.wait_for(TransactionId(transaction_id(raw)), timeout_ms=20_000):
                last = status
            assert last.position is not None, last
            heights.append(last.position.height)
    return heights


async def test_an_issue_is_sealed_at_every_bank(cluster: Cluster) -> None:
    raw = issue(cluster, 1_000)
    async with cluster.client(0) as client:
        for _ in range(50):
            try:
                await client.submit(raw)
                break
            except Exception as error:
                print("retry", repr(error))
                await asyncio.sleep(0.2)
    heights = await asyncio.wait_for(wait_sealed(cluster, raw, 0, 1, 2, 3), 20)
    assert len(set(heights)) == 1
