"""BFT-12 section 11: following those ahead, helping those behind, trusting neither."""

from __future__ import annotations

from dataclasses import replace

from node.consensus.accusations import pair_of
from node.consensus.balloting import DISTRUSTED_FOR
from node.consensus.catch_up import SERVED_PER_GAP
from node.consensus.effects import (
    Apply,
    ExamineEvidence,
    Send,
    ServeBlocks,
    SetTimer,
    VerifyBallots,
)
from node.consensus.events import (
    ApplyFailed,
    BlockApplied,
    BlocksLoaded,
    BodyUnusable,
    TimerKind,
)
from node.consensus.evidence_items import encode_item
from node.consensus.messages import (
    MAX_SYNC_BLOCKS,
    MAX_SYNC_BYTES,
    BlockRequest,
    BlockResponse,
    SealedBlock,
    Status,
    SyncRequest,
    SyncResponse,
)
from node.ledger.active_set import ActiveSet
from node.ledger.blocks import Block
from node.ledger.types import Height, View
from tests.consensus import toy_ledger
from tests.consensus.consortium import Consortium, Desk

C = Consortium(12)
ME = 11


def chain(length: int) -> list[SealedBlock]:
    """Sealed blocks from height 1 on."""
    parent, blocks = C.genesis, []
    for height in range(1, length + 1):
        block = toy_ledger.build(parent, view=0, proposer=height % 12)
        blocks.append(SealedBlock(block, Consortium(12, height=height).seal(block)))
        parent = block.header
    return blocks


CHAIN = chain(25)


def lazy(bank: int = ME) -> Desk:
    """A desk at which the test answers when ballots are to be verified."""
    return Desk(C, bank, verifies_ballots=False)


def status(height: int) -> Status:
    return Status(Height(height), View(0), None, None)


def response(first: int, last: int, *, top: int = 25) -> SyncResponse:
    return SyncResponse(tuple(CHAIN[first - 1 : last]), Height(top))


def requests(desk: Desk) -> list[tuple[int, int]]:
    return [
        (effect.to, effect.message.from_height)
        for effect in desk.all(Send)
        if isinstance(effect.message, SyncRequest)
    ]


def apply_all(desk: Desk) -> int:
    """Apply whatever the core orders until it orders no more; return how many."""
    count = 0
    while desk.all(Apply):
        desk.apply()
        count += 1
    return count


def at_height(height: int) -> Desk:
    """A desk whose tip is one below `height`."""
    tip = CHAIN[height - 2]
    return Desk(C, ME, tip=tip.block.header, tip_seal=tip.seal)


def test_a_peer_far_ahead_is_asked_at_once_and_in_order() -> None:
    desk = Desk(C, ME)
    desk.receive(status(26), sender=4)
    assert requests(desk) == [(4, 1)]
    desk.receive(response(1, 20), sender=4)
    assert applied_and_asked(desk, 9) == []
    assert applied_and_asked(desk, 11) == [(4, 21)]
    assert not desk.all(Apply)
    desk.receive(response(21, 25), sender=4)
    assert applied_and_asked(desk, 5) == []
    assert desk.core.status().height == 26


def applied_and_asked(desk: Desk, count: int) -> list[tuple[int, int]]:
    """Apply so many blocks; return what was asked for meanwhile."""
    asked = []
    for _ in range(count):
        assert desk.all(Apply)
        desk.apply()
        asked += requests(desk)
    return asked


def test_the_next_blocks_are_asked_for_while_the_last_are_being_applied() -> None:
    desk = Desk(C, ME)
    desk.receive(status(26), sender=4)
    desk.receive(response(1, 20), sender=4)
    assert applied_and_asked(desk, 10) == [(4, 21)]
    (order,) = desk.all(Apply)
    desk.receive(response(21, 25), sender=5)
    desk.receive(response(22, 25), sender=4)
    desk.receive(response(21, 25), sender=4)
    desk.receive(response(21, 25), sender=4)
    assert not desk.all(Apply)
    desk.do(BlockApplied(order.block.height, order.block.header, C.active_set))
    assert applied_and_asked(desk, 14) == []
    assert desk.core.status().height == 26


def test_a_peer_one_height_ahead_is_asked_after_a_moment() -> None:
    desk = Desk(C, ME)
    desk.receive(status(2), sender=4)
    assert requests(desk) == []
    assert desk.timers[TimerKind.SYNC].delay_ms == 100
    desk.fire(TimerKind.SYNC)
    assert requests(desk) == [(4, 1)]


def test_at_most_one_question_at_a_time() -> None:
    desk = Desk(C, ME)
    desk.receive(status(26), sender=4)
    desk.receive(status(26), sender=5)
    desk.receive(status(27), sender=6)
    assert requests(desk) == []


