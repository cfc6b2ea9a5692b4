"""The doctor and a bank that joined by a snapshot: that is no damage, and damage is still seen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from node.cli.doctor_report import FindingKind
from node.client.wallet_file import KeyFile
from node.ledger.types import BankIndex
from node.runtime.config import SNAPSHOT, load_node_config, render_node_config
from node.runtime.exit_code import ExitCode
from node.runtime.secrets_directory import write_private
from tests.cli.running_banks import RunningBanks, running_banks, until_linked
from tests.cli.test_examination import Wallet, examine, seal_payments

pytestmark = pytest.mark.postgres

DEADLINE_S = 120
JOINING = 3


async def rejoin(banks: RunningBanks, make_database_url: Callable[[], str]) -> None:
    """Give one bank an empty database, and let it join by a snapshot."""
    assert await banks.stop(JOINING) is ExitCode.STOPPED
    place = banks.directory.bank(JOINING)
    write_private(place.database_url_file, make_database_url().encode())
    config = replace(load_node_config(place.config_file), join=SNAPSHOT)
    place.config_file.write_text(render_node_config(config, place.root.resolve()))
    assert load_node_config(place.config_file).join == SNAPSHOT
    banks.start(JOINING)
    await until_linked(banks)


async def pay_once_more(banks: RunningBanks) -> None:
    directory = banks.directory.wallets
    async with banks.consortium.ledger(BankIndex(JOINING)) as ledger:
        key = KeyFile.create(Path(directory / "bob.key"))
        async with await Wallet.create(directory, "bob", key, ledger) as bob:
            assert bob.balance().spendable == 0
    async with banks.consortium.ledger(BankIndex(0)) as ledger:
        key = KeyFile(Path(directory / "alice.key"))
        async with await Wallet.open(directory, "alice", key, ledger) as alice:
            await alice.sync()
            await alice.wait_sealed(await alice.pay(alice.address, 300))


async def test_a_joined_bank_is_clean_and_its_damage_is_found(
    tmp_path: Path, make_database_url: Callable[[], str]
) -> None:
    async with (
        running_banks(tmp_path / "consortium", make_database_url) as banks,
        asyncio.timeout(DEADLINE_S),
    ):
        await seal_payments(banks)
        await rejoin(banks, make_database_url)
        for full in (False, True):
            report = await examine(banks, full=full)
            assert (report.findings, report.clean) == ((), True)
            assert report.joined == (JOINING,)
        await pay_once_more(banks)
        result = await banks.command("doctor", "--json")
        answer = json.loads(result.stdout)
        assert (result.exit_code, answer["clean"], answer["joined"]) == (0, True, [JOINING])
        result = await banks.command("doctor")
        assert "dunmere joined by a snapshot: other banks hold the blocks before it" in (
            result.stdout.splitlines()
        )

        banks.execute(JOINING, "DELETE FROM nullifiers WHERE sequence = 0")
        report = await examine(banks)
        assert (FindingKind.NULLIFIERS, JOINING) in {
            (finding.kind, finding.bank) for finding in report.findings
        }
