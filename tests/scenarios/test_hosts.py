"""Banks on hosts of their own: each started from its machine's directory alone.

On Linux 127.0.0.2, 127.0.0.3 and so on are addresses of their own without any preparation. Network
namespaces need root and iproute2; without them the tool says so, and nothing is measured.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from node.cli.access import Consortium
from node.cli.main import main
from node.cli.network_namespaces import missing_for_namespaces
from node.cli.status import look
from node.cli.throughput_report import SCHEMA
from node.client.errors import AccessDenied, LedgerError
from node.client.issuing import issue
from node.client.payment_order import recipient
from node.client.wallet import Wallet
from node.client.wallet_file import Passphrase
from node.ledger.types import BankIndex
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.load_preparation import WorkloadOrder, prepare_workload
from node.runtime.own_databases import OwnServers
from node.runtime.ports import choose_ports
from node.runtime.secrets_directory import read_secret
from tests.scenarios.consortium_process import command, environment

pytestmark = [pytest.mark.processes, pytest.mark.postgres]

BANKS = 4
READY_WITHIN_S = 150
RTT_MS = 40


def consortium(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        env=environment(),
        timeout=300,
        check=False,
    )


@contextmanager
def running_nodes(machines: list[ConsortiumDirectory]) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Each machine runs the one command that its operator types there."""
    nodes = []
    try:
        for bank, machine in enumerate(machines):
            place = machine.bank(bank)
            with place.log_file.open("wb") as log:
                nodes.append(
                    subprocess.Popen(
                        command("node", "run", "--config", str(place.config_file)),
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        env=environment(),
                    )
                )
        yield nodes
    finally:
        for node in nodes:
            if node.poll() is None:
                node.kill()
                node.wait()
        for machine in machines:
            OwnServers(machine).stop()


async def wait_linked(machines: list[ConsortiumDirectory]) -> None:
    """Ask every bank on its own machine, with its own operator's certificate."""
    for bank, machine in enumerate(machines):
        async with Consortium.load(machine).operator(BankIndex(bank)) as operator:
            while True:
                try:
                    report = await operator.report()
                except LedgerError:
                    await asyncio.sleep(0.2)
                    continue
                linked = [peer.linked_in and peer.linked_out for peer in report.peers]
                if report.ready and all(linked):
                    break
                await asyncio.sleep(0.2)


async def test_four_banks_seal_from_their_machines_directories(reachable_directory: Path) -> None:
    port = choose_ports(1)[0]
    hosts = [
        word for bank in range(BANKS) for word in ("--host", f"{bank}=127.0.0.{bank + 2}:{port}")
    ]
    founding, target = reachable_directory / "founding", reachable_directory / "machines"
    made = CliRunner().invoke(
        main, ["init", "--data", str(founding), "--out", str(target), *hosts, "--json"]
    )
    assert made.exit_code == 0, made.stderr
    # PostgreSQL's unprivileged user must get through; on a machine of its own there is no `target`.
    target.chmod(0o711)
    machines = [
        ConsortiumDirectory(Path(item["directory"])) for item in json.loads(made.stdout)["machines"]
    ]
    with running_nodes(machines) as nodes:
        async with asyncio.timeout(READY_WITHIN_S):
            await wait_linked(machines)
        first = Consortium.load(machines[0])
        async with first.operator(BankIndex(1)) as stranger:
            with pytest.raises(AccessDenied):
                await stranger.report()
        seen = await look(first)
        assert (seen.diagnosis.votes_possible, seen.diagnosis.verdict) == (BANKS, "")

        secret = read_secret(machines[2].bank(2).keys / "issuer.key")
        async with Consortium.load(machines[2]).ledger(BankIndex(0)) as ledger:
            wallet = await Wallet.create(
                reachable_directory, "alice", Passphrase("of the tests"), ledger
            )
            await issue(ledger, secret, [recipient(wallet.address, 5_000)])
            async with asyncio.timeout(READY_WITHIN_S):
                await wallet.wait_for_funds(5_000)

        for node in nodes:
            node.send_signal(signal.SIGTERM)
        assert [node.wait(30) for node in nodes] == [0] * BANKS
        # Each node has stopped the server that it started.
        assert not any(OwnServers(machine).is_running() for machine in machines)


def test_throughput_of_banks_in_network_namespaces(reachable_directory: Path) -> None:
    workload = reachable_directory / "test.workload"
    if missing_for_namespaces() is not None:
        workload.touch()
        refused = consortium("bench", "hosts", "--workload-file", str(workload))
        assert (refused.returncode, refused.stdout) == (2, "")
        assert "not run: network namespaces need root and iproute2 on Linux" in refused.stderr
        return
    prepare_workload(workload, WorkloadOrder(30, ring_base=4, bank_count=BANKS, jobs=1))
    done = consortium(
        *("bench", "hosts", "--workload-file", str(workload), "--rtt", str(RTT_MS)),
        *("--seconds", "3", "--rate", "5", "--json", "--no-doctor"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["schema"] == SCHEMA
    assert report["consortium"]["rtt_ms"] == RTT_MS
    integrity = report["integrity"]
    assert integrity["acknowledged"] == integrity["sealed"] == integrity["submitted"] > 0
    assert integrity["state_roots_identical"]
    (run,) = report["runs"]
    # Five messages one after the other make a block: propose, vote, certify, commit, seal.
    assert run["finality_ms"]["p50"] > 5 * RTT_MS / 2
    memory = run["memory_bytes"]
    assert all(memory[name] > 0 for name in ("banks", "postgres", "supervisor", "client"))
    assert run["per_transaction"]["cpu_ms"]["database_server"] > 0
    assert "its own PostgreSQL server" in report["notes"][0]
    assert "handed on" in report["notes"][1]
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True)
    makers = re.findall(r"consortium-(\d+)-", listed.stdout)
    assert all(psutil.pid_exists(int(pid)) for pid in makers), "only of other tests that run"
