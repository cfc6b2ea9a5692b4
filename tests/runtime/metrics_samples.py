"""A bank's numbers for tests of what is made of them."""

from __future__ import annotations

from dataclasses import replace

from node.ledger.state_records import BankState, Pot
from node.ledger.types import Amount, BankIndex, FiscalYear, TimeMs
from node.runtime.metrics_collector import HistogramReading, MetricsSnapshot, OwnUse
from node.wire.operator_records import (
    AlarmReport,
    CpuReport,
    FaultReport,
    PerformanceReport,
    RefusedReport,
    TrafficReport,
)
from tests.runtime.node_reports import banks, make_report


def make_snapshot() -> MetricsSnapshot:
    """Bank 3 of twelve, every kind of number in use."""
    report = make_report(3)
    return MetricsSnapshot(
        report=replace(
            report,
            consensus=replace(
                report.consensus,
                refused=(RefusedReport(BankIndex(2), 4),),
                missing=banks(2),
                accused=banks(2),
            ),
            alarms=(
                AlarmReport("evidence", "bank 2 voted twice", TimeMs(1)),
                AlarmReport("evidence", "bank 2 voted twice again", TimeMs(2)),
                AlarmReport("peer-misbehaved", "bank 2 sent nonsense", TimeMs(3)),
            ),
            faults=(FaultReport("slow", "slow to bank 1", banks(1), 5),),
            cpu=CpuReport(1_500, 2_000, 300, 400, 100, 4_300),
            traffic=TrafficReport(10, 20, 30, 40),
            performance=PerformanceReport(
                sealed_transactions=900,
                sealed_blocks=7,
                window_ms=60_000,
                window_transactions=600,
                sealed_per_second=10.0,
                finality_ms_p50=1_500.0,
                finality_ms_p95=2_500.0,
                verify_ms_p50=80.0,
            ),
        ),
        asset_code="EUR",
        verification_waiting=12,
        verification_capacity=4_000,
        member=BankState(
            index=BankIndex(3),
            initial_stake=Amount(1_000),
            stake=Amount(900),
            offences=1,
            active=True,
            balance=Amount(77),
            blocks_created=5,
            creator_fees=Amount(33),
            penalties=Amount(100),
            rewards=Amount(8),
        ),
        pot=Pot(FiscalYear(2026), Amount(66), Amount(100)),
        histograms={
            "verify_seconds": HistogramReading((0.1, 0.5), (2, 3, 1), 2.25),
            "batch_transactions": HistogramReading((1, 10, 100), (1, 0, 0, 0), 1.0),
        },
        own_use=OwnUse(5, 0.25),
        refusals={"nullifier": 2, "mempool-full": 1},
    )
