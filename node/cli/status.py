"""`consortium status`: every bank at a glance, who is missing, and whether anything can be sealed.

A bank that says nothing is named by what its process looks like from outside; the quorum and its
margin are `node.runtime.diagnosis`'s, which merges all banks' reports.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import click
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from node.cli.access import Consortium, nobody_answers
from node.cli.options import data_option, json_option
from node.cli.regulator_status import look_at_regulator
from node.cli.terminal import answer, answer_json
from node.client.errors import LedgerError
from node.ledger.types import BankIndex
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.consortium_look import DEADLINE_MS, ConsortiumLook
from node.runtime.diagnosis import Condition
from node.runtime.fault_book import corrupted_rows
from node.runtime.process_condition import ProcessCondition, process_conditions
from node.wire.operator_records import NodeReport

WATCH_INTERVAL_S = 1.0
PLAIN_WIDTH = 120
"""Of the table where there is no terminal to fit into."""
MEBIBYTE = 1 << 20


class Look(ConsortiumLook):
    """A look as a terminal shows it."""

    def table(self) -> Table:
        """Return a row for every bank."""
        table = Table(box=None, header_style="bold", pad_edge=False)
        table.add_column("bank", no_wrap=True)
        table.add_column("state", no_wrap=True)
        for title in ("height", "view"):
            table.add_column(title, justify="right", no_wrap=True)
        table.add_column("leader", no_wrap=True)
        for title in ("peers", "pool", "idle", "MiB", "alarms", "faults"):
            table.add_column(title, justify="right", no_wrap=True)
        for row in self.rows:
            age_ms = row.last_seal_age_ms
            table.add_row(
                row.name,
                Text(row.state, _STYLES.get(row.state, "red")),
                _number(row.height),
                _number(row.view),
                row.leader or "-",
                _number(row.peers_linked),
                _number(row.mempool),
                "-" if age_ms is None else f"{age_ms / 1000:.1f} s",
                "-" if row.resident_bytes is None else str(row.resident_bytes // MEBIBYTE),
                _number(row.alarms),
                Text(str(len(row.faults)), "magenta" if row.faults else ""),
            )
        return table

    def lines(self) -> list[Text]:
        """Return what has to be said below the table, the verdict last."""
        lines = [Text(f"{row.name}: {row.reason}", "red") for row in self.rows if row.reason]
        lines += [
            Text(f"{row.name} is broken on purpose: {fault}", "magenta")
            for row in self.rows
            for fault in row.faults
        ]
        lines += [
            Text(f"{row.name} may be lying: {row.suspicion}", "magenta")
            for row in self.rows
            if row.suspicion
        ]
        diagnosis = self.diagnosis
        style = "green" if diagnosis.margin >= 0 else "red"
        if diagnosis.waiting_for:
            lines.append(Text(diagnosis.waiting_for))
        lines.append(Text(diagnosis.votes, style))
        if diagnosis.verdict:
            lines.append(Text(diagnosis.verdict, "yellow" if diagnosis.margin >= 0 else "red"))
        return lines


_STYLES = {
    "up": "green",
    Condition.STARTING.value: "yellow",
    Condition.BEHIND.value: "yellow",
    Condition.OBSERVER.value: "cyan",
}


@click.command()
@data_option
@json_option
@click.option("--watch", is_flag=True, help="Show it again every second until Ctrl-C.")
def command(directory: ConsortiumDirectory, as_json: bool, watch: bool) -> None:
    """Show every bank: height, view, leader, links, mempool, memory; and the quorum's margin.

    Names the banks that are missing and why, what was broken on purpose, what the consensus
    waits for, and what to do. Exits with 3 if no bank answers.

    \b
    Examples:
      consortium status
      consortium status --watch
      consortium status --json
    """
    consortium = Consortium.load(directory)
    if watch:
        asyncio.run(_watch(consortium, as_json))
        return
    seen = asyncio.run(look(consortium))
    regulator = asyncio.run(look_at_regulator(directory))
    if as_json:
        answer_json(
            {
                **_json_object(consortium, seen),
                "regulator": None if regulator is None else regulator.to_json_object(),
            }
        )
    if not seen.anybody:
        raise nobody_answers(consortium)
    if not as_json:
        _show(seen)
        if regulator is not None:
            answer(regulator.line)


def _json_object(consortium: Consortium, seen: Look) -> dict[str, object]:
    """Return what was seen, and where each bank serves its metrics, None if it does not."""
    rows = [
        {**asdict(row), "metrics": consortium.metrics_addresses[row.bank]} for row in seen.rows
    ]
    return {**seen.to_json_object(), "banks": rows}


def _show(seen: Look) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=PLAIN_WIDTH)
    console.print(seen.table())
    for line in seen.lines():
        console.print(line, soft_wrap=True)


async def look(consortium: Consortium) -> Look:
    """Ask every bank, and look at the processes of those that cannot answer."""
    directory = consortium.directory
    processes = process_conditions(directory)
    gone = (ProcessCondition.EXITED, ProcessCondition.PAUSED)
    asked = [
        bank.index for bank in consortium.genesis.banks if processes.get(bank.index) not in gone
    ]
    answers = await consortium.ask_every_bank(
        lambda bank: bank.report(), asked, deadline_ms=DEADLINE_MS
    )
    return assemble(consortium, answers, processes, corrupted_rows(directory))


def assemble(
    consortium: Consortium,
    answers: Mapping[BankIndex, NodeReport | LedgerError],
    processes: Mapping[int, ProcessCondition],
    corrupted: Mapping[int, Sequence[str]],
) -> Look:
    """Put a look together from what was answered."""
    genesis = consortium.genesis
    return Look.assemble(genesis, consortium.endpoints, answers, processes, corrupted)


async def _watch(consortium: Consortium, as_json: bool) -> None:
    console = Console(highlight=False)
    if as_json or not console.is_terminal:
        while True:
            seen = await look(consortium)
            if as_json:
                answer_json(_json_object(consortium, seen))
            else:
                _show(seen)
            await asyncio.sleep(WATCH_INTERVAL_S)
    with Live(console=console, auto_refresh=False) as live:
        while True:
            seen = await look(consortium)
            live.update(Group(seen.table(), *seen.lines()), refresh=True)
            await asyncio.sleep(WATCH_INTERVAL_S)


def _number(value: int | None) -> str:
    return "-" if value is None else str(value)
