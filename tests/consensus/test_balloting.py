"""BFT-12 section 17: who casts a ballot when, which are verified, and what they are good for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from node.consensus.effects import (
    Alarm,
    AlarmKind,
    Apply,
    BuildBlock,
    KeepBallots,
    Persist,
    Send,
    VerifyBallots,
)
from node.consensus.events import (
    BallotsVerified,
    Rejected,
    WorkDue,
    WorkKind,
)
from node.consensus.messages import Commit, Message, Seal, SealedBlock, SyncResponse, Vote
from node.ledger.ballots import ballot_tag
from node.ledger.types import Height, View
from tests.consensus import toy_ledger
from tests.consensus.consortium import Consortium, Desk

C = Consortium(12)
BLOCK, OTHER = C.block(ids=[1]), C.block(ids=[2])
POISON = C.block(ids=[3], invalid=True)
LEADER = C.leader(0)
OTHERS = [bank for bank in C.banks if bank != LEADER]
ME = 11


def collecting(*, verifies_ballots: bool = False) -> Desk:
    """The leader with its own commit, its certificate out."""
    desk = Desk(C, LEADER, verifies_ballots=verifies_ballots)
    desk.do(WorkDue(WorkKind.BIN))
    desk.build(BLOCK)
    desk.judge()
    desk.receive(*[C.approve(bank, BLOCK) for bank in OTHERS[:9]])
    return desk


def commits(banks: Iterable[int], *, view: int = 0) -> list[Commit]:
    return [C.commit(bank, BLOCK, view) for bank in banks]


def garbage(raw: bytes, number: int = 1) -> bytes:
    """Head and tag of a ballot, and a proof of nothing."""
    return raw[:-1] + bytes([raw[-1] ^ number])


def with_garbage(commit: Commit) -> Commit:
    assert commit.ballot is not None
    return replace(commit, ballot=garbage(commit.ballot))


def forged(seal: Seal) -> Seal:
    return replace(seal, ballots=(garbage(seal.ballots[0]), *seal.ballots[1:]))


def cast(banks: Iterable[int]) -> tuple[bytes, ...]:
    """The ballots of these banks in the order in which they come."""
    return tuple(C.ballot(bank, BLOCK) for bank in banks)


# Casting.


def test_a_commit_carries_an_approval_and_is_persisted_with_it() -> None:
    desk = Desk(C, ME)
    desk.receive(C.proposal(BLOCK))
    desk.judge()
    (vote,) = desk.said()
    assert vote == C.approve(ME, BLOCK)
    assert isinstance(vote, Vote)
    assert vote.ballot is None, "approving is not final yet"
    desk.receive(C.quorum_certificate(BLOCK))
    (commit,) = desk.said()
    assert commit == C.commit(ME, BLOCK)
    (record,) = desk.persisted()
    assert record.committed == commit
    kinds = [type(effect) for effect in desk.effects]
    assert kinds.index(Persist) < kinds.index(Send)


def test_a_rejection_carries_its_own_and_its_bank_does_not_commit() -> None:
    desk = Desk(C, ME)
    desk.receive(C.proposal(POISON))
    desk.judge(Rejected("spend", deterministic=True, transaction_index=0))
    (vote,) = desk.said()
    assert vote == C.reject(ME, POISON)
    (record,) = desk.persisted()
    assert record.voted == vote
    desk.receive(C.quorum_certificate(POISON))
    assert desk.said() == []


def test_a_restart_repeats_the_same_ballots_and_casts_none() -> None:
    for last, statement in ((C.quorum_certificate(BLOCK), C.commit(ME, BLOCK)), (None, None)):
        desk = Desk(C, ME)
        desk.receive(C.proposal(BLOCK))
        if last is None:
            desk.judge(Rejected("spend", deterministic=True, transaction_index=0))
            statement = C.reject(ME, BLOCK)
        else:
            desk.judge()
            desk.receive(last)
        (order,) = desk.all(Persist)
        again = Desk(C, ME, record=order.record, blocks=[BLOCK])
        assert statement in again.said()
        assert again.all(Persist) == []


# Sealing.


def test_p6_the_ballots_of_a_quorum_of_commits_are_verified_in_one_batch() -> None:
    desk = collecting()
    desk.receive(*commits(OTHERS[:8]))
    assert desk.all(VerifyBallots) == []
    desk.receive(C.commit(OTHERS[8], BLOCK))
    (question,) = desk.all(VerifyBallots)
    assert (question.height, question.view) == (1, 0)
    assert question.active_set == C.active_set
    assert question.ballots == cast([LEADER, *OTHERS[:9]])
    assert desk.broadcast() == []
    desk.receive(*commits(OTHERS[9:]))
    assert desk.all(VerifyBallots) == [], "ten may well do"
    desk.verify(question)
    assert desk.broadcast() == [C.seal(BLOCK, banks=sorted([LEADER, *OTHERS[:9]]))]
    (order,) = desk.all(Apply)
    assert order.seal == desk.broadcast()[0]


def test_a_seal_has_exactly_q_ballots_however_many_there_are() -> None:
    """Eleven ballots of the consortium make a seal of the ten with the lowest tags."""
    desk = collecting()
    desk.receive(*[replace(commit, ballot=None) for commit in commits(OTHERS[:1])])
    desk.receive(*commits(OTHERS[1:8]), with_garbage(C.commit(OTHERS[8], BLOCK)))
    assert desk.all(VerifyBallots) == [], "nine tags are no seal"
    desk.receive(C.commit(OTHERS[9], BLOCK))
    (first,) = desk.all(VerifyBallots)
    desk.receive(C.commit(OTHERS[10], BLOCK))
    desk.verify(first)
    (second,) = desk.all(VerifyBallots)
    assert second.ballots == cast([OTHERS[10]])
    desk.verify(second)
    (seal,) = desk.broadcast()
    assert isinstance(seal, Seal)
    assert [entry.bank for entry in seal.signatures] == sorted([LEADER, *OTHERS])[:10]
    assert seal.ballots == C.ballots(BLOCK, banks=[LEADER, *OTHERS[1:8], OTHERS[9], OTHERS[10]])


def test_signers_and_tags_are_counted_separately() -> None:
    """What is wrong with a ballot takes nothing from its signer's commit."""
    commit = C.commit(OTHERS[0], BLOCK)
    at_2 = Consortium(12, height=2)
    for ballot in (
        None,
        b"",
        C.ballot(OTHERS[0], BLOCK, 1),
        C.ballot(OTHERS[0], OTHER),
        C.ballot(OTHERS[0], BLOCK, approve=False),
        at_2.ballot(OTHERS[0], BLOCK),
        C.ballot(OTHERS[1], BLOCK),
        garbage(C.ballot(OTHERS[0], BLOCK)),
        garbage(C.ballot(OTHERS[1], BLOCK)),
    ):
        desk = collecting(verifies_ballots=True)
        desk.receive(replace(commit, ballot=ballot), *commits(OTHERS[1:9]))
        assert desk.broadcast() == []
        assert len(desk.core.status().committed) == 10
        desk.receive(C.commit(OTHERS[9], BLOCK))
        (seal,) = desk.broadcast()
        assert isinstance(seal, Seal)
        assert [entry.bank for entry in seal.signatures] == sorted([LEADER, *OTHERS[:9]])
        assert seal.ballots == C.ballots(BLOCK, banks=[LEADER, *OTHERS[1:10]])


