"""BFT-12 section 6: rejections and timeouts, and the only way into the next view."""

from __future__ import annotations

from node.consensus.effects import Alarm, Broadcast, Persist
from node.consensus.events import TimerKind, TransactionsAvailable
from node.consensus.messages import (
    Commit,
    RejectCertificate,
    Status,
    Timeout,
    TimeoutCertificate,
)
from node.ledger.types import Height, View
from tests.consensus.consortium import Consortium, Desk

C = Consortium(12)
BLOCK = C.block(ids=[1])
ME = 9
OTHERS = [bank for bank in C.banks if bank != ME]
QC = C.quorum_certificate(BLOCK, banks=OTHERS[:10])


def waiting() -> Desk:
    desk = Desk(C, ME)
    desk.do(TransactionsAvailable(1))
    return desk


def approved() -> Desk:
    desk = Desk(C, ME)
    desk.receive(C.proposal(BLOCK))
    desk.judge()
    return desk


def entry_of(desk: Desk) -> TimeoutCertificate | None:
    """The certificate by which the desk entered its view, as its next timeout tells it."""
    desk.fire(TimerKind.VIEW)
    (statement,) = desk.said()
    assert isinstance(statement, Timeout)
    return statement.timeout_certificate


def test_v1_d1_a_timeout_is_durable_then_told_to_all() -> None:
    desk = waiting()
    desk.fire(TimerKind.VIEW)
    assert [type(e) for e in desk.effects if isinstance(e, Persist | Broadcast)] == [
        Persist,
        Broadcast,
    ]
    assert desk.said() == [C.timeout(ME)]
    (record,) = desk.persisted()
    assert (record.timeout, record.timed_out_view) == (C.timeout(ME), 0)


def test_v1_claims_and_carries_the_highest_certificate() -> None:
    desk = approved()
    desk.receive(QC)
    desk.fire(TimerKind.VIEW)
    assert desk.said() == [C.timeout(ME, quorum=QC)]


def test_v1_is_repeated_until_the_view_is_left() -> None:
    desk = waiting()
    desk.fire(TimerKind.VIEW)
    for _ in range(3):
        desk.fire(TimerKind.RETRY)
        assert desk.said() == [C.timeout(ME)]
        assert desk.all(Persist) == []


def test_v1_a_higher_claim_is_durable_before_it_is_repeated() -> None:
    desk = waiting()
    desk.fire(TimerKind.VIEW)
    desk.receive(QC)
    assert desk.said() == []
    desk.fire(TimerKind.RETRY)
    assert desk.said() == [C.timeout(ME, quorum=QC)]
    assert desk.persisted()[0].timeout == C.timeout(ME, quorum=QC)


def test_v2_joins_when_rq_banks_gave_up() -> None:
    desk = Desk(C, ME)
    desk.receive(C.timeout(1), C.timeout(2))
    assert desk.said() == []
    desk.receive(C.timeout(2))
    assert desk.said() == []
    desk.receive(C.timeout(3))
    assert desk.said() == [C.timeout(ME)]


def test_v2_timeouts_of_another_view_do_not_count() -> None:
    desk = Desk(C, ME)
    desk.receive(C.timeout(1), C.timeout(2), C.timeout(3, 1), C.timeout(4, 2))
    assert desk.said() == []


def test_v3_a_claim_without_its_certificate_is_not_counted() -> None:
    desk = Desk(C, ME)
    other = C.quorum_certificate(BLOCK, 1, banks=OTHERS[:10])
    weak = C.quorum_certificate(BLOCK, banks=OTHERS[:9])
    for bank, quorum, claim, why in (
        (1, None, 0, "a timeout whose claim and certificate differ"),
        (2, QC, -1, "a timeout whose claim and certificate differ"),
        (3, other, 1, "a timeout whose claim and certificate differ"),
        (4, weak, 0, "timeout: 9 signatures where 10 are required"),
    ):
        desk.receive(C.timeout(bank, 0, quorum=quorum, claim=claim))
        assert desk.core.status().gave_up == ()
        assert desk.core.status().last_refusal == f"bank {bank}: {why}"


