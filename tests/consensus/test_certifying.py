"""BFT-12 P4 and P6: the leader's certificates, and everybody's seal."""

from __future__ import annotations

from node.consensus.effects import Apply, Persist, Send, Validate
from node.consensus.events import Approved, TimerKind, Validated, WorkDue, WorkKind
from node.consensus.messages import Message
from tests.consensus.consortium import Consortium, Desk

C = Consortium(12)
BLOCK, OTHER = C.block(ids=[1]), C.block(ids=[2])
LEADER = C.leader(0)
OTHERS = [bank for bank in C.banks if bank != LEADER]


def leading() -> Desk:
    """The leader after its own approval."""
    desk = Desk(C, LEADER)
    desk.do(WorkDue(WorkKind.BIN))
    desk.build(BLOCK)
    desk.judge()
    return desk


def test_p4_q_approvals_and_not_one_less() -> None:
    desk = leading()
    desk.receive(*[C.approve(bank, BLOCK) for bank in OTHERS[:8]])
    assert desk.broadcast() == []
    desk.receive(C.approve(OTHERS[8], BLOCK))
    assert desk.broadcast() == [C.quorum_certificate(BLOCK, banks=sorted([LEADER, *OTHERS[:9]]))]
    assert desk.said() == []
    (record,) = desk.persisted()
    assert record.committed == C.commit(LEADER, BLOCK)


def test_p4_rejections_and_repetitions_are_not_approvals() -> None:
    desk = leading()
    desk.receive(*[C.approve(bank, BLOCK) for bank in OTHERS[:8]])
    desk.receive(C.approve(OTHERS[0], BLOCK), C.reject(OTHERS[9], BLOCK))
    desk.receive(C.approve(OTHERS[10], OTHER))
    assert desk.broadcast() == []


def test_p4_the_certificate_is_made_once() -> None:
    desk = leading()
    desk.receive(*[C.approve(bank, BLOCK) for bank in OTHERS[:9]])
    desk.receive(*[C.approve(bank, BLOCK) for bank in OTHERS[9:]])
    assert desk.broadcast() == []


def test_p6_q_commits_seal_and_are_applied() -> None:
    desk = leading()
    desk.receive(*[C.approve(bank, BLOCK) for bank in OTHERS[:9]])
    desk.receive(*[C.commit(bank, BLOCK) for bank in OTHERS[:8]])
    assert desk.all(Apply) == []
    desk.receive(C.commit(OTHERS[8], BLOCK))
    seal = C.seal(BLOCK, banks=sorted([LEADER, *OTHERS[:9]]))
    assert desk.broadcast() == [seal]
    (order,) = desk.all(Apply)
    assert (order.block, order.seal, order.source) == (BLOCK, seal, LEADER)


def test_p6_anyone_holding_q_commits_may_seal() -> None:
    desk = Desk(C, 9)
    desk.receive(C.proposal(BLOCK))
    desk.receive(*[C.commit(bank, BLOCK) for bank in range(9)])
    assert desk.broadcast() == []
    desk.receive(C.commit(10, BLOCK))
    assert desk.broadcast() == [C.seal(BLOCK, banks=[0, 1, 2, 3, 4, 5, 6, 7, 8, 10])]


def test_p6_commits_of_different_views_do_not_add_up() -> None:
    desk = Desk(C, 9)
    desk.receive(C.proposal(BLOCK))
    desk.receive(*[C.commit(bank, BLOCK, bank % 2) for bank in range(12) if bank != 9])
    assert desk.broadcast() == []


def test_p6_nothing_is_signed_at_a_sealed_height() -> None:
    desk = Desk(C, 9)
    desk.receive(C.proposal(BLOCK))
    (question,) = desk.all(Validate)
    desk.receive(C.seal(BLOCK))
    desk.receive(C.quorum_certificate(BLOCK), *[C.timeout(bank) for bank in range(8)])
    assert desk.all(Persist) == []
    desk.do(Validated(question.ticket, Approved()))
    assert desk.all(Persist) == []
    assert not desk.core.status().timed_out


def test_section_7_the_leader_repeats_to_those_who_have_not_answered() -> None:
    desk = leading()
    desk.receive(C.approve(OTHERS[0], BLOCK))
    desk.fire(TimerKind.RETRY)
    silent = [bank for bank in OTHERS if bank != OTHERS[0]]
    assert [effect.to for effect in desk.all(Send)] == silent
    desk.receive(*[C.approve(bank, BLOCK) for bank in OTHERS[1:9]])
    desk.receive(C.commit(OTHERS[0], BLOCK))
    desk.fire(TimerKind.RETRY)
    certificate = C.quorum_certificate(BLOCK, banks=sorted([LEADER, *OTHERS[:9]]))
    for bank in OTHERS:
        expected: list[Message] = [] if bank == OTHERS[0] else [certificate]
        if bank in OTHERS[9:]:
            expected.append(C.proposal(BLOCK))
        assert desk.sent(bank) == expected