def test_peers_are_rotated_on_no_progress() -> None:
    desk = Desk(C, ME)
    for peer in (4, 5, 6):
        desk.receive(status(26), sender=peer)
    asked = []
    for _ in range(2):
        desk.fire(TimerKind.SYNC)
        asked += requests(desk)
    assert asked == [(5, 1), (6, 1)]
    desk.fire(TimerKind.SYNC)
    assert requests(desk) == []
    desk.receive(status(26), sender=4)
    assert requests(desk) == [(4, 1)]


def test_a_false_seal_applies_nothing_and_the_next_peer_is_asked() -> None:
    good = CHAIN[0]
    weak = replace(good.seal, signatures=good.seal.signatures[:9])
    other = toy_ledger.build(C.genesis, view=0, proposer=5)
    for forged, why in (
        (SealedBlock(good.block, weak), "9 signatures where 10 are required"),
        (SealedBlock(other, good.seal), "the seal is of another block"),
        (CHAIN[1], "the seal is of another height"),
    ):
        desk = Desk(C, ME)
        desk.receive(status(26), sender=4)
        desk.receive(status(26), sender=5)
        desk.receive(SyncResponse((forged,), Height(25)), sender=4)
        assert desk.all(Apply) == []
        assert desk.core.status().last_refusal == f"bank 4: sealed block: {why}"
        desk.fire(TimerKind.SYNC)
        assert requests(desk) == [(5, 1)]


def test_blocks_already_applied_are_skipped() -> None:
    desk = at_height(3)
    desk.receive(response(1, 4), sender=4)
    assert [order.block for order in desk.all(Apply)] == [CHAIN[2].block]
    assert apply_all(desk) == 2


def test_a_true_seal_with_a_forged_copy_stalls_nobody() -> None:
    good = CHAIN[0]
    forged = Block(good.block.header, (), (), (toy_ledger.transaction_id(9),))
    desk = Desk(C, ME)
    desk.receive(SyncResponse((SealedBlock(forged, good.seal),), Height(25)), sender=4)
    (order,) = desk.all(Apply)
    desk.do(ApplyFailed(order.ticket, BodyUnusable("forged")))
    assert desk.sent() == [BlockRequest(Height(1), good.block.block_id)] * 3
    desk.receive(response(1, 2), sender=5)
    assert [order.block for order in desk.all(Apply)] == [good.block]
    assert apply_all(desk) == 2


def test_a_laggard_is_served_what_it_asks_for_once_per_moment() -> None:
    desk = at_height(20)
    desk.receive(SyncRequest(Height(3)), sender=4)
    assert desk.all(ServeBlocks) == [ServeBlocks(C.banks[4], Height(3))]
    desk.receive(SyncRequest(Height(3)), sender=4)
    assert desk.all(ServeBlocks) == []
    desk.receive(SyncRequest(Height(3)), sender=5)
    desk.receive(SyncRequest(Height(10)), sender=4)
    assert desk.all(ServeBlocks) == [ServeBlocks(C.banks[4], Height(10))]
    desk.fire(TimerKind.SERVE)
    desk.receive(SyncRequest(Height(3)), sender=4)
    assert desk.all(ServeBlocks) == [ServeBlocks(C.banks[4], Height(3))]


def test_section_12_a_flood_of_rising_requests_is_answered_a_few_times_a_moment() -> None:
    """Each answer reads 20 blocks: asking from every height in turn must not read the chain."""
    desk = at_height(20)
    served = []
    for height in range(1, 20):
        desk.receive(SyncRequest(Height(height)), sender=4)
        served += desk.all(ServeBlocks)
    assert served == [
        ServeBlocks(C.banks[4], Height(height)) for height in range(1, SERVED_PER_GAP + 1)
    ]
    desk.receive(SyncRequest(Height(19)), sender=5)
    assert desk.all(ServeBlocks) == [ServeBlocks(C.banks[5], Height(19))]
    desk.fire(TimerKind.SERVE)
    desk.receive(SyncRequest(Height(19)), sender=4)
    assert desk.all(ServeBlocks) == [ServeBlocks(C.banks[4], Height(19))]


def test_nothing_is_served_that_is_not_sealed_here() -> None:
    desk = at_height(20)
    for height in (0, 20, 99):
        desk.receive(SyncRequest(Height(height)), sender=4)
        assert desk.effects == []


