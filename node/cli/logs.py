"""`consortium logs`: what the banks' nodes have written, readable and joined by transaction."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time

import click

from node.cli.access import Consortium
from node.cli.explorer import read_id
from node.cli.failure import EXIT_USAGE, CommandFailed
from node.cli.log_lines import LEVELS, LogFile, LogFilter, LogLine, last_lines, lines_since
from node.cli.options import data_option, find_bank, json_option
from node.cli.terminal import answer, say
from node.client.errors import ClientError
from node.ledger.types import BankIndex, TransactionId
from node.runtime.consortium_directory import ConsortiumDirectory, short_name

ALL_BANKS = "all"
DEFAULT_LINES = 50
FOLLOW_EVERY_S = 0.25

_PREFIX = re.compile(r"[0-9a-f]{8,64}", re.ASCII)


@click.command()
@click.argument("bank", metavar="BANK|all")
@click.option("--follow", "-f", is_flag=True, help="Go on with new lines until Ctrl-C.")
@click.option(
    "--lines",
    "line_count",
    type=click.IntRange(min=0),
    default=DEFAULT_LINES,
    show_default=True,
    help="Show the newest N lines that fit.",
)
@click.option(
    "--transaction",
    metavar="ID",
    help="Only lines about this transaction (its id, or at least 8 digits of it).",
)
@click.option(
    "--level",
    type=click.Choice(list(LEVELS), case_sensitive=False),
    default="debug",
    help="Only lines of this level and above.",
)
@data_option
@json_option
def command(
    bank: str,
    follow: bool,
    line_count: int,
    transaction: str | None,
    level: str,
    directory: ConsortiumDirectory,
    as_json: bool,
) -> None:
    """Show the log of BANK, or of all banks merged by time.

    With the whole id of a sealed transaction the lines about its block are shown too; the banks
    are asked which block that is, if they answer.

    \b
    Examples:
      consortium logs dunmere --follow
      consortium logs all --transaction 5f0e...9a
      consortium logs all --level warning --json
    """
    consortium = Consortium.load(directory)
    files = _log_files(consortium, bank)
    wanted = LogFilter(level.lower(), *_transaction_and_block(consortium, transaction))
    width = max(len(file.bank) for file in files)

    def show(line: LogLine) -> None:
        answer(line.to_json_line() if as_json else line.render(width))

    try:
        shown = last_lines(files, wanted, line_count)
        for line in shown:
            show(line)
        if not shown and not follow:
            say("no line fits")
        while follow:
            sys.stdout.flush()
            time.sleep(FOLLOW_EVERY_S)
            for line in lines_since(files, wanted):
                show(line)
    except BrokenPipeError:
        # Whoever reads us has seen enough; the interpreter would complain when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        # The way to end following; nothing is left half done.
        return


def _log_files(consortium: Consortium, text: str) -> list[LogFile]:
    if text.lower() == ALL_BANKS:
        banks = [bank.index for bank in consortium.genesis.banks]
    else:
        banks = [find_bank(consortium.genesis, text)]
    files = [LogFile(short_name(bank), consortium.directory.bank(bank).log_file) for bank in banks]
    if not any(file.exists() for file in files):
        nobody = "no bank has written a log yet"
        raise CommandFailed(
            nobody if len(files) > 1 else f"{files[0].bank} has not written a log yet",
            f"start the consortium with `consortium up --data {consortium.directory.root}`",
        )
    return files


def _transaction_and_block(consortium: Consortium, text: str | None) -> tuple[str, str]:
    """Return the transaction's id or prefix, and its block's id if that can be found out."""
    if text is None:
        return "", ""
    digits = text.strip().lower()
    if not _PREFIX.fullmatch(digits):
        raise CommandFailed(
            f"{text!r} is not the id of a transaction",
            "give its 64 hexadecimal digits, or at least the first 8 of them",
            EXIT_USAGE,
        )
    identity = read_id(digits)
    if identity is None:
        return digits, ""
    try:
        return digits, asyncio.run(_block_of(consortium, TransactionId(identity)))
    except ClientError:
        say("no bank tells the block of this transaction; lines about the block are left out")
        return digits, ""


async def _block_of(consortium: Consortium, identity: TransactionId) -> str:
    async with consortium.ledger(BankIndex(0)) as ledger:
        status = (await ledger.transaction(identity)).status
        return "" if status.position is None else status.position.block_id.hex()
