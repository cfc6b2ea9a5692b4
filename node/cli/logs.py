"""`consortium logs`: what the banks' nodes have written, readable and joined by transaction."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from collections import deque
from dataclasses import dataclass

import click

from node.cli.access import Consortium
from node.cli.explorer import read_id
from node.cli.failure import EXIT_USAGE, CommandFailed
from node.cli.log_lines import (
    LEVELS,
    LogFile,
    LogFilter,
    LogLine,
    last_lines,
    lines_since,
    merged,
    transactions_named,
)
from node.cli.log_traces import TraceReader
from node.cli.options import data_option, find_bank, json_option
from node.cli.terminal import answer, say
from node.client.errors import ClientError, RecordNotFound
from node.ledger.types import BankIndex, TransactionId
from node.runtime.consortium_directory import ConsortiumDirectory, short_name

ALL_BANKS = "all"
DEFAULT_LINES = 50
FOLLOW_EVERY_S = 0.25
ASK_EVERY_S = 1.0
"""What banks remember, while a transaction is on its way."""
LINES_KEPT = 5_000
BANK_COLOURS = (
    *("green", "blue", "magenta", "cyan", "yellow", "bright_green"),
    *("bright_blue", "bright_magenta", "bright_cyan", "bright_yellow", "white", "bright_red"),
)

_PREFIX = re.compile(r"[0-9a-f]{8,64}", re.ASCII)


@click.command()
@click.argument("bank", metavar="[BANK|all]", default=ALL_BANKS)
@click.option("--follow", "-f", is_flag=True, help="Go on with new lines until Ctrl-C.")
@click.option(
    "--lines",
    "line_count",
    type=click.IntRange(min=0),
    default=DEFAULT_LINES,
    show_default=True,
    help="Show the newest N lines that fit; of one transaction all are shown.",
)
@click.option(
    "--transaction",
    metavar="ID",
    help="Only what is about this transaction (its id, or at least 8 digits of it).",
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

    Each line begins with the time by the clock of the bank that is named beside it.

    With --transaction the life of one transaction is joined over all banks, from three sources.
    Logs name it where it entered (`admitted`) and where it was refused. Logs name its block when
    they applied it (`sealed`); which block that is, the banks are asked. All other steps are in no
    log, for a line a step would slow the banks down: the banks keep the last 20,000 transactions
    in memory, and what they remember is asked for with the operator's certificate and shown with
    `memory` for a level. Where there are no logs on this machine, the whole ID shows that alone.

    \b
    Examples:
      consortium logs dunmere --follow
      consortium logs --follow --transaction 5f0e...9a
      consortium logs --level warning --json
    """
    consortium = Consortium.load(directory)
    files = _log_files(consortium, bank)
    subject = _subject(transaction, files)
    if subject.identity is None:
        _require_logs(consortium, files)
    source = Lines(consortium, files, level.lower(), subject)
    width = max(len(file.bank) for file in files)
    colours = {
        short_name(bank.index): BANK_COLOURS[bank.index % len(BANK_COLOURS)]
        for bank in consortium.genesis.banks
    }

    # Every line is about the one transaction whose id was given.
    known = () if subject.identity is None else ("transaction",)

    def show(line: LogLine) -> None:
        colour = colours.get(line.bank)
        answer(line.to_json_line() if as_json else line.render(width, colour, known))

    try:
        shown = source.first(line_count)
        for line in shown:
            show(line)
        if not shown and not follow:
            say("no line fits")
        while follow:
            sys.stdout.flush()
            time.sleep(FOLLOW_EVERY_S)
            for line in source.more():
                show(line)
    except BrokenPipeError:
        # Whoever reads us has seen enough; the interpreter would complain when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        # The way to end following; nothing is left half done.
        return


@dataclass(slots=True)
class Subject:
    """The transaction that is asked about."""

    digits: str = ""
    """Its id or the beginning of it; empty: all lines are wanted."""
    identity: TransactionId | None = None
    """The whole of it, if it is known."""


