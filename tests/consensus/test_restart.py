"""BFT-12 D3 and D4: a bank comes back from disk alone."""

from __future__ import annotations

import pytest

from node.consensus.effects import Alarm, AlarmKind, Apply, Broadcast, Persist, Send, Validate
from node.consensus.events import (
    Rejected,
    TimerKind,
    TransactionsAvailable,
    Validated,
    WorkDue,
    WorkKind,
)
from node.consensus.messages import QuorumCertificate, Timeout
from node.consensus.record import DurableRecord, RecordInvalid
from node.ledger.blocks import Block
from node.ledger.types import Height, View
from tests.consensus.consortium import Consortium, Desk

C = Consortium(12)
BLOCK, OTHER = C.block(ids=[1]), C.block(ids=[2])
LEADER, ME = C.leader(0), 9
OTHERS = [bank for bank in C.banks if bank != ME]
QC = C.quorum_certificate(BLOCK, banks=OTHERS[:10])


def stored(desk: Desk) -> tuple[bytes, tuple[Block, ...]]:
    """What the last `Persist` of the last step left on disk."""
    persist = desk.all(Persist)[-1]
    return persist.record, persist.bodies or (BLOCK,)


def again(desk: Desk) -> Desk:
    record, blocks = stored(desk)
    return Desk(C, desk.bank, record=record, blocks=blocks)


def voted() -> Desk:
    desk = Desk(C, ME)
    desk.receive(C.proposal(BLOCK))
    desk.judge()
    return desk


def test_d3_a_first_start_says_nothing() -> None:
    desk = Desk(C, ME)
    assert desk.all(Send) + desk.all(Broadcast) + desk.all(Persist) == []


def test_d3_the_vote_is_repeated_and_no_other_is_given() -> None:
    desk = again(voted())
    assert desk.all(Send) == [Send(LEADER, C.approve(ME, BLOCK))]
    desk.receive(C.proposal(OTHER))
    assert desk.said() == []
    assert desk.all(Validate) == []


def test_d3_the_commit_is_repeated_with_its_vote() -> None:
    desk = voted()
    desk.receive(QC)
    desk = again(desk)
    assert desk.said() == [C.approve(ME, BLOCK), C.commit(ME, BLOCK)]
    assert desk.core.status().highest_view == 0


def test_d3_a_rejection_is_repeated_to_all() -> None:
    desk = Desk(C, ME)
    desk.receive(C.proposal(BLOCK))
    desk.effects = list(desk.core.handle(_rejected(desk)))
    desk = again(desk)
    assert desk.broadcast() == [C.reject(ME, BLOCK)]


def _rejected(desk: Desk) -> Validated:
    (question,) = desk.all(Validate)
    return Validated(question.ticket, Rejected("spend", deterministic=True, transaction_index=0))


def test_d3_a_view_given_up_stays_given_up() -> None:
    desk = voted()
    desk.fire(TimerKind.VIEW)
    desk = again(desk)
    assert desk.broadcast() == [C.timeout(ME)]
    desk.receive(QC)
    assert desk.said() == []
    assert desk.core.status().timed_out


def test_d3_the_view_its_entry_and_the_lock_are_restored() -> None:
    entry = C.timeout_certificate(4, claims={1: 0})
    desk = Desk(C, ME)
    desk.receive(C.timeout(1, 5, quorum=QC, timeouts=entry))
    desk.fire(TimerKind.VIEW)
    desk = again(desk)
    status = desk.core.status()
    assert (status.view, status.highest_view, status.timed_out) == (5, 0, True)
    assert desk.broadcast() == [C.timeout(ME, 5, quorum=QC, timeouts=entry)]


def test_d3_the_leader_repeats_its_proposal_and_makes_no_other() -> None:
    desk = Desk(C, LEADER)
    desk.do(WorkDue(WorkKind.BIN))
    desk.build(BLOCK)
    desk = again(desk)
    assert desk.broadcast() == [C.proposal(BLOCK)]
    assert [question.block for question in desk.all(Validate)] == [BLOCK]
    desk.do(TransactionsAvailable(100))
    assert desk.said() == []


