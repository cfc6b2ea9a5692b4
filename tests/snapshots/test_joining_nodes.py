"""Real nodes that are behind: one replays, one joins by a snapshot, one peer lies about it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from node.client.errors import LedgerUnavailable
from node.ledger.blocks import Header
from node.ledger.types import BankIndex, Height
from node.runtime import peer_backend
from node.runtime.config import SNAPSHOT
from node.runtime.exit_code import ExitCode
from node.runtime.secrets_directory import read_private
from node.runtime.snapshot_serving import SnapshotServer
from node.wire.snapshot_records import NotePart, SnapshotPart
from tests.ledger.chain import Chain
from tests.runtime.cluster import Cluster, make_cluster
from tests.runtime.test_node import height_of, make_issue, sealed_at, submit, until_ready
from tests.snapshots.conftest import opened
from tests.snapshots.long_chain import BLOCK_INTERVAL_MS, copy_database, long_chain, store

pytestmark = pytest.mark.postgres

BANKS = 4
HEIGHTS = 250
DEADLINE_S = 120
SERVE = SnapshotServer.serve


def url_of(cluster: Cluster, bank: int) -> str:
    return read_private(cluster.banks[bank].config.database.url_file).decode()


async def give_ledger(cluster: Cluster, *banks: int) -> Chain:
    """Write a long ledger into the databases of these banks; the others know genesis at most."""
    chain = Chain(cluster.genesis, seed="nodes")
    blocks = tuple(long_chain(chain, HEIGHTS))
    await store(url_of(cluster, banks[0]), chain, blocks, BankIndex(banks[0]))
    for bank in banks[1:]:
        await asyncio.to_thread(
            copy_database, url_of(cluster, banks[0]), url_of(cluster, bank), BankIndex(bank)
        )
    for bank in banks:
        # It has signed nothing: the ledger was made for it.
        cluster.banks[bank].config.guard_file.touch()
    return chain


async def until_level(cluster: Cluster, bank: int, height: int) -> None:
    while True:
        if await height_of(cluster, bank) >= height:
            return
        await asyncio.sleep(0.05)


def joining_by_snapshot(cluster: Cluster, bank: int) -> None:
    running = cluster.banks[bank]
    running.config = replace(running.config, join=SNAPSHOT)


async def state_roots(cluster: Cluster, height: int) -> set[bytes]:
    roots = set()
    for bank in range(len(cluster.banks)):
        async with cluster.client(bank) as client:
            block = await client.block(Height(height))
            roots.add(Header.decode(block.header).post_state_root)
    return roots


def lying_bank(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The first bank that is asked alters a note on its way; return what it did."""
    told: list[str] = []

    async def serve(
        self: SnapshotServer, minimum_height: Height
    ) -> AsyncGenerator[SnapshotPart, None]:
        lies = not told
        async for part in SERVE(self, minimum_height):
            if lies and isinstance(part, NotePart):
                told.append("an altered note")
                first = part.notes[0]
                part = NotePart((first._replace(output=bytes(281)), *part.notes[1:]))
            yield part

    monkeypatch.setattr(peer_backend.SnapshotServer, "serve", serve)
    return told