class Lines:
    """The lines of all sources, first those that are there, then those that come."""

    def __init__(
        self, consortium: Consortium, files: list[LogFile], level: str, subject: Subject
    ) -> None:
        self._consortium = consortium
        self._files = files
        self._level = level
        self._subject = subject
        self._block = ""
        self._asked_s = float("-inf")
        self._wanted = LogFilter(level, subject.digits)
        # What banks remember has no level: whoever asks for warnings does not ask for it.
        remembered = subject.identity if level == "debug" else None
        self._traces = None if remembered is None else TraceReader(consortium, remembered)
        self._banks = {file.bank for file in files}
        self._passed_over: deque[LogLine] = deque(maxlen=LINES_KEPT)
        """Newest lines, as long as nobody knows which of them are about the block."""

    def first(self, count: int) -> list[LogLine]:
        """Return the newest lines; of one transaction all."""
        if self._subject.identity is None:
            return last_lines(self._files, self._wanted, count)
        traces = self._ask(complain=True)
        found = [list(filter(self._wanted.wants, file.lines())) for file in self._files]
        return merged(*found, traces) if count else []

    def more(self) -> list[LogLine]:
        """Return what has come since."""
        if self._subject.identity is None:
            return lines_since(self._files, self._wanted)
        fresh = lines_since(self._files, LogFilter(self._level))
        traces: list[LogLine] = []
        late: list[LogLine] = []
        if self._is_open() and time.monotonic() - self._asked_s >= ASK_EVERY_S:
            unaware = self._wanted
            traces = self._ask(complain=False)
            late = [
                line
                for line in self._passed_over
                if self._wanted.wants(line) and not unaware.wants(line)
            ]
        if self._block:
            self._passed_over.clear()
        else:
            self._passed_over.extend(fresh)
        return merged(late, list(filter(self._wanted.wants, fresh)), traces)

    def _is_open(self) -> bool:
        return not self._block or (self._traces is not None and not self._traces.is_over)

    def _ask(self, *, complain: bool) -> list[LogLine]:
        """Ask the banks for the block and for what they remember; say what they do not tell."""
        assert self._subject.identity is not None, "only a whole id can be asked for"
        self._asked_s = time.monotonic()
        if not self._block:
            try:
                self._block = asyncio.run(_block_of(self._consortium, self._subject.identity))
            except ClientError:
                if complain:
                    say("no bank tells the block of this transaction; its lines are left out")
            self._wanted = LogFilter(self._level, self._subject.digits, self._block)
        if self._traces is None:
            return []
        try:
            lines, silent = asyncio.run(self._traces.new_lines())
        except ClientError as error:
            if complain:
                say(f"what the banks remember is left out: {error}")
            self._traces = None
            return []
        if silent and complain:
            say(f"what they remember is left out, for they do not answer: {', '.join(silent)}")
        return [line for line in lines if line.bank in self._banks]


def _log_files(consortium: Consortium, text: str) -> list[LogFile]:
    if text.lower() == ALL_BANKS:
        banks = [bank.index for bank in consortium.genesis.banks]
    else:
        banks = [find_bank(consortium.genesis, text)]
    return [LogFile(short_name(bank), consortium.directory.bank(bank).log_file) for bank in banks]


def _require_logs(consortium: Consortium, files: list[LogFile]) -> None:
    if not any(file.exists() for file in files):
        nobody = "no bank has written a log yet"
        raise CommandFailed(
            nobody if len(files) > 1 else f"{files[0].bank} has not written a log yet",
            f"start the consortium with `consortium up --data {consortium.directory.root}`",
        )


def _subject(text: str | None, files: list[LogFile]) -> Subject:
    """Read an id; of the beginning of one, find the whole in the logs."""
    if text is None:
        return Subject()
    digits = text.strip().lower()
    if not _PREFIX.fullmatch(digits):
        raise CommandFailed(
            f"{text!r} is not the id of a transaction",
            "give its 64 hexadecimal digits, or at least the first 8 of them",
            EXIT_USAGE,
        )
    identity = read_id(digits)
    if identity is None:
        named = transactions_named(files, digits)
        if len(named) > 1:
            raise CommandFailed(
                f"{len(named)} transactions begin with {digits}",
                "give more digits: " + ", ".join(sorted(named)[:2]),
                EXIT_USAGE,
            )
        if not named:
            return Subject(digits)
        identity = bytes.fromhex(named.pop())
    return Subject(identity.hex(), TransactionId(identity))


async def _block_of(consortium: Consortium, identity: TransactionId) -> str:
    async with consortium.ledger(BankIndex(0)) as ledger:
        try:
            status = (await ledger.transaction(identity)).status
        except RecordNotFound:
            return ""
        return "" if status.position is None else status.position.block_id.hex()
