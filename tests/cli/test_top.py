"""`consortium top`: figures of two looks, screens of 80 and 160 columns, keys, plain lines."""

from __future__ import annotations

import asyncio
import json
import os
import pty
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from node.cli.access import Consortium
from node.cli.block_stream import BlockLine
from node.cli.main import main
from node.cli.top import Screen, Watch, keys
from node.cli.top_figures import Snapshot
from node.cli.top_view import HELP, SORTS, View, changes, render, sparkline, summary
from node.ledger.types import BankIndex, TimeMs
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.consortium_look import ConsortiumLook
from node.runtime.initialise import create_consortium
from node.runtime.process_condition import ProcessCondition
from node.wire.operator_records import AlarmReport, NodeReport, PerformanceReport
from tests.runtime.node_reports import reports_of

AT_MS = 1_700_000_000_000

NARROW = """\
Pilot  height 7  pool 5  41.5 sealed/s  finality 1.21 s, p95 2.01 s
votes 11/12, margin 1, missing: dunmere (exited)
height 8, view 1, led by elmstow
the ledger goes on, one more may fail; restart dunmere: `consortium node start
dunmere`
 bank        state     height  lag view vote    peers pool CPU %  MiB DB MiB  !
 amberfield  up             7    0    1 -       11/11    5   0.0  104      9  0
 birchmoor   up             7    0    1 commit  11/11    5   2.5  104      9  0
 cedarholm   up             7    0    1 approve 11/11    5   5.0  104      9  1
 dunmere     exited         -    -    - -           -    -     -    -      -  -
*elmstow     up             7    0    1 -       11/11    5  10.0  104      9  0
 fernhollow  up             7    0    1 -       11/11    5  12.5  104      9  0
 glenwick    up             7    0    1 -       11/11    5  15.0  104      9  0
 heathmark   up             7    0    1 -       11/11    5  17.5  104      9  0
 ivoryport   up             7    0    1 -       11/11    5  20.0  104      9  0
 junovale    up             7    0    1 -       11/11    5  22.5  104      9  0
 kestrelby   up             7    0    1 -       11/11    5  25.0  104      9  0
 larkhaven   up             7    0    1 -       11/11    5  27.5  104      9  0
sealed/s  ▁▂▄█  now 40.0, highest 40.0
22:13:19  ALARM cedarholm: equivocation: elmstow said two things
block 7  1 transaction  by elmstow  +1.0 s  final in 900 ms
block 6  5 transactions  by elmstow  +1.0 s  final in 900 ms
block 5  5 transactions  by elmstow  +1.0 s  final in 900 ms
q quit  s sort (bank)  p pause  ? help"""

WIDE_BANKS = """\
 bank         state      height   lag  view  vote     peers  pool  CPU %   MiB  DB MiB     idle  \
alarms  note
 amberfield   up              7     0     1  -        11/11     5    0.0   104       9    1.2 s  \
     0
 birchmoor    up              7     0     1  commit   11/11     5    2.5   104       9    1.2 s  \
     0
 cedarholm    up              7     0     1  approve  11/11     5    5.0   104       9    1.2 s  \
     1
 dunmere      exited          -     -     -  -            -     -      -     -       -        -  \
     -  its process has ended
*elmstow      up              7     0     1  -        11/11     5   10.0   104       9    1.2 s  \
     0"""


@pytest.fixture(scope="module")
def consortium(tmp_path_factory: pytest.TempPathFactory) -> Consortium:
    directory = ConsortiumDirectory(tmp_path_factory.mktemp("top") / "consortium")
    create_consortium(directory, bank_count=12)
    return Consortium.load(directory)


def later(before: Mapping[BankIndex, NodeReport]) -> dict[BankIndex, NodeReport]:
    """A second later: 40 transactions more at every bank, and 25 ms of CPU for each number."""
    alarm = AlarmReport("equivocation", "elmstow said two things", TimeMs(AT_MS - 1_000))
    return {
        bank: replace(
            report,
            process=replace(report.process, uptime_ms=61_000, cpu_ms=2_000 + 25 * bank),
            performance=PerformanceReport(
                sealed_transactions=40,
                sealed_per_second=41.5,
                window_ms=60_000,
                window_transactions=40,
                finality_ms_p50=1_200.0 + bank,
                finality_ms_p95=2_000.0 + bank,
            ),
            alarms=(alarm,) if bank == 2 else (),
        )
        for bank, report in before.items()
    }


