"""A round, a trace and figures that a bank could have told its operators."""

from __future__ import annotations

from node.ledger.types import BankIndex, Height, TransactionId, View
from node.wire.operator_records import (
    PerformanceReport,
    RoundEvent,
    RoundEventKind,
    RoundReport,
    TransactionCheck,
    TransactionEvent,
    TransactionEventKind,
    TransactionTrace,
)

PERFORMANCE = PerformanceReport(
    sealed_transactions=1_200,
    sealed_blocks=40,
    window_ms=60_000,
    window_transactions=300,
    sealed_per_second=5.0,
    finality_ms_p50=812.25,
    finality_ms_p95=1_400.5,
    finality_ms_p99=None,
    verify_ms_p50=20.0,
    vote_ms_p50=31.5,
    seal_ms_p50=90.0,
    apply_ms_p50=0.0,
)
ROUND = RoundReport(
    BankIndex(0),
    Height(5),
    (
        RoundEvent(RoundEventKind.PROPOSAL, View(0), 1_700_000_000_000_000, bank=BankIndex(0)),
        RoundEvent(RoundEventKind.VALIDATED, View(0), 1_700_000_000_004_000, duration_us=0),
        RoundEvent(RoundEventKind.TIMED_OUT, View(1), 1_700_000_004_000_000),
    ),
)
TRACE = TransactionTrace(
    BankIndex(0),
    TransactionId(bytes([3]) * 32),
    "bank 11",
    (
        TransactionCheck("encoding", True, 40),
        TransactionCheck("proofs", False, 210_000, 57, "an equation does not hold"),
    ),
    (
        TransactionEvent(TransactionEventKind.RECEIVED, 1_700_000_000_000_000, "3121 bytes"),
        TransactionEvent(TransactionEventKind.REFUSED, 1_700_000_000_300_000, "spend: no"),
    ),
)
