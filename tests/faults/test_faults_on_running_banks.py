"""`consortium fault` on four real nodes: links, lies and rows; seen in the reports, and healed.

Four of four are needed here (BFT-12 section 10), so that each fault of a link stops the ledger and
each healing starts it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from node.cli.main import main
from node.client.issuing import issue
from node.client.payment_order import recipient
from node.client.wallet import Wallet
from node.client.wallet_file import Passphrase
from node.ledger.types import BankIndex
from node.runtime.secrets_directory import read_secret
from node.simulation.byzantine import STYLES
from node.wire.operator_records import NodeReport
from tests.cli.running_banks import RunningBanks, running_banks

pytestmark = pytest.mark.postgres

DEADLINE_S = 60
BREAKABLE = (0, 2, 3)


async def report(running: RunningBanks, bank: int) -> NodeReport:
    async with running.consortium.operator(BankIndex(bank)) as client:
        return await client.report()


async def until(running: RunningBanks, holds: Callable[[list[NodeReport]], bool]) -> None:
    """Wait until something holds of the reports of all banks."""
    while True:
        reports = [await report(running, bank) for bank in range(4)]
        if holds(reports):
            return
        await asyncio.sleep(0.05)


def linked(reports: list[NodeReport], one: int, other: int) -> bool:
    """Whether messages of `one` reach `other`, as `one` says."""
    return any(peer.bank == other and peer.linked_out for peer in reports[one].peers)


def all_linked(reports: list[NodeReport]) -> bool:
    return all(linked(reports, a, b) for a in range(4) for b in range(4) if a != b)


async def mint(running: RunningBanks, directory: Path, number: int) -> bytes:
    """Hand in an issue, which is work for all; return its id."""
    consortium = running.consortium
    secret = read_secret(consortium.directory.bank(1).keys / "issuer.key")
    passphrase = Passphrase("a passphrase of the tests")
    async with consortium.ledger(BankIndex(1)) as ledger:
        wallet = await Wallet.create(directory, f"payee-{number}", passphrase, ledger)
        payee = recipient(wallet.address, 1_000)
        minted = await issue(ledger, secret, [payee], chain_id=consortium.genesis.chain_id)
        wallet.close()
    return bytes(minted.transaction_id)


async def heights(running: RunningBanks) -> list[int]:
    return [(await report(running, bank)).height for bank in range(4)]


async def test_links_are_cut_and_slowed_and_healed(
    tmp_path: Path, make_database_url: Callable[[], str]
) -> None:
    async with (
        asyncio.timeout(DEADLINE_S),
        running_banks(tmp_path / "data", make_database_url, breakable=BREAKABLE) as running,
    ):
        # One direction: what dunmere sends.
        cut = await running.command("fault", "disconnect", "dunmere", "--direction", "out")
        assert (cut.exit_code, cut.stderr) == (0, "")
        assert cut.stdout == (
            "dunmere: sending to all banks cut\n`consortium fault heal dunmere` ends it\n"
        )
        await until(running, lambda now: not any(linked(now, 3, other) for other in range(3)))
        reports = [await report(running, bank) for bank in range(4)]
        assert all(linked(reports, other, 3) for other in range(3))
        assert [fault.kind for fault in reports[3].faults] == ["disconnect"]
        assert reports[3].peers[0].last_error == "cut by fault injection"
        status = await running.command("status")
        assert "dunmere is broken on purpose: sending to all banks cut" in status.stdout

        # The ledger stands still, and says so; healing is enough.
        before = await heights(running)
        await mint(running, tmp_path, 1)
        await until(running, lambda now: any(item.consensus.timed_out for item in now[:3]))
        assert await heights(running) == before
        listed = await running.command("fault", "list")
        assert "dunmere" in listed.stdout
        assert "sending to all banks cut" in listed.stdout
        healed = await running.command("fault", "heal", "dunmere")
        assert healed.stdout == "dunmere is healed of: sending to all banks cut\n"
        await until(running, all_linked)
        await until(running, lambda now: all(item.height > max(before) for item in now))

        # The other direction, from one bank: what dunmere hears of cedarholm.
        await running.command("fault", "disconnect", "3", "--peer", "2", "--direction", "in")
        await mint(running, tmp_path, 2)
        await until(running, lambda now: not linked(now, 2, 3) and linked(now, 3, 2))
        # Slow links, both ways, replace the cut.
        slow = await running.command("fault", "slow", "3", "--delay", "30", "--jitter", "10")
        assert "links with all banks: 30 ms late, jitter 10 ms\n" in slow.stdout
        before = await heights(running)
        await mint(running, tmp_path, 3)
        await until(running, lambda now: all(item.height > max(before) for item in now))
        assert [fault.text for fault in (await report(running, 3)).faults] == [
            "links with all banks: 30 ms late, jitter 10 ms"
        ]
        await running.command("fault", "heal")
        assert (await report(running, 3)).faults == ()


async def test_a_bank_lies_and_is_healed_and_what_is_forbidden_is_refused(
    tmp_path: Path, make_database_url: Callable[[], str]
) -> None:
    async with (
        asyncio.timeout(DEADLINE_S),
        running_banks(tmp_path / "data", make_database_url, breakable=BREAKABLE) as running,
    ):
        lying = await running.command("fault", "byzantine", "cedarholm", "silent", "--seed", "4")
        assert lying.stdout.splitlines()[0] == "cedarholm: byzantine: silent"
        before = await heights(running)
        await mint(running, tmp_path, 1)
        await until(running, lambda now: any(item.consensus.timed_out for item in now))
        assert await heights(running) == before
        await running.command("fault", "heal", "2")
        await until(running, lambda now: all(item.height > max(before) for item in now))
        assert (await report(running, 2)).faults == ()

        # A bank that was started without permission refuses, with what to do.
        refused = await running.command("fault", "byzantine", "birchmoor", "silent")
        assert (refused.exit_code, refused.stdout) == (1, "")
        assert refused.stderr == (
            "Error: this bank does not let its operators break it.\n"
            "Next: start it with `consortium node run --allow-faults`, or set "
            "`allow_faults = true` under [bank].\n"
        )
        assert not (await report(running, 1)).faults_allowed
        assert (await report(running, 2)).faults_allowed
        for arguments, message in (
            (("byzantine", "2", "kind"), "Error: there is no style 'kind'.\n"),
            (("disconnect", "2", "--peer", "2"), "Error: cedarholm has no link with itself.\n"),
        ):
            result = await running.command("fault", *arguments)
            assert (result.exit_code, result.stderr.splitlines(keepends=True)[0]) == (2, message)
        await running.stop(0)
        gone = await running.command("fault", "disconnect", "0")
        assert (gone.exit_code, gone.stdout) == (3, "")
        assert gone.stderr.startswith("Error: amberfield does not answer: ")
        # Without a launcher there are no processes to break.
        for arguments in (("crash", "2"), ("pause", "2"), ("database",), ("corrupt", "2", "seal")):
            result = await running.command("fault", *arguments)
            assert (result.exit_code, result.stdout) == (1, "")
            assert result.stderr.startswith("Error: no consortium is up in ")


def test_the_styles_are_listed_with_what_they_do() -> None:
    result = CliRunner().invoke(main, ["fault", "byzantine", "--list"])
    assert [line.split()[0] for line in result.stdout.splitlines()[1:]] == list(STYLES)
