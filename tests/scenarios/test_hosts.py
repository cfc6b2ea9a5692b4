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

from node.cli.access import Consortium
from node.cli.network_namespaces import missing_for_namespaces
from node.cli.throughput_report import SCHEMA
from node.client.errors import AccessDenied, LedgerError
from node.ledger.types import BankIndex
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.load_preparation import WorkloadOrder, prepare_workload
from node.runtime.own_databases import OwnServers
from node.runtime.ports import choose_ports
from tests.scenarios.consortium_process import command, environment

pytestmark = [pytest.mark.processes, pytest.mark.postgres]

BANKS = 4
READY_WITHIN_S = 90
RTT_MS = 40


def consortium(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        env=environment(),
        timeout=150,
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
    made = consortium("init", "--data", str(founding), "--out", str(target), *hosts, "--json")
    assert made.returncode == 0, made.stderr
    target.chmod(0o711)
    machines = [
        ConsortiumDirectory(Path(item["directory"])) for item in json.loads(made.stdout)["machines"]
    ]
    with running_nodes(machines) as nodes:
        async with asyncio.timeout(READY_WITHIN_S):
            await wait_linked(machines)
        async with Consortium.load(machines[0]).operator(BankIndex(1)) as stranger:
            with pytest.raises(AccessDenied):
                await stranger.report()
        seen = json.loads(consortium("status", "--data", str(machines[0].root), "--json").stdout)
        assert (seen["quorum"]["votes_possible"], seen["quorum"]["verdict"]) == (BANKS, "")

        data = ("--data", str(machines[2].root))
        assert consortium("wallet", "new", "alice", *data).returncode == 0
        issued = consortium("issue", "cedarholm", "alice", "100", *data, "--json")
        assert issued.returncode == 0, issued.stdout + issued.stderr

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
    prepare_workload(workload, WorkloadOrder(40, ring_base=4, bank_count=BANKS, jobs=1))
    done = consortium(
        *("bench", "hosts", "--workload-file", str(workload), "--rtt", str(RTT_MS)),
        *("--seconds", "4", "--rate", "5", "--json"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["schema"] == SCHEMA
    assert report["consortium"]["rtt_ms"] == RTT_MS
    integrity = report["integrity"]
    assert integrity["acknowledged"] == integrity["sealed"] == integrity["submitted"] > 0
    assert integrity["state_roots_identical"] and integrity["doctor"]["clean"]
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
