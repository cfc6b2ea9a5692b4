"""`consortium simulate`: many seeds of whole consortiums in virtual time, with checkers."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from contextlib import closing
from functools import partial

import click

from node.cli.failure import EXIT_FAILED, EXIT_UNREACHABLE, EXIT_USAGE, CommandFailed
from node.cli.options import json_option
from node.cli.simulate_fork import simulate_fork
from node.cli.simulate_report import (
    FORK,
    report_mutant,
    report_summary,
    report_violations,
    summary_object,
)
from node.cli.simulate_trace import show_trace
from node.cli.terminal import answer_json, progress, say
from node.runtime.worker_process import work_for
from node.simulation.campaign import (
    Campaign,
    DaskMissing,
    Totals,
    run_here,
    run_in_processes,
    run_on_dask,
)
from node.simulation.mutants import MUTANTS
from node.simulation.profiles import PROFILES
from node.simulation.run import Outcome

DEFAULT_SEEDS = 100


MUTANT_LIST = "\b\nMutants:\n" + "\n".join(
    f"  {mutant.name:<36} {mutant.description}" for mutant in MUTANTS.values()
)


@click.command(
    epilog=MUTANT_LIST,
    short_help="Run whole consortiums under many seeds, and check every promise.",
)
@click.option("--seeds", type=click.IntRange(min=1), help="How many seeds (default 100).")
@click.option("--first-seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), help="This one seed alone.")
@click.option("--trace", is_flag=True, help="With --seed: print the run as a script to read.")
@click.option(
    "--profile",
    type=click.Choice([*PROFILES, FORK]),
    default="live",
    show_default=True,
    help="live: up to n-q faulty banks, everything must hold. safe: up to 2q-n-1 Byzantine, "
    "nothing may fork. fork: one more, which must fork and be convicted.",
)
@click.option("--banks", type=click.IntRange(4, 16), default=12, show_default=True)
@click.option(
    "--mutant",
    type=click.Choice(list(MUTANTS)),
    metavar="NAME",
    help="Break one rule of the production code (below) and see that a checker objects.",
)
@click.option(
    "--jobs", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes."
)
@click.option("--dask", metavar="ADDRESS", help="Spread the seeds over this Dask cluster.")
@json_option
def command(
    seeds: int | None,
    first_seed: int,
    seed: int | None,
    trace: bool,
    profile: str,
    banks: int,
    mutant: str | None,
    jobs: int,
    dask: str | None,
    as_json: bool,
) -> None:
    """Run the production consensus and ledger of a whole consortium under one seed after another.

    Everything goes wrong that may: loss, delay, partitions, crashes between any two steps, whole
    blackouts, restored backups, wrong clocks, Byzantine banks. Named checkers look on. Exit code 0
    if none objected, 1 otherwise, with the seed and the shortest script that was found; with
    --mutant and in the profile fork it is the violation that is expected.

    \b
    Examples:
      consortium simulate --seeds 400 --jobs 2
      consortium simulate --profile safe --seeds 200
      consortium simulate --seed 41 --trace | less
      consortium simulate --mutant timeout-without-lock --seeds 500
      consortium simulate --profile fork
    """
    if seed is not None:
        if seeds is not None:
            raise CommandFailed("--seed is one seed, --seeds many", "give one of them", EXIT_USAGE)
        first_seed, seeds = seed, 1
    if trace and (seed is None or mutant is not None or profile == FORK):
        raise CommandFailed(
            "--trace prints one run of the profiles live and safe",
            "add --seed NUMBER, and leave --mutant out",
            EXIT_USAGE,
        )
    if profile == FORK:
        if dask is not None or mutant is not None:
            raise CommandFailed("fork runs here and unbroken", "leave the option out", EXIT_USAGE)
        simulate_fork(seeds or DEFAULT_SEEDS, first_seed, banks, as_json=as_json)
        return
    campaign = Campaign(profile, first_seed, seeds or DEFAULT_SEEDS, banks, mutant)
    if trace:
        found = show_trace(campaign, as_json=as_json)
    else:
        found = _run(campaign, jobs, dask, as_json=as_json)
    if found != (mutant is not None):
        raise SystemExit(EXIT_FAILED)


def _run(campaign: Campaign, jobs: int, dask: str | None, *, as_json: bool) -> bool:
    """Make the runs and report; return whether a checker objected."""
    started_s = time.monotonic()
    totals = _collect(campaign, jobs, dask)
    seconds = time.monotonic() - started_s
    found = bool(totals.violations)
    if campaign.mutant is not None:
        report_mutant(campaign, totals, seconds, as_json=as_json)
        return found
    scripts = report_violations(campaign, totals, quiet=as_json) if found else []
    if as_json:
        answer_json(summary_object(campaign, totals, seconds, scripts))
    else:
        report_summary(campaign, totals, seconds)
    return found


def _collect(campaign: Campaign, jobs: int, dask: str | None) -> Totals:
    totals = Totals()
    title = campaign.profile if campaign.mutant is None else f"mutant {campaign.mutant}"
    with progress(title) as meter, closing(_outcomes(campaign, jobs, dask)) as outcomes:
        meter(0, campaign.seeds)
        for outcome in outcomes:
            totals.add(outcome)
            meter(totals.seeds, campaign.seeds)
            if outcome.violation is not None:
                if campaign.mutant is not None:
                    break
                say(f"seed {outcome.seed}: {outcome.violation.checker}", "red")
    return totals


def _outcomes(campaign: Campaign, jobs: int, dask: str | None) -> Generator[Outcome, None, None]:
    if dask is not None:
        try:
            yield from run_on_dask(campaign, dask)
        except DaskMissing as error:
            raise CommandFailed(
                f"--dask: {error}", "install it: pip install 'consortium[dask]'", EXIT_USAGE
            ) from error
        except (OSError, TimeoutError, ValueError) as error:
            raise CommandFailed(
                f"the Dask scheduler at {dask} cannot be reached: {error}",
                "check the address, as in tcp://127.0.0.1:8786",
                EXIT_UNREACHABLE,
            ) from error
    elif jobs > 1:
        yield from run_in_processes(campaign, jobs, partial(work_for, os.getpid()))
    else:
        yield from run_here(campaign)
