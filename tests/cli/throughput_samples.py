"""A window of a throughput measurement with figures that are easy to check, and its report."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from node.cli.benchmark_verification import VerificationCost
from node.cli.throughput_load import SealedBlock, Submission
from node.cli.throughput_observation import Memory, Usage
from node.cli.throughput_report import (
    RATE,
    SATURATION,
    Integrity,
    LedgerSize,
    Queries,
    QueryTime,
    Report,
    Run,
    ScanRate,
    Window,
    crypto_bound_tps,
    summarise,
)
from node.ledger.types import BankIndex, Height

BANKS = 12
CORES = 2
BEGIN_S = 100.0
SECONDS = 20
COST = VerificationCost(batch=100, bins=2, repetitions=7, minimum_ms=0.6, median_ms=0.62)


def block(height: int, seen_s: float, transactions: int, view: int = 0) -> SealedBlock:
    return SealedBlock(
        height=Height(height),
        seen_s=seen_s,
        time_ms=int(seen_s * 1000),
        transactions=transactions,
        view=view,
        bytes=15_000,
    )


def usage(cpu_ms: dict[str, float] | None = None) -> Usage:
    return Usage(
        seconds=float(SECONDS),
        cpu_ms=cpu_ms
        or {
            "verify": 16_000.0,
            "consensus": 4_000.0,
            "database_client": 2_000.0,
            "database_server": 2_000.0,
            "network": 6_000.0,
            "other": 2_000.0,
            "client": 1_000.0,
            "supervisor": 200.0,
            "elsewhere": 400.0,
        },
        verified=24_000,
        verification_batches=300,
        peers_bytes=140_000_000,
        clients_bytes=13_000_000,
        loopback_bytes=300_000_000,
        database_bytes=240_000_000,
    )


MEMORY = Memory(
    banks=900 << 20, postgres=300 << 20, supervisor=80 << 20, client=70 << 20, shared_once=True
)


def window(rate: float | None = None, *, tps: int = 100, latency_s: float = 0.4) -> Window:
    """Twenty seconds in which one block a second is seen, in the middle of each second.

    Each block holds `tps` transactions, which were due `latency_s` before it was seen and
    acknowledged after a tenth of that.
    """
    seen = [BEGIN_S - 2 + 0.5 + number for number in range(SECONDS + 4)]
    blocks = [block(number + 1, seen_s, tps) for number, seen_s in enumerate(seen)]
    submissions = []
    for item in blocks:
        due_s = item.seen_s - latency_s
        for _ in range(tps):
            index = len(submissions)
            submissions.append(
                Submission(
                    index=index,
                    bank=BankIndex(index % BANKS),
                    due_s=due_s,
                    answered_s=due_s + latency_s / 10,
                    sealed_s=item.seen_s,
                )
            )
    return Window(
        mode=SATURATION if rate is None else RATE,
        rate=rate,
        in_flight=1_000 if rate is None else None,
        begin_s=BEGIN_S,
        end_s=BEGIN_S + SECONDS,
        ramp_s=3.0,
        drain_s=1.0,
        submissions=submissions,
        blocks=blocks,
        usage=usage(),
        memory=[(BEGIN_S + second, MEMORY) for second in (5.0, 10.0, 20.0)],
        bins_per_block=3.0,
        overloaded=2,
        reconnected=0,
    )


def run(rate: float | None = None, **window_fields: Any) -> Run:
    return summarise(
        window(rate, **window_fields),
        banks=BANKS,
        cores=CORES,
        batch_limit=100,
        bound_tps=crypto_bound_tps(COST.minimum_ms, BANKS, CORES),
    )


INTEGRITY = Integrity(
    submitted=2_400,
    acknowledged=2_400,
    sealed=2_399,
    rejected={"expired": 1},
    lost=0,
    unanswered=0,
    duplicated=0,
    state_roots_identical=True,
    height=24,
    doctor={"clean": True, "findings": [], "seconds": 3.0},
)


SIZE = LedgerSize(
    height=2_512,
    notes=1_002_768,
    nullifiers=1_000_400,
    closed_bins=15_600,
    database_bytes=900 << 20,
)
QUERIES = Queries(
    samples=50,
    page_records=100,
    times={"block": QueryTime(2.5, 4.0), "notes page": QueryTime(3.25, 5.5)},
    scan=ScanRate(outputs=2_000, cpu_us=45.5, outputs_per_s=21_978, with_reading_per_s=12_000),
)


def report(*runs: Run, **fields: Any) -> Report:
    made = Report(
        started_at="2026-11-21T12:00:00+00:00",
        machine={
            "cpu": "A <processor> & more",
            "cores": CORES,
            "memory_bytes": 8 << 30,
            "system": "Linux 6.1 x86_64",
        },
        software={
            "consortium": "0.1.0",
            "commit": "0123456789ab",
            "python": "3.11.7",
            "postgres": "18.4",
            "libraries": {"grpcio": "1.85.1"},
        },
        consortium={
            "banks": BANKS,
            "quorum": 10,
            "batch_limit": 100,
            "batch_wait_ms": 50,
            "followed_bank": 0,
            "rtt_ms": 0.0,
            "verify_workers": 0,
        },
        workload={
            "name": "local",
            "ring_base": 8,
            "bins": 40,
            "bins_per_block": 3,
            "transactions": 2_500,
            "transaction_bytes": 6_318,
            "asset_code": "INR",
            "chain_id": "ab" * 32,
        },
        crypto=COST,
        crypto_bound_tps=277.78,
        runs=runs or (run(),),
        integrity=INTEGRITY,
    )
    return replace(made, **fields)
