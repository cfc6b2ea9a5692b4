"""First-seen signed statements of the last heights, and the pairs that convict (BFT-12 9).

The log keeps, for every bank, height and view, the first statement of each type and the first one
that conflicts with it, so that late messages still convict. Of the timeouts of one view it keeps
the one with the lowest claim, which convicts whenever any of them does. Only statements whose
signature was checked may enter; attachments are dropped, signatures suffice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from node.consensus.accusations import offence_of
from node.consensus.certificates import (
    QuorumCertificate,
    RejectCertificate,
    Seal,
    TimeoutCertificate,
)
from node.consensus.signing import Decision
from node.consensus.statements import Commit, Proposal, SignedStatement, Timeout, Vote
from node.ledger.blocks import Block, Header
from node.ledger.offences import Offence
from node.ledger.types import BankIndex, BlockId, Height, View

REMEMBERED_HEIGHTS = 1000
"""How long the conflicts themselves stay in memory: EV_WINDOW of BFT-12 section 1 by default."""

S = TypeVar("S", Proposal, Vote, Commit)
AnyStatement = TypeVar("AnyStatement", Proposal, Vote, Commit, Timeout)


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two statements of one bank that no correct bank signs."""

    offence: Offence
    bank: BankIndex
    height: Height
    first: SignedStatement
    second: SignedStatement


@dataclass(slots=True)
class _Signed:
    """What one bank signed at one height, by view."""

    proposals: dict[View, list[Proposal]] = field(default_factory=dict)
    votes: dict[View, list[Vote]] = field(default_factory=dict)
    commits: dict[View, list[Commit]] = field(default_factory=dict)
    timeouts: dict[View, Timeout] = field(default_factory=dict)

    def all(self) -> list[SignedStatement]:
        found: list[SignedStatement] = []
        for proposals in self.proposals.values():
            found += proposals
        for votes in self.votes.values():
            found += votes
        for commits in self.commits.values():
            found += commits
        return [*found, *self.timeouts.values()]


