"""BFT-12 P3 and P5: one answer per view, and a commit only to what is certified and valid."""

from __future__ import annotations

from dataclasses import replace

from node.consensus.effects import Alarm, AlarmKind, Broadcast, Persist, Send, Validate
from node.consensus.events import Approved, BodyUnusable, Rejected, TimerKind, Validated
from node.consensus.messages import BlockRequest, BlockResponse, Commit, Timeout
from node.ledger.types import Height
from tests.consensus import toy_ledger
from tests.consensus.consortium import Consortium, Desk

C = Consortium(12)
BLOCK, OTHER = C.block(ids=[1]), C.block(ids=[2])
LEADER, ME = C.leader(0), 9
QC = C.quorum_certificate(BLOCK, banks=[bank for bank in range(11) if bank != ME])
INVALID = Rejected("spend", deterministic=True, transaction_index=4)
TOO_EARLY = Rejected("clock", deterministic=False)


def proposed() -> Desk:
    desk = Desk(C, ME)
    desk.receive(C.proposal(BLOCK))
    return desk


def approved() -> Desk:
    desk = proposed()
    desk.judge()
    return desk


def test_p3_d1_d2_approve_is_durable_with_its_block_and_goes_to_the_leader_alone() -> None:
    desk = approved()
    vote = C.approve(ME, BLOCK)
    ordered = [e for e in desk.effects if isinstance(e, Persist | Send | Broadcast)]
    assert [type(e) for e in ordered] == [Persist, Send]
    (persist,) = desk.all(Persist)
    assert persist.bodies == (BLOCK,)
    assert desk.persisted()[0].voted == vote
    assert desk.all(Send) == [Send(LEADER, vote)]


def test_p3_reject_names_its_reason_and_goes_to_all() -> None:
    desk = proposed()
    desk.judge(INVALID)
    vote = C.reject(ME, BLOCK, reason="spend", index=4)
    assert desk.broadcast() == [vote]
    assert desk.sent() == []
    assert desk.persisted()[0].voted == vote


def test_p3_one_answer_per_view() -> None:
    desk = approved()
    desk.receive(C.proposal(OTHER))
    assert desk.all(Validate) == []
    assert desk.said() == []


def test_p3_a_repeated_proposal_gets_the_same_answer_again() -> None:
    desk = approved()
    desk.receive(C.proposal(BLOCK))
    assert desk.all(Persist) == []
    assert desk.sent(LEADER) == [C.approve(ME, BLOCK)]


def test_p3_v1_no_vote_after_giving_up_although_the_verdict_was_awaited() -> None:
    desk = proposed()
    (question,) = desk.all(Validate)
    desk.fire(TimerKind.VIEW)
    assert [type(s) for s in desk.said()] == [Timeout]
    desk.do(Validated(question.ticket, Approved()))
    assert desk.said() == []


def test_p3_a_verdict_of_an_earlier_view_serves_a_later_one() -> None:
    desk = proposed()
    (question,) = desk.all(Validate)
    desk.receive(C.proposal(BLOCK, 1, timeouts=C.timeout_certificate(0, claims={1: 0}), quorum=QC))
    assert desk.all(Validate) == []
    desk.do(Validated(question.ticket, Approved()))
    assert desk.said() == [C.approve(ME, BLOCK, 1)]


def test_p3_an_unusable_copy_is_no_answer_and_another_copy_is_judged() -> None:
    """A relayed block with lists that are not its own must not make me reject the block."""
    forged = replace(BLOCK, transaction_ids=(toy_ledger.transaction_id(77),))
    desk = Desk(C, ME)
    desk.receive(C.proposal(forged))
    desk.judge(BodyUnusable("the ids do not hash to the root"))
    assert desk.said() == []
    desk.receive(C.proposal(BLOCK))
    assert [question.block for question in desk.all(Validate)] == [BLOCK]
    desk.judge()
    assert desk.said() == [C.approve(ME, BLOCK)]


def test_p3_an_unusable_copy_of_a_certified_block_is_fetched_from_its_approvers() -> None:
    forged = replace(BLOCK, transaction_ids=(toy_ledger.transaction_id(77),))
    entry = C.timeout_certificate(0, claims={1: 0})
    desk = Desk(C, ME)
    desk.receive(C.proposal(forged, 1, timeouts=entry, quorum=QC))
    desk.judge(BodyUnusable("the ids do not hash to the root"))
    assert desk.sent() == [BlockRequest(Height(1), BLOCK.block_id)] * 3
    desk.receive(BlockResponse(BLOCK))
    desk.judge()
    assert desk.said() == [C.approve(ME, BLOCK, 1)]


