"""The demonstration on real nodes: payments, the double spend, the doctor, the summary."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from node.cli.demo import DemoOutcome, DemoSummary, SealedPayment, run_demo
from node.cli.demo_double_spend import DoubleSpend
from node.cli.demo_show import summary_lines
from node.cli.demo_wallets import Departures
from node.cli.demo_years import DemoTreasury, examine_treasury
from node.cli.examination import Examination
from node.client import list_wallets
from node.ledger.types import BankIndex, TransactionId
from tests.cli.doctor_reports import CLEAN
from tests.cli.observed_banks import Traces, assert_metrics_tell, traced
from tests.cli.running_banks import running_banks
from tests.cli.terminal_and_data import assert_exports_agree, assert_logs_join, assert_top_tells

DEADLINE_S = 60

ONE, OTHER = TransactionId(b"\x01" * 32), TransactionId(b"\x02" * 32)
REFUSED = DoubleSpend((ONE, OTHER), (BankIndex(0), BankIndex(2)), (ONE,), (OTHER,), ("nullifier",))

OUTCOME = DemoOutcome(
    payments=tuple(SealedPayment(10.0, 10.0 + tenths / 10) for tenths in (3, 1, 2, 20)),
    failures=(),
    double_spend=REFUSED,
    issues=9,
    first_height=4,
    funding_s=1.0,
    paying_s=2.0,
)


@pytest.mark.postgres
async def test_payments_are_sealed_and_a_double_spend_is_not(
    tmp_path: Path, make_database_url: Callable[[], str]
) -> None:
    with traced() as traces:
        await assert_demonstration(tmp_path, make_database_url, traces)


async def assert_demonstration(
    tmp_path: Path, make_database_url: Callable[[], str], traces: Traces
) -> None:
    async with (
        running_banks(tmp_path / "consortium", make_database_url) as running,
        asyncio.timeout(DEADLINE_S),
    ):
        progress: list[tuple[int, int]] = []
        outcome = await run_demo(
            running.consortium, 6, lambda done, total: progress.append((done, total))
        )
        assert outcome.failures == ()
        assert len(outcome.payments) == 6
        assert (progress[0], progress[-1]) == ((0, 6), (6, 6))
        double_spend = outcome.double_spend
        assert double_spend.rejected
        assert sorted((*double_spend.sealed, *double_spend.refused)) == sorted(
            double_spend.transaction_ids
        )
        assert double_spend.refusals == ("nullifier",)
        doctor = await Examination(
            running.consortium, full=False, meter=lambda step, done, total: None
        ).run()
        assert doctor.findings == ()
        treasury = await examine_treasury(running.consortium, outcome.first_height)
        assert treasury == DemoTreasury(0, 0, 0, balanced=True, faults=())
        summary = outcome.summarise(6, doctor, treasury, banks=4, healthy_s=1.0, total_s=9.0)
        assert summary.held
        # Six payments, one of the double spend's two, and the issues.
        assert doctor.transactions == 6 + 1 + outcome.issues
        assert list_wallets(running.directory.wallets) == (
            "demo-amberfield-1",
            "demo-birchmoor-1",
            "demo-cedarholm-1",
            "demo-double-spend-0",
            "demo-dunmere-1",
        )
        assert_metrics_tell(await running.command("metrics", "--json"), doctor.transactions)
        await assert_exports_agree(running, tmp_path, doctor.height, doctor.transactions)
        await assert_top_tells(running)
        (refused,) = double_spend.refused
        traces.assert_refused(refused, "nullifier")
        others = traces.submitted - set(double_spend.transaction_ids)
        assert len(others) == 6 + outcome.issues
        await assert_logs_join(running, min(others).hex())
        for transaction_id in others:
            traces.assert_sealed(transaction_id, banks=4)


TREASURY = DemoTreasury(2, 1_234, 56, balanced=True, faults=())


def test_the_summary_has_exactly_the_keys_of_the_contract() -> None:
    summary = OUTCOME.summarise(4, CLEAN, TREASURY, banks=12, healthy_s=9.876, total_s=54.321)
    assert summary.to_json_object() == {
        "banks": 12,
        "transactions_submitted": 4,
        "transactions_sealed": 4,
        "blocks": 5,
        "height": 9,
        "double_spend_rejected": True,
        "state_roots_identical": True,
        "doctor_clean": True,
        "seconds_to_healthy": 9.88,
        "seconds_total": 54.32,
        "sealed_per_second": 2.0,
        "finality_ms_p50": 200.0,
        "finality_ms_p95": 2000.0,
        "settlements": 2,
        "rewards_paid": 1_234,
        "penalties": 56,
        "treasury_balanced": True,
    }
    assert summary.held


SUMMARY = OUTCOME.summarise(4, CLEAN, TREASURY, banks=12, healthy_s=9.876, total_s=54.321)


@pytest.mark.parametrize(
    "broken",
    [
        replace(SUMMARY, transactions_sealed=3),
        replace(SUMMARY, double_spend_rejected=False),
        replace(SUMMARY, state_roots_identical=False),
        replace(SUMMARY, doctor_clean=False),
        replace(SUMMARY, treasury_balanced=False),
    ],
)
def test_not_everything_held(broken: DemoSummary) -> None:
    assert not broken.held
    assert summary_lines(broken)[0].startswith("NOT everything held: ")


def test_the_summary_for_people() -> None:
    assert summary_lines(SUMMARY) == [
        "everything held: 4 of 4 payments sealed by 12 banks in 5 blocks, height 9",
        "finality 200 ms (median), 2000 ms (95 %), 2.0 payments a second",
        "double spend refused everywhere: yes; identical state roots: yes; doctor clean: yes",
        "2 fiscal years settled, 1234 paid in rewards, 56 in penalties (minor units); treasury "
        "adds up: yes",
        "healthy after 9.9 s, all done after 54.3 s",
    ]


@pytest.mark.parametrize(
    ("attempt", "rejected"),
    [
        (REFUSED, True),
        # Both sealed: the worst that can happen.
        (replace(REFUSED, sealed=(ONE, OTHER), refused=()), False),
        # None sealed: nothing was shown.
        (replace(REFUSED, sealed=(), refused=(ONE, OTHER)), False),
        # One still held by some bank.
        (replace(REFUSED, refused=()), False),
        # One was never built.
        (replace(REFUSED, transaction_ids=(ONE,), refused=()), False),
    ],
)
def test_a_double_spend_is_refused_if_one_of_two_is_sealed(
    attempt: DoubleSpend, rejected: bool
) -> None:
    assert attempt.rejected is rejected
    said = "was refused everywhere" if rejected else "was NOT refused"
    assert f"a double spend at amberfield and cedarholm {said}" in str(attempt)


async def test_transactions_leave_when_enough_are_ready() -> None:
    departures = Departures(2)
    left: list[int] = []

    async def prepare(number: int) -> None:
        with departures.preparing():
            await departures.leave()
            left.append(number)

    with departures.preparing(), departures.preparing():
        first = asyncio.create_task(prepare(1))
        await asyncio.sleep(0)
        assert left == []
        await asyncio.gather(first, prepare(2))
        assert sorted(left) == [1, 2]


async def test_the_last_does_not_wait_for_others() -> None:
    departures = Departures(100)
    waiting = departures.preparing()
    waiting.__enter__()
    lone = asyncio.create_task(departures.leave())
    await asyncio.sleep(0)
    assert lone.done()
    waiting.__exit__(None, None, None)


async def test_nobody_waits_for_one_that_failed() -> None:
    departures = Departures(100)
    with departures.preparing():
        failing = departures.preparing()
        failing.__enter__()
        other = asyncio.create_task(departures.leave())
        await asyncio.sleep(0)
        assert not other.done()
        failing.__exit__(None, None, None)
        await asyncio.sleep(0)
        assert other.done()
