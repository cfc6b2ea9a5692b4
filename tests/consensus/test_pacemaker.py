"""BFT-12 section 7: silent without work, patient with it, and what is said again."""

from __future__ import annotations

from node.consensus.effects import Send
from node.consensus.events import TimerKind, TransactionsAvailable, WorkDue, WorkKind
from node.consensus.messages import Message, Status
from node.ledger.types import Height, View
from tests.consensus.consortium import Consortium, Desk

C = Consortium(12)
BLOCK = C.block(ids=[1])
ME = 9
OTHERS = [bank for bank in C.banks if bank != ME]


def test_an_idle_bank_runs_no_view_timer() -> None:
    desk = Desk(C, ME)
    assert {kind: e.delay_ms for kind, e in desk.timers.items()} == {
        TimerKind.HEARTBEAT: 30_000,
        TimerKind.STATUS: 1_000,
    }
    assert not desk.core.status().has_work


def test_every_kind_of_work_arms_the_timers() -> None:
    for event in (TransactionsAvailable(1), WorkDue(WorkKind.BIN), WorkDue(WorkKind.EVIDENCE)):
        desk = Desk(C, ME)
        desk.do(event)
        assert desk.timers[TimerKind.VIEW].delay_ms == 2_000
        assert desk.timers[TimerKind.RETRY].delay_ms == 1_000
    messages: list[Message] = [
        C.proposal(BLOCK),
        C.approve(1, BLOCK),
        C.timeout(1),
        C.quorum_certificate(BLOCK),
    ]
    for message in messages:
        desk = Desk(C, ME)
        desk.receive(message)
        assert desk.core.status().has_work
        assert TimerKind.VIEW in desk.timers


def test_a_forged_statement_is_no_work() -> None:
    desk = Desk(C, ME)
    forged = C.approve(1, BLOCK)
    object.__setattr__(forged, "signature", bytes(64))
    desk.receive(forged)
    assert not desk.core.status().has_work


def test_the_heartbeat_is_work() -> None:
    desk = Desk(C, ME)
    desk.fire(TimerKind.HEARTBEAT)
    assert desk.core.status().has_work
    assert TimerKind.VIEW in desk.timers


def test_later_views_last_longer() -> None:
    desk = Desk(C, ME)
    desk.receive(Status(Height(1), View(4), C.timeout_certificate(3), None))
    assert desk.timers[TimerKind.VIEW].delay_ms == 10_125


def test_a_voter_repeats_its_vote_and_its_commit_to_the_leader() -> None:
    desk = Desk(C, ME)
    desk.receive(C.proposal(BLOCK))
    desk.judge()
    desk.fire(TimerKind.RETRY)
    assert desk.all(Send) == [Send(C.leader(0), C.approve(ME, BLOCK))]
    desk.receive(C.quorum_certificate(BLOCK, banks=OTHERS[:10]))
    desk.fire(TimerKind.RETRY)
    assert desk.all(Send) == [
        Send(C.leader(0), C.approve(ME, BLOCK)),
        Send(C.leader(0), C.commit(ME, BLOCK)),
    ]


def test_status_goes_to_two_peers_in_rotation() -> None:
    desk = Desk(C, ME)
    told = []
    for _ in range(6):
        desk.fire(TimerKind.STATUS)
        assert {effect.message for effect in desk.all(Send)} == {
            Status(Height(1), View(0), None, None)
        }
        told += [effect.to for effect in desk.all(Send)]
    assert told == [*OTHERS, OTHERS[0]]


def test_a_view_that_lost_its_work_is_not_given_up() -> None:
    desk = Desk(C, ME)
    desk.do(TransactionsAvailable(1))
    desk.do(TransactionsAvailable(0))
    desk.fire(TimerKind.VIEW)
    assert desk.said() == []
    assert not desk.core.status().timed_out
    desk.do(TransactionsAvailable(1))
    assert desk.timers[TimerKind.VIEW].generation == 2


def test_section_7_the_view_of_a_leader_that_is_not_there_is_cut_short() -> None:
    """Bank 1 leads view 0 of height 1 and says nothing; at its next turn it has T0/8."""
    desk = Desk(C, ME)
    desk.do(TransactionsAvailable(1))
    desk.fire(TimerKind.VIEW)
    assert desk.core.status().timed_out
    leader = C.leader(0)
    desk.receive(Status(Height(1), View(12), C.timeout_certificate(11), None))
    assert desk.core.status().leader == leader
    assert desk.timers[TimerKind.VIEW].delay_ms == 250
    # It comes back while it leads: it has the whole time, from now.
    desk.receive(Status(Height(1), View(0), None, None), sender=leader)
    assert desk.timers[TimerKind.VIEW].delay_ms == 20_000


def test_section_7_a_leader_that_gave_up_its_own_view_is_there() -> None:
    desk = Desk(C, ME)
    leader = C.leader(0)
    for bank in (leader, 4, 5):
        desk.receive(C.timeout(bank))
    assert desk.core.status().timed_out
    desk.receive(Status(Height(1), View(12), C.timeout_certificate(11), None))
    assert desk.core.status().leader == leader
    assert desk.timers[TimerKind.VIEW].delay_ms == 20_000


def test_section_7_a_leader_whose_block_is_not_certified_has_the_whole_time_again() -> None:
    desk = Desk(C, ME)
    desk.receive(C.proposal(BLOCK))
    desk.fire(TimerKind.VIEW)
    desk.receive(Status(Height(1), View(12), C.timeout_certificate(11), None))
    assert desk.timers[TimerKind.VIEW].delay_ms == 20_000