def test_p3_the_clock_never_judges_a_certified_block() -> None:
    desk = proposed()
    desk.judge(TOO_EARLY)
    assert desk.said() == [C.reject(ME, BLOCK, reason="clock", index=None)]
    entry = C.timeout_certificate(0, claims={1: 0})
    desk.receive(C.proposal(BLOCK, 1, timeouts=entry, quorum=QC))
    (question,) = desk.all(Validate)
    assert not question.check_clock
    desk.judge()
    assert desk.said() == [C.approve(ME, BLOCK, 1)]
    assert desk.all(Persist)[0].bodies == (BLOCK,)


def test_p5_d1_the_commit_is_durable_with_the_certificate_and_goes_to_the_leader() -> None:
    desk = approved()
    desk.receive(QC)
    commit = C.commit(ME, BLOCK)
    assert [type(e) for e in desk.effects if isinstance(e, Persist | Send)] == [Persist, Send]
    (record,) = desk.persisted()
    assert (record.highest, record.committed) == (QC, commit)
    assert record.voted == C.approve(ME, BLOCK)
    assert desk.all(Persist)[0].bodies == ()
    assert desk.all(Send) == [Send(LEADER, commit)]


def test_p5_commit_once() -> None:
    desk = approved()
    desk.receive(QC)
    desk.receive(C.quorum_certificate(BLOCK, banks=range(2, 12)))
    assert desk.said() == []


def test_p5_no_commit_after_giving_up_the_view() -> None:
    desk = approved()
    desk.fire(TimerKind.VIEW)
    desk.receive(QC)
    assert [s for s in desk.said() if isinstance(s, Commit)] == []
    assert desk.core.status().highest_view == 0


def test_p5_no_commit_when_the_view_ended_while_the_verdict_was_awaited() -> None:
    desk = proposed()
    (question,) = desk.all(Validate)
    desk.receive(QC)
    desk.fire(TimerKind.VIEW)
    desk.do(Validated(question.ticket, Approved()))
    assert desk.said() == []


def test_p5_no_commit_by_who_rejected_in_the_view() -> None:
    desk = proposed()
    desk.judge(TOO_EARLY)
    desk.receive(QC)
    assert desk.said() == []
    assert desk.all(Alarm) == []


def test_p5_a_certificate_of_a_later_view_leads_into_it() -> None:
    desk = approved()
    later = C.block(3, ids=[9])
    desk.receive(C.quorum_certificate(later, 3))
    status = desk.core.status()
    assert (status.view, status.highest_view) == (3, 3)
    desk.receive(BlockResponse(later))
    assert [question.check_clock for question in desk.all(Validate)] == [False]
    desk.judge()
    assert desk.said() == [C.commit(ME, later, 3)]
    assert desk.all(Persist)[0].bodies == (later,)


def test_p5_a_missing_block_is_fetched_from_the_certificates_signers_in_turn() -> None:
    desk = Desk(C, ME)
    desk.receive(QC)
    first = [e.to for e in desk.all(Send)]
    desk.fire(TimerKind.FETCH)
    second = [e.to for e in desk.all(Send) if isinstance(e.message, BlockRequest)]
    assert (first, second) == ([0, 1, 2], [3, 4, 5])
    desk.receive(BlockResponse(OTHER))
    assert desk.all(Validate) == []
    desk.receive(BlockResponse(BLOCK))
    desk.judge()
    assert desk.said() == [C.commit(ME, BLOCK)]


def test_p5_a_block_nobody_asked_for_is_ignored() -> None:
    desk = Desk(C, ME)
    desk.receive(BlockResponse(BLOCK))
    desk.receive(QC)
    assert desk.sent() == [BlockRequest(Height(1), BLOCK.block_id)] * 3


def test_p5_certified_but_invalid_here_raises_the_alarm_once() -> None:
    desk = Desk(C, ME)
    desk.receive(QC)
    desk.receive(BlockResponse(BLOCK))
    desk.judge(INVALID)
    assert desk.said() == []
    (alarm,) = desk.all(Alarm)
    assert (alarm.kind, alarm.block_id) == (AlarmKind.CERTIFIED_INVALID, BLOCK.block_id)
    assert alarm.text == (
        f"a quorum approved block {BLOCK.block_id.hex()} at height 1, which is invalid here: spend"
    )
    desk.fire(TimerKind.RETRY)
    assert desk.all(Alarm) == []