def test_two_banks_that_send_anything_do_not_stop_ten_correct_ones() -> None:
    for order in (1, -1):
        desk = collecting(verifies_ballots=True)
        copied = C.ballot(OTHERS[4], BLOCK)
        bad = [
            replace(C.commit(OTHERS[0], BLOCK), ballot=garbage(copied)),
            replace(C.commit(OTHERS[1], BLOCK), ballot=garbage(copied, 2)),
            replace(C.commit(OTHERS[1], BLOCK), ballot=copied),
        ]
        desk.receive(*[*bad, *commits(OTHERS[2:])][::order])
        (seal,) = desk.broadcast()
        assert isinstance(seal, Seal)
        assert seal.ballots == C.ballots(BLOCK, banks=[LEADER, *OTHERS[2:]])


def test_section_12_a_signer_has_one_ballot_verified_in_a_view() -> None:
    desk = collecting()
    desk.receive(with_garbage(C.commit(OTHERS[0], BLOCK)), *commits(OTHERS[1:9]))
    (question,) = desk.all(VerifyBallots)
    desk.verify(question)
    for number in range(2, 50):
        raw = garbage(C.ballot(OTHERS[0], BLOCK), number)
        desk.receive(replace(C.commit(OTHERS[0], BLOCK), ballot=raw))
        assert desk.all(VerifyBallots) == []


