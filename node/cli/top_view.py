"""How `consortium top` looks: lines of text that fit a terminal from 80 x 24 on.

The layout is made here, not by a table that wraps: a bank is a line, whatever the width. What does
not fit is left out, least important first.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.text import Text

from node.cli.block_stream import BlockLine
from node.cli.table import printable
from node.cli.top_figures import Alarm, BankFigures, Snapshot
from node.runtime.diagnosis import Condition

MEBIBYTE = 1 << 20
WIDE = 110
"""From this width on there is room for the columns that are not needed at a glance."""
FEWEST_LINES = 10
ALARM_LINES = 3
VERDICT_LINES = 2
BARS = "▁▂▃▄▅▆▇█"
ASCII_BARS = "_.-:=+*#"

HELP = (
    "q      quit",
    "s      sort the banks: bank, lag, CPU, memory, pool, alarms",
    "p      pause and go on",
    "?      show and hide this",
    "*      leader of the view; vote: commit, approve or reject so far",
    "lag    blocks behind the furthest bank; CPU % of one core; ! alarms",
)

_STYLES = {
    "up": "green",
    Condition.STARTING.value: "yellow",
    Condition.BEHIND.value: "yellow",
    Condition.OBSERVER.value: "cyan",
}


def _negative(value: float | None) -> float:
    return 1.0 if value is None else -value


SORTS: tuple[tuple[str, Callable[[BankFigures], tuple[float, int]]], ...] = (
    ("bank", lambda bank: (0, bank.row.bank)),
    ("lag", lambda bank: (_negative(bank.lag), bank.row.bank)),
    ("CPU", lambda bank: (_negative(bank.cpu_percent), bank.row.bank)),
    ("memory", lambda bank: (_negative(bank.row.resident_bytes), bank.row.bank)),
    ("pool", lambda bank: (_negative(bank.row.mempool), bank.row.bank)),
    ("alarms", lambda bank: (_negative(bank.row.alarms), bank.row.bank)),
)
"""By name: the order of the banks, those that say nothing last."""


@dataclass(frozen=True, slots=True)
class View:
    """How the snapshot is to be shown."""

    width: int
    height: int
    sort: int = 0
    """Place in `SORTS`."""
    paused: bool = False
    help: bool = False
    unicode: bool = True
    keys: bool = True
    """Whether there is anybody who could press one."""


@dataclass(frozen=True, slots=True)
class _Column:
    title: str
    width: int
    cell: Callable[[BankFigures], str]
    right: bool = True
    narrow: bool = True
    wide: bool = True


_COLUMNS = (
    _Column("state", 9, lambda bank: bank.row.state, right=False),
    _Column("height", 6, lambda bank: _number(bank.row.height)),
    _Column("lag", 4, lambda bank: _number(bank.lag)),
    _Column("view", 4, lambda bank: _number(bank.row.view)),
    _Column("vote", 7, lambda bank: bank.vote or "-", right=False),
    _Column("peers", 5, lambda bank: _peers(bank)),
    _Column("pool", 4, lambda bank: _number(bank.row.mempool)),
    _Column("CPU %", 5, lambda bank: _percent(bank.cpu_percent)),
    _Column("MiB", 4, lambda bank: _mebibytes(bank.row.resident_bytes)),
    _Column("DB MiB", 6, lambda bank: _database(bank)),
    _Column("idle", 7, lambda bank: _seconds(bank.row.last_seal_age_ms), narrow=False),
    _Column("alarms", 6, lambda bank: _number(bank.row.alarms), narrow=False),
    _Column("!", 2, lambda bank: _number(bank.row.alarms), wide=False),
)


def render(
    snapshot: Snapshot, blocks: Sequence[BlockLine], rates: Sequence[float], view: View
) -> list[Text]:
    """Return the lines of a screen; `blocks` newest last, `rates` a sample a refresh.

    None is wider than the view, and there are no more than it is high.
    """
    lines = [
        _title(snapshot, view),
        *_verdict(snapshot, view),
        _headings(view),
        *[
            _bank_line(bank, snapshot, view)
            for bank in sorted(snapshot.banks, key=SORTS[view.sort][1])
        ],
        _spark_line(snapshot, rates, view),
    ]
    footer = [_footer(view)] if view.keys else []
    room = max(view.height, FEWEST_LINES) - len(lines) - len(footer)
    if view.help:
        lines += [Text(text) for text in HELP[: max(room, 0)]]
    else:
        alarms = [_alarm_line(alarm) for alarm in snapshot.alarms[:ALARM_LINES]][: max(room, 0)]
        kept = max(room - len(alarms), 0)
        newest = list(blocks)[len(blocks) - min(kept, len(blocks)) :]
        lines += [*alarms, *[Text(str(block)) for block in reversed(newest)]]
    lines = [*lines, *footer][: max(view.height, FEWEST_LINES)]
    for line in lines:
        line.truncate(view.width, overflow="ellipsis" if view.unicode else "crop")
    return lines


def summary(snapshot: Snapshot) -> str:
    """Return one line for where there is no terminal."""
    return f"{_clock(snapshot.at_ms)}  {_figures_text(snapshot)}  {snapshot.look.diagnosis.votes}"


def changes(snapshot: Snapshot, before: Snapshot | None) -> list[str]:
    """Return a line for every bank whose state has changed, and for every new alarm."""
    states = {} if before is None else {bank.row.name: bank.row.state for bank in before.banks}
    lines = [
        f"{_clock(snapshot.at_ms)}  {bank.row.name}: {bank.row.state}"
        + (f", {printable(bank.row.reason)}" if bank.row.reason else "")
        for bank in snapshot.banks
        if bank.row.state != states.get(bank.row.name, "up")
    ]
    known = set() if before is None else set(before.alarms)
    return lines + [
        _alarm_line(alarm).plain for alarm in reversed(snapshot.alarms) if alarm not in known
    ]


def sparkline(rates: Sequence[float], width: int, *, unicode: bool = True) -> str:
    """Return the newest rates as bars, the largest of them full."""
    shown = list(rates)[max(0, len(rates) - width) :]
    bars = BARS if unicode else ASCII_BARS
    top = max(shown, default=0.0)
    if top <= 0:
        return bars[0] * len(shown)
    return "".join(bars[min(len(bars) - 1, int(len(bars) * rate / top))] for rate in shown)


def _title(snapshot: Snapshot, view: View) -> Text:
    chain = f"  chain {snapshot.look.chain_id[:12]}" if view.width >= WIDE else ""
    paused = "  PAUSED" if view.paused else ""
    figures = _figures_text(snapshot)
    # A name comes from a genesis that somebody else may have written, of any length.
    name = Text(printable(snapshot.consortium), "bold")
    room = view.width - len(chain) - len(figures) - len(paused) - 2
    name.truncate(max(room, 1), overflow="ellipsis" if view.unicode else "crop")
    return Text.assemble(name, chain, "  ", figures, (paused, "bold yellow"))


def _figures_text(snapshot: Snapshot) -> str:
    p50, p95 = snapshot.finality_ms_p50, snapshot.finality_ms_p95
    finality = "-" if p50 is None or p95 is None else f"{p50 / 1000:.2f} s, p95 {p95 / 1000:.2f} s"
    return (
        f"height {snapshot.height}  pool {snapshot.mempool}  "
        f"{snapshot.sealed_per_second:.1f} sealed/s  finality {finality}"
    )


def _verdict(snapshot: Snapshot, view: View) -> list[Text]:
    diagnosis = snapshot.look.diagnosis
    style = "green" if diagnosis.margin >= 0 else "red"
    waiting = Text(diagnosis.waiting_for or "waits for nothing")
    lines = [Text(diagnosis.votes, style), waiting]
    if diagnosis.verdict:
        worst = "yellow" if diagnosis.margin >= 0 else "red"
        told = textwrap.wrap(diagnosis.verdict, view.width, max_lines=VERDICT_LINES)
        lines += [Text(line, worst) for line in told]
    return lines


def _shown(view: View) -> list[_Column]:
    wide = view.width >= WIDE
    return [column for column in _COLUMNS if (column.wide if wide else column.narrow)]


def _headings(view: View) -> Text:
    name = " bank".ljust(12)
    cells = [_aligned(column.title, column) for column in _shown(view)]
    note = ["note"] if view.width >= WIDE else []
    gap = _gap(view)
    return Text(gap.join([name, *cells, *note]).rstrip(), "bold")


def _bank_line(bank: BankFigures, snapshot: Snapshot, view: View) -> Text:
    gap = _gap(view)
    marked = ("*" if bank.row.name == snapshot.leader else " ") + bank.row.name
    line = Text(marked[:12].ljust(12))
    for column in _shown(view):
        cell = _aligned(column.cell(bank), column)
        state = column.title == "state"
        line.append(gap)
        line.append(cell, _STYLES.get(bank.row.state, "red") if state else "")
    if view.width >= WIDE and (note := _note(bank)):
        line.append(gap)
        line.append(note, "magenta")
    line.rstrip()
    return line


def _note(bank: BankFigures) -> str:
    """Return what has to be said of a bank beside its figures."""
    row = bank.row
    broken = "; ".join(f"broken on purpose: {fault}" for fault in row.faults)
    lying = f"may be lying: {row.suspicion}" if row.suspicion else ""
    return printable("; ".join(part for part in (row.reason, broken, lying) if part))


def _spark_line(snapshot: Snapshot, rates: Sequence[float], view: View) -> Text:
    now = snapshot.sealed_per_second_now
    said = f"  now {now:.1f}, highest {max(rates, default=0.0):.1f}" if now is not None else ""
    head = "sealed/s  "
    bars = sparkline(rates, view.width - len(head) - len(said), unicode=view.unicode)
    return Text.assemble(head, (bars, "cyan"), said)


def _alarm_line(alarm: Alarm) -> Text:
    text = printable(f"{alarm.kind}: {alarm.text}")
    return Text(f"{_clock(alarm.time_ms)}  ALARM {alarm.bank}: {text}", "red")


def _footer(view: View) -> Text:
    return Text(f"q quit  s sort ({SORTS[view.sort][0]})  p pause  ? help", "dim")


def _gap(view: View) -> str:
    return "  " if view.width >= WIDE else " "


def _aligned(text: str, column: _Column) -> str:
    cut = text[: column.width]
    return cut.rjust(column.width) if column.right else cut.ljust(column.width)


def _clock(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%H:%M:%S")


def _number(value: int | None) -> str:
    return "-" if value is None else str(value)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _mebibytes(value: int | None) -> str:
    return "-" if value is None else str(value // MEBIBYTE)


def _seconds(value_ms: int | None) -> str:
    return "-" if value_ms is None else f"{value_ms / 1000:.1f} s"


def _peers(bank: BankFigures) -> str:
    linked = bank.row.peers_linked
    return "-" if linked is None else f"{linked}/{bank.peers}"


def _database(bank: BankFigures) -> str:
    if bank.row.database_connected is False:
        return "lost"
    return _mebibytes(bank.database_bytes)
