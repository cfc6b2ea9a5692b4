"""Running the demonstration in front of a person: its stages, the doctor, the summary."""

from __future__ import annotations

import time

from node.cli.access import Consortium
from node.cli.demo import DemoOutcome, DemoSummary, run_demo
from node.cli.demo_years import SETTLEMENTS_SHOWN, examine_treasury, wait_for_settlements
from node.cli.doctor import examine
from node.cli.terminal import answer, answer_json, progress, say, warn
from node.ledger.types import Height
from node.runtime.consortium_directory import ConsortiumDirectory

FAILURES_SHOWN = 5


async def show_demo(
    directory: ConsortiumDirectory,
    payments: int,
    *,
    begun_s: float,
    healthy_s: float,
    years_end: bool,
    as_json: bool,
) -> int:
    """Run the demonstration and the doctor; print the summary; return the exit code.

    With `years_end` it goes on until two fiscal years were settled.
    """
    consortium = Consortium.load(directory)
    with progress("payments sealed") as meter:
        outcome = await run_demo(consortium, payments, meter)
    _show_outcome(outcome, payments)
    settled = SETTLEMENTS_SHOWN
    if years_end:
        with progress("fiscal years settled") as meter:
            settled = await wait_for_settlements(
                consortium, Height(outcome.first_height), SETTLEMENTS_SHOWN, meter
            )
    doctor = await examine(consortium, full=False)
    for line in doctor.lines():
        say(line, None if doctor.clean else "yellow")
    treasury = await examine_treasury(consortium, Height(outcome.first_height))
    for fault in treasury.faults:
        warn(f"the treasury does not add up: {fault}")
    if settled < SETTLEMENTS_SHOWN:
        warn(
            f"{settled} of {SETTLEMENTS_SHOWN} fiscal years were settled; ask "
            "`consortium regulator status`"
        )
    summary = outcome.summarise(
        payments,
        doctor,
        treasury,
        banks=len(consortium.genesis.banks),
        healthy_s=healthy_s,
        total_s=time.monotonic() - begun_s,
    )
    if as_json:
        answer_json(summary.to_json_object())
    else:
        for line in summary_lines(summary):
            answer(line)
    return 0 if summary.held and settled >= SETTLEMENTS_SHOWN else 1


def _show_outcome(outcome: DemoOutcome, payments: int) -> None:
    say(f"{outcome.issues} issues funded the wallets ({outcome.funding_s:.1f} s)")
    say(f"{len(outcome.payments)} of {payments} payments sealed ({outcome.paying_s:.1f} s)")
    for failure in outcome.failures[:FAILURES_SHOWN]:
        warn(failure)
    if len(outcome.failures) > FAILURES_SHOWN:
        warn(f"and {len(outcome.failures) - FAILURES_SHOWN} more failures")
    (say if outcome.double_spend.rejected else warn)(str(outcome.double_spend))


def summary_lines(summary: DemoSummary) -> list[str]:
    """Return the summary as a person reads it."""
    verdict = "everything held" if summary.held else "NOT everything held"
    return [
        f"{verdict}: {summary.transactions_sealed} of {summary.transactions_submitted} payments "
        f"sealed by {summary.banks} banks in {summary.blocks} blocks, height {summary.height}",
        f"finality {summary.finality_ms_p50:.0f} ms (median), {summary.finality_ms_p95:.0f} ms "
        f"(95 %), {summary.sealed_per_second:.1f} payments a second",
        f"double spend refused everywhere: {_yes(summary.double_spend_rejected)}; "
        f"identical state roots: {_yes(summary.state_roots_identical)}; "
        f"doctor clean: {_yes(summary.doctor_clean)}",
        f"{summary.settlements} fiscal years settled, {summary.rewards_paid} paid in rewards, "
        f"{summary.penalties} in penalties (minor units); treasury adds up: "
        f"{_yes(summary.treasury_balanced)}",
        f"healthy after {summary.seconds_to_healthy:.1f} s, all done after "
        f"{summary.seconds_total:.1f} s",
    ]


def _yes(value: bool) -> str:
    return "yes" if value else "NO"
