"""BFT-12 D1, D2: what is written, and when."""

from __future__ import annotations

from node.consensus.effects import Broadcast, Effect, Persist, Send
from node.consensus.events import TimerKind, WorkDue, WorkKind
from node.consensus.messages import SignedStatement
from tests.consensus.consortium import Consortium, Desk

C = Consortium(12)
BLOCK = C.block(ids=[1])
LEADER = C.leader(0)
OTHERS = [bank for bank in C.banks if bank != LEADER]


def a_leaders_height() -> list[Effect]:
    """Everything the leader of height 1 does from the first work to the seal."""
    desk = Desk(C, LEADER)
    effects = desk.do(WorkDue(WorkKind.BIN))
    effects = [*effects, *desk.build(BLOCK)]
    effects += desk.judge()
    effects += desk.receive(*[C.approve(bank, BLOCK) for bank in OTHERS])
    effects += desk.fire(TimerKind.VIEW)
    effects += desk.receive(*[C.commit(bank, BLOCK) for bank in OTHERS])
    return effects


def test_d1_no_statement_leaves_before_a_record_that_holds_it() -> None:
    held: list[SignedStatement | None] = []
    sent = 0
    for effect in a_leaders_height():
        match effect:
            case Persist():
                desk_record = Desk(C, LEADER, record=effect.record).core._state
                held = [
                    desk_record.proposed,
                    desk_record.voted,
                    desk_record.committed,
                    desk_record.timeout,
                ]
            case Send(message=message) | Broadcast(message=message):
                if isinstance(message, SignedStatement):
                    sent += 1
                    assert message in held
            case _:
                pass
    assert sent == 2, "proposal and timeout; vote and commit stay with the leader itself"


def test_d4_points_only_grow_and_bodies_are_written_once() -> None:
    written = [effect for effect in a_leaders_height() if isinstance(effect, Persist)]
    assert [(effect.height, effect.view, effect.step) for effect in written] == [
        (1, 0, 1),
        (1, 0, 2),
        (1, 0, 3),
        (1, 0, 4),
    ]
    assert [effect.bodies for effect in written] == [(BLOCK,), (), (), ()]
