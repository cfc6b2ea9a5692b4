"""What an operator sees."""

from __future__ import annotations

from node.consensus.events import TimerKind
from node.consensus.messages import Status
from node.ledger.types import Height, View
from tests.consensus.consortium import Consortium, Desk

C = Consortium(12)
BLOCK = C.block(ids=[1])
ME = 9


def test_votes_of_the_view() -> None:
    desk = Desk(C, ME)
    desk.receive(
        C.proposal(BLOCK),
        C.approve(0, BLOCK),
        C.reject(3, BLOCK, reason="fee"),
        C.commit(0, BLOCK),
        C.timeout(5),
    )
    status = desk.core.status()
    assert (status.height, status.view, status.leader) == (1, 0, 1)
    assert (status.quorum, status.bank_count) == (10, 12)
    assert status.approved == (0,)
    assert status.rejected == ((3, "fee"),)
    assert status.committed == (0,)
    assert status.gave_up == (5,)
    assert (status.active, status.may_sign, status.sealed, status.behind) == (
        True,
        True,
        False,
        False,
    )


def test_missing_banks_and_the_margin() -> None:
    """Ten of twelve needed: with banks 1 and 2 unheard of nobody else may fail."""
    desk = Desk(C, ME)
    assert desk.core.status().missing == tuple(bank for bank in C.banks if bank != ME)
    here = Status(Height(1), View(0), None, None)
    for _ in range(20):
        for bank in C.banks:
            if bank not in (1, 2, ME):
                desk.receive(here, sender=bank)
        desk.fire(TimerKind.STATUS)
    assert desk.core.status().missing == (1, 2)
    assert desk.core.status().margin == 0
    desk.receive(here, sender=2)
    assert (desk.core.status().missing, desk.core.status().margin) == ((1,), 1)


def test_a_bank_that_fell_silent_is_missing_after_a_round() -> None:
    desk = Desk(C, ME)
    here = Status(Height(1), View(0), None, None)
    desk.receive(here, sender=3)
    heard = []
    for _ in range(10):
        heard.append(3 not in desk.core.status().missing)
        desk.fire(TimerKind.STATUS)
    assert heard == [True] * 8 + [False] * 2


def test_behind() -> None:
    desk = Desk(C, ME)
    desk.receive(Status(Height(7), View(0), None, None))
    assert desk.core.status().behind