def test_section_12_the_ballots_of_a_liar_are_verified_one_by_one_from_then_on() -> None:
    """One garbage ballot makes a batch be halved until it is found: that may not happen daily."""
    desk = collecting()
    desk.receive(with_garbage(C.commit(OTHERS[0], BLOCK)), *commits(OTHERS[1:9]))
    desk.verify(desk.all(VerifyBallots)[0])
    assert desk.core.status().refused == ((OTHERS[0], 1),)
    text = f"bank {OTHERS[0]} brought a ballot that does not hold"
    assert desk.all(Alarm) == [Alarm(AlarmKind.FALSE_BALLOT, text, bank=OTHERS[0])]
    desk.receive(*[with_garbage(C.commit(OTHERS[0], BLOCK, 3)), *commits(OTHERS[1:10], view=3)])
    together, alone = desk.all(VerifyBallots)
    assert alone.ballots == (garbage(C.ballot(OTHERS[0], BLOCK, 3)),)
    assert together.ballots == tuple(C.ballot(bank, BLOCK, 3) for bank in OTHERS[1:10])


def test_section_12_ballots_on_which_nothing_depends_are_not_verified() -> None:
    """Seven Byzantine banks make no leader verify anything."""
    desk = collecting()
    for view in range(20):
        desk.receive(*[with_garbage(commit) for commit in commits(OTHERS[:4], view=view)])
        desk.receive(*[C.reject(bank, OTHER, view) for bank in OTHERS[4:7]])
        assert desk.all(VerifyBallots) == []


def test_section_12_conflicts_of_views_to_come_are_not_looked_at_yet() -> None:
    desk = Desk(C, ME, verifies_ballots=False)
    for view in range(3):
        desk.receive(*commits(range(7), view=view))
        desk.receive(*[C.reject(bank, OTHER, view) for bank in range(7)])
        questions = desk.all(VerifyBallots)
        assert [len(question.ballots) for question in questions] == [2] * (7 if view == 0 else 0)
    desk.receive(*[C.timeout(bank) for bank in range(10)])
    assert [question.view for question in desk.all(VerifyBallots)] == [1] * 7


def test_a_restarted_leader_verifies_again_and_seals() -> None:
    desk = Desk(C, LEADER)
    desk.do(WorkDue(WorkKind.BIN))
    desk.build(BLOCK)
    desk.judge()
    desk.receive(*[C.approve(bank, BLOCK) for bank in OTHERS[:9]])
    (order,) = desk.all(Persist)
    again = Desk(C, LEADER, record=order.record, blocks=[BLOCK], verifies_ballots=False)
    again.receive(*commits(OTHERS[:9]))
    (question,) = again.all(VerifyBallots)
    assert question.ballots == cast([LEADER, *OTHERS[:9]])
    again.verify(question)
    assert again.broadcast() == [C.seal(BLOCK, banks=sorted([LEADER, *OTHERS[:9]]))]


def test_p6_ballots_of_two_views_do_not_add_up() -> None:
    desk = Desk(C, ME)
    desk.receive(C.proposal(BLOCK), *commits(range(5)), *commits(range(5, 10), view=1))
    assert desk.broadcast() == []
    desk.receive(*commits(range(5), view=1))
    assert desk.broadcast() == [C.seal(BLOCK, 1)]


