"""First-seen signed statements of the last heights, and the pairs that convict (BFT-12 9).

Nothing is punished here. The log keeps, for every bank, height and view, the first statement of
each type and the first one that conflicts with it, so that late messages still convict. Only
statements whose signature was checked may enter; attachments are dropped, signatures suffice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from node.consensus.certificates import (
    QuorumCertificate,
    RejectCertificate,
    Seal,
    TimeoutCertificate,
)
from node.consensus.signing import Decision, StatementType
from node.consensus.statements import Commit, Proposal, SignedStatement, Timeout, Vote
from node.ledger.blocks import Block
from node.ledger.types import BankIndex, Height, View

EVIDENCE_WINDOW = 1000
"""EV_WINDOW of BFT-12 section 1: heights during which evidence is accepted."""


class Offence(StrEnum):
    """Offences that two signatures prove."""

    DOUBLE_VOTE = "E1"
    DOUBLE_PROPOSAL = "E2"
    DOUBLE_COMMIT = "E3"
    LOCK_VIOLATION = "E4"


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two statements of one bank that no correct bank signs."""

    offence: Offence
    bank: BankIndex
    height: Height
    first: SignedStatement
    second: SignedStatement


_Key = tuple[StatementType, View]


class StatementLog:
    """The statements of the last heights by height and bank."""

    def __init__(self) -> None:
        self._heights: dict[Height, dict[BankIndex, dict[_Key, SignedStatement]]] = {}
        self._conflicts: dict[tuple[Offence, BankIndex, Height], Conflict] = {}

    def conflicts(self) -> tuple[Conflict, ...]:
        """Return one conflict for each offence, bank and height, in order of discovery."""
        return tuple(self._conflicts.values())

    def statements(self) -> tuple[SignedStatement, ...]:
        """Return every statement kept, without attachments: after a fork the logs of several
        banks are pooled, because no single one need hold both halves of a conflict."""
        return tuple(
            statement
            for by_bank in self._heights.values()
            for of_bank in by_bank.values()
            for statement in of_bank.values()
        )

    def forget_below(self, height: Height) -> None:
        """Drop statements of lower heights, and conflicts too old to be accepted anywhere."""
        for old in [known for known in self._heights if known < height]:
            del self._heights[old]
        for key in [key for key in self._conflicts if key[2] < height - EVIDENCE_WINDOW]:
            del self._conflicts[key]

    def observe(self, statement: SignedStatement) -> list[Conflict]:
        """Keep a verified statement; return the new conflicts that it completes."""
        of_bank = self._heights.setdefault(statement.height, {}).setdefault(statement.bank, {})
        kind = _type_of(statement)
        first = of_bank.get((kind, statement.view))
        if first is None:
            statement = _without_attachments(statement)
            of_bank[kind, statement.view] = statement
        elif first.signature == statement.signature:
            return []
        found = []
        for other in of_bank.values():
            offence = offence_of(other, statement)
            if offence is not None:
                found += self._record(offence, other, _without_attachments(statement))
        return found

    def observe_quorum_certificate(self, certificate: QuorumCertificate) -> list[Conflict]:
        """Keep the approvals inside a verified certificate."""
        height, view, block_id = certificate.height, certificate.view, certificate.block_id
        return self._observe_all(
            [
                Vote(
                    entry.bank, height, view, block_id, Decision.APPROVE, "", None, entry.signature
                )
                for entry in certificate.signatures
            ]
        )

    def observe_reject_certificate(self, certificate: RejectCertificate) -> list[Conflict]:
        """Keep the rejections inside a verified certificate."""
        height, view, block_id = certificate.height, certificate.view, certificate.block_id
        return self._observe_all(
            [
                Vote(
                    entry.bank,
                    height,
                    view,
                    block_id,
                    Decision.REJECT,
                    entry.reason,
                    entry.transaction_index,
                    entry.signature,
                )
                for entry in certificate.entries
            ]
        )

    def observe_timeout_certificate(self, certificate: TimeoutCertificate) -> list[Conflict]:
        """Keep the timeouts inside a verified certificate."""
        return self._observe_all(
            [
                Timeout(
                    entry.bank,
                    certificate.height,
                    certificate.view,
                    entry.highest_view,
                    None,
                    None,
                    entry.signature,
                )
                for entry in certificate.entries
            ]
        )

    def observe_seal(self, seal: Seal) -> list[Conflict]:
        """Keep the commits inside a verified seal."""
        return self._observe_all(
            [
                Commit(entry.bank, seal.height, seal.view, seal.block_id, entry.signature)
                for entry in seal.signatures
            ]
        )

    def _observe_all(self, statements: list[SignedStatement]) -> list[Conflict]:
        return [conflict for statement in statements for conflict in self.observe(statement)]

    def _record(
        self, offence: Offence, first: SignedStatement, second: SignedStatement
    ) -> list[Conflict]:
        key = (offence, first.bank, first.height)
        if key in self._conflicts:
            return []
        conflict = Conflict(offence, first.bank, first.height, first, second)
        self._conflicts[key] = conflict
        return [conflict]


def offence_of(first: SignedStatement, second: SignedStatement) -> Offence | None:
    """Return what two statements of one bank at one height prove (BFT-12 E1-E4), if anything.

    A timeout repeated with a higher claim, or a vote for another block in a later view, is none.
    """
    match first, second:
        case Vote(), Vote():
            same = (first.block_id, first.decision) == (second.block_id, second.decision)
            return None if first.view != second.view or same else Offence.DOUBLE_VOTE
        case Proposal(), Proposal():
            same_block = first.block.block_id == second.block.block_id
            return None if first.view != second.view or same_block else Offence.DOUBLE_PROPOSAL
        case Commit(), Commit():
            differs = first.view == second.view and first.block_id != second.block_id
            return Offence.DOUBLE_COMMIT if differs else None
        case Commit() as commit, Timeout() as timeout:
            return _lock_violation(commit, timeout)
        case Timeout() as timeout, Commit() as commit:
            return _lock_violation(commit, timeout)
        case _:
            return None


def _lock_violation(commit: Commit, timeout: Timeout) -> Offence | None:
    forgot = timeout.view >= commit.view and timeout.highest_view < commit.view
    return Offence.LOCK_VIOLATION if forgot else None


def _type_of(statement: SignedStatement) -> StatementType:
    match statement:
        case Proposal():
            return StatementType.PROPOSAL
        case Vote():
            return StatementType.VOTE
        case Commit():
            return StatementType.COMMIT
        case Timeout():
            return StatementType.TIMEOUT


def _without_attachments(statement: SignedStatement) -> SignedStatement:
    match statement:
        case Proposal():
            return replace(
                statement,
                block=Block(statement.block.header, (), (), ()),
                timeout_certificate=None,
                quorum_certificate=None,
                parent_seal=None,
            )
        case Timeout():
            return replace(statement, quorum_certificate=None, timeout_certificate=None)
        case _:
            return statement
