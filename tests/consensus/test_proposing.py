"""BFT-12 P2: one block for each view, and the certified one if there is one."""

from __future__ import annotations

from node.consensus.effects import Broadcast, BuildBlock, Persist, SetTimer, Validate
from node.consensus.events import TimerKind, TransactionsAvailable, WorkDue, WorkKind
from node.consensus.messages import BlockRequest, BlockResponse, Proposal, QuorumCertificate
from node.ledger.types import Height, View
from tests.consensus.consortium import Consortium, Desk

C = Consortium(12)
BLOCK = C.block(ids=[1])
LEADER_0, LEADER_1, LEADER_2 = C.leader(0), C.leader(1), C.leader(2)


def enter_view_1(bank: int, *, certified: bool = False) -> Desk:
    """A desk whose bank sees nine other banks and itself give up view 0."""
    desk = Desk(C, bank)
    quorum = C.quorum_certificate(BLOCK) if certified else None
    others = [other for other in C.banks if other != bank]
    desk.receive(*[C.timeout(other, quorum=quorum) for other in others[: C.quorum - 1]])
    return desk


def test_p2_view_0_waits_for_the_batch_to_fill_and_no_longer() -> None:
    desk = Desk(C, LEADER_0)
    desk.do(TransactionsAvailable(1))
    assert desk.all(BuildBlock) == []
    assert SetTimer(TimerKind.BATCH, 1, 50) in desk.effects
    desk.fire(TimerKind.BATCH)
    assert desk.all(BuildBlock) == [BuildBlock(Height(1), View(0))]


def test_p2_a_full_batch_is_proposed_at_once() -> None:
    desk = Desk(C, LEADER_0)
    desk.do(TransactionsAvailable(100))
    assert desk.all(BuildBlock) == [BuildBlock(Height(1), View(0))]
    desk.do(TransactionsAvailable(101))
    assert desk.all(BuildBlock) == []


def test_p2_a_due_block_waits_for_nothing() -> None:
    for kind in WorkKind:
        desk = Desk(C, LEADER_0)
        desk.do(WorkDue(kind))
        assert desk.all(BuildBlock) == [BuildBlock(Height(1), View(0))]


def test_p2_only_the_leader_proposes() -> None:
    for bank in C.banks:
        if bank != LEADER_0:
            desk = Desk(C, bank)
            desk.do(TransactionsAvailable(100))
            assert desk.all(BuildBlock) == []


def test_p2_d1_the_proposal_and_its_block_are_durable_before_it_leaves() -> None:
    desk = Desk(C, LEADER_0)
    desk.do(WorkDue(WorkKind.BIN))
    desk.build(BLOCK)
    proposal = C.proposal(BLOCK)
    kinds = [type(e) for e in desk.effects if isinstance(e, Persist | Broadcast | Validate)]
    assert kinds == [Persist, Broadcast, Validate]
    (persist,) = desk.all(Persist)
    assert (persist.height, persist.view, persist.step) == (1, 0, 1)
    assert persist.bodies == (BLOCK,)
    assert desk.persisted()[0].proposed == proposal
    assert desk.broadcast() == [proposal]


def test_p2_the_leader_validates_its_own_block_like_everybody() -> None:
    desk = Desk(C, LEADER_0)
    desk.do(WorkDue(WorkKind.BIN))
    desk.build(BLOCK)
    (question,) = desk.all(Validate)
    assert (question.block, question.check_clock, question.source) == (BLOCK, True, LEADER_0)


def test_p2_nothing_to_build_is_asked_again_only_after_news() -> None:
    desk = Desk(C, LEADER_0)
    desk.do(WorkDue(WorkKind.BIN))
    desk.build(None)
    assert desk.said() == []
    assert desk.all(BuildBlock) == []
    desk.do(TransactionsAvailable(1))
    assert desk.all(BuildBlock) == [BuildBlock(Height(1), View(0))]


def test_p2_a_block_built_too_late_is_not_proposed() -> None:
    desk = Desk(C, LEADER_0)
    desk.do(WorkDue(WorkKind.BIN))
    order = desk.all(BuildBlock)
    desk.fire(TimerKind.VIEW)
    desk.effects = [*order]
    desk.build(BLOCK)
    assert [s for s in desk.said() if isinstance(s, Proposal)] == []


def test_p2_after_a_view_change_without_certificate_a_new_block() -> None:
    desk = enter_view_1(LEADER_1)
    assert desk.all(BuildBlock) == [BuildBlock(Height(1), View(1))]
    fresh = C.block(1)
    desk.build(fresh)
    (proposal,) = desk.said()
    assert isinstance(proposal, Proposal)
    assert (proposal.block, proposal.quorum_certificate) == (fresh, None)
    assert proposal.timeout_certificate is not None
    assert proposal.timeout_certificate.view == 0


def test_p2_after_a_view_change_the_certified_block_is_proposed_again() -> None:
    """The header is the same: a re-proposer creates nothing. A missing body is fetched first."""
    desk = enter_view_1(LEADER_1, certified=True)
    assert desk.all(BuildBlock) == []
    requests = [m for m in desk.sent() if isinstance(m, BlockRequest)]
    assert set(requests) == {BlockRequest(Height(1), BLOCK.block_id)}
    desk.receive(BlockResponse(BLOCK))
    (proposal,) = desk.said()
    assert isinstance(proposal, Proposal)
    assert proposal.block == BLOCK
    assert proposal.quorum_certificate == C.quorum_certificate(BLOCK)
    assert proposal.timeout_certificate is not None
    assert proposal.timeout_certificate.highest_view == 0


def test_d2_a_block_proposed_again_unseen_is_ordered_to_disk_again_with_the_approval() -> None:
    """A leader that fetched a certified block may lack its transactions when it proposes it."""
    desk = enter_view_1(LEADER_1, certified=True)
    desk.receive(BlockResponse(BLOCK))
    assert [effect.bodies for effect in desk.all(Persist)] == [(BLOCK,)]
    desk.judge()
    assert [effect.bodies for effect in desk.all(Persist)] == [(BLOCK,)]


def test_p2_a_leader_that_gave_up_its_view_does_not_propose() -> None:
    desk = Desk(C, LEADER_0)
    desk.receive(C.timeout(5), C.timeout(6), C.timeout(7))
    assert desk.core.status().timed_out
    desk.do(TransactionsAvailable(100))
    assert desk.all(BuildBlock) == []


def test_p4_the_certificate_is_broadcast_even_after_giving_up() -> None:
    desk = Desk(C, LEADER_0)
    desk.do(WorkDue(WorkKind.BIN))
    desk.build(BLOCK)
    desk.judge()
    desk.fire(TimerKind.VIEW)
    others = [bank for bank in C.banks if bank != LEADER_0][:9]
    desk.receive(*[C.approve(bank, BLOCK) for bank in others])
    assert [type(m) for m in desk.broadcast()] == [QuorumCertificate]
    assert desk.said() == []