# Following.


def following() -> Desk:
    desk = Desk(C, ME, verifies_ballots=False)
    desk.receive(C.proposal(BLOCK))
    return desk


def test_p7_a_seal_is_applied_when_its_ballots_were_verified() -> None:
    desk = following()
    seal = C.seal(BLOCK)
    desk.receive(seal)
    (question,) = desk.all(VerifyBallots)
    assert (question.ballots, question.view) == (seal.ballots, 0)
    assert desk.all(Apply) == []
    assert not desk.core.status().sealed
    desk.verify(question)
    (order,) = desk.all(Apply)
    assert (order.seal, order.source) == (seal, 2)


def test_the_same_seal_from_many_is_verified_once() -> None:
    desk = following()
    desk.receive(C.seal(BLOCK))
    (question,) = desk.all(VerifyBallots)
    for sender in range(3, 8):
        desk.receive(C.seal(BLOCK), sender=sender)
        assert desk.all(VerifyBallots) == []
    desk.verify(question)
    assert len(desk.all(Apply)) == 1


def test_a_relay_with_bad_ballots_does_not_block_the_good_seal() -> None:
    desk = following()
    desk.receive(forged(C.seal(BLOCK)), sender=5)
    (first,) = desk.all(VerifyBallots)
    desk.receive(C.seal(BLOCK), sender=6)
    (second,) = desk.all(VerifyBallots)
    assert len(second.ballots) == 1, "nine are being verified"
    desk.verify(second)
    assert desk.all(Apply) == []
    desk.verify(first)
    (order,) = desk.all(Apply)
    assert (order.seal, order.source) == (C.seal(BLOCK), 6)


def test_no_seal_is_taken_for_a_while_from_a_source_of_bad_ballots() -> None:
    desk = following()
    bad = forged(C.seal(BLOCK))
    desk.receive(bad, sender=5)
    (question,) = desk.all(VerifyBallots)
    desk.receive(C.seal(BLOCK), sender=5)
    assert desk.all(VerifyBallots) == [], "one seal of a source is held"
    desk.verify(question)
    assert desk.core.status().refused == ((5, 1),)
    desk.receive(C.seal(BLOCK), sender=5)
    assert desk.core.status().last_refusal == (
        "bank 5: Seal: its source brought ballots that do not hold"
    )
    desk.receive(C.seal(BLOCK), sender=6)
    (question,) = desk.all(VerifyBallots)
    assert question.ballots == C.seal(BLOCK).ballots[:1], "the others hold"
    desk.verify(question)
    assert [order.source for order in desk.all(Apply)] == [6]


def test_a_seal_with_too_few_ballots_is_refused_and_its_signers_remembered() -> None:
    desk = following()
    desk.receive(replace(C.seal(BLOCK), ballots=C.seal(BLOCK).ballots[:9]))
    assert desk.core.status().last_refusal == (
        "bank 2: Seal: ballots: 9 ballots, exactly 10 are required"
    )
    assert desk.all(VerifyBallots) == []
    assert len([s for s in desk.core.statements() if isinstance(s, Commit)]) == 10


def test_verdicts_that_come_after_the_height_are_ignored() -> None:
    desk = following()
    desk.receive(forged(C.seal(BLOCK)), sender=5)
    (bad,) = desk.all(VerifyBallots)
    desk.receive(C.seal(BLOCK), sender=6)
    (good,) = desk.all(VerifyBallots)
    desk.receive(C.seal(BLOCK, banks=range(2, 12)), sender=7)
    (unneeded,) = desk.all(VerifyBallots)
    desk.do(BallotsVerified(good.ticket, (True,)))
    desk.do(BallotsVerified(bad.ticket, (False, *[True] * 9)))
    (order,) = desk.all(Apply)
    assert order.source == 6
    desk.apply()
    assert desk.verify(unneeded) == []
    height_2 = replace(unneeded, ticket=999)
    assert desk.verify(height_2) == []


