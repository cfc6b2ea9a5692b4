"""BFT-12 section 12: what is dropped, and at whose expense."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.consensus.effects import Alarm, AlarmKind, Validate
from node.consensus.messages import Message, SignedStatement
from node.consensus.signatures import SignatureInvalid
from node.ledger.active_set import ActiveSet
from node.ledger.types import BankIndex, Height
from tests.consensus.consortium import Consortium, Desk

C = Consortium(12)
BLOCK = C.block(ids=[1])
ME = 9
FOREIGN = replace(BLOCK, header=replace(BLOCK.header, chain_id=b"x" * 32))
HIGHER = replace(BLOCK, header=replace(BLOCK.header, height=Height(2)))


class CountingVerifier:
    """Counts what reaches the expensive check."""

    def __init__(self) -> None:
        self.calls = 0

    def verify(self, public_key: bytes, message: bytes, signature: bytes) -> None:
        self.calls += 1
        raise SignatureInvalid("nothing verifies here")


@pytest.mark.parametrize(
    ("message", "sender", "refusal"),
    [
        (C.approve(3, BLOCK), 4, "bank 4: a statement of bank 3"),
        (C.timeout(3), 4, "bank 4: a statement of bank 3"),
        (C.approve(3, BLOCK), 12, ""),
        (C.approve(3, BLOCK), ME, ""),
        (C.approve(ME, BLOCK), ME, ""),
        (C.approve(3, BLOCK, 51), 3, ""),
        (C.proposal(FOREIGN), 1, "bank 1: a proposal whose block is of another chain or height"),
        (C.proposal(HIGHER), 1, "bank 1: a proposal whose block is of another chain or height"),
        (C.proposal(BLOCK, bank=2), 2, "bank 2: a proposal by a bank that does not lead its view"),
        (Consortium(12, height=3).approve(3, BLOCK), 3, ""),
    ],
)
def test_dropped_before_any_signature_is_checked(
    message: Message, sender: int, refusal: str
) -> None:
    consortium = Consortium(12)
    verifier = CountingVerifier()
    consortium.verifier = verifier  # type: ignore[assignment]
    desk = Desk(consortium, ME)
    desk.receive(message, sender=sender)
    assert verifier.calls == 0
    assert desk.core.status().last_refusal == refusal
    assert not desk.core.status().has_work


@pytest.mark.parametrize(
    "message",
    [C.proposal(BLOCK), C.approve(1, BLOCK), C.reject(1, BLOCK), C.commit(1, BLOCK), C.timeout(1)],
    ids=["proposal", "approval", "rejection", "commit", "timeout"],
)
def test_a_bad_signature_changes_nothing_but_the_count(message: SignedStatement) -> None:
    desk = Desk(C, ME)
    desk.receive(replace(message, signature=bytes(64)))
    status = desk.core.status()
    assert status.refused == ((1, 1),)
    assert status.last_refusal == "bank 1: a bad signature"
    assert not status.has_work
    assert desk.all(Validate) == []


def test_a_statement_of_an_inactive_bank_is_dropped() -> None:
    members = tuple(member for member in C.active_set.members if member.bank != 3)
    smaller = ActiveSet(members, C.active_set.opener_key)
    desk = Desk(C, ME, active_set=smaller)
    desk.receive(C.timeout(3), C.timeout(0))
    assert desk.core.status().gave_up == ()
    assert desk.core.status().refused == ((0, 1),)


def test_an_inactive_bank_observes_and_signs_nothing() -> None:
    members = tuple(member for member in C.active_set.members if member.bank != ME)
    smaller = ActiveSet(members, C.active_set.opener_key)
    observed = Consortium(12)
    observed.active_set = smaller
    desk = Desk(observed, ME)
    block = observed.block(ids=[1])
    desk.receive(observed.proposal(block), *[observed.timeout(bank) for bank in range(4)])
    assert desk.said() == []
    assert desk.all(Validate) == []
    desk.receive(observed.seal(block, banks=[0, 1, 2, 3, 4, 5, 6, 7, 8, 10]))
    desk.apply()
    assert desk.core.status().height == 2


def test_conflicting_statements_are_kept_and_raise_one_alarm() -> None:
    desk = Desk(C, ME)
    desk.receive(C.commit(3, BLOCK), C.commit(3, C.block(ids=[2])), C.commit(3, C.block(ids=[3])))
    (alarm,) = desk.all(Alarm)
    assert alarm == Alarm(
        AlarmKind.CONFLICTING_STATEMENTS,
        "bank 3 signed conflicting statements at height 1 (E3)",
        bank=BankIndex(3),
    )
    (conflict,) = desk.core.conflicts()
    assert (conflict.first, conflict.second) == (
        replace(C.commit(3, BLOCK), ballot=None),
        replace(C.commit(3, C.block(ids=[2])), ballot=None),
    )


def test_a_late_statement_still_convicts() -> None:
    """BFT-12 section 9: statements of the last three heights are kept."""
    desk = Desk(C, ME)
    desk.receive(C.proposal(BLOCK), C.commit(3, BLOCK))
    desk.receive(C.seal(BLOCK, banks=[0, 1, 2, 3, 4, 5, 6, 7, 8, 10]))
    desk.apply()
    desk.receive(replace(C.commit(3, C.block(ids=[2])), signature=bytes(64)))
    assert desk.core.conflicts() == ()
    desk.receive(C.commit(3, C.block(ids=[2])))
    assert [conflict.bank for conflict in desk.core.conflicts()] == [3]


def test_statements_of_view_50_ahead_are_the_last_that_are_read() -> None:
    desk = Desk(C, ME)
    desk.receive(C.timeout(3, 50))
    assert desk.core.status().has_work