class StatementLog:
    """The statements of the last heights by height and bank."""

    def __init__(self) -> None:
        self._heights: dict[Height, dict[BankIndex, _Signed]] = {}
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
            for signed in by_bank.values()
            for statement in signed.all()
        )

    def forget_below(self, height: Height) -> None:
        """Drop statements of lower heights, and conflicts too old to be accepted anywhere."""
        for old in [known for known in self._heights if known < height]:
            del self._heights[old]
        for key in [key for key in self._conflicts if key[2] < height - REMEMBERED_HEIGHTS]:
            del self._conflicts[key]

    def observe(self, statement: SignedStatement) -> list[Conflict]:
        """Keep a verified statement; return the new conflicts that it completes."""
        signed = self._heights.setdefault(statement.height, {}).setdefault(
            statement.bank, _Signed()
        )
        match statement:
            case Vote():
                return self._pair(signed.votes, statement)
            case Proposal():
                return self._pair(signed.proposals, statement)
            case Commit():
                return self._observe_commit(signed, statement)
            case Timeout():
                return self._observe_timeout(signed, statement)

    def observe_quorum_certificate(self, certificate: QuorumCertificate) -> list[Conflict]:
        """Keep the approvals inside a verified certificate."""
        height, view, block_id = certificate.height, certificate.view, certificate.block_id
        found = []
        for entry in certificate.signatures:
            known = self._first(height, entry.bank, view, lambda signed: signed.votes)
            if known is None or known.signature != entry.signature:
                found += self.observe(
                    Vote(
                        entry.bank,
                        height,
                        view,
                        block_id,
                        Decision.APPROVE,
                        "",
                        None,
                        entry.signature,
                    )
                )
        return found

    def observe_reject_certificate(self, certificate: RejectCertificate) -> list[Conflict]:
        """Keep the rejections inside a verified certificate."""
        height, view, block_id = certificate.height, certificate.view, certificate.block_id
        found = []
        for entry in certificate.entries:
            found += self.observe(
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
            )
        return found

    def observe_timeout_certificate(self, certificate: TimeoutCertificate) -> list[Conflict]:
        """Keep the timeouts inside a verified certificate."""
        height, view = certificate.height, certificate.view
        found = []
        for entry in certificate.entries:
            claim = entry.highest_view
            found += self.observe(
                Timeout(entry.bank, height, view, claim, None, None, entry.signature)
            )
        return found

    def observe_seal(self, seal: Seal) -> list[Conflict]:
        """Keep the commits inside a verified seal."""
        found = []
        for entry in seal.signatures:
            known = self._first(seal.height, entry.bank, seal.view, lambda signed: signed.commits)
            if known is None or known.signature != entry.signature:
                found += self.observe(
                    Commit(entry.bank, seal.height, seal.view, seal.block_id, entry.signature)
                )
        return found

    # What proves a block invalid, or who approved it (E5 to E7).

    def creation_of(self, header: Header) -> Proposal | None:
        """Return the proposal in which its creator proposed the block of this header."""
        signed = self._heights.get(header.height, {}).get(header.proposer)
        kept = [] if signed is None else signed.proposals.get(header.original_view, [])
        return next((p for p in kept if p.block.block_id == header.block_id), None)

    def proposal_of(self, height: Height, view: View, block_id: BlockId) -> Proposal | None:
        """Return somebody's proposal of this block in this view."""
        for signed in self._heights.get(height, {}).values():
            for proposal in signed.proposals.get(view, ()):
                if proposal.block.block_id == block_id:
                    return proposal
        return None

    def votes_on(self, height: Height, block_id: BlockId) -> list[Vote]:
        """Return every known vote on a block, of whatever view."""
        return [
            vote
            for signed in self._heights.get(height, {}).values()
            for kept in signed.votes.values()
            for vote in kept
            if vote.block_id == block_id
        ]

    def _observe_commit(self, signed: _Signed, commit: Commit) -> list[Conflict]:
        found = self._pair(signed.commits, commit)
        for timeout in signed.timeouts.values():
            found += self._judge(commit, timeout)
        return found

    def _observe_timeout(self, signed: _Signed, timeout: Timeout) -> list[Conflict]:
        known = signed.timeouts.get(timeout.view)
        if known is not None and known.highest_view <= timeout.highest_view:
            return []
        timeout = _without_attachments(timeout)
        signed.timeouts[timeout.view] = timeout
        found = []
        for commits in signed.commits.values():
            for commit in commits:
                found += self._judge(commit, timeout)
        return found

    def _pair(self, known: dict[View, list[S]], statement: S) -> list[Conflict]:
        """Keep a statement if it is the first of its view, or the first to conflict with it."""
        kept = known.get(statement.view)
        if kept is None:
            known[statement.view] = [_without_attachments(statement)]
            return []
        if any(other.signature == statement.signature for other in kept):
            return []
        if offence_of(kept[0], statement) is None:
            return []
        statement = _without_attachments(statement)
        if len(kept) == 1:
            kept.append(statement)
        return self._judge(kept[0], statement)

    def _judge(self, first: SignedStatement, second: SignedStatement) -> list[Conflict]:
        offence = offence_of(first, second)
        if offence is None:
            return []
        key = (offence, first.bank, first.height)
        if key in self._conflicts:
            return []
        conflict = Conflict(offence, first.bank, first.height, first, second)
        self._conflicts[key] = conflict
        return [conflict]

    def _first(
        self,
        height: Height,
        bank: BankIndex,
        view: View,
        kind: Callable[[_Signed], dict[View, list[S]]],
    ) -> S | None:
        signed = self._heights.get(height, {}).get(bank)
        kept = None if signed is None else kind(signed).get(view)
        return None if kept is None else kept[0]


def _without_attachments(statement: AnyStatement) -> AnyStatement:
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
        case Vote() | Commit():
            return statement if statement.ballot is None else replace(statement, ballot=None)
