"""What `consortium simulate` says of many runs: sums, violations, and the scripts behind them."""

from __future__ import annotations

from node.cli.table import answer_table
from node.cli.terminal import answer, answer_json, say, steps
from node.simulation.campaign import Campaign, Totals
from node.simulation.checker import Violation
from node.simulation.mutants import MUTANTS
from node.simulation.profiles import schedule_of
from node.simulation.run import Outcome
from node.simulation.shrink import shrink

FORK = "fork"
"""The profile of its own kind: a violation is what it must find."""
MAX_SHRUNK = 3
"""Violations that are cut down; further ones are named only."""
MS_PER_HOUR = 3_600_000


def per_minute(count: int, seconds: float) -> int:
    """Return a rate for people."""
    return round(60 * count / seconds) if seconds else 0


def summary_object(
    campaign: Campaign, totals: Totals, seconds: float, scripts: list[list[str]]
) -> dict[str, object]:
    """Return everything about a campaign by name."""
    return {
        "profile": campaign.profile,
        "banks": campaign.bank_count,
        "first_seed": campaign.first_seed,
        "seeds": totals.seeds,
        "seeds_per_minute": per_minute(totals.seeds, seconds),
        "seconds": round(seconds, 1),
        "heights": totals.heights,
        "events": totals.events,
        "messages": totals.messages,
        "crashes": totals.crashes,
        "blackouts": totals.blackouts,
        "acknowledged": totals.acknowledged,
        "convictions": totals.convictions,
        "removals": totals.removals,
        "readmissions": totals.readmissions,
        "settlements": totals.settlements,
        "pots_carried": totals.carried,
        "settlements_refused": totals.attempts,
        "ballots_opened": totals.openings,
        "virtual_hours": round(totals.virtual_ms / MS_PER_HOUR, 2),
        "slowest_recovery_ms": totals.slowest_recovery_ms,
        "violations": [
            _violation_object(outcome, scripts[index] if index < len(scripts) else [])
            for index, outcome in enumerate(totals.violations)
        ],
    }


def report_summary(campaign: Campaign, totals: Totals, seconds: float) -> None:
    """Print the sums as a table."""
    values = summary_object(campaign, totals, seconds, [])
    values["violations"] = len(totals.violations)
    rows = [
        (name.replace("_", " "), f"{value:,}" if isinstance(value, int) else str(value))
        for name, value in values.items()
    ]
    answer_table(("what", "value"), rows, right=(1,))


def report_violations(campaign: Campaign, totals: Totals, *, quiet: bool) -> list[list[str]]:
    """Cut the first violations down and print them, unless `quiet`; return their scripts."""
    scripts = []
    for outcome in totals.violations[:MAX_SHRUNK]:
        violation = outcome.violation
        assert violation is not None, "these are the violations"
        script = _shrunk(campaign, outcome, violation)
        scripts.append(script)
        if not quiet:
            answer(f"seed {outcome.seed} violates {violation.checker}: {violation.message}")
            answer("what is left of its schedule:")
            for line in script:
                answer(f"  {line}")
            answer(f"see it: {_replay(campaign, outcome.seed)}")
            answer("")
    if len(totals.violations) > MAX_SHRUNK and not quiet:
        others = ", ".join(str(outcome.seed) for outcome in totals.violations[MAX_SHRUNK:])
        answer(f"also violated: seeds {others}")
    return scripts


def report_mutant(campaign: Campaign, totals: Totals, seconds: float, *, as_json: bool) -> None:
    """Say whether the broken rule was noticed, by which checker and at which seed."""
    assert campaign.mutant is not None, "a mutant was asked for"
    mutant = MUTANTS[campaign.mutant]
    killed = totals.violations[0] if totals.violations else None
    violation = None if killed is None else killed.violation
    if as_json:
        answer_json(
            {
                "mutant": mutant.name,
                "profile": mutant.profile,
                "killed": killed is not None,
                "seed": None if killed is None else killed.seed,
                "checker": None if violation is None else violation.checker,
                "message": None if violation is None else violation.message,
                "seeds": totals.seeds,
                "seconds": round(seconds, 1),
            }
        )
    elif killed is None or violation is None:
        answer(f"mutant {mutant.name} survives {totals.seeds} seeds: {mutant.description}")
        say("the schedules or the Byzantine banks are too tame to notice it", "yellow")
    else:
        answer(
            f"mutant {mutant.name} is killed by seed {killed.seed} ({totals.seeds} run, "
            f"{seconds:.1f} s) of profile {mutant.profile}"
        )
        answer(f"{violation.checker}: {violation.message.splitlines()[0]}")


def _shrunk(campaign: Campaign, outcome: Outcome, violation: Violation) -> list[str]:
    schedule = schedule_of(campaign.profile, outcome.seed, bank_count=campaign.bank_count)
    with steps(f"seed {outcome.seed}") as meter:
        shrunk = shrink(
            schedule, violation, on_run=lambda done, total: meter("shrinking", done, total)
        )
    return shrunk.script()


def _violation_object(outcome: Outcome, script: list[str]) -> dict[str, object]:
    assert outcome.violation is not None, "these are the violations"
    return {
        "seed": outcome.seed,
        "checker": outcome.violation.checker,
        "message": outcome.violation.message,
        "schedule": script,
    }


def _replay(campaign: Campaign, seed: int) -> str:
    banks = "" if campaign.bank_count == 12 else f" --banks {campaign.bank_count}"
    return f"consortium simulate --profile {campaign.profile}{banks} --seed {seed} --trace"
