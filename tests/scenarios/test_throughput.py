"""A short benchmark of four banks: it records and asserts nothing about speed, but all of the rest.

Every field of the report is there, the page is well-formed, and nothing was lost. The ledger has a
past, of which the doctor finds nothing wrong.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from node.cli.throughput_observation import BANK_CATEGORIES
from node.cli.throughput_report import SCHEMA, Integrity, Report, Run
from node.client.workload_file import open_workload
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.load_preparation import WorkloadOrder, prepare_workload
from node.runtime.running_consortium import is_supervised, node_processes
from tests.cli.test_throughput_page import outline, plots
from tests.scenarios.consortium_process import command, environment

pytestmark = [pytest.mark.processes, pytest.mark.postgres]

RATE = 10
SECONDS = 5
TRANSACTIONS = 100
GROWN_NOTES = 2_000


def names(kind: Any) -> set[str]:
    return {field.name for field in dataclasses.fields(kind)}


@pytest.fixture
def workload(reachable_directory: Path) -> Path:
    path = reachable_directory / "test.workload"
    order = WorkloadOrder(
        TRANSACTIONS, ring_base=4, bank_count=4, jobs=1, grown_notes=GROWN_NOTES
    )
    prepare_workload(path, order)
    return path


def test_a_short_benchmark_is_reported_whole(reachable_directory: Path, workload: Path) -> None:
    data, page = reachable_directory / "data", reachable_directory / "report.html"
    done = subprocess.run(
        command(
            *("bench", "throughput", "--json", "--seconds", str(SECONDS), "--rate", str(RATE)),
            *("--workload-file", str(workload), "--data", str(data), "--html", str(page)),
        ),
        capture_output=True,
        text=True,
        env=environment(),
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert set(report) == names(Report) | {"schema"}
    assert report["schema"] == SCHEMA
    with open_workload(workload) as opened:
        assert report["workload"]["chain_id"] == opened.header.chain_id.hex()
    (run,) = report["runs"]
    assert set(run) == names(Run)
    check_run(run)
    assert set(report["integrity"]) == names(Integrity)
    integrity = report["integrity"]
    assert integrity["acknowledged"] == integrity["sealed"] == integrity["submitted"] > 0
    assert (integrity["lost"], integrity["unanswered"], integrity["duplicated"]) == (0, 0, 0)
    assert (integrity["rejected"], integrity["state_roots_identical"]) == ({}, True)
    assert integrity["doctor"]["clean"]
    assert report["notes"] == []
    check_queries(report)
    content = page.read_text(encoding="utf-8")
    outline(content)
    assert len(plots(content)) == 4
    directory = ConsortiumDirectory(data)
    assert not is_supervised(directory) and node_processes(directory) == []


def check_queries(report: dict[str, Any]) -> None:
    before, after, queries = (
        report[name] for name in ("ledger_before", "ledger_after", "queries")
    )
    assert before["nullifiers"] == GROWN_NOTES
    assert before["notes"] == report["workload"]["grown_notes"] + report["workload"]["bins"] * 16
    sealed = report["integrity"]["sealed"]
    assert after["nullifiers"] - before["nullifiers"] == sealed
    assert after["notes"] - before["notes"] == 2 * sealed
    assert after["height"] > before["height"] and after["database_bytes"] > 0
    assert set(queries["times"]) == {
        *("block", "transaction", "inclusion proof", "bin", "sealed state"),
        *("notes page", "nullifiers page"),
    }
    assert all(0 < item["p50_ms"] <= item["p95_ms"] for item in queries["times"].values())
    scan = queries["scan"]
    assert scan["outputs"] == 2 * sealed
    assert scan["cpu_us"] > 0 and scan["outputs_per_s"] > scan["with_reading_per_s"] > 0


def check_run(run: dict[str, Any]) -> None:
    """Whatever the figures are, each of them was measured."""
    assert (run["mode"], run["rate"], run["in_flight"]) == ("rate", RATE, None)
    assert run["submitted"] > 0 and run["sealed"] > 0 and run["sealed_tps"] > 0
    assert 0 < run["fraction_of_crypto_bound"] < 1
    for latency in (run["finality_ms"], run["admission_ms"]):
        assert latency["count"] == run["submitted"]
        assert 0 < latency["p50"] <= latency["p95"] <= latency["p99"] <= latency["maximum"]
    cost = run["per_transaction"]
    assert all(cost["cpu_ms"][name] > 0 for name in (*BANK_CATEGORIES, "client"))
    assert cost["peers_bytes"] > 0 and cost["clients_bytes"] > 0 and cost["database_bytes"] > 0
    assert run["verification_ms"] > 0 and run["verification_fill"] >= 1
    memory = run["memory_bytes"]
    assert all(memory[name] > 0 for name in ("banks", "postgres", "supervisor", "client"))
    assert run["blocks"]["count"] == len(run["block_times"]) > 0
    assert run["blocks"]["bins"] >= 1 and run["blocks"]["bytes"] > 0
    assert sum(item["sealed"] for item in run["series"]) == run["sealed"]
    assert sum(run["finality_histogram"]["counts"]) == run["submitted"]
