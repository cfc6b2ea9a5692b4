"""`consortium chaos`: break a consortium at random under load, and show that it keeps its word."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import click

import node
from node.cli.access import Consortium
from node.cli.chaos_campaign import SETTLED_WITHIN_S, Campaign, Extent
from node.cli.chaos_load import ChaosLoad
from node.cli.chaos_plan import ChaosPlan, Counts, Profile
from node.cli.chaos_report import ChaosReport
from node.cli.doctor import examine
from node.cli.failure import EXIT_FAILED, EXIT_UNREACHABLE, EXIT_USAGE, CommandFailed
from node.cli.options import data_option, json_option
from node.cli.table import answer_table
from node.cli.terminal import answer, answer_json, say
from node.ledger.active_set import quorum_size
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.running_consortium import NODE_MODULE, is_supervised
from node.simulation.byzantine import STYLES

HEALTHY_WITHIN_S = 120.0
STOPPED_WITHIN_S = 20.0


@click.command()
@click.option("--minutes", type=click.FloatRange(min=0.01), help="How long to break things.")
@click.option("--seed", type=click.IntRange(min=0), help="Fixes what is done.  [default: random]")
@click.option(
    "--profile",
    type=click.Choice([item.value for item in Profile]),
    default=Profile.ALL.value,
    show_default=True,
    help="What to do: crashes, network faults, or these and lying banks.",
)
@click.option("--kills", type=click.IntRange(min=0), default=0, help="So many kill -9 of banks.")
@click.option(
    "--database-kills", type=click.IntRange(min=0), default=0, help="So many of PostgreSQL."
)
@click.option(
    "--blackouts", type=click.IntRange(min=0), default=0, help="So many of everything at once."
)
@click.option("--beyond", is_flag=True, help="Break more banks at a time than may fail.")
@click.option(
    "--banks",
    "bank_count",
    type=click.IntRange(4, 16),
    help="Start a consortium of so many banks for it, and stop it afterwards.",
)
@click.option(
    "--every",
    "every_s",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="One act every so many seconds.  [default: as fast as banks recover]",
)
@click.option(
    "--pause",
    "pause_s",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Rest of each of the four payers between two payments.",
)
@data_option
@json_option
def command(
    minutes: float | None,
    seed: int | None,
    profile: str,
    kills: int,
    database_kills: int,
    blackouts: int,
    beyond: bool,
    bank_count: int | None,
    every_s: float | None,
    pause_s: float,
    directory: ConsortiumDirectory,
    as_json: bool,
) -> None:
    """Break a running consortium at random while payments go on, and count what was lost.

    Kills banks and PostgreSQL, pauses, disconnects and slows down banks, has one lie; at most as
    many at a time as may fail, unless --beyond. Ends with the doctor. Exits with 0 only if every
    acknowledged payment is present on every bank, every bank came back, and nobody was convicted
    who did not lie.

    \b
    Examples:
      consortium chaos --minutes 3 --seed 7
      consortium chaos --kills 200 --database-kills 20 --blackouts 5
      consortium chaos --minutes 20 --every 60
      consortium chaos --banks 12 --data chaos --minutes 1 --profile network
    """
    counts = Counts(kills, database_kills, blackouts)
    if (minutes is None) == (counts.total == 0):
        raise click.UsageError(
            "give either --minutes, or --kills, --database-kills and --blackouts"
        )
    chosen = secrets.randbits(32) if seed is None else seed
    extent = Extent(None if minutes is None else minutes * 60, beyond, every_s)
    report = asyncio.run(
        _run(directory, bank_count, Profile(profile), chosen, counts, extent, pause_s)
    )
    if as_json:
        answer_json(report.to_json_object())
    else:
        headings = ("act", "times", "back, median", "back, slowest")
        answer_table(headings, report.table(), right=(1, 2, 3))
        for line in report.lines():
            answer(line)
    if not report.held:
        raise click.exceptions.Exit(EXIT_FAILED)


async def _run(
    directory: ConsortiumDirectory,
    bank_count: int | None,
    profile: Profile,
    seed: int,
    counts: Counts,
    extent: Extent,
    pause_s: float,
) -> ChaosReport:
    async with _running(directory, bank_count):
        consortium = Consortium.load(directory)
        banks = [bank.index for bank in consortium.genesis.banks]
        plan = ChaosPlan(
            seed,
            banks,
            profile,
            tuple(STYLES),
            counts=counts if extent.until_s is None else None,
            liars=max(1, len(banks) - quorum_size(len(banks))) if not extent.beyond else len(banks),
        )
        say(f"seed {seed}: funding the payers")
        async with (
            ChaosLoad(consortium, seed, pause_s) as load,
            Campaign(consortium, plan, seed, say) as campaign,
        ):
            _, heights = await campaign.run(load, extent)
            say("everything is healed; settling the payments that are open")
            unsettled = await load.finish(SETTLED_WITHIN_S)
            doctor = await examine(consortium, full=False)
            say("looking up every acknowledged payment at every bank")
            return await campaign.reckon(load, doctor, unsettled, heights, beyond=extent.beyond)


@contextlib.asynccontextmanager
async def _running(directory: ConsortiumDirectory, bank_count: int | None) -> AsyncIterator[None]:
    """Use the consortium that is up, or start one and stop it in the end."""
    if is_supervised(directory):
        if bank_count is not None and bank_count != len(directory.genesis().banks):
            raise CommandFailed(
                f"a consortium of {len(directory.genesis().banks)} banks is up in {directory.root}",
                "leave --banks out to break that one, or name another directory with --data",
                EXIT_USAGE,
            )
        yield
        return
    if bank_count is None:
        raise CommandFailed(
            f"no consortium is up in {directory.root}",
            "start one with `consortium up` in another terminal, or add --banks 12",
            EXIT_UNREACHABLE,
        )
    log_file = directory.root.with_name(f"{directory.root.name}.up.log")
    say(f"starting {bank_count} banks in {directory.root}; their launcher writes to {log_file}")
    launcher = _launch(directory, bank_count, log_file)
    try:
        await _until_healthy(launcher, bank_count, lambda: log_file.read_text(errors="replace"))
        yield
    finally:
        launcher.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(launcher.wait, STOPPED_WITHIN_S)


def _launch(
    directory: ConsortiumDirectory, bank_count: int, log_file: Path
) -> subprocess.Popen[bytes]:
    log_file.parent.mkdir(parents=True, exist_ok=True)
    command_line = [sys.executable, "-P", "-m", NODE_MODULE, "up"]
    root = str(Path(node.__file__).resolve().parent.parent)
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    with log_file.open("wb") as log:
        return subprocess.Popen(
            [*command_line, "--data", str(directory.root), "--banks", str(bank_count)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "NO_COLOR": "1", "PYTHONPATH": path},
            start_new_session=True,
        )


async def _until_healthy(
    launcher: subprocess.Popen[bytes], bank_count: int, read_log: Callable[[], str]
) -> None:
    deadline_s = time.monotonic() + HEALTHY_WITHIN_S
    while f"{bank_count} banks are healthy" not in read_log():
        if launcher.poll() is not None or time.monotonic() > deadline_s:
            last = (read_log().strip().splitlines() or ["it said nothing"])[-1]
            raise CommandFailed(
                f"the consortium did not start: {last}", "start it with `consortium up`"
            )
        await asyncio.sleep(0.2)
