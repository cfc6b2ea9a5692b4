"""The overview from one look: equal to `consortium status`, for consortiums of every size."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.client.connection import Endpoint
from node.client.errors import LedgerUnavailable
from node.dashboard.alarms import KEPT, SHOWN, AlarmBook
from node.dashboard.overview import overview_object, public_overview, quorum_words
from node.dashboard.samples import CpuMeter, SealRate, finality, take_sample
from node.ledger.genesis import Genesis
from node.ledger.types import BankIndex, Height, TimeMs
from node.runtime.consortium_look import ConsortiumLook
from node.runtime.process_condition import ProcessCondition
from node.wire.operator_records import AlarmReport, NodeReport, PerformanceReport
from tests.ledger.chain import make_genesis
from tests.runtime.node_reports import banks, make_report, reports_of

SIZES = {4: 4, 12: 10, 16: 13}
"""Banks, and how many are needed."""
NOW_MS = 1_700_000_000_000


genesis_of = cache(make_genesis)


def endpoints(count: int) -> list[Endpoint]:
    return [Endpoint(BankIndex(bank), f"127.0.0.1:{7_000 + bank}") for bank in range(count)]


def consortium(count: int, **changes: object) -> dict[BankIndex, NodeReport]:
    consensus = {"active_banks": count, "quorum": SIZES[count], "leader": BankIndex(1), **changes}
    return {
        bank: replace(report, consensus=replace(report.consensus, **consensus))
        for bank, report in reports_of(count).items()
    }


def look(
    reports: dict[BankIndex, NodeReport], count: int, gone: frozenset[int] = frozenset()
) -> ConsortiumLook:
    answers = {
        bank: report if bank not in gone else LedgerUnavailable("nobody is there")
        for bank, report in reports.items()
    }
    processes = dict.fromkeys(gone, ProcessCondition.EXITED)
    return ConsortiumLook.assemble(genesis_of(count), endpoints(count), answers, processes, {})


def overview(
    genesis: Genesis, seen: ConsortiumLook, reports: dict[BankIndex, NodeReport]
) -> dict[str, object]:
    return overview_object(
        genesis,
        seen,
        reports,
        at_ms=NOW_MS,
        source=0,
        height=7,
        cpu_percent={BankIndex(0): 12.5},
        alarms=(),
        sealed_transactions=3,
    )


@pytest.mark.parametrize("count", SIZES)
@settings(max_examples=40)
@given(data=st.data())
def test_it_never_disagrees_with_the_status_command(count: int, data: st.DataObject) -> None:
    gone = data.draw(st.frozensets(st.integers(0, count - 1)))
    reports = consortium(count)
    seen = look(reports, count, gone)
    left = {bank: report for bank, report in reports.items() if bank not in gone}
    status = seen.to_json_object()
    shown = overview(genesis_of(count), seen, left)
    quorum = shown["quorum"]
    assert isinstance(quorum, dict)
    assert {name: quorum[name] for name in quorum if name != "words"} == status["quorum"]
    rows = shown["banks"]
    assert isinstance(rows, list) and len(rows) == count
    for row, told in zip(rows, seen.rows, strict=True):
        steady = {name: value for name, value in asdict(told).items() if name != "leader"}
        assert {name: row[name] for name in steady} == steady


def test_votes_and_commits_are_of_the_height_being_decided() -> None:
    reports = consortium(12, approvals=banks(1, 2), rejections=banks(3), commits=banks(2))
    shown = overview(genesis_of(12), look(reports, 12), reports)
    rows = shown["banks"]
    assert isinstance(rows, list)
    assert [row["voted"] for row in rows[:5]] == [None, "approve", "approve", "reject", None]
    assert [row["committed"] for row in rows[:4]] == [False, False, True, False]
    assert (shown["leader"], shown["deciding_height"], shown["view"]) == (1, 8, 1)
    assert [row["cpu_percent"] for row in rows[:2]] == [12.5, None]


def test_lag_is_behind_the_one_that_is_furthest_ahead() -> None:
    reports = consortium(12)
    reports[BankIndex(2)] = replace(reports[BankIndex(2)], height=Height(4))
    rows = overview(genesis_of(12), look(reports, 12), reports)["banks"]
    assert isinstance(rows, list)
    assert [row["lag"] for row in rows[:3]] == [0, 0, 3]


def test_the_public_version_keeps_every_name_and_no_secret() -> None:
    reports = consortium(12, approvals=banks(1, 2))
    whole = overview(genesis_of(12), look(reports, 12), reports)
    public = public_overview(whole)
    assert set(public) == set(whole)
    inside, outside = whole["banks"], public["banks"]
    assert isinstance(inside, list) and isinstance(outside, list)
    for row, shown in zip(inside, outside, strict=True):
        assert set(shown) == set(row)
        told = {name for name, value in shown.items() if value not in (None, "", (), [])}
        assert told == {"bank", "name", "kind", "state", "height", "lag", "active"}


@pytest.mark.parametrize(
    ("gone", "words"),
    [
        (0, "12 of 12 can vote, 10 needed: two more may fail"),
        (1, "11 of 12 can vote, 10 needed: one more may fail"),
        (2, "10 of 12 can vote, 10 needed: no further bank may fail"),
        (3, "9 of 12 can vote, 10 needed: nothing is sealed until one more can"),
        (11, "1 of 12 can vote, 10 needed: nothing is sealed until 9 more can"),
    ],
)
def test_the_margin_is_said_in_words(gone: int, words: str) -> None:
    seen = look(consortium(12), 12, frozenset(range(12 - gone, 12)))
    assert quorum_words(seen.diagnosis) == words


def test_alarms_name_the_culprit_and_stay_when_the_bank_is_gone() -> None:
    book, reports = AlarmBook(), consortium(12)
    alarm = AlarmReport("database", "the database is slow", TimeMs(NOW_MS - 5))
    reports[BankIndex(5)] = replace(reports[BankIndex(5)], alarms=(alarm,))
    book.take(NOW_MS, look(reports, 12), reports)
    book.take(NOW_MS + 1_000, look(reports, 12), reports)
    told = [(item.bank, item.name, item.kind, item.text, item.at_ms) for item in book.newest()]
    assert told == [(5, "fernhollow", "database", "the database is slow", NOW_MS - 5)]
    left = {bank: report for bank, report in reports.items() if bank != 5}
    for second in (2, 3):
        book.take(NOW_MS + 1_000 * second, look(reports, 12, frozenset({5})), left)
    assert [(item.kind, item.text, item.at_ms) for item in book.newest()] == [
        ("missing", "exited: its process has ended", NOW_MS + 2_000),
        ("database", "the database is slow", NOW_MS - 5),
    ]


def test_a_bank_that_starts_is_no_alarm_unless_it_voted_before() -> None:
    book, reports = AlarmBook(), consortium(12)
    starting = {**reports, BankIndex(5): replace(reports[BankIndex(5)], ready=False)}
    for second, seen in enumerate((starting, reports, starting)):
        book.take(NOW_MS + second, look(seen, 12), seen)
    assert [(item.kind, item.text, item.at_ms) for item in book.newest()] == [
        ("missing", "starting: does not vote", NOW_MS + 2)
    ]


def test_a_suspect_is_an_alarm_once() -> None:
    book, reports = AlarmBook(), consortium(12, accused=banks(3))
    for second in range(3):
        book.take(NOW_MS + second, look(reports, 12), reports)
    (alarm,) = book.newest()
    assert (alarm.name, alarm.kind) == ("dunmere", "suspect")
    assert "11 banks hold statements that convict it" in alarm.text


def test_alarms_are_bounded() -> None:
    book, reports = AlarmBook(), consortium(4)
    for number in range(3 * KEPT):
        alarm = AlarmReport("peer", f"alarm {number}", TimeMs(NOW_MS + number))
        reports[BankIndex(0)] = replace(reports[BankIndex(0)], alarms=(alarm,))
        book.take(NOW_MS, look(reports, 4), reports)
    newest = book.newest()
    assert [alarm.text for alarm in newest[:2]] == [f"alarm {3 * KEPT - n}" for n in (1, 2)]
    assert (len(newest), len(book._alarms)) == (SHOWN, KEPT)


def test_the_rate_is_of_the_last_ten_seconds() -> None:
    rate = SealRate()
    assert rate.per_second(NOW_MS) == 0
    rate.add(NOW_MS + 500, 30)
    assert rate.per_second(NOW_MS + 2_000) == 15
    rate.add(NOW_MS + 9_000, 20)
    assert rate.per_second(NOW_MS + 10_000) == 5
    assert rate.per_second(NOW_MS + 12_000) == 2
    assert rate.per_second(NOW_MS + 19_000) == 0


def test_cpu_is_between_two_looks_at_one_process() -> None:
    meter, reports = CpuMeter(), consortium(4)
    meter.take(NOW_MS, reports)
    assert meter.percent == {}
    busy = replace(reports[BankIndex(1)].process, cpu_ms=2_500)
    other = replace(reports[BankIndex(2)].process, pid=9, cpu_ms=100)
    reports[BankIndex(1)] = replace(reports[BankIndex(1)], process=busy)
    reports[BankIndex(2)] = replace(reports[BankIndex(2)], process=other)
    meter.take(NOW_MS + 1_000, reports)
    assert meter.percent == {0: 0.0, 1: 50.0, 3: 0.0}
    sample = take_sample(NOW_MS, SealRate(), meter, reports)
    assert (sample.cpu_percent, sample.mempool) == (50.0, 5)
    assert sample.resident_bytes == 4 * (104 << 20)


def test_finality_is_weighed_by_the_transactions_behind_it() -> None:
    def measured(
        bank: int, half_ms: float | None, worst_ms: float | None, count: int
    ) -> NodeReport:
        performance = PerformanceReport(
            finality_ms_p50=half_ms, finality_ms_p95=worst_ms, window_transactions=count
        )
        return replace(make_report(bank), performance=performance)

    reports = {
        BankIndex(0): measured(0, 500.0, 900.0, 10),
        BankIndex(1): measured(1, 700.0, 800.0, 90),
        BankIndex(2): measured(2, None, None, 0),
    }
    assert finality(reports) == (700.0, 900.0)
    assert finality({}) == (None, None)


def test_nobody_answers_and_the_page_says_so() -> None:
    seen = look(consortium(12), 12, frozenset(range(12)))
    shown = overview(genesis_of(12), seen, {})
    quorum = shown["quorum"]
    assert isinstance(quorum, dict)
    assert quorum["words"] == "0 of 12 can vote, 10 needed: nothing is sealed until 10 more can"
    assert (shown["leader"], shown["deciding_height"]) == (None, None)
