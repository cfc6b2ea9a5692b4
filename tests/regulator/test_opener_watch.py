"""A running regulator drops the opener's key when it is split (BFT-12 17: one opener opens all)."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

import pytest

from crypto.ballot import BallotKey
from node.client.connection import ClientCredentials
from node.client.errors import LedgerUnavailable
from node.client.regulator_client import RegulatorClient
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.exit_code import ExitCode
from node.runtime.initialise import create_consortium
from node.runtime.regulator.opener_watch import OpenerWatch
from node.runtime.regulator.place import RegulatorPlace
from node.runtime.regulator.process import RegulatorConfig, run_regulator_until
from node.runtime.regulator.secrets import OPENER_FILE
from node.runtime.secrets_directory import write_private
from tests.regulator.conftest import World

BANKS = 4
DEADLINE_S = 60


def held_keys(public: bytes) -> int:
    """How many objects of this process hold the key."""
    gc.collect()
    found = [item for item in gc.get_objects() if isinstance(item, BallotKey)]
    return sum(item.public == public for item in found)


async def is_split(place: RegulatorPlace) -> bool:
    """What the running regulator tells; waits until it answers."""
    credentials = ClientCredentials.load(place.directory.operator)
    while True:
        address = place.address()
        if address is not None:
            async with RegulatorClient(address, credentials) as client:
                try:
                    return (await client.status()).opener_is_split
                except LedgerUnavailable:
                    pass
        await asyncio.sleep(0.05)


async def test_the_whole_key_is_in_no_memory_once_its_file_is_gone(
    tmp_path: Path, regulator_url: str
) -> None:
    directory = ConsortiumDirectory(tmp_path / "consortium")
    create_consortium(directory, bank_count=BANKS)
    directory.run.mkdir(exist_ok=True)
    place = RegulatorPlace(directory)
    write_private(place.database_url_file, regulator_url.encode())
    public = directory.genesis().opener_key
    stopping = asyncio.Event()
    running = asyncio.create_task(run_regulator_until(RegulatorConfig.of(directory), stopping))
    try:
        async with asyncio.timeout(DEADLINE_S):
            assert not await is_split(place)
            assert held_keys(public) == 1
            (place.root / OPENER_FILE).unlink()
            while True:
                if await is_split(place):
                    break
                await asyncio.sleep(0.05)
        assert held_keys(public) == 0
    finally:
        stopping.set()
        assert await running is ExitCode.STOPPED


@pytest.mark.parametrize("is_there", [True, False])
async def test_without_the_key_years_and_conflicts_wait_for_the_officers(
    world: World, tmp_path: Path, is_there: bool
) -> None:
    file = tmp_path / OPENER_FILE
    if is_there:
        file.touch()
    watch = asyncio.create_task(
        OpenerWatch(file, (world.follower, world.settling, world.conflicts)).run()
    )
    world.seal()
    await world.follow()
    file.unlink(missing_ok=True)
    await watch
    world.end_year()
    await world.follow()
    await world.settling.settle_next()

    assert world.banks[0].submissions == []
    assert world.settling.waiting_for.startswith("the officers: the year FY2026")
