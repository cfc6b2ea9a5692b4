"""`consortium fault`: break a running consortium on purpose, see what is broken, mend it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

import click

from node.cli.options import data_option, json_option
from node.cli.table import answer_table
from node.cli.terminal import answer, answer_json, say
from node.dashboard.fault_request import ListedFault
from node.runtime.consortium_directory import ConsortiumDirectory
from node.simulation.style_descriptions import DESCRIPTIONS

C = TypeVar("C", bound=Callable[..., Any])

MAX_DELAY_MS = 60_000
DIRECTIONS = ("in", "out", "both")
ROW_NAMES = ("block", "seal", "state", "consensus", "transaction", "nullifier", "evidence")

peer_option = click.option(
    "--peer",
    "peers",
    multiple=True,
    metavar="BANK",
    help="Only the link with this bank; may be given several times.  [default: all]",
)
direction_option = click.option(
    "--direction",
    type=click.Choice(DIRECTIONS),
    default="both",
    show_default=True,
    help="What the bank receives, what it sends, or both.",
)


def answer_all(done: Iterable[str]) -> None:
    """Print what is done, line by line as it happens."""
    for line in done:
        answer(line)


@click.group()
def command() -> None:
    """Break a running consortium on purpose, see what is broken, and mend it.

    For consortiums that `consortium up` runs: a bank started by itself refuses unless its own
    configuration allows faults. Every fault is visible in `consortium status` and ends with
    `consortium fault heal`.

    \b
    Examples:
      consortium fault crash dunmere --restart-after 5
      consortium fault disconnect heathmark --direction out
      consortium fault byzantine cedarholm double-voter
      consortium fault list
      consortium fault heal all
    """


@command.command()
@click.argument("bank")
@click.option(
    "--restart-after",
    "restart_after_s",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Have it started again after so long, and wait until it is ready.",
)
@data_option
def crash(bank: str, restart_after_s: float | None, directory: ConsortiumDirectory) -> None:
    """Kill the process of BANK (`kill -9`).

    \b
    Example:
      consortium fault crash dunmere --restart-after 5
    """
    from node.cli import fault_acts

    if restart_after_s is None:
        answer(fault_acts.crash(directory, bank))
        return
    done = fault_acts.crash_and_restart(directory, bank, restart_after_s)
    say(next(done))
    answer_all(done)


@command.command()
@click.argument("bank")
@data_option
def pause(bank: str, directory: ConsortiumDirectory) -> None:
    """Stop the process of BANK in its tracks (SIGSTOP): its links stay up, it says nothing.

    \b
    Example:
      consortium fault pause dunmere
    """
    from node.cli import fault_acts

    answer(fault_acts.pause(directory, bank))


@command.command()
@click.argument("bank")
@data_option
def resume(bank: str, directory: ConsortiumDirectory) -> None:
    """Let the paused process of BANK go on (SIGCONT).

    \b
    Example:
      consortium fault resume dunmere
    """
    from node.cli import fault_acts

    answer(fault_acts.resume(directory, bank))


@command.command()
@click.argument("bank")
@peer_option
@direction_option
@data_option
def disconnect(
    bank: str, peers: tuple[str, ...], direction: str, directory: ConsortiumDirectory
) -> None:
    """Cut the links of BANK with the other banks, both ways or one.

    \b
    Examples:
      consortium fault disconnect dunmere
      consortium fault disconnect dunmere --peer elmstow --direction out
    """
    from node.cli import fault_acts

    answer_all(fault_acts.disconnect(directory, bank, peers, direction))


@command.command()
@click.argument("bank")
@peer_option
@direction_option
@click.option(
    "--delay",
    "delay_ms",
    type=click.IntRange(0, MAX_DELAY_MS),
    default=0,
    metavar="MS",
    help="Every message arrives so much later.",
)
@click.option(
    "--jitter",
    "jitter_ms",
    type=click.IntRange(0, MAX_DELAY_MS),
    default=0,
    metavar="MS",
    help="Up to so much more, drawn for each message; the order is kept.",
)
@click.option(
    "--loss",
    "loss_percent",
    type=click.FloatRange(0, 100),
    default=0.0,
    metavar="PERCENT",
    help="Share of messages that are lost.",
)
@data_option
def slow(
    bank: str,
    peers: tuple[str, ...],
    direction: str,
    delay_ms: int,
    jitter_ms: int,
    loss_percent: float,
    directory: ConsortiumDirectory,
) -> None:
    """Make the links of BANK slow or lossy.

    \b
    Example:
      consortium fault slow dunmere --delay 300 --jitter 100 --loss 5
    """
    from node.cli import fault_acts

    if not (delay_ms or jitter_ms or loss_percent):
        raise click.UsageError("give at least one of --delay, --jitter and --loss")
    loss_per_mille = round(loss_percent * 10)
    answer_all(
        fault_acts.slow(directory, bank, peers, direction, delay_ms, jitter_ms, loss_per_mille)
    )


@command.command()
@click.argument("bank")
@click.argument("row", type=click.Choice(ROW_NAMES))
@click.option("--height", type=click.IntRange(min=1), help="Of which block.  [default: the latest]")
@data_option
def corrupt(bank: str, row: str, height: int | None, directory: ConsortiumDirectory) -> None:
    """Corrupt one stored ROW of BANK by SQL in its own database.

    The bank must find out by itself before it signs again; `consortium node rebuild` repairs it.

    \b
    Example:
      consortium fault corrupt dunmere state
    """
    from node.cli import fault_acts

    answer(fault_acts.corrupt(directory, bank, row, height))


@command.command()
@click.argument("bank", required=False)
@click.argument("style", required=False)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="For what is left to chance.")
@click.option("--list", "list_styles", is_flag=True, help="Show the styles.")
@data_option
@json_option
def byzantine(
    bank: str | None,
    style: str | None,
    seed: int,
    list_styles: bool,
    directory: ConsortiumDirectory,
    as_json: bool,
) -> None:
    """Have BANK lie to the others in a STYLE, with its own keys; the others may convict it.

    \b
    Examples:
      consortium fault byzantine --list
      consortium fault byzantine dunmere equivocating-leader
    """
    from node.cli import fault_acts

    if list_styles:
        _list_styles(as_json=as_json)
    elif bank is None or style is None:
        raise click.UsageError("give BANK and STYLE, or --list")
    else:
        answer_all(fault_acts.byzantine(directory, bank, style, seed))


@command.command()
@click.argument("bank", required=False)
@data_option
def database(bank: str | None, directory: ConsortiumDirectory) -> None:
    """End the database sessions of BANK, or without BANK kill the PostgreSQL server.

    The local server holds the databases of all banks: it is one fault domain, and all banks stop
    until the launcher has started it again. Banks on machines of their own have their own servers.

    \b
    Examples:
      consortium fault database dunmere
      consortium fault database
    """
    from node.cli import fault_acts

    answer(fault_acts.database(directory, bank))


@command.command()
@click.argument("bank", default="all")
@data_option
def heal(bank: str, directory: ConsortiumDirectory) -> None:
    """End every fault of BANK (default: all banks); starts what was killed.

    \b
    Examples:
      consortium fault heal dunmere
      consortium fault heal all
    """
    from node.cli import fault_acts

    answer_all(fault_acts.heal(directory, bank))


@command.command("list")
@data_option
@json_option
def list_command(directory: ConsortiumDirectory, as_json: bool) -> None:
    """Show what is broken on purpose, at every bank.

    \b
    Examples:
      consortium fault list
      consortium fault list --json
    """
    from node.cli import fault_acts

    _list_faults(fault_acts.fetch_faults(directory), as_json=as_json)


def _list_styles(*, as_json: bool) -> None:
    if as_json:
        answer_json(dict(DESCRIPTIONS))
    else:
        answer_table(("style", "what the bank does"), list(DESCRIPTIONS.items()))


def _list_faults(faults: Sequence[ListedFault], *, as_json: bool) -> None:
    if as_json:
        answer_json([asdict(fault) for fault in faults])
    elif not faults:
        answer("nothing is broken on purpose, and every process runs")
    else:
        rows = [
            (
                fault.name,
                fault.kind,
                "-" if fault.age_ms is None else f"{fault.age_ms / 1000:.0f} s",
                fault.text,
            )
            for fault in faults
        ]
        answer_table(("bank", "fault", "age", "what"), rows, right=(2,))
