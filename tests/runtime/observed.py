"""What running banks must remember of a sealed transaction, and of the round that sealed it."""

from __future__ import annotations

import asyncio

from node.client.operator_client import OperatorClient
from node.ledger.types import Height, TransactionId
from node.wire.operator_records import RoundReport, TransactionTrace
from tests.runtime.cluster import Cluster

APPLIED_WITHIN_S = 10
ROUND = ("proposal", "voted", "certified", "committed", "sealed", "applied")
AT_HOME = ("received", "verified", "admitted", "gossiped", "proposed", "sealed", "applied")
ELSEWHERE = ("received", "verified", "proposed", "sealed", "applied")
"""It is admitted as well where gossip came before the proposal that names it."""
CHECKS = ("encoding", "rules", "context", "points", "nullifiers", "challenges", "proofs")


async def assert_observed(
    cluster: Cluster, transaction_id: TransactionId, height: int, *, home: int
) -> None:
    """Every bank tells of the transaction and of its round, in the order in which it must be."""
    for bank in range(len(cluster.banks)):
        async with cluster.operator(bank) as client:
            trace = await _applied_trace(client, transaction_id)
            _assert_trace(trace, bank, len(cluster.banks), height, home)
            _assert_round(await client.round(Height(height)), bank, height)
            performance = (await client.report()).performance
            assert performance.sealed_blocks >= 1
            assert performance.sealed_per_second > 0
            assert bank != home or performance.finality_ms_p50 is not None


async def _applied_trace(client: OperatorClient, transaction_id: TransactionId) -> TransactionTrace:
    """A client that follows the transaction may hear of the seal a moment before."""
    async with asyncio.timeout(APPLIED_WITHIN_S):
        while True:
            trace = await client.transaction_trace(transaction_id)
            if trace.events[-1].kind.value == "applied":
                return trace
            await asyncio.sleep(0.02)


def _assert_trace(trace: TransactionTrace, bank: int, banks: int, height: int, home: int) -> None:
    at_home = bank == home
    kinds = [event.kind.value for event in trace.events]
    moments = [event.at_us for event in trace.events]
    if at_home:
        assert (trace.source, sorted(kinds)) == ("client", sorted(AT_HOME))
    else:
        # From the bank that gossiped it, or from one whose proposal came earlier.
        assert trace.source in {f"bank {index}" for index in range(banks) if index != bank}
        assert set(ELSEWHERE) <= set(kinds) <= {*ELSEWHERE, "admitted"}
    assert moments == sorted(moments)
    at_us = {event.kind.value: event.at_us for event in trace.events}
    in_order = [at_us[kind] for kind in ELSEWHERE]
    assert in_order == sorted(in_order), "received, verified, proposed, sealed, applied"
    assert at_us["verified"] <= at_us.get("admitted", at_us["verified"])
    assert trace.events[-1].detail == f"block {height}"
    checks = {check.name: check for check in trace.checks}
    assert set(CHECKS) <= set(checks)
    assert all(check.passed for check in trace.checks)
    assert checks["proofs"].duration_us > 0


def _assert_round(report: RoundReport, bank: int, height: int) -> None:
    assert (report.bank, report.height) == (bank, height)
    sealed = next(event for event in report.events if event.kind.value == "sealed")
    of_view = [event for event in report.events if event.view == sealed.view]
    at_us = {event.kind.value: event.at_us for event in of_view}
    in_order = [at_us[kind] for kind in ROUND]
    assert in_order == sorted(in_order), "proposal, voted, certified, committed, sealed, applied"
    durations = {event.kind.value: event.duration_us for event in of_view}
    assert durations["validated"] is not None and durations["applied"] is not None
    proposers = {event.bank for event in of_view if event.kind.value == "proposal"}
    assert len(proposers) == 1 and None not in proposers