def test_a_response_has_at_most_20_blocks_and_2_mebibytes_but_at_least_one_block() -> None:
    desk = at_height(26)
    desk.do(BlocksLoaded(C.banks[4], tuple(CHAIN)))
    assert desk.sent(4) == [SyncResponse(tuple(CHAIN[:MAX_SYNC_BLOCKS]), Height(25))]

    evidence = (bytes(1 << 20),)
    large = [replace(item, block=replace(item.block, evidence=evidence)) for item in CHAIN[:3]]
    desk.do(BlocksLoaded(C.banks[4], tuple(large)))
    assert desk.sent(4) == [SyncResponse((large[0],), Height(25))]
    huge = replace(CHAIN[0], block=replace(CHAIN[0].block, evidence=evidence * 3))
    assert len(huge.block.encode()) > MAX_SYNC_BYTES
    desk.do(BlocksLoaded(C.banks[4], (huge, CHAIN[1])))
    assert desk.sent(4) == [SyncResponse((huge,), Height(25))]


def test_a_late_message_is_answered_when_it_is_repeated_and_a_call_for_help_at_once() -> None:
    desk = at_height(20)
    at_19 = Consortium(12, height=19)
    block = CHAIN[18].block
    desk.receive(at_19.approve(4, block))
    assert desk.effects == []
    desk.receive(at_19.commit(4, block))
    assert desk.all(ServeBlocks) == [ServeBlocks(C.banks[4], Height(19))]
    desk.receive(at_19.timeout(5))
    assert desk.all(ServeBlocks) == [ServeBlocks(C.banks[5], Height(19))]
    desk.receive(status(12), sender=6)
    assert desk.all(ServeBlocks) == [ServeBlocks(C.banks[6], Height(12))]


def test_messages_for_the_next_height_wait_and_are_replayed_after_the_seal() -> None:
    first = CHAIN[0]
    second = CHAIN[1].block
    at_2 = Consortium(12, height=2)
    desk = Desk(C, ME)
    desk.receive(C.proposal(first.block))
    desk.receive(at_2.proposal(second), *[at_2.timeout(bank) for bank in (3, 4, 5)])
    desk.receive(Consortium(12, height=3).timeout(6))
    assert desk.said() == []
    desk.receive(first.seal)
    desk.apply()
    assert desk.core.status().height == 2
    assert desk.core.status().gave_up == (3, 4, 5)
    desk.judge()  # It answers the proposal, and then joins those who gave up.
    assert desk.said() == [at_2.approve(ME, second), at_2.timeout(ME)]


def test_the_next_proposal_brings_the_seal_that_was_missed() -> None:
    first, second = CHAIN[0], CHAIN[1].block
    at_2 = Consortium(12, height=2)
    desk = Desk(C, ME)
    desk.receive(C.proposal(first.block))
    desk.receive(at_2.proposal(second, parent_seal=first.seal))
    assert [order.block for order in desk.all(Apply)] == [first.block]
    assert requests(desk) == []


def test_a_false_parent_seal_seals_nothing() -> None:
    first, second = CHAIN[0], CHAIN[1].block
    weak = replace(first.seal, signatures=first.seal.signatures[:9])
    desk = Desk(C, ME)
    desk.receive(C.proposal(first.block))
    desk.receive(Consortium(12, height=2).proposal(second, parent_seal=weak))
    assert desk.all(Apply) == []
    assert desk.core.status().last_refusal == (
        "bank 2: parent seal: 9 signatures where 10 are required"
    )


def test_a_bank_whose_seal_is_being_applied_asks_nobody() -> None:
    first = CHAIN[0]
    desk = Desk(C, ME)
    desk.receive(C.proposal(first.block), first.seal, status(2))
    desk.fire(TimerKind.SYNC)
    assert requests(desk) == []
    assert SetTimer(TimerKind.SYNC, 2, 1_000) in desk.effects


def test_a_block_of_this_height_is_given_once_per_moment() -> None:
    block = CHAIN[0].block
    desk = Desk(C, ME)
    request = BlockRequest(Height(1), block.block_id)
    desk.receive(request, sender=4)
    assert desk.effects == []
    desk.receive(C.proposal(block))
    desk.receive(request, request, sender=4)
    assert desk.sent(4) == [BlockResponse(block)]
    desk.fire(TimerKind.SERVE)
    desk.receive(request, sender=4)
    assert desk.sent(4) == [BlockResponse(block)]


def test_a_block_of_a_sealed_height_comes_with_its_seal() -> None:
    desk = at_height(20)
    desk.receive(BlockRequest(Height(7), CHAIN[6].block.block_id), sender=4)
    assert desk.all(ServeBlocks) == [ServeBlocks(C.banks[4], Height(7))]