def test_d3_self_delivery_own_vote_counts_again() -> None:
    """With n-q faults the leader needs its own vote: nine others are not enough."""
    desk = Desk(C, LEADER)
    desk.do(WorkDue(WorkKind.BIN))
    desk.build(BLOCK)
    desk.judge()
    desk = again(desk)
    desk.receive(*[C.approve(bank, BLOCK) for bank in OTHERS[:10] if bank != LEADER])
    assert [type(m) for m in desk.broadcast()] == [QuorumCertificate]


def test_d3_self_delivery_own_commit_counts_again() -> None:
    desk = Desk(C, LEADER)
    desk.do(WorkDue(WorkKind.BIN))
    desk.build(BLOCK)
    desk.judge()
    desk.receive(*[C.approve(bank, BLOCK) for bank in OTHERS[:10] if bank != LEADER])
    desk = again(desk)
    desk.receive(*[C.commit(bank, BLOCK) for bank in OTHERS[:10] if bank != LEADER])
    assert len(desk.all(Apply)) == 1


def test_d3_self_delivery_own_timeout_counts_again() -> None:
    desk = Desk(C, ME)
    desk.do(WorkDue(WorkKind.BIN))
    desk.fire(TimerKind.VIEW)
    desk = again(desk)
    desk.receive(*[C.timeout(bank) for bank in OTHERS[:9]])
    assert desk.core.status().view == 1


def test_d3_a_record_of_a_lower_height_is_history() -> None:
    record, _ = stored(voted())
    desk = Desk(C, ME, record=record, tip=BLOCK.header, tip_seal=C.seal(BLOCK))
    assert desk.all(Send) == []
    assert desk.core.status().height == 2


def test_d3_a_record_ahead_of_the_chain_or_of_another_bank_is_refused() -> None:
    ahead = DurableRecord(Height(7), View(0), 1).encode()
    with pytest.raises(RecordInvalid, match=r"^record of height 7 on a tip below 1$"):
        Desk(C, ME, record=ahead)
    record, blocks = stored(voted())
    with pytest.raises(RecordInvalid, match=r"^the record is of another bank$"):
        Desk(C, 3, record=record, blocks=blocks)
    with pytest.raises(RecordInvalid, match=r"^record version 9 where 1 is known$"):
        Desk(C, ME, record=b"\x09")


def test_d3_steps_go_on_counting() -> None:
    desk = again(voted())
    desk.receive(QC)
    assert [persist.step for persist in desk.all(Persist)] == [2]


def test_d2_blocks_on_disk_are_not_written_again_and_can_be_served() -> None:
    desk = again(voted())
    desk.receive(QC)
    assert [persist.bodies for persist in desk.all(Persist)] == [()]


def test_d4_a_bank_that_lost_signatures_is_silent_until_their_height_is_sealed() -> None:
    desk = Desk(C, ME, silent_through=1, transactions_available=1)
    (alarm,) = desk.all(Alarm)
    assert alarm.kind is AlarmKind.SILENCED
    assert not desk.core.status().may_sign
    desk.receive(C.proposal(BLOCK), C.timeout(1), C.timeout(2), C.timeout(3))
    assert desk.said() == []
    assert TimerKind.VIEW not in desk.timers

    # What it may have signed stands at height 1: at height 2 it can contradict nothing.
    desk.receive(C.seal(BLOCK))
    desk.apply()
    assert desk.core.status().may_sign
    at_2 = Consortium(12, height=2)
    desk.receive(at_2.timeout(1), at_2.timeout(2), at_2.timeout(3))
    assert [type(s) for s in desk.said()] == [Timeout]


def test_d4_the_height_of_the_guard_itself_is_not_signed_again() -> None:
    desk = Desk(C, ME, silent_through=2, transactions_available=1)
    desk.receive(C.seal(BLOCK))
    desk.receive(C.proposal(BLOCK))
    desk.apply()
    assert not desk.core.status().may_sign
    at_2 = Consortium(12, height=2)
    desk.receive(at_2.timeout(1), at_2.timeout(2), at_2.timeout(3))
    assert desk.said() == []


def test_d4_a_silenced_bank_repeats_nothing() -> None:
    record, blocks = stored(voted())
    desk = Desk(C, ME, record=record, blocks=blocks, silent_through=1)
    assert desk.all(Send) + desk.all(Broadcast) == []
