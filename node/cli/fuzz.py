"""`consortium fuzz`: hostile messages to every method of every bank, none of which may matter."""

from __future__ import annotations

import asyncio

import click

from node.cli.access import Consortium
from node.cli.failure import EXIT_USAGE, CommandFailed
from node.cli.fuzz_report import show, to_json_object
from node.cli.fuzz_run import FuzzOrder, fuzz
from node.cli.options import data_option, json_option
from node.cli.terminal import answer_json
from node.runtime.consortium_directory import ConsortiumDirectory

DEFAULT_MESSAGES = 2_000
MAX_WORKERS = 64


@click.command()
@click.option("--messages", type=click.IntRange(min=1), default=DEFAULT_MESSAGES, show_default=True)
@click.option("--seed", default="1", show_default=True, help="Draws all messages.")
@click.option("--target", default="", metavar="RPC", help="Only methods with this in their name.")
@click.option("--replay", metavar="SEED:INDEX", help="Send one message again, and show it.")
@click.option("--workers", type=click.IntRange(1, MAX_WORKERS), default=8, show_default=True)
@data_option
@json_option
def command(
    messages: int,
    seed: str,
    target: str,
    replay: str | None,
    workers: int,
    directory: ConsortiumDirectory,
    as_json: bool,
) -> None:
    """Send hostile messages to a running consortium, and check that nothing comes of them.

    Valid messages of the ledger are mutated, spliced, replayed and built anew from the grammar of
    every method of the three services, and sent under the credentials of clients, operators, the
    regulator and banks that lie in the directory. Nothing is signed. While a bank's certificate is
    used its own link to the bank under test is displaced for moments.

    Afterwards no bank may have stopped, answered with a defect, logged a traceback, grown without
    bounds or changed anything but by empty blocks, all must have the same ledger, and a note of
    one minor unit, minted for nobody, must still be sealed. Nothing else should use the ledger
    meanwhile. Exit code 1 if anything of this fails.

    \b
    Examples:
      consortium fuzz --messages 50000 --seed 7
      consortium fuzz --target Exchange --messages 5000
      consortium fuzz --replay 7:1234
    """
    first = 0
    if replay is not None:
        seed, separator, index = replay.rpartition(":")
        if not separator or not index.isdecimal():
            raise CommandFailed(
                f"{replay!r} names no message", "write it as SEED:INDEX", EXIT_USAGE
            )
        first, messages = int(index), 1
    consortium = Consortium.load(directory)
    order = FuzzOrder(seed, first, messages, target, workers)
    result = asyncio.run(fuzz(consortium, order))
    if as_json:
        answer_json(to_json_object(result))
    else:
        show(result)
    if not result.harmless:
        raise SystemExit(1)
