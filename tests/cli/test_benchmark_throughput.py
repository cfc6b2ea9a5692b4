"""What is measured around the load: verification alone, the machine, and how much to prepare."""

from __future__ import annotations

import os
from dataclasses import replace

import psutil
import pytest
from click.testing import CliRunner

from node.cli.access import Consortium
from node.cli.benchmark_machine import describe_machine, describe_software, usable_cores
from node.cli.benchmark_throughput import ThroughputOptions
from node.cli.benchmark_verification import REPETITIONS, measure_verification
from node.cli.failure import CommandFailed
from node.cli.main import main
from node.cli.throughput_observation import ProcessTimes, Snapshot, usage
from node.ledger.types import BankIndex
from node.wire.operator_records import CpuReport, DatabaseReport, MempoolReport, TrafficReport
from tests.cli.served_consortium import ServedConsortium
from tests.runtime.node_reports import make_report


async def test_verification_alone_is_measured_over_the_rings_of_a_bank(
    consortium: ServedConsortium,
) -> None:
    chain = consortium.ledger.chain
    consortium.in_loop(lambda: consortium.ledger.seal_matured(chain.mint([500, 600])))
    raws = [chain.transfer([note]) for note in chain.mature()]
    access = Consortium.load(consortium.directory)
    async with access.ledger(BankIndex(0)) as ledger:
        cost = await measure_verification(ledger, access.genesis, raws)
        assert (cost.batch, cost.bins, cost.repetitions) == (2, 1, REPETITIONS)
        assert 0 < cost.minimum_ms <= cost.median_ms
        raws[1] = raws[1][:-1] + bytes([raws[1][-1] ^ 1])
        with pytest.raises(CommandFailed, match="the workload does not verify on this ledger"):
            await measure_verification(ledger, access.genesis, raws)


def test_the_machine_is_described() -> None:
    machine = describe_machine()
    assert machine["cores"] == usable_cores() >= 1
    assert machine["memory_bytes"] == psutil.virtual_memory().total
    assert describe_software("180004")["postgres"] == "18.4"
    assert describe_software("16.2 of somebody")["postgres"] == "16.2 of somebody"
    assert "grpcio" in describe_software("180004")["libraries"]


def snapshot(at_s: float, grown: int) -> Snapshot:
    reports = [
        replace(
            make_report(bank),
            cpu=CpuReport(10 * grown, 2 * grown, 3 * grown, 4 * grown, grown, 20 * grown),
            traffic=TrafficReport(100 * grown, 100 * grown, 10 * grown, 20 * grown),
            mempool=MempoolReport(0, 0, 1, 1, admitted=5 * grown, refused=0, batches=grown),
            database=DatabaseReport(True, "180004", 1_000 * grown),
        )
        for bank in range(4)
    ]
    times = ProcessTimes(
        postgres_ms=8.0 * grown,
        supervisor_ms=1.0 * grown,
        client_ms=2.0 * grown,
        machine_ms=100.0 * grown,
    )
    return Snapshot(at_s, reports, times, 5_000 * grown)


def test_usage_is_what_grew_between_two_snapshots() -> None:
    found = usage(snapshot(10.0, 3), snapshot(12.0, 5))
    assert found.seconds == 2.0
    assert found.cpu_ms == {
        "verify": 80,
        "consensus": 16,
        "database_client": 24,
        "database_server": 16.0,
        "network": 32,
        "other": 8,
        "client": 4.0,
        "supervisor": 2.0,
        "elsewhere": 200 - 182.0,
    }
    assert found.banks_cpu_ms == 176
    assert (found.verified, found.verification_batches) == (40, 8)
    assert (found.peers_bytes, found.clients_bytes) == (800, 240)
    assert (found.loopback_bytes, found.database_bytes) == (10_000, 8_000)


def test_so_much_is_prepared_as_can_be_sealed() -> None:
    paced = ThroughputOptions(seconds=60, rate=50)
    assert paced.ramp_s == 9
    assert paced.transactions_needed == 70 * 50
    assert replace(paced, repeat=3).transactions_needed == 3 * 70 * 50
    saturated = replace(paced, rate=None)
    cores = len(os.sched_getaffinity(0))
    assert saturated.transactions_needed == int(70 * 1000 * cores / (12 * 0.45))
    swept = replace(saturated, sweep=True).transactions_needed
    assert swept == pytest.approx(4.4 * saturated.transactions_needed, rel=1e-3)
    assert ThroughputOptions(seconds=3, rate=0.5).transactions_needed == 100


def test_a_sweep_chooses_its_rates_itself() -> None:
    result = CliRunner().invoke(main, ["bench", "throughput", "--sweep", "--rate", "5"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--sweep chooses the rates itself" in result.stderr
