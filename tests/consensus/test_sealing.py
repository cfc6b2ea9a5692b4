"""BFT-12 P7: a seal is applied, whatever it takes to get the block, or the bank halts."""

from __future__ import annotations

from dataclasses import replace

from node.consensus.effects import Alarm, AlarmKind, Apply, Send, ServeBlocks
from node.consensus.events import (
    ApplyFailed,
    BodyUnusable,
    Rejected,
    TimerKind,
    TransactionsAvailable,
)
from node.consensus.messages import (
    BlockRequest,
    BlockResponse,
    SealedBlock,
    SyncRequest,
    SyncResponse,
)
from node.ledger.types import Height
from tests.consensus import toy_ledger
from tests.consensus.consortium import Consortium, Desk

C = Consortium(12)
BLOCK = C.block(ids=[1])
FORGED = replace(BLOCK, transaction_ids=(toy_ledger.transaction_id(77),))
SEAL = C.seal(BLOCK)
ME = 11


def test_p7_a_seal_is_applied_and_the_next_height_begins() -> None:
    desk = Desk(C, ME)
    desk.receive(C.proposal(BLOCK))
    desk.receive(SEAL)
    (order,) = desk.all(Apply)
    assert (order.block, order.seal, order.source) == (BLOCK, SEAL, 2)
    desk.apply(transactions_available=3)
    status = desk.core.status()
    assert (status.height, status.view, status.has_work) == (2, 0, True)


def test_p7_the_block_of_a_seal_is_fetched_from_those_who_committed() -> None:
    desk = Desk(C, ME)
    desk.receive(SEAL)
    asked = []
    for _ in range(4):
        asked += [e.to for e in desk.all(Send) if isinstance(e.message, BlockRequest)]
        desk.fire(TimerKind.FETCH)
    assert asked[:10] == list(range(10))
    desk.receive(BlockResponse(BLOCK))
    assert [order.block for order in desk.all(Apply)] == [BLOCK]


def test_p7_an_unusable_copy_is_replaced_and_halts_nobody() -> None:
    desk = Desk(C, ME)
    desk.receive(SEAL)
    desk.receive(BlockResponse(FORGED))
    (order,) = desk.all(Apply)
    desk.do(ApplyFailed(order.ticket, BodyUnusable("forged")))
    assert desk.sent() == [BlockRequest(Height(1), BLOCK.block_id)] * 3
    desk.receive(BlockResponse(BLOCK))
    assert [order.block for order in desk.all(Apply)] == [BLOCK]


def test_p7_a_sealed_block_that_is_invalid_here_halts_the_bank() -> None:
    desk = Desk(C, ME)
    desk.receive(C.proposal(BLOCK))
    desk.receive(SEAL)
    (order,) = desk.all(Apply)
    desk.do(ApplyFailed(order.ticket, Rejected("state-root", deterministic=True)))
    text = f"sealed block {BLOCK.block_id.hex()} at height 1 is invalid here: state-root"
    assert desk.all(Alarm) == [Alarm(AlarmKind.SEALED_INVALID, text, BLOCK.block_id)]
    status = desk.core.status()
    assert (status.halted, status.may_sign, status.height) == (text, False, 1)


def test_p7_a_halted_bank_serves_what_it_has_and_nothing_else() -> None:
    desk = Desk(C, ME)
    desk.receive(C.proposal(BLOCK))
    desk.receive(SEAL)
    desk.apply()
    second = toy_ledger.build(BLOCK.header, view=0, proposer=2)
    C2 = Consortium(12, height=2)
    desk.receive(C2.seal(second), BlockResponse(second))
    (order,) = desk.all(Apply)
    desk.do(ApplyFailed(order.ticket, Rejected("state-root", deterministic=True)))
    desk.receive(SyncRequest(Height(1)), sender=5)
    assert desk.all(ServeBlocks) == [ServeBlocks(C.banks[5], Height(1))]
    desk.receive(
        C2.proposal(second),
        *[C2.timeout(bank) for bank in range(10)],
        SyncResponse((SealedBlock(second, C2.seal(second)),), Height(9)),
    )
    desk.do(TransactionsAvailable(100))
    assert desk.effects == []


def test_p7_an_answer_to_an_earlier_order_is_ignored() -> None:
    desk = Desk(C, ME)
    desk.receive(C.proposal(BLOCK))
    desk.receive(SEAL)
    (order,) = desk.all(Apply)
    desk.do(ApplyFailed(order.ticket + 1, Rejected("state-root", deterministic=True)))
    assert desk.core.status().halted is None