def test_the_block_of_a_seal_under_verification_outlives_its_view() -> None:
    desk = Desk(C, ME, verifies_ballots=False)
    desk.receive(SyncResponse((SealedBlock(BLOCK, C.seal(BLOCK)),), Height(1)))
    (question,) = desk.all(VerifyBallots)
    desk.receive(*[C.timeout(bank) for bank in range(10)])
    assert desk.core.status().view == 1
    desk.verify(question)
    assert [order.block for order in desk.all(Apply)] == [BLOCK]


def test_the_parent_seal_of_a_proposal_is_followed() -> None:
    desk = following()
    at_2 = Consortium(12, height=2)
    child = toy_ledger.build(BLOCK.header, view=0, proposer=at_2.leader(0))
    desk.receive(at_2.proposal(child, parent_seal=C.seal(BLOCK)))
    (question,) = desk.all(VerifyBallots)
    desk.verify(question)
    assert [order.seal for order in desk.all(Apply)] == [C.seal(BLOCK)]


def test_section_9_a_late_seal_convicts_with_its_signatures_alone() -> None:
    desk = following()
    desk.receive(C.seal(BLOCK))
    desk.verify(desk.all(VerifyBallots)[0])
    desk.apply()
    desk.receive(replace(C.seal(OTHER, banks=range(2, 12)), ballots=()))
    assert desk.all(VerifyBallots) == []
    assert AlarmKind.CONFLICTING_SEAL in [alarm.kind for alarm in desk.all(Alarm)]
    assert [conflict.bank for conflict in desk.core.conflicts()] == list(range(2, 10))


# The record of the parent.


def second_leader(*, verifies_ballots: bool = True) -> Desk:
    """The leader of height 2, with the proposal of height 1."""
    desk = Desk(C, C.active_set.leader(Height(2), View(0)), verifies_ballots=verifies_ballots)
    desk.receive(C.proposal(BLOCK))
    return desk


def built_on(desk: Desk, order: Apply) -> tuple[bytes, ...]:
    """Apply the block; return what the next one is to record."""
    desk.apply(order, transactions_available=100)
    (build,) = desk.all(BuildBlock)
    assert (build.height, build.view) == (2, 0)
    return build.ballots


def sealed(desk: Desk, seal: Seal, *before: Message) -> Apply:
    desk.receive(*before, seal)
    (order,) = desk.all(Apply)
    return order


def recorded(*ballots: bytes) -> tuple[bytes, ...]:
    return tuple(sorted(ballots, key=ballot_tag))


def test_a_block_records_the_ballots_of_its_proposers_own_seal() -> None:
    desk = second_leader()
    seal = C.seal(BLOCK, banks=range(2, 12))
    order = sealed(desk, seal)
    desk.receive(C.seal(BLOCK), sender=6)
    assert built_on(desk, order) == seal.ballots
    restarted = Desk(C, desk.bank, tip=BLOCK.header, tip_seal=seal, transactions_available=100)
    assert [order.ballots for order in restarted.all(BuildBlock)] == [seal.ballots]


def test_height_1_records_nothing() -> None:
    desk = Desk(C, LEADER, transactions_available=100)
    assert desk.all(BuildBlock) == [BuildBlock(Height(1), View(0), ballots=())]


def test_rejections_of_the_sealed_block_in_the_seals_view_are_recorded() -> None:
    desk = second_leader(verifies_ballots=False)
    desk.receive(C.reject(10, BLOCK), C.reject(11, OTHER), C.reject(8, BLOCK, 1))
    bad = garbage(C.ballot(10, BLOCK, approve=False))
    desk.receive(replace(C.reject(9, BLOCK), ballot=bad), C.seal(BLOCK))
    (question,) = desk.all(VerifyBallots)
    desk.verify(question)
    (order,) = desk.all(Apply)
    (rejections,) = desk.all(VerifyBallots)
    against = C.ballot(10, BLOCK, approve=False)
    assert rejections.ballots == (against, bad)
    desk.verify(rejections)
    assert built_on(desk, order) == recorded(*C.ballots(BLOCK), against)