def test_v3_what_is_attached_is_followed_first() -> None:
    desk = Desk(C, ME)
    entry = C.timeout_certificate(4, claims={1: 0})
    desk.receive(C.timeout(1, 5, quorum=QC, timeouts=entry))
    status = desk.core.status()
    assert (status.view, status.highest_view, status.gave_up) == (5, 0, (1,))


def test_v3_an_older_view_is_answered_with_the_way_out_of_it() -> None:
    desk = Desk(C, ME)
    entry = C.timeout_certificate(4, claims={1: 0})
    desk.receive(C.timeout(1, 5, quorum=QC, timeouts=entry))
    desk.receive(C.timeout(2, 3))
    assert desk.sent(2) == [Status(Height(1), View(5), entry, QC)]


def test_v4_q_timeouts_lead_on_and_not_one_less() -> None:
    desk = waiting()
    desk.fire(TimerKind.VIEW)
    desk.receive(*[C.timeout(bank) for bank in OTHERS[:8]])
    assert desk.core.status().view == 0
    desk.receive(C.timeout(OTHERS[8]))
    assert desk.core.status().view == 1
    entry = entry_of(desk)
    assert entry is not None
    assert [e.bank for e in entry.entries] == sorted([ME, *OTHERS[:9]])


def test_v4_claims_of_the_certificate() -> None:
    desk = waiting()
    desk.receive(*[C.timeout(bank) for bank in OTHERS[:9]])
    assert desk.core.status().view == 1
    entry = entry_of(desk)
    assert entry is not None
    assert entry.highest_view == -1


def test_p1_a_certificate_whose_highest_claim_is_withheld_leads_nowhere() -> None:
    """A Byzantine bank claims a QC that it shows to nobody; the leader could propose nothing."""
    entry = C.timeout_certificate(0, claims={3: 0})
    desk = Desk(C, ME)
    desk.receive(Status(Height(1), View(1), entry, None))
    assert desk.core.status().view == 0
    assert desk.core.status().last_refusal == (
        "bank 2: Status: the quorum certificate that it claims is withheld"
    )
    desk.receive(Status(Height(1), View(1), entry, QC))
    assert (desk.core.status().view, desk.core.status().highest_view) == (1, 0)


def test_p1_views_may_be_skipped_but_never_reentered() -> None:
    desk = Desk(C, ME)
    desk.receive(Status(Height(1), View(8), C.timeout_certificate(7), None))
    desk.receive(Status(Height(1), View(3), C.timeout_certificate(2), None))
    assert desk.core.status().view == 8


def test_r1_r2_rq_rejections_end_the_view_at_once_and_are_forwarded_once() -> None:
    desk = approved()
    desk.receive(C.reject(1, BLOCK), C.reject(2, BLOCK))
    assert desk.broadcast() == []
    desk.receive(C.reject(3, BLOCK))
    assert desk.broadcast() == [C.reject_certificate(BLOCK, banks=[1, 2, 3]), C.timeout(ME)]
    desk.receive(C.reject(4, BLOCK), C.reject_certificate(BLOCK, banks=[2, 3, 4]))
    assert desk.broadcast() == []


def test_r2_a_reject_certificate_is_all_it_takes_and_changes_no_view() -> None:
    desk = Desk(C, ME)
    desk.receive(C.reject_certificate(BLOCK))
    assert [type(m) for m in desk.broadcast()] == [RejectCertificate, Timeout]
    assert desk.core.status().view == 0


def test_r2_of_another_view_or_too_small_does_nothing() -> None:
    desk = Desk(C, ME)
    desk.receive(C.reject_certificate(BLOCK, 1), C.reject_certificate(BLOCK, banks=[1, 2]))
    assert desk.broadcast() == []
    assert desk.core.status().last_refusal == (
        "bank 2: RejectCertificate: 2 signatures where 3 are required"
    )


def test_r3_who_approved_or_committed_may_still_give_up() -> None:
    desk = approved()
    desk.receive(QC)
    assert [type(s) for s in desk.said()] == [Commit]
    desk.receive(C.reject_certificate(BLOCK, banks=[0, 10, 11]))
    assert desk.said() == [C.timeout(ME, quorum=QC)]
    assert [alarm.bank for alarm in desk.all(Alarm)] == [0, 10]