@pytest.fixture(scope="module")
def snapshot(consortium: Consortium) -> Snapshot:
    """Twelve banks, dunmere's process gone."""
    before = reports_of(12)
    reports = later(before)
    del reports[BankIndex(3)]
    look = ConsortiumLook.assemble(
        consortium.genesis, consortium.endpoints, reports, {3: ProcessCondition.EXITED}, {}
    )
    return Snapshot.of("Pilot", AT_MS, look, reports, before)


BLOCKS = [
    BlockLine(height, 1 if height == 7 else 5, "elmstow", 0, "ab" * 32, 1_000, 900)
    for height in range(1, 8)
]
RATES = (2.0, 8.0, 19.0, 40.0)


def shown(snapshot: Snapshot, view: View) -> str:
    lines = render(snapshot, BLOCKS, RATES, view)
    assert len(lines) <= view.height
    assert all(line.cell_len <= view.width for line in lines)
    return "\n".join(line.plain for line in lines)


def test_the_smallest_screen(snapshot: Snapshot) -> None:
    assert shown(snapshot, View(80, 24)) == NARROW


def test_a_wide_screen_has_more_columns_and_notes(snapshot: Snapshot) -> None:
    lines = shown(snapshot, View(160, 30)).splitlines()
    chain = snapshot.look.chain_id[:12]
    assert lines[0] == (
        f"Pilot  chain {chain}  height 7  pool 5  41.5 sealed/s  finality 1.21 s, p95 2.01 s"
    )
    assert lines[3] == (
        "the ledger goes on, one more may fail; restart dunmere: `consortium node start dunmere`"
    )
    assert "\n".join(lines[4:10]) == WIDE_BANKS
    assert len(lines) == 4 + 13 + 1 + 1 + 7 + 1


def test_a_long_name_gives_way_to_the_figures(snapshot: Snapshot) -> None:
    named = replace(snapshot, consortium="A name that somebody else has chosen")
    assert shown(named, View(80, 24)).splitlines()[0] == (
        "A name that someb…  height 7  pool 5  41.5 sealed/s  finality 1.21 s, p95 2.01 s"
    )


def test_as_many_blocks_as_fit(snapshot: Snapshot) -> None:
    assert [
        line for line in shown(snapshot, View(80, 23)).splitlines() if line.startswith("block ")
    ] == NARROW.splitlines()[20:22]
    assert "q quit" not in shown(snapshot, View(80, 24, keys=False))


def test_terminals_without_unicode_get_other_bars() -> None:
    assert sparkline(RATES, 80) == "▁▂▄█"
    assert sparkline(RATES, 80, unicode=False) == "_.:#"
    assert sparkline(RATES, 2) == "▄█"
    assert (sparkline((0.0, 0.0), 80), sparkline((), 80)) == ("▁▁", "")


@pytest.mark.parametrize(
    ("sort", "first"),
    [("bank", "amberfield"), ("CPU", "larkhaven"), ("alarms", "cedarholm")],
)
def test_banks_are_sorted_and_the_silent_come_last(
    snapshot: Snapshot, sort: str, first: str
) -> None:
    place = [name for name, _ in SORTS].index(sort)
    lines = shown(snapshot, View(80, 24, sort=place)).splitlines()
    assert lines[6].split()[0] == first
    assert lines[-1] == f"q quit  s sort ({sort})  p pause  ? help"
    if sort != "bank":
        assert lines[17].split()[0] == "dunmere"


def test_keys_sort_pause_help_and_quit(consortium: Consortium, snapshot: Snapshot) -> None:
    screen = Screen(Watch(consortium), snapshot)
    console = Console(width=80, height=40, no_color=True, force_terminal=False)

    def drawn() -> list[str]:
        with console.capture() as capture:
            console.print(screen)
        return capture.get().splitlines()

    for key in "sp?x":
        screen.press(key)
    lines = drawn()
    assert lines[0].endswith("p95 2.01 s  PAUSED")
    assert [line.rstrip() for line in lines[-1 - len(HELP) : -1]] == list(HELP)
    assert lines[-1] == "q quit  s sort (lag)  p pause  ? help"
    for key in "sssssp?":
        screen.press(key)
    assert drawn()[-1] == "q quit  s sort (bank)  p pause  ? help"
    assert not screen.ended.is_set()
    screen.press("q")
    assert screen.ended.is_set()