def test_a_rejection_that_is_not_verified_in_time_is_left_out() -> None:
    desk = second_leader(verifies_ballots=False)
    desk.receive(C.reject(10, BLOCK), C.seal(BLOCK))
    desk.verify(desk.all(VerifyBallots)[0])
    (order,) = desk.all(Apply)
    (late,) = desk.all(VerifyBallots)
    assert built_on(desk, order) == C.ballots(BLOCK)
    assert desk.verify(late) == []


def test_a_rejection_that_comes_while_the_block_is_applied_is_recorded() -> None:
    desk = second_leader()
    order = sealed(desk, C.seal(BLOCK))
    desk.receive(C.reject(10, BLOCK))
    expected = recorded(*C.ballots(BLOCK), C.ballot(10, BLOCK, approve=False))
    assert built_on(desk, order) == expected


def test_a_tag_is_recorded_once() -> None:
    """Bank 3 approved and rejected: the seal's ballot stands, the other one is evidence."""
    desk = second_leader()
    rejections = [C.reject(3, BLOCK), replace(C.reject(4, BLOCK), ballot=None)]
    order = sealed(desk, C.seal(BLOCK), *rejections)
    assert built_on(desk, order) == C.ballots(BLOCK)


# Conflicts.


def kept(desk: Desk) -> list[KeepBallots]:
    assert len(desk.all(KeepBallots)) == len(
        [a for a in desk.all(Alarm) if a.kind is AlarmKind.CONFLICTING_BALLOTS]
    )
    return desk.all(KeepBallots)


def both(first: bytes, second: bytes, view: int = 0) -> KeepBallots:
    return KeepBallots(Height(1), View(view), min(first, second), max(first, second))


def test_e8_a_rejection_and_an_approval_under_one_tag_are_kept_once() -> None:
    desk = second_leader()
    desk.receive(C.reject(3, BLOCK))
    assert desk.all(VerifyBallots) == []
    desk.receive(C.seal(BLOCK))
    assert kept(desk) == [both(C.ballot(3, BLOCK), C.ballot(3, BLOCK, approve=False))]
    assert desk.all(Alarm) == [
        Alarm(
            AlarmKind.CONFLICTING_BALLOTS,
            "a bank cast two ballots at height 1 in view 0; the regulator can tell which",
        )
    ]
    desk.receive(replace(C.reject(5, BLOCK), ballot=C.ballot(3, OTHER, approve=False)))
    desk.receive(C.reject(3, BLOCK))
    assert kept(desk) == []


def test_e8_without_a_seal_both_are_verified_because_they_conflict() -> None:
    desk = Desk(C, ME, verifies_ballots=False)
    desk.receive(C.commit(3, BLOCK), C.reject(3, OTHER))
    (question,) = desk.all(VerifyBallots)
    pair = both(C.ballot(3, BLOCK), C.ballot(3, OTHER, approve=False))
    assert question.ballots == (pair.first, pair.second)
    desk.verify(question)
    assert kept(desk) == [pair]


def test_e8_garbage_under_a_correct_banks_tag_convicts_nobody() -> None:
    desk = Desk(C, ME)
    against = garbage(C.ballot(3, BLOCK, approve=False))
    desk.receive(C.commit(3, BLOCK), replace(C.reject(4, BLOCK), ballot=against))
    assert kept(desk) == []
    assert [(alarm.kind, alarm.bank) for alarm in desk.all(Alarm)] == [(AlarmKind.FALSE_BALLOT, 4)]


def test_what_one_bank_says_in_two_views_is_no_conflict() -> None:
    desk = Desk(C, ME)
    desk.receive(C.reject(3, BLOCK), C.reject(3, OTHER, 1), C.commit(3, BLOCK, 2))
    assert desk.all(VerifyBallots) == []
