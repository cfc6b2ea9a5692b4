"""`consortium top`: the banks live, for those who have a terminal and no browser."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import termios
import time
import tty
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import click
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live

from node.cli.access import Consortium, nobody_answers
from node.cli.block_stream import BlockLine, stream_block_lines
from node.cli.options import data_option, json_option
from node.cli.terminal import answer, answer_json
from node.cli.top_figures import Reports, Snapshot
from node.cli.top_view import SORTS, View, changes, render, summary
from node.client.errors import LedgerError
from node.client.operator_client import OperatorClient
from node.ledger.types import BankIndex
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.consortium_look import DEADLINE_MS, ConsortiumLook
from node.runtime.fault_book import corrupted_rows
from node.runtime.process_condition import ProcessCondition, process_conditions
from node.wire.operator_records import NodeReport

RATES_KEPT = 600
BLOCKS_KEPT = 100
EARLIER_BLOCKS = 20
PLAIN_WIDTH = 160
"""Where there is no terminal to fit into."""
PLAIN_HEIGHT = 60
SHORTEST_INTERVAL_S = 0.2
GONE = (ProcessCondition.EXITED, ProcessCondition.PAUSED)


@click.command()
@click.option(
    "--interval",
    "interval_s",
    metavar="S",
    type=click.FloatRange(min=SHORTEST_INTERVAL_S, max=3_600),
    default=1.0,
    show_default=True,
    help="Seconds between two looks.",
)
@click.option("--once", is_flag=True, help="Look twice, show the second look, and end.")
@data_option
@json_option
def command(interval_s: float, once: bool, directory: ConsortiumDirectory, as_json: bool) -> None:
    """Watch every bank live: state, height, lag, votes, links, CPU, memory, database, alarms.

    Above the banks stands how fast they seal and how close they are to losing their quorum, below
    them the rate over time, alarms and the newest blocks. Finality is what the banks measure over
    the last minute for what their clients sent them: the middle bank, and the largest p95.

    Keys: q quits, s sorts, p pauses, ? helps. Where standard output is no terminal, each look is
    one line, with a line for whatever changed; `--json` writes each look as one object.

    \b
    Examples:
      consortium top
      consortium top --interval 5 --json
      consortium top --once
    """
    consortium = Consortium.load(directory)
    console = Console(highlight=False)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_show(consortium, console, interval_s, once=once, as_json=as_json))


async def _show(
    consortium: Consortium, console: Console, interval_s: float, *, once: bool, as_json: bool
) -> None:
    async with Watch(consortium) as watch:
        if once:
            await _show_once(watch, console, interval_s, as_json=as_json)
        elif as_json or not console.is_terminal:
            await _show_lines(watch, interval_s, as_json=as_json)
        else:
            await _show_screen(watch, console, interval_s)


class Watch:
    """Asks every bank again and again over the same connections; an async context manager."""

    def __init__(self, consortium: Consortium) -> None:
        self.consortium = consortium
        self.rates: deque[float] = deque(maxlen=RATES_KEPT)
        self.blocks: deque[BlockLine] = deque(maxlen=BLOCKS_KEPT)
        self._clients: dict[BankIndex, OperatorClient] = {}
        self._before: Reports = {}
        self._follower: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Watch:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._follower is not None:
            self._follower.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._follower
        for client in self._clients.values():
            await client.close()

    def follow_blocks(self) -> None:
        """Collect a line for every block from now on, and for some from before."""
        self._follower = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        consortium = self.consortium
        lines = stream_block_lines(
            consortium.directory, consortium.endpoints, earlier=EARLIER_BLOCKS
        )
        async for line in lines:
            self.blocks.append(line)

    async def look(self) -> Snapshot:
        """Ask every bank whose process could answer."""
        consortium = self.consortium
        directory, genesis = consortium.directory, consortium.genesis
        processes = process_conditions(directory)
        asked = [bank.index for bank in genesis.banks if processes.get(bank.index) not in GONE]
        found = await asyncio.gather(*map(self._ask, asked))
        answers = dict(zip(asked, found, strict=True))
        seen = ConsortiumLook.assemble(
            genesis, consortium.endpoints, answers, processes, corrupted_rows(directory)
        )
        reports = {bank: item for bank, item in answers.items() if isinstance(item, NodeReport)}
        now_ms = int(time.time() * 1000)
        snapshot = Snapshot.of(genesis.name, now_ms, seen, reports, self._before)
        self._before = reports
        if snapshot.sealed_per_second_now is not None:
            self.rates.append(snapshot.sealed_per_second_now)
        return snapshot

    async def _ask(self, bank: BankIndex) -> NodeReport | LedgerError:
        client = self._clients.get(bank)
        if client is None:
            client = self.consortium.operator(bank, deadline_ms=DEADLINE_MS)
            self._clients[bank] = client
        try:
            return await client.report()
        except LedgerError as error:
            # A channel that has failed waits ever longer before it connects again; a new one not.
            await self._clients.pop(bank).close()
            return error


async def _show_once(watch: Watch, console: Console, interval_s: float, *, as_json: bool) -> None:
    await watch.look()
    await asyncio.sleep(interval_s)
    snapshot = await watch.look()
    if as_json:
        answer_json(snapshot.to_json_object())
    if not snapshot.look.anybody:
        raise nobody_answers(watch.consortium)
    if not as_json:
        width = console.width if console.is_terminal else PLAIN_WIDTH
        view = View(width, PLAIN_HEIGHT, unicode=_speaks_unicode(), keys=False)
        plain = Console(highlight=False, width=width)
        for line in render(snapshot, [], watch.rates, view):
            plain.print(line, soft_wrap=True)


async def _show_lines(watch: Watch, interval_s: float, *, as_json: bool) -> None:
    before: Snapshot | None = None
    while True:
        snapshot = await watch.look()
        if as_json:
            answer_json(snapshot.to_json_object())
        else:
            for line in (*changes(snapshot, before), summary(snapshot)):
                answer(line)
            sys.stdout.flush()
        before = snapshot
        await asyncio.sleep(interval_s)


@dataclass
class Screen:
    """What the terminal shows at present; drawn again for whatever size it has."""

    watch: Watch
    snapshot: Snapshot | None = None
    view: View = field(default_factory=lambda: View(80, 24))
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def press(self, key: str) -> None:
        """Do what a key stands for; others do nothing."""
        view = self.view
        match key.lower():
            case "q":
                self.ended.set()
            case "s":
                self.view = replace(view, sort=(view.sort + 1) % len(SORTS))
            case "p" | " ":
                self.view = replace(view, paused=not view.paused)
            case "?" | "h":
                self.view = replace(view, help=not view.help)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.snapshot is None:
            yield "asking the banks ..."
            return
        width, height = console.size
        view = replace(self.view, width=width, height=height)
        lines = render(self.snapshot, self.watch.blocks, self.watch.rates, view)
        for line in lines:
            line.no_wrap = True
            yield line


async def _show_screen(watch: Watch, console: Console, interval_s: float) -> None:
    screen = Screen(watch, view=View(80, 24, unicode=_speaks_unicode()))
    watch.follow_blocks()
    with Live(screen, console=console, screen=True, auto_refresh=False) as live:

        def pressed(key: str) -> None:
            screen.press(key)
            live.refresh()

        with keys(pressed), _resizes(live.refresh):
            while not screen.ended.is_set():
                snapshot = await watch.look()
                if not screen.view.paused or screen.snapshot is None:
                    screen.snapshot = snapshot
                    live.refresh()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(screen.ended.wait(), interval_s)


@contextlib.contextmanager
def keys(pressed: Callable[[str], None], descriptor: int | None = None) -> Iterator[None]:
    """Call back for every key, without waiting for a line, while the block runs.

    `descriptor` is standard input by default; where that is no terminal there are no keys.
    """
    source = _standard_input() if descriptor is None else descriptor
    if source is None or not os.isatty(source):
        yield
        return
    loop = asyncio.get_running_loop()
    before = termios.tcgetattr(source)

    def read() -> None:
        for key in os.read(source, 64).decode("ascii", errors="ignore"):
            pressed(key)

    tty.setcbreak(source)
    loop.add_reader(source, read)
    try:
        yield
    finally:
        loop.remove_reader(source)
        termios.tcsetattr(source, termios.TCSADRAIN, before)


def _standard_input() -> int | None:
    try:
        return sys.stdin.fileno()
    except (OSError, ValueError):
        return None


@contextlib.contextmanager
def _resizes(refresh: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGWINCH, refresh)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGWINCH)


def _speaks_unicode() -> bool:
    return "utf" in (sys.stdout.encoding or "").lower()
