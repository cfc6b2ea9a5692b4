"""BFT-12 section 9: from an offence that was seen to evidence that every leader can record."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.consensus.accusations import (
    approved_invalid,
    invalid_proposal,
    pair_of,
    rejected_proposal,
)
from node.consensus.effects import Alarm, AlarmKind, BuildBlock, Effect, ExamineEvidence, Validate
from node.consensus.events import (
    Approved,
    BlockApplied,
    BlockBuilt,
    EvidenceExamined,
    Rejected,
    TimerKind,
    TransactionsAvailable,
    Validated,
)
from node.consensus.evidence_items import (
    EvidenceItem,
    SealedInvalid,
    decode_item,
    encode_item,
    key_of,
)
from node.consensus.evidence_pool import MAX_EXAMINATIONS_PER_PEER, MAX_REFUSALS_PER_PEER
from node.consensus.messages import Evidence
from node.consensus.record import RecordInvalid
from node.ledger.blocks import Block
from node.ledger.types import Height, View
from tests.consensus.consortium import Consortium, Desk

C = Consortium(12)
BLOCK, OTHER = C.block(ids=[1]), C.block(ids=[2])
POISON = C.block(ids=[3], invalid=True)
PROOF = b"what shows that the block is invalid"
INVALID = Rejected("spend", deterministic=True, transaction_index=1, proof=PROOF)
ME = 9


def present(item: EvidenceItem | None) -> EvidenceItem:
    assert item is not None
    return item


DOUBLE_VOTE = present(pair_of(C.approve(3, BLOCK), C.approve(3, OTHER)))
E5 = invalid_proposal(C.proposal(POISON), PROOF)
E6 = rejected_proposal(C.proposal(POISON), [C.reject(b, POISON) for b in range(10)], 10)
assert E5 is not None
assert E6 is not None


def examined(desk: Desk) -> list[EvidenceItem]:
    """What the core wanted to have examined in the last step."""
    return [decode_item(effect.item) for effect in desk.all(ExamineEvidence)]


def accept(desk: Desk, item: EvidenceItem) -> list[Effect]:
    return desk.do(EvidenceExamined(encode_item(item), key_of(item)))


def refuse(desk: Desk, item: EvidenceItem, detail: str = "punished") -> list[Effect]:
    return desk.do(EvidenceExamined(encode_item(item), None, detail))


def pending(desk: Desk) -> list[EvidenceItem]:
    return [decode_item(raw) for raw in desk.core._state.evidence.for_block()]


def holding(*items: EvidenceItem) -> Desk:
    """A bank that was told of these items and found them good."""
    desk = Desk(C, ME)
    for item in items:
        desk.receive(Evidence(encode_item(item)))
        accept(desk, item)
    return desk


def test_a_conflict_is_examined_told_to_all_and_makes_a_block_due() -> None:
    desk = Desk(C, ME)
    desk.receive(C.approve(3, BLOCK), C.approve(3, OTHER))
    raw = encode_item(DOUBLE_VOTE)
    assert desk.all(ExamineEvidence) == [ExamineEvidence(raw, C.banks[ME])]
    assert desk.broadcast() == []
    accept(desk, DOUBLE_VOTE)
    assert desk.broadcast() == [Evidence(raw)]
    assert desk.core.status().has_work
    assert accept(desk, DOUBLE_VOTE) == []


def test_two_banks_that_find_one_misdeed_make_one_item() -> None:
    left, right = Desk(C, 4), Desk(C, 5)
    left.receive(C.commit(3, BLOCK), C.commit(3, OTHER))
    right.receive(C.commit(3, OTHER), C.commit(3, BLOCK))
    (first,), (second,) = left.all(ExamineEvidence), right.all(ExamineEvidence)
    assert first.item == second.item


def test_the_item_of_a_peer_is_examined_once_and_passed_on() -> None:
    desk = Desk(C, ME)
    raw = encode_item(DOUBLE_VOTE)
    desk.receive(Evidence(raw), sender=2)
    assert desk.all(ExamineEvidence) == [ExamineEvidence(raw, C.banks[2])]
    assert desk.receive(Evidence(raw), sender=5) == []
    accept(desk, DOUBLE_VOTE)
    assert desk.broadcast() == [Evidence(raw)]
    assert desk.receive(Evidence(raw), sender=6) == []


def test_one_item_for_each_key() -> None:
    other_form = present(pair_of(C.reject(3, BLOCK), C.approve(3, BLOCK)))
    desk = holding(DOUBLE_VOTE)
    assert desk.receive(Evidence(encode_item(other_form))) == []
    assert pending(desk) == [DOUBLE_VOTE]


def test_a_refused_item_is_not_looked_at_again() -> None:
    desk = Desk(C, ME)
    desk.receive(Evidence(encode_item(DOUBLE_VOTE)), sender=5)
    refuse(desk, DOUBLE_VOTE, "the accused was punished for it")
    assert pending(desk) == []
    assert desk.receive(Evidence(encode_item(DOUBLE_VOTE)), sender=6) == []
    status = desk.core.status()
    assert status.refused == ((5, 1),)
    assert status.last_refusal == "bank 5: evidence: the accused was punished for it"


def test_the_leader_offers_what_waits_to_its_block_in_key_order() -> None:
    """Bank 1 leads view 0; evidence alone makes a block due (section 7)."""
    second = present(pair_of(C.commit(2, BLOCK), C.commit(2, OTHER)))
    desk = Desk(C, 1)
    desk.receive(Evidence(encode_item(DOUBLE_VOTE)), Evidence(encode_item(second)))
    accept(desk, DOUBLE_VOTE)
    (order,) = desk.all(BuildBlock)
    assert order.evidence == (encode_item(DOUBLE_VOTE),)
    accept(desk, second)
    desk.do(BlockBuilt(order.height, order.view, None))
    desk.fire(TimerKind.RETRY)
    (order,) = desk.all(BuildBlock)
    assert order.evidence == (encode_item(second), encode_item(DOUBLE_VOTE))


def seal(desk: Desk, block: Block = BLOCK, *punished: EvidenceItem) -> list[Effect]:
    desk.receive(C.proposal(block), C.seal(block))
    keys = tuple(key_of(item) for item in punished)
    return desk.do(BlockApplied(Height(1), block.header, C.active_set, 0, keys))


def test_what_a_block_punished_is_dropped_and_the_rest_stays_due() -> None:
    desk = holding(DOUBLE_VOTE, E5)
    seal(desk, BLOCK, DOUBLE_VOTE)
    assert pending(desk) == [E5]
    assert desk.core.status().has_work
    assert desk.receive(Evidence(encode_item(DOUBLE_VOTE))) == []
    done = holding(DOUBLE_VOTE)
    seal(done, BLOCK, DOUBLE_VOTE)
    assert (pending(done), done.core.status().has_work) == ([], False)


def test_what_waits_is_repeated_with_every_status_in_rotation() -> None:
    items = [
        present(pair_of(C.approve(bank, BLOCK), C.approve(bank, OTHER)))
        for bank in range(12)
        if bank != ME
    ]
    desk = holding(*items)
    repeated = []
    for _ in range(3):
        desk.fire(TimerKind.STATUS)
        told = [message.item for message in desk.sent() if isinstance(message, Evidence)]
        assert len(told) == 16
        repeated += told
    assert set(repeated) == {encode_item(item) for item in items}


def test_what_was_stored_is_taken_up_at_a_restart() -> None:
    desk = Desk(C, ME, evidence=[encode_item(DOUBLE_VOTE)])
    assert pending(desk) == [DOUBLE_VOTE]
    assert desk.core.status().has_work
    assert desk.broadcast() == []
    with pytest.raises(RecordInvalid, match="stored evidence is damaged: unknown kind"):
        Desk(C, ME, evidence=[b"\0"])


def test_an_item_that_is_never_recorded_is_examined_again() -> None:
    """It may have become too old, which only the ledger knows."""
    desk = holding(DOUBLE_VOTE)
    tip = replace(BLOCK.header, height=Height(64))
    state = desk.core._state
    state.begin_height(tip, C.seal(BLOCK), C.active_set)
    state.seal = C.seal(BLOCK)
    header = replace(BLOCK.header, height=Height(65))
    state.seal = replace(state.seal, block_id=header.block_id)
    desk.do(BlockApplied(Height(65), header, C.active_set))
    assert examined(desk) == [DOUBLE_VOTE]
    refuse(desk, DOUBLE_VOTE, "too old")
    assert pending(desk) == []
    assert desk.core.status().refused == ()


def test_an_inactive_bank_takes_part() -> None:
    eleven = Consortium(11).active_set
    desk = Desk(C, 11, active_set=eleven)
    desk.receive(Evidence(encode_item(DOUBLE_VOTE)))
    assert examined(desk) == [DOUBLE_VOTE]
    accept(desk, DOUBLE_VOTE)
    assert desk.broadcast() == [Evidence(encode_item(DOUBLE_VOTE))]
    assert TimerKind.VIEW not in desk.timers


def test_section_12_a_spammer_costs_itself_its_turn() -> None:
    """So many examinations at a time, so many refusals in a period; others are heard."""
    spam = [
        Evidence(encode_item(present(pair_of(C.commit(4, BLOCK, v), C.commit(4, OTHER, v)))))
        for v in range(40)
    ]
    desk = Desk(C, ME)
    desk.receive(*spam, sender=4)
    assert len(desk.all(ExamineEvidence)) == MAX_EXAMINATIONS_PER_PEER
    taken = 0
    for _ in range(20):
        for effect in desk.all(ExamineEvidence):
            desk.do(EvidenceExamined(effect.item, None, "proves nothing"))
            taken += 1
        desk.receive(*spam, sender=4)
    assert taken == MAX_REFUSALS_PER_PEER
    desk.receive(Evidence(encode_item(DOUBLE_VOTE)), sender=5)
    assert examined(desk) == [DOUBLE_VOTE]
    desk.fire(TimerKind.STATUS)
    desk.receive(*spam, sender=4)
    assert len(desk.all(ExamineEvidence)) == MAX_EXAMINATIONS_PER_PEER


def test_malformed_items_and_those_of_later_heights_are_not_examined() -> None:
    desk = Desk(C, ME)
    assert desk.receive(Evidence(b"\x01"), sender=5) == []
    assert desk.core.status().refused == ((5, 1),)
    at_2 = Consortium(12, height=2)
    later = present(pair_of(at_2.approve(3, BLOCK), at_2.approve(3, OTHER)))
    assert desk.receive(Evidence(encode_item(later)), sender=5) == []
    seal(desk)
    desk.receive(Evidence(encode_item(later)), sender=5)
    assert examined(desk) == [later]


# E5 to E7.


def test_e5_from_my_own_verdict_and_the_creators_proposal() -> None:
    desk = Desk(C, ME)
    desk.receive(C.proposal(POISON))
    desk.judge(INVALID)
    assert examined(desk) == [E5]
    assert desk.said() == [C.reject(ME, POISON, index=1)]


def test_e5_needs_the_proof() -> None:
    for verdict in (
        replace(INVALID, proof=None),
        replace(INVALID, reason="clock", deterministic=False),
    ):
        desk = Desk(C, ME)
        desk.receive(C.proposal(POISON))
        desk.judge(verdict)
        assert examined(desk) == []


def test_e5_also_from_a_verdict_that_comes_after_the_height() -> None:
    desk = Desk(C, ME)
    desk.receive(C.proposal(POISON))
    (question,) = desk.all(Validate)
    seal(desk, BLOCK)
    assert desk.core.status().height == 2
    desk.do(Validated(question.ticket, INVALID))
    assert examined(desk) == [E5]


def test_e5_waits_for_the_creators_proposal() -> None:
    """The block came through its certificate; the proposal comes when the height is over."""
    desk = Desk(C, ME)
    desk.receive(C.quorum_certificate(POISON, banks=[b for b in range(11) if b != ME]))
    state = desk.core._state
    state.blocks.offer(POISON, C.banks[2])
    desk.do(TransactionsAvailable(1))
    desk.judge(INVALID)
    assert examined(desk) == []
    assert [alarm.kind for alarm in desk.all(Alarm)] == [AlarmKind.CERTIFIED_INVALID]
    desk.receive(C.proposal(POISON))
    approvals = [approved_invalid(C.approve(bank, POISON), E5) for bank in range(11) if bank != ME]
    assert examined(desk) == [E5, *approvals]


def test_e6_from_a_quorum_of_rejections() -> None:
    desk = Desk(C, ME)
    desk.receive(C.proposal(POISON))
    for bank in range(9):
        desk.receive(C.reject(bank, POISON))
        assert examined(desk) == []
    desk.receive(C.reject(11, POISON, reason="clock"))
    assert examined(desk) == []
    desk.receive(C.reject(10, POISON))
    rejecting = [*range(9), 10]
    votes = [C.reject(bank, POISON) for bank in rejecting]
    assert examined(desk) == [rejected_proposal(C.proposal(POISON), votes, 10)]


def test_e6_is_completed_by_late_votes() -> None:
    desk = Desk(C, ME)
    desk.receive(C.proposal(POISON), *[C.reject(bank, POISON) for bank in range(9)])
    seal(desk, BLOCK)
    assert examined(desk) == []
    desk.receive(C.reject(9 + 1, POISON))
    votes = [C.reject(bank, POISON) for bank in (*range(9), 10)]
    assert examined(desk) == [rejected_proposal(C.proposal(POISON), votes, 10)]


def test_e7_for_every_approval_known_or_coming_later() -> None:
    desk = Desk(C, ME)
    desk.receive(C.proposal(POISON), C.approve(2, POISON))
    desk.judge(INVALID)
    assert examined(desk) == [E5, approved_invalid(C.approve(2, POISON), E5)]
    desk.receive(C.approve(7, POISON))
    assert examined(desk) == [approved_invalid(C.approve(7, POISON), E5)]
    desk.receive(C.approve(7, POISON))
    assert examined(desk) == []


def test_e7_by_evidence_that_others_found() -> None:
    desk = Desk(C, ME)
    desk.receive(C.approve(2, POISON))
    desk.receive(Evidence(encode_item(E6)))
    assert examined(desk) == [E6]
    accept(desk, E6)
    assert examined(desk) == [approved_invalid(C.approve(2, POISON), E6)]


def test_e7_by_a_block_that_was_sealed_although_it_is_invalid() -> None:
    """My host found it valid, as those of all who sealed it; what the seal shows is no opinion."""
    desk = Desk(C, ME)
    desk.receive(C.approve(2, POISON))
    sealed = SealedInvalid.of(POISON.header, C.seal(POISON).published(), PROOF)
    assert sealed is not None
    desk.receive(Evidence(encode_item(sealed)))
    assert examined(desk) == [sealed]
    accept(desk, sealed)
    assert examined(desk) == [approved_invalid(C.approve(2, POISON), sealed)]
    assert pending(desk) == [sealed]
    desk.receive(Evidence(encode_item(E5)))
    assert examined(desk) == []


def test_the_proof_inside_an_e7_convicts_the_creator_too() -> None:
    desk = Desk(C, ME)
    item = present(approved_invalid(C.approve(2, POISON), E5))
    desk.receive(Evidence(encode_item(item)))
    accept(desk, item)
    assert examined(desk) == [E5]


# Late messages.


def test_section_9_late_statements_convict_for_three_heights() -> None:
    desk = Desk(C, ME)
    desk.receive(C.approve(3, BLOCK))
    seal(desk, BLOCK)
    desk.receive(C.approve(3, OTHER))
    assert examined(desk) == [DOUBLE_VOTE]


def test_section_12_a_late_statement_of_any_far_view_is_dropped() -> None:
    desk = Desk(C, ME)
    seal(desk, BLOCK)
    desk.receive(C.commit(3, BLOCK, 60), C.commit(3, OTHER, 60))
    assert examined(desk) == []
    desk.receive(C.commit(3, BLOCK, 50), C.commit(3, OTHER, 50))
    assert len(examined(desk)) == 1


def test_section_1_a_seal_of_another_block_is_reported_and_convicts_its_signers() -> None:
    desk = Desk(C, ME)
    seal(desk, BLOCK)
    fork = C.seal(OTHER, banks=[0, 1, 2, 3, 4, 5, 6, 7, 10, 11])
    desk.receive(fork)
    alarms = desk.all(Alarm)
    assert [alarm.kind for alarm in alarms].count(AlarmKind.CONFLICTING_SEAL) == 1
    assert examined(desk) == [
        pair_of(C.commit(bank, BLOCK), C.commit(bank, OTHER)) for bank in range(8)
    ]
    desk.receive(fork)
    assert desk.all(Alarm) == []


def test_a_late_certificate_is_believed_only_with_its_signatures() -> None:
    desk = Desk(C, ME)
    seal(desk, BLOCK)
    certificate = C.quorum_certificate(OTHER)
    forged = replace(certificate, view=View(1))
    desk.receive(forged)
    assert examined(desk) == []
    assert "late QuorumCertificate" in desk.core.status().last_refusal


# The end of a view waits for the answer to its proposal.


def invalid_proposed() -> Desk:
    desk = Desk(C, ME)
    desk.receive(C.proposal(POISON))
    return desk


def test_r2_v2_a_bank_answers_the_proposal_before_it_follows_others() -> None:
    for others in (
        [C.reject_certificate(POISON)],
        [C.reject(bank, POISON) for bank in (2, 3, 4)],
        [C.timeout(bank) for bank in (2, 3, 4)],
    ):
        desk = invalid_proposed()
        desk.receive(*others)
        assert desk.said() == []
        desk.do(Validated(1, INVALID))
        assert desk.said() == [C.reject(ME, POISON, index=1), C.timeout(ME)]


def test_r2_without_a_proposal_there_is_nothing_to_answer() -> None:
    desk = Desk(C, ME)
    desk.receive(C.reject_certificate(POISON))
    assert desk.said() == [C.timeout(ME)]


def test_v2_the_wait_for_the_verdict_is_bounded_by_t0_and_by_the_view_timer() -> None:
    """A Byzantine leader cannot hold a bank back with transactions that are not to be had."""
    desk = invalid_proposed()
    desk.receive(*[C.timeout(bank) for bank in (2, 3, 4)])
    desk.fire(TimerKind.RETRY)
    assert desk.said() == []
    desk.fire(TimerKind.RETRY)
    assert C.timeout(ME) in desk.said()
    impatient = invalid_proposed()
    impatient.receive(*[C.timeout(bank) for bank in (2, 3, 4)])
    impatient.fire(TimerKind.VIEW)
    assert impatient.said() == [C.timeout(ME)]
    impatient.do(Validated(1, INVALID))
    assert impatient.said() == []  # V1: no vote after the timeout.
    assert examined(impatient) == [E5]  # But what was found out is not lost.


def test_a_valid_block_is_approved_before_the_view_is_given_up() -> None:
    desk = Desk(C, ME)
    desk.receive(C.proposal(BLOCK), *[C.timeout(bank) for bank in (2, 3, 4)])
    desk.do(Validated(1, Approved()))
    assert desk.said() == [C.approve(ME, BLOCK), C.timeout(ME)]