async def test_section_11_a_bank_joins_by_a_snapshot_although_the_first_peer_lies(
    tmp_path: Path,
    make_database_url: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It then votes: with four banks the quorum is four, so nothing is sealed without it."""
    told = lying_bank(monkeypatch)
    age_ms = (HEIGHTS + 10) * BLOCK_INTERVAL_MS
    cluster = make_cluster(tmp_path, make_database_url, BANKS, age_ms=age_ms)
    await give_ledger(cluster, 0, 1, 2)
    joining_by_snapshot(cluster, 3)
    for bank in cluster.banks[:3]:
        bank.start()
    try:
        async with asyncio.timeout(DEADLINE_S):
            await until_ready(cluster, 0, 1, 2, linked=3)
            cluster.banks[3].start()
            await until_ready(cluster, 3)
            raw = make_issue(cluster, 1_000, expiry=HEIGHTS + 100)
            await submit(cluster, 3, raw)
            places = await sealed_at(cluster, raw, 0, 1, 2, 3)
            assert len(set(places)) == 1
            assert len(await state_roots(cluster, places[0][0])) == 1
            async with cluster.client(3) as client:
                with pytest.raises(LedgerUnavailable) as refused:
                    await client.block(Height(5))
    finally:
        assert set(await cluster.stop()) == {ExitCode.STOPPED}
    assert told == ["an altered note"]
    refusals = [item for item in caplog.records if item.message == "snapshot refused"]
    assert [item.reason for item in refusals] == ["notes"]  # type: ignore[attr-defined]
    assert "joined by a snapshot of height 250 and does not hold the block of height 5" in str(
        refused.value
    )
    async with opened(url_of(cluster, 3), Chain(cluster.genesis), BankIndex(3)) as database:
        assert await database.first_height() == HEIGHTS + 1


async def test_section_11_a_bank_far_behind_replays_every_block_and_votes_again(
    tmp_path: Path, make_database_url: Callable[[], str]
) -> None:
    age_ms = (HEIGHTS + 10) * BLOCK_INTERVAL_MS
    cluster = make_cluster(tmp_path, make_database_url, BANKS, age_ms=age_ms)
    await give_ledger(cluster, 0, 1, 2)
    cluster.start()
    try:
        async with asyncio.timeout(DEADLINE_S):
            await until_ready(cluster, 0, 1, 2, 3)
            raw = make_issue(cluster, 1_000, expiry=HEIGHTS + 100)
            await submit(cluster, 0, raw)
            places = await sealed_at(cluster, raw, 0, 3)
            assert len(set(places)) == 1
            await until_level(cluster, 3, HEIGHTS)
            assert len(await state_roots(cluster, HEIGHTS)) == 1
            assert len(await state_roots(cluster, 7)) == 1
    finally:
        assert set(await cluster.stop()) == {ExitCode.STOPPED}


async def test_a_bank_that_is_told_to_stop_while_it_joins_stops(
    tmp_path: Path, make_database_url: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its database is as it was, and no lock is kept."""
    asked = asyncio.Event()

    async def serve(
        self: SnapshotServer, minimum_height: Height
    ) -> AsyncGenerator[SnapshotPart, None]:
        async for part in SERVE(self, minimum_height):
            yield part
            asked.set()
            await asyncio.sleep(DEADLINE_S)

    monkeypatch.setattr(peer_backend.SnapshotServer, "serve", serve)
    age_ms = (HEIGHTS + 10) * BLOCK_INTERVAL_MS
    cluster = make_cluster(tmp_path, make_database_url, BANKS, age_ms=age_ms)
    await give_ledger(cluster, 0)
    joining_by_snapshot(cluster, 3)
    cluster.banks[0].start()
    try:
        async with asyncio.timeout(DEADLINE_S):
            await until_ready(cluster, 0, linked=1)
            cluster.banks[3].start()
            await asked.wait()
            assert await cluster.banks[3].stop() is ExitCode.STOPPED
    finally:
        assert await cluster.banks[0].stop() is ExitCode.STOPPED
    async with opened(url_of(cluster, 3), Chain(cluster.genesis), BankIndex(3)) as database:
        assert (await database.load_tip()).state.height == 0


async def test_banks_that_are_all_new_do_not_wait_for_each_others_snapshots(
    tmp_path: Path, make_database_url: Callable[[], str]
) -> None:
    cluster = make_cluster(tmp_path, make_database_url, BANKS)
    for bank in range(BANKS):
        joining_by_snapshot(cluster, bank)
    cluster.start()
    try:
        async with asyncio.timeout(DEADLINE_S):
            await until_ready(cluster, *range(BANKS))
            raw = make_issue(cluster, 1_000)
            await submit(cluster, 0, raw)
            assert len(set(await sealed_at(cluster, raw, *range(BANKS)))) == 1
    finally:
        assert set(await cluster.stop()) == {ExitCode.STOPPED}