def test_section_9_two_conflicting_messages_for_the_next_height_convict() -> None:
    """What waits for the seal waits with what contradicts it."""
    at_2 = Consortium(12, height=2)
    other = at_2.block(ids=[99])
    desk = Desk(C, ME)
    desk.receive(at_2.approve(3, CHAIN[1].block), at_2.approve(3, other))
    desk.receive(C.proposal(CHAIN[0].block), CHAIN[0].seal)
    desk.apply()
    (effect,) = desk.all(ExamineEvidence)
    item = pair_of(at_2.approve(3, CHAIN[1].block), at_2.approve(3, other))
    assert item is not None
    assert effect.item == encode_item(item)


def test_section_17_the_ballots_of_the_next_seal_are_verified_while_a_block_is_applied() -> None:
    desk = lazy()
    desk.receive(status(26))
    desk.receive(response(1, 20))
    (first,) = desk.all(VerifyBallots)
    assert (first.height, first.ballots) == (1, CHAIN[0].seal.ballots)
    assert desk.all(Apply) == []
    desk.receive(status(26))
    assert desk.all(VerifyBallots) == []
    desk.verify(first)
    (order,) = desk.all(Apply)
    for height in range(2, 15):
        (ahead,) = desk.all(VerifyBallots)
        assert (ahead.height, ahead.ballots) == (height, CHAIN[height - 1].seal.ballots)
        if height % 2:
            desk.verify(ahead)
            assert desk.effects == []
            desk.apply(order)
        else:  # The block is applied first.
            desk.apply(order)
            assert desk.all(Apply) == desk.all(VerifyBallots) == []
            desk.verify(ahead)
        (order,) = desk.all(Apply)
        assert (order.block, order.seal) == (CHAIN[height - 1].block, CHAIN[height - 1].seal)


def test_section_10_nothing_is_verified_ahead_of_a_block_that_changes_the_set() -> None:
    changed = replace(CHAIN[0].block.header, next_set_hash=bytes(32))
    block = replace(CHAIN[0].block, header=changed)
    desk = lazy()
    desk.receive(status(26))
    first = SealedBlock(block, Consortium(12, height=1).seal(block))
    desk.receive(SyncResponse((first, *CHAIN[1:5]), Height(25)))
    desk.verify(desk.all(VerifyBallots)[0])
    assert len(desk.all(Apply)) == 1
    assert desk.all(VerifyBallots) == []


def test_section_10_what_was_verified_for_another_set_is_verified_again() -> None:
    desk = lazy()
    desk.receive(status(26))
    desk.receive(response(1, 5))
    desk.verify(desk.all(VerifyBallots)[0])
    (order,) = desk.all(Apply)
    desk.verify(desk.all(VerifyBallots)[0])
    smaller = ActiveSet(C.active_set.members[:11], C.active_set.opener_key)
    desk.do(BlockApplied(Height(1), order.block.header, smaller))
    assert desk.all(Apply) == []
    assert "sealed block" in desk.core.status().last_refusal


def with_a_false_ballot(item: SealedBlock) -> SealedBlock:
    first, *rest = item.seal.ballots
    return SealedBlock(item.block, replace(item.seal, ballots=(first[:-1] + b"?", *rest)))


def test_section_17_a_sealed_block_with_false_ballots_applies_nothing() -> None:
    desk = lazy()
    desk.receive(status(26), sender=2)
    false = with_a_false_ballot(CHAIN[0])
    desk.receive(SyncResponse((false, *CHAIN[1:5]), Height(25)), sender=2)
    (question,) = desk.all(VerifyBallots)
    desk.receive(status(26), sender=3)
    desk.verify(question)
    assert desk.all(Apply) == []
    assert desk.core.status().last_refusal == (
        "bank 2: sealed block: its source brought ballots that do not hold"
    )
    desk.fire(TimerKind.SYNC)
    assert requests(desk) == [(3, 1)]
    desk.receive(response(1, 20), sender=3)
    (again,) = desk.all(VerifyBallots)
    assert again.ballots == CHAIN[0].seal.ballots[:1], "the others hold"
    desk.verify(again)
    assert [order.source for order in desk.all(Apply)] == [3]


def test_section_12_a_source_of_false_ballots_is_heard_again_after_a_while() -> None:
    desk = Desk(C, ME)
    desk.receive(with_a_false_ballot(CHAIN[0]).seal, sender=5)
    tips = chain(DISTRUSTED_FOR + 2)
    for item in tips[:DISTRUSTED_FOR]:
        desk.receive(item.seal, sender=5)
        assert not desk.core.status().sealed
        desk.receive(item.seal, sender=6)
        desk.receive(BlockResponse(item.block), sender=6)
        desk.apply()
    desk.receive(tips[DISTRUSTED_FOR].seal, sender=5)
    assert desk.core.status().sealed
