"""What banks say of themselves is told once."""

from __future__ import annotations

from dataclasses import replace

from node.ledger.types import TimeMs
from node.runtime.health_watch import HealthWatch
from node.runtime.notice import Notice, NoticeKind
from node.wire.operator_records import AlarmReport
from tests.runtime.node_reports import make_report

WELL = make_report(3)
HALTED = replace(WELL, ready=False, halted="a sealed block is invalid here")

TOLD = Notice(
    NoticeKind.BANK_HALTED,
    "dunmere has halted at height 7 and signs nothing: a sealed block is invalid here; "
    "`consortium doctor` shows how far its ledger is that of the others",
    3,
)


def alarm(number: int) -> AlarmReport:
    return AlarmReport("bad-proof", f"client {number} sent a bad proof", TimeMs(number))


def told(number: int) -> Notice:
    text = f"dunmere raises an alarm: client {number} sent a bad proof [bad-proof]"
    return Notice(NoticeKind.ALARM, text, 3)


def test_a_bank_that_is_well_is_not_talked_about() -> None:
    watch = HealthWatch()
    assert watch.take(WELL) == []
    assert watch.halted == {}


def test_halting_is_told_once_and_so_is_its_end() -> None:
    watch = HealthWatch()
    assert watch.take(HALTED) == [TOLD]
    assert watch.take(HALTED) == []
    assert watch.halted == {3: "a sealed block is invalid here"}
    assert watch.take(WELL) == [Notice(NoticeKind.BANK_STARTED, "dunmere votes again", 3)]
    assert watch.take(WELL) == []
    assert watch.halted == {}


def test_each_alarm_is_told_once_and_no_more_than_three_at_a_time() -> None:
    watch = HealthWatch()
    assert watch.take(replace(WELL, alarms=(alarm(1),))) == [told(1)]
    many = tuple(map(alarm, range(1, 8)))
    assert watch.take(replace(WELL, alarms=many)) == [told(5), told(6), told(7)]
    # The bank forgets its oldest ones; that is no news.
    assert watch.take(replace(WELL, alarms=many[3:])) == []


def test_a_new_process_is_a_new_bank() -> None:
    watch = HealthWatch()
    watch.take(HALTED)
    watch.forget(WELL.bank)
    assert watch.halted == {}
    assert watch.take(WELL) == []
    assert watch.take(HALTED) == [TOLD]
