"""`consortium status`: every bank at a glance, and whether anything can be sealed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import click
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from node.cli.access import Consortium, nobody_answers
from node.cli.options import data_option, json_option
from node.cli.terminal import answer_json
from node.client.errors import LedgerError, LedgerUnavailable
from node.ledger.active_set import quorum_size
from node.ledger.types import BankIndex
from node.runtime.consortium_directory import ConsortiumDirectory, short_name
from node.wire.operator_records import NodeReport

WATCH_INTERVAL_S = 1.0
MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class BankStatus:
    """One row: what a bank says of itself, or that it says nothing."""

    bank: int
    name: str
    state: str
    """`up`, `starting`, `halted` or `down`."""
    reason: str
    """Why it is not up."""
    address: str
    pid: int | None = None
    height: int | None = None
    view: int | None = None
    leader: str | None = None
    peers_linked: int | None = None
    mempool: int | None = None
    last_seal_age_ms: int | None = None
    resident_bytes: int | None = None
    database_connected: bool | None = None
    alarms: int | None = None

    @staticmethod
    def of(bank: int, address: str, report: NodeReport | LedgerError) -> BankStatus:
        """Return the row of a report, or of the failure to get one."""
        if not isinstance(report, NodeReport):
            reason = f"does not answer at {address}"
            if not isinstance(report, LedgerUnavailable):
                reason = report.message
            return BankStatus(bank, short_name(bank), "down", reason, address)
        state = "halted" if report.halted else "up" if report.ready else "starting"
        reason = report.halted or ("" if report.database.connected else "no database")
        linked = sum(peer.linked_in and peer.linked_out for peer in report.peers)
        return BankStatus(
            bank=bank,
            name=short_name(bank),
            state=state,
            reason=reason,
            address=address,
            pid=report.process.pid,
            height=report.height,
            view=report.consensus.view,
            leader=short_name(report.consensus.leader),
            peers_linked=linked,
            mempool=report.mempool.transactions,
            last_seal_age_ms=report.last_seal_age_ms,
            resident_bytes=report.process.resident_bytes,
            database_connected=report.database.connected,
            alarms=len(report.alarms),
        )


@dataclass(frozen=True, slots=True)
class QuorumStatus:
    """Whether a block can be sealed, as the bank sees it that is furthest ahead."""

    votes_possible: int
    banks: int
    quorum: int
    margin: int
    missing: tuple[str, ...]
    approvals: int
    commits: int

    def __str__(self) -> str:
        missing = f", missing: {', '.join(self.missing)}" if self.missing else ""
        verdict = "" if self.margin >= 0 else "; nothing can be sealed until more banks return"
        return f"votes {self.votes_possible}/{self.banks}, margin {self.margin}{missing}{verdict}"


def quorum_status(
    bank_count: int, reports: Mapping[BankIndex, NodeReport | LedgerError]
) -> QuorumStatus:
    """Return who can vote: banks that answer us and that reach the one that is furthest ahead.

    A bank that has just come back is linked before it is heard of at the height being decided.
    """
    answered = [report for report in reports.values() if isinstance(report, NodeReport)]
    silent = {bank for bank, report in reports.items() if not isinstance(report, NodeReport)}
    silent |= {report.bank for report in answered if report.halted}
    quorum = quorum_size(bank_count)
    ahead = max(answered, key=lambda report: (report.height, report.consensus.view), default=None)
    if ahead is not None:
        quorum = ahead.consensus.quorum
        linked = {peer.bank for peer in ahead.peers if peer.linked_in and peer.linked_out}
        silent |= set(ahead.consensus.missing) - linked
    possible = bank_count - len(silent)
    return QuorumStatus(
        votes_possible=possible,
        banks=bank_count,
        quorum=quorum,
        margin=possible - quorum,
        missing=tuple(map(short_name, sorted(silent))),
        approvals=0 if ahead is None else len(ahead.consensus.approvals),
        commits=0 if ahead is None else len(ahead.consensus.commits),
    )


@click.command()
@data_option
@json_option
@click.option("--watch", is_flag=True, help="Show it again every second until Ctrl-C.")
def command(directory: ConsortiumDirectory, as_json: bool, watch: bool) -> None:
    """Show every bank: height, view, leader, links, mempool, memory; and the quorum's margin.

    Exits with 3 if no bank answers.

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
    rows, quorum = asyncio.run(_look(consortium))
    if as_json:
        answer_json(_json_object(consortium, rows, quorum))
    if all(row.state == "down" for row in rows):
        raise nobody_answers(consortium)
    if not as_json:
        Console(highlight=False).print(_table(rows, quorum))


async def _look(consortium: Consortium) -> tuple[list[BankStatus], QuorumStatus]:
    reports = await consortium.ask_every_bank(lambda bank: bank.report())
    rows = [
        BankStatus.of(bank, consortium.endpoints[bank].address, report)
        for bank, report in reports.items()
    ]
    return rows, quorum_status(len(consortium.genesis.banks), reports)


async def _watch(consortium: Consortium, as_json: bool) -> None:
    with Live(console=Console(highlight=False), auto_refresh=False) as live:
        while True:
            rows, quorum = await _look(consortium)
            if as_json:
                answer_json(_json_object(consortium, rows, quorum))
            else:
                live.update(_table(rows, quorum), refresh=True)
            await asyncio.sleep(WATCH_INTERVAL_S)


def _json_object(
    consortium: Consortium, rows: list[BankStatus], quorum: QuorumStatus
) -> dict[str, object]:
    return {
        "chain_id": consortium.genesis.chain_id.hex(),
        "height": max((row.height or 0 for row in rows), default=0),
        "quorum": asdict(quorum),
        "banks": [asdict(row) for row in rows],
    }


def _table(rows: list[BankStatus], quorum: QuorumStatus) -> Group:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("bank", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for title in ("height", "view"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("leader", no_wrap=True)
    for title in ("peers", "mempool", "idle", "MiB", "alarms"):
        table.add_column(title, justify="right", no_wrap=True)
    styles = {"up": "green", "starting": "yellow", "halted": "red", "down": "red"}
    for row in rows:
        age_ms = row.last_seal_age_ms
        table.add_row(
            row.name,
            Text(row.state, styles[row.state]),
            _number(row.height),
            _number(row.view),
            row.leader or "-",
            _number(row.peers_linked),
            _number(row.mempool),
            "-" if age_ms is None else f"{age_ms / 1000:.1f} s",
            "-" if row.resident_bytes is None else str(row.resident_bytes // MEBIBYTE),
            _number(row.alarms),
        )
    reasons = [Text(f"{row.name}: {row.reason}", "red") for row in rows if row.reason]
    return Group(table, *reasons, Text(str(quorum), "green" if quorum.margin >= 0 else "red"))


def _number(value: int | None) -> str:
    return "-" if value is None else str(value)
