"""An operator is told of every change in who is missing, once."""

from __future__ import annotations

from node.ledger.types import BankIndex
from node.runtime.diagnosis import Diagnosis, diagnose
from node.runtime.notice import Notice, NoticeKind
from node.runtime.process_condition import ProcessCondition
from node.runtime.quorum_watch import QuorumWatch
from tests.runtime.node_reports import reports_of

WELL = diagnose(12, reports_of(12), {})


def without(**processes: ProcessCondition) -> Diagnosis:
    """A consortium without some banks, for example `bank_3=ProcessCondition.PAUSED`."""
    gone = {int(name.removeprefix("bank_")): value for name, value in processes.items()}
    reports = {bank: item for bank, item in reports_of(12).items() if bank not in gone}
    return diagnose(12, reports, gone)


def test_nothing_is_said_while_everybody_votes() -> None:
    assert QuorumWatch().take(WELL) == []


def test_a_paused_bank_is_told_once_and_its_return_too() -> None:
    watch = QuorumWatch()
    paused = without(bank_3=ProcessCondition.PAUSED)
    assert watch.take(paused) == [
        Notice(
            NoticeKind.BANK_MISSING,
            "nothing comes from dunmere (paused); votes 11/12, margin 1",
            3,
        )
    ]
    assert watch.take(paused) == []
    assert watch.take(WELL) == [
        Notice(NoticeKind.BANK_STARTED, "dunmere votes again; votes 12/12, margin 2", 3)
    ]


def test_an_exit_is_the_supervisors_to_tell_but_a_lost_quorum_is_told_here() -> None:
    watch = QuorumWatch()
    gone = dict.fromkeys(("bank_1", "bank_2"), ProcessCondition.EXITED)
    assert watch.take(without(**gone)) == []
    lost = without(**gone, bank_3=ProcessCondition.EXITED)
    assert watch.take(lost) == [Notice(NoticeKind.QUORUM_LOST, lost.verdict)]
    assert watch.take(lost) == []
    worse = without(**gone, bank_3=ProcessCondition.EXITED, bank_4=ProcessCondition.EXITED)
    assert watch.take(worse) == [Notice(NoticeKind.QUORUM_LOST, worse.verdict)]
    assert watch.take(lost) == []
    back = without(**gone)
    assert watch.take(back) == [
        Notice(NoticeKind.QUORUM_BACK, f"the quorum is back: {back.votes}")
    ]


def test_a_start_under_way_is_not_news() -> None:
    watch = QuorumWatch()
    lost = without(**dict.fromkeys(("bank_1", "bank_2", "bank_3"), ProcessCondition.EXITED))
    watch.take(lost)
    starting = without(
        bank_1=ProcessCondition.EXITED,
        bank_2=ProcessCondition.EXITED,
        bank_3=ProcessCondition.STARTING,
    )
    assert watch.take(starting) == []
    assert BankIndex(3) in {item.bank for item in starting.missing}


def test_what_may_be_the_moment_between_two_reports_is_told_at_the_second_look() -> None:
    watch = QuorumWatch()
    unheard = without(bank_3=ProcessCondition.RUNNING)
    assert watch.take(unheard) == []
    assert [notice.kind for notice in watch.take(unheard)] == [NoticeKind.BANK_MISSING]
    assert watch.take(unheard) == []
