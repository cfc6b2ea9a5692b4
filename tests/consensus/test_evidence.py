"""BFT-12 section 9: which pairs convict, which do not, and what is kept of them."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from node.consensus.accusations import offence_of
from node.consensus.evidence import Conflict, StatementLog
from node.consensus.statements import SignedStatement
from node.ledger.offences import Offence
from node.ledger.types import BankIndex, Height
from tests.consensus.consortium import Consortium

C = Consortium(12)
BLOCK, OTHER = C.block(), C.block(ids=[1])
QC = C.quorum_certificate(BLOCK)

OFFENCES: list[tuple[Offence, SignedStatement, SignedStatement]] = [
    (Offence.DOUBLE_VOTE, C.approve(3, BLOCK), C.approve(3, OTHER)),
    (Offence.DOUBLE_VOTE, C.approve(3, BLOCK), C.reject(3, BLOCK)),
    (Offence.DOUBLE_PROPOSAL, C.proposal(BLOCK), C.proposal(OTHER)),
    (Offence.DOUBLE_COMMIT, C.commit(3, BLOCK), C.commit(3, OTHER)),
    (Offence.LOCK_VIOLATION, C.commit(3, BLOCK, 2), C.timeout(3, 2, claim=1)),
    (Offence.LOCK_VIOLATION, C.commit(3, BLOCK, 2), C.timeout(3, 9, claim=-1)),
]
INNOCENT: list[tuple[SignedStatement, SignedStatement]] = [
    (C.approve(3, BLOCK), C.approve(3, BLOCK)),
    (C.approve(3, BLOCK, 0), C.approve(3, OTHER, 1)),
    (C.reject(3, BLOCK, reason="fee"), C.reject(3, BLOCK, reason="spend")),
    (C.commit(3, BLOCK, 0), C.commit(3, OTHER, 1)),
    (C.timeout(3, 1, claim=-1), C.timeout(3, 1, claim=0)),
    (C.commit(3, BLOCK, 2), C.timeout(3, 2, claim=2)),
    (C.commit(3, BLOCK, 2), C.timeout(3, 1, claim=-1)),
    (C.approve(3, BLOCK), C.commit(3, OTHER)),
]


@pytest.mark.parametrize(("offence", "first", "second"), OFFENCES)
def test_offences(offence: Offence, first: SignedStatement, second: SignedStatement) -> None:
    for left, right in permutations((first, second)):
        assert offence_of(left, right) is offence
        log = StatementLog()
        assert log.observe(left) == []
        (conflict,) = log.observe(right)
        assert (conflict.offence, conflict.bank, conflict.height) == (offence, first.bank, 1)
        assert log.observe(right) == []
        assert log.conflicts() == (conflict,)


@pytest.mark.parametrize(("first", "second"), INNOCENT)
def test_what_convicts_nobody(first: SignedStatement, second: SignedStatement) -> None:
    for left, right in permutations((first, second)):
        log = StatementLog()
        assert [*log.observe(left), *log.observe(right)] == []


def test_attachments_are_dropped() -> None:
    log = StatementLog()
    log.observe(C.proposal(BLOCK, quorum=QC))
    (conflict,) = log.observe(C.proposal(OTHER, parent_seal=C.seal(BLOCK)))
    for statement in (conflict.first, conflict.second):
        assert statement.signature
        assert statement.block.transaction_ids == ()  # type: ignore[union-attr]
        assert statement.quorum_certificate is None  # type: ignore[union-attr]
        assert statement.parent_seal is None  # type: ignore[union-attr]


def test_certificates_convict_their_signers() -> None:
    log = StatementLog()
    assert log.observe_quorum_certificate(QC) == []
    found = log.observe_quorum_certificate(C.quorum_certificate(OTHER, banks=range(2, 12)))
    assert [(c.offence, c.bank) for c in found] == [
        (Offence.DOUBLE_VOTE, bank) for bank in range(2, 10)
    ]
    assert log.observe_seal(C.seal(BLOCK, 1)) == []
    found = log.observe_timeout_certificate(C.timeout_certificate(1))
    assert [(c.offence, c.bank) for c in found] == [
        (Offence.LOCK_VIOLATION, bank) for bank in range(10)
    ]
    found = log.observe_reject_certificate(C.reject_certificate(BLOCK, banks=[0, 10, 11]))
    assert found == [
        Conflict(
            Offence.DOUBLE_VOTE,
            BankIndex(bank),
            Height(1),
            first,
            replace(C.reject(bank, BLOCK), ballot=None),
        )
        for bank, first in (
            (0, C.approve(0, BLOCK)),
            (10, C.approve(10, OTHER)),
            (11, C.approve(11, OTHER)),
        )
    ]


def test_old_heights_are_forgotten_and_conflicts_kept() -> None:
    log = StatementLog()
    log.observe(C.approve(3, BLOCK))
    (conflict,) = log.observe(C.approve(3, OTHER))
    log.forget_below(Height(2))
    assert log.observe(C.commit(4, BLOCK)) == []
    assert log.observe(C.approve(5, OTHER)) == []
    assert log.conflicts() == (conflict,)
    log.forget_below(Height(1001))
    assert log.conflicts() == (conflict,)
    log.forget_below(Height(1002))
    assert log.conflicts() == ()
