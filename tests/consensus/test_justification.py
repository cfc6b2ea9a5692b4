"""BFT-12 P3, "Justification": which proposals may be voted on in their view."""

from __future__ import annotations

import pytest

from node.consensus import justification
from node.consensus.effects import Validate
from node.consensus.events import Approved
from node.consensus.messages import Decision, Proposal, Vote
from tests.consensus.consortium import Consortium, Desk

C = Consortium(12)
OLD, OTHER = C.block(ids=[1]), C.block(ids=[2])
NEW = C.block(1, ids=[3])
NEW_2 = C.block(2, ids=[4])
TC, TC_LOCKED = C.timeout_certificate(0), C.timeout_certificate(0, claims={4: 0})
QC = C.quorum_certificate(OLD)
TC_1_LOCKED = C.timeout_certificate(1, claims={4: 1})
BY_1, BY_2 = C.leader(1), C.leader(2)
VOTER = 9


def test_p3_view_0_by_its_creator() -> None:
    desk = Desk(C, VOTER)
    desk.receive(C.proposal(OLD))
    (question,) = desk.all(Validate)
    assert (question.block, question.check_clock, question.source) == (OLD, True, C.leader(0))


@pytest.mark.parametrize(
    ("proposal", "view"),
    [
        (C.proposal(NEW, 1, timeouts=TC), 1),
        (C.proposal(OLD, 1, timeouts=TC_LOCKED, quorum=QC), 1),
        (C.proposal(OLD, 1, timeouts=TC, quorum=QC), 1),
        (
            C.proposal(NEW, 2, timeouts=TC_1_LOCKED, quorum=C.quorum_certificate(NEW, 1)),
            2,
        ),
    ],
    ids=["new block", "certified block", "certified though nobody claimed", "later certificate"],
)
def test_p3_later_views(proposal: Proposal, view: int) -> None:
    desk = Desk(C, VOTER)
    desk.receive(proposal)
    assert desk.core.status().view == view
    (question,) = desk.all(Validate)
    assert question.block == proposal.block
    assert question.check_clock == (proposal.quorum_certificate is None)


@pytest.mark.parametrize(
    ("proposal", "why"),
    [
        (C.proposal(OLD, 0, timeouts=TC), "nothing precedes view 0"),
        (C.proposal(OLD, 0, quorum=QC), "nothing precedes view 0"),
        (C.proposal(NEW, 0), "a new block is created by its proposer in its view"),
        (C.proposal(OLD, 1, timeouts=TC), "a new block is created by its proposer in its view"),
        (
            C.proposal(C.block(0), 1, timeouts=TC),
            "a new block is created by its proposer in its view",
        ),
        (C.proposal(NEW, 1), "the proposal does not lead into its view"),
        (
            C.proposal(NEW, 1, timeouts=TC_LOCKED),
            "the quorum certificate that it claims is withheld",
        ),
        (C.proposal(OTHER, 1, timeouts=TC, quorum=QC), "the block is not the certified one"),
        (
            C.proposal(OLD, 2, timeouts=TC_1_LOCKED, quorum=QC),
            "the quorum certificate that it claims is withheld",
        ),
        (
            C.proposal(NEW_2, 2, timeouts=C.timeout_certificate(0)),
            "the proposal does not lead into its view",
        ),
        (
            C.proposal(NEW, 1, timeouts=C.timeout_certificate(0, count=9)),
            "9 signatures where 10 are required",
        ),
        (
            C.proposal(NEW, 1, timeouts=C.timeout_certificate(0, count=3)),
            "3 signatures where 10 are required",
        ),
    ],
)
def test_p3_ignored_without_a_vote(proposal: Proposal, why: str) -> None:
    desk = Desk(C, VOTER)
    desk.receive(proposal)
    assert desk.all(Validate) == []
    assert desk.said() == []
    assert desk.core.status().last_refusal == f"bank {proposal.bank}: proposal: {why}"


def test_p3_a_claimed_certificate_must_be_re_proposed_although_i_hold_it() -> None:
    """I hold the certificate, so I follow the TC; the proposal without it is still ignored."""
    desk = Desk(C, VOTER)
    desk.receive(QC)
    desk.receive(C.proposal(NEW, 1, timeouts=TC_LOCKED))
    assert desk.core.status().view == 1
    assert [s for s in desk.said() if isinstance(s, Vote)] == []
    assert desk.core.status().last_refusal == (
        f"bank {BY_1}: proposal: a certificate of view 0 must be re-proposed"
    )


def test_p3_a_reject_certificate_justifies_nothing() -> None:
    """BFT-12 R2: it makes the view time out; the next view still needs q timeouts."""
    desk = Desk(C, VOTER)
    desk.receive(C.reject_certificate(OLD, banks=[1, 2, 3]))
    assert desk.core.status().timed_out
    desk.receive(C.proposal(NEW, 1))
    assert desk.core.status().view == 0


def test_p3_a_lock_on_another_block_is_no_reason_to_refuse() -> None:
    """The hidden lock: I hold a certificate that the TC does not know of, and vote all the same."""
    desk = Desk(C, VOTER)
    desk.receive(C.proposal(OLD))
    desk.judge()
    desk.receive(QC)
    assert desk.core.status().highest_view == 0
    desk.receive(C.proposal(NEW, 1, timeouts=TC))
    desk.judge(Approved())
    (vote,) = desk.said()
    assert isinstance(vote, Vote)
    assert (vote.block_id, vote.view, vote.decision) == (NEW.block_id, 1, Decision.APPROVE)


WEAK = C.timeout_certificate(0, count=9)


@pytest.mark.parametrize(
    ("proposal", "why"),
    [
        (C.proposal(NEW, 1), "no timeout certificate of the view before"),
        (
            C.proposal(NEW, 1, timeouts=C.timeout_certificate(1)),
            "no timeout certificate of the view before",
        ),
        (
            C.proposal(NEW, 1, timeouts=Consortium(12, height=2).timeout_certificate(0)),
            "no timeout certificate of the view before",
        ),
        (
            C.proposal(NEW, 1, timeouts=WEAK),
            "timeout certificate: 9 signatures where 10 are required",
        ),
        (
            C.proposal(NEW, 1, timeouts=TC, quorum=C.quorum_certificate(NEW, 1)),
            "the quorum certificate is of view 1, not from -1 to 0",
        ),
        (
            C.proposal(NEW_2, 2, timeouts=TC_1_LOCKED, quorum=C.quorum_certificate(NEW_2, 0)),
            "the quorum certificate is of view 0, not from 1 to 1",
        ),
        (
            C.proposal(
                OLD, 1, timeouts=TC, quorum=Consortium(12, height=2).quorum_certificate(OLD)
            ),
            "the quorum certificate is of another height",
        ),
        (
            C.proposal(OLD, 1, timeouts=TC, quorum=C.quorum_certificate(OLD, banks=range(9))),
            "quorum certificate: 9 signatures where 10 are required",
        ),
    ],
)
def test_p3_the_check_stands_alone(proposal: Proposal, why: str) -> None:
    """It relies on nothing that its caller checked before."""
    state = Desk(C, VOTER).core._state
    with pytest.raises(justification.NotJustified) as caught:
        justification.check(state, proposal)
    assert str(caught.value) == why
