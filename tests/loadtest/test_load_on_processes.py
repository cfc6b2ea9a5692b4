"""A prepared load against four banks as processes: made, started, run with Locust, examined."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.client.workload_file import open_workload
from node.runtime.consortium_directory import ConsortiumDirectory
from tests.scenarios.consortium_process import ConsortiumProcess, command, environment

pytestmark = [pytest.mark.postgres, pytest.mark.processes]

TRANSACTIONS = 64


@pytest.fixture
def workload_file(reachable_directory: Path) -> Path:
    path = reachable_directory / "small.load"
    made = subprocess.run(
        command(
            *("load", "prepare", "--transactions", str(TRANSACTIONS), "--out", str(path)),
            *("--ring-base", "4", "--banks", "4", "--jobs", "1", "--json"),
        ),
        capture_output=True,
        text=True,
        env=environment(),
        timeout=120,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    told = json.loads(made.stdout)
    assert (told["transaction_count"], told["bins"], told["name"]) == (TRANSACTIONS, 4, "local")
    return path


@pytest.fixture
def running(reachable_directory: Path, workload_file: Path) -> Iterator[ConsortiumProcess]:
    consortium = ConsortiumProcess(
        ConsortiumDirectory(reachable_directory / "consortium"),
        banks=4,
        options=("--genesis", str(workload_file), "--no-regulator"),
    )
    try:
        consortium.start()
        yield consortium
    finally:
        consortium.abandon()


def test_a_prepared_load_is_sealed_whole_and_the_ledgers_are_clean(
    running: ConsortiumProcess, workload_file: Path
) -> None:
    with open_workload(workload_file) as workload:
        header = workload.header
    assert running.directory.genesis().chain_id == header.chain_id
    assert f"every bank holds {header.funded_height} blocks" in running.log.read_text()
    assert not running.directory.pending_ledger_file.exists()

    # It ends when two processes together have submitted every transaction, each of them once.
    paid = running.json(*("load", "run", "--users", "12", "--minutes", "9", "--processes", "2"))
    assert paid["used_up"] is True
    assert paid["account"] == {
        "submitted": TRANSACTIONS,
        "acknowledged": TRANSACTIONS,
        "sealed": TRANSACTIONS,
        "rejected": {},
        "refused": {},
        "undecided": 0,
        "lost": 0,
        "unanswered": 0,
    }
    assert paid["workload"]["name"] == "local"
    requests = {row["name"]: row for row in paid["requests"]}
    assert requests["sealed"]["requests"] == TRANSACTIONS
    assert requests["sealed"]["failures"] == 0

    # A later run finds that there is nothing left, and submits nothing twice.
    again = running.run(*("load", "run", "--minutes", "9", "--json"), check=False)
    assert again.returncode == 1
    assert json.loads(again.stdout)["account"]["submitted"] == 0
    assert "the workload file was used up" in again.stderr

    found = running.json("doctor")
    assert found["clean"] is True
    issues = header.bins * 16 // 4
    assert found["transactions"] == issues + TRANSACTIONS