def test_nothing_is_shown_before_the_first_look(consortium: Consortium) -> None:
    console = Console(width=80, height=40, no_color=True)
    with console.capture() as capture:
        console.print(Screen(Watch(consortium)))
    assert capture.get() == "asking the banks ...\n"


async def test_keys_arrive_one_by_one_without_a_line_end() -> None:
    ours, theirs = pty.openpty()
    pressed: list[str] = []
    both = asyncio.Event()

    def press(key: str) -> None:
        pressed.append(key)
        if len(pressed) == 2:
            both.set()

    try:
        with keys(press, theirs):
            os.write(ours, b"s")
            os.write(ours, b"q")
            async with asyncio.timeout(30):
                await both.wait()
    finally:
        os.close(ours)
        os.close(theirs)
    assert pressed == ["s", "q"]


async def test_where_there_is_no_terminal_there_are_no_keys() -> None:
    reading, writing = os.pipe()
    try:
        with keys(lambda _: pytest.fail("a key of no keyboard"), reading):
            os.write(writing, b"q")
            await asyncio.sleep(0)
    finally:
        os.close(reading)
        os.close(writing)


def test_plain_lines_tell_what_changed(snapshot: Snapshot) -> None:
    assert summary(snapshot) == (
        "22:13:20  height 7  pool 5  41.5 sealed/s  finality 1.21 s, p95 2.01 s  "
        "votes 11/12, margin 1, missing: dunmere (exited)"
    )
    assert changes(snapshot, None) == [
        "22:13:20  dunmere: exited, its process has ended",
        "22:13:19  ALARM cedarholm: equivocation: elmstow said two things",
    ]
    assert changes(snapshot, snapshot) == []
    well = replace(
        snapshot,
        banks=tuple(
            replace(bank, row=replace(bank.row, state="up", reason="")) for bank in snapshot.banks
        ),
        alarms=(),
    )
    assert changes(well, snapshot) == ["22:13:20  dunmere: up"]


def test_the_first_look_knows_no_rates(consortium: Consortium) -> None:
    reports = reports_of(12)
    look = ConsortiumLook.assemble(consortium.genesis, consortium.endpoints, reports, {}, {})
    first = Snapshot.of("Pilot", AT_MS, look, reports, {})
    assert (first.sealed_per_second_now, first.finality_ms_p50, first.finality_ms_p95) == (
        None,
        None,
        None,
    )
    assert [bank.cpu_percent for bank in first.banks] == [None] * 12
    assert "pool 5  0.0 sealed/s  finality -" in render(first, [], [], View(80, 24))[0].plain


def test_a_bank_that_started_again_is_not_compared(consortium: Consortium) -> None:
    before = reports_of(12)
    reports = later(before)
    for bank, report in before.items():
        before[bank] = replace(report, process=replace(report.process, pid=1))
    look = ConsortiumLook.assemble(consortium.genesis, consortium.endpoints, reports, {}, {})
    again = Snapshot.of("Pilot", AT_MS, look, reports, before)
    assert again.sealed_per_second_now is None
    assert {bank.cpu_percent for bank in again.banks} == {None}


def test_json_has_everything(snapshot: Snapshot) -> None:
    answer = json.loads(json.dumps(snapshot.to_json_object()))
    assert (answer["sealed_per_second"], answer["sealed_per_second_now"]) == (41.5, 40.0)
    assert (answer["finality_ms_p50"], answer["finality_ms_p95"]) == (1_206.0, 2_011.0)
    assert (answer["height"], answer["leader"], answer["quorum"]["margin"]) == (7, "elmstow", 1)
    assert answer["alarms"] == [
        {
            "bank": "cedarholm",
            "kind": "equivocation",
            "text": "elmstow said two things",
            "time_ms": AT_MS - 1_000,
        }
    ]
    assert {name: answer["banks"][1][name] for name in ("name", "lag", "vote", "cpu_percent")} == {
        "name": "birchmoor",
        "lag": 0,
        "vote": "commit",
        "cpu_percent": 2.5,
    }


def test_nobody_answers(tmp_path: Path) -> None:
    directory = ConsortiumDirectory(tmp_path / "consortium")
    create_consortium(directory, bank_count=4)
    arguments = ["top", "--once", "--interval", "0.2", "--json", "--data", str(directory.root)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 3
    assert [bank["state"] for bank in json.loads(result.stdout)["banks"]] == ["no answer"] * 4
    assert result.stderr.startswith(f"Error: no bank of {directory.root} answers.\n")
