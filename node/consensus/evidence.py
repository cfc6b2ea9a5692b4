"""First-seen signed statements of the last heights, and the pairs that convict (BFT-12 9).

The log keeps, for every bank, height and view, the first statement of each type and the first one
that conflicts with it, so that late messages still convict. Of the timeouts of one view it keeps
the one with the lowest claim, which convicts whenever any of them does. Only statements whose
signature was checked may enter; attachments are dropped, signatures suffice.
"""

from __future__ import annotations

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


_Key = tuple[BankIndex, View]


@dataclass(slots=True)
class _Signed:
    """What was signed at one height, by bank and view."""

    proposals: dict[_Key, list[Proposal]] = field(default_factory=dict)
    votes: dict[_Key, list[Vote] | QuorumCertificate] = field(default_factory=dict)
    """The certificate itself as long as nothing else is known: hardly ever is it looked into."""
    commits: dict[_Key, list[Commit] | Seal] = field(default_factory=dict)
    timeouts: dict[_Key, Timeout] = field(default_factory=dict)

    def votes_of(self, key: _Key) -> list[Vote]:
        kept = self.votes.get(key, [])
        if isinstance(kept, QuorumCertificate):
            kept = [_vote_in(kept, key[0])]
        self.votes[key] = kept
        return kept

    def commits_of(self, key: _Key) -> list[Commit]:
        kept = self.commits.get(key, [])
        if isinstance(kept, Seal):
            kept = [_commit_in(kept, key[0])]
        self.commits[key] = kept
        return kept

    def all(self) -> list[SignedStatement]:
        found: list[SignedStatement] = []
        for proposals in self.proposals.values():
            found += proposals
        for key in list(self.votes):
            found += self.votes_of(key)
        for key in list(self.commits):
            found += self.commits_of(key)
        return [*found, *self.timeouts.values()]


class StatementLog:
    """The statements of the last heights."""

    def __init__(self) -> None:
        self._heights: dict[Height, _Signed] = {}
        self._conflicts: dict[tuple[Offence, BankIndex, Height], Conflict] = {}

    def conflicts(self) -> tuple[Conflict, ...]:
        """Return one conflict for each offence, bank and height, in order of discovery."""
        return tuple(self._conflicts.values())

    def statements(self) -> tuple[SignedStatement, ...]:
        """Return every statement kept, without attachments: after a fork the logs of several
        banks are pooled, because no single one need hold both halves of a conflict."""
        return tuple(
            statement
            for signed in self._heights.values()
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
        signed = self._at(statement.height)
        key = statement.bank, statement.view
        match statement:
            case Vote():
                return self._pair(signed.votes_of(key), statement)
            case Proposal():
                return self._pair(signed.proposals.setdefault(key, []), statement)
            case Commit():
                return self._observe_commit(signed, statement)
            case Timeout():
                return self._observe_timeout(signed, statement)

    def observe_quorum_certificate(self, certificate: QuorumCertificate) -> list[Conflict]:
        """Keep the approvals inside a verified certificate."""
        signed = self._at(certificate.height)
        found = []
        for entry in certificate.signatures:
            kept = signed.votes.setdefault((entry.bank, certificate.view), certificate)
            if kept is not certificate:
                found += self.observe(_vote_in(certificate, entry.bank))
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
        signed = self._at(seal.height)
        found = []
        for entry in seal.signatures:
            kept = signed.commits.setdefault((entry.bank, seal.view), seal)
            if kept is not seal or signed.timeouts:
                found += self.observe(_commit_in(seal, entry.bank))
        return found

    # What proves a block invalid, or who approved it (E5 to E7).

    def creation_of(self, header: Header) -> Proposal | None:
        """Return the proposal in which its creator proposed the block of this header."""
        signed = self._heights.get(header.height)
        if signed is None:
            return None
        kept = signed.proposals.get((header.proposer, header.original_view), [])
        return next((p for p in kept if p.block.block_id == header.block_id), None)

    def proposal_of(self, height: Height, view: View, block_id: BlockId) -> Proposal | None:
        """Return somebody's proposal of this block in this view."""
        signed = self._heights.get(height)
        for kept in () if signed is None else signed.proposals.values():
            for proposal in kept:
                if proposal.view == view and proposal.block.block_id == block_id:
                    return proposal
        return None

    def votes_on(self, height: Height, block_id: BlockId) -> list[Vote]:
        """Return every known vote on a block, of whatever view, in the order of their coming."""
        signed = self._at(height)
        keys = list(signed.votes)
        return [v for key in keys for v in signed.votes_of(key) if v.block_id == block_id]

    def _at(self, height: Height) -> _Signed:
        signed = self._heights.get(height)
        if signed is None:
            signed = self._heights[height] = _Signed()
        return signed

    def _observe_commit(self, signed: _Signed, commit: Commit) -> list[Conflict]:
        found = self._pair(signed.commits_of((commit.bank, commit.view)), commit)
        for timeout in signed.timeouts.values():
            if timeout.bank == commit.bank:
                found += self._judge(commit, timeout)
        return found

    def _observe_timeout(self, signed: _Signed, timeout: Timeout) -> list[Conflict]:
        key = timeout.bank, timeout.view
        known = signed.timeouts.get(key)
        if known is not None and known.highest_view <= timeout.highest_view:
            return []
        signed.timeouts[key] = timeout = _without_attachments(timeout)
        found = []
        for key in [key for key in signed.commits if key[0] == timeout.bank]:
            for commit in signed.commits_of(key):
                found += self._judge(commit, timeout)
        return found

    def _pair(self, kept: list[S], statement: S) -> list[Conflict]:
        """Keep a statement if it is the first of its view, or the first to conflict with it."""
        if not kept:
            kept.append(_without_attachments(statement))
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


def _vote_in(certificate: QuorumCertificate, bank: BankIndex) -> Vote:
    entry = next(entry for entry in certificate.signatures if entry.bank == bank)
    return Vote(
        bank=bank,
        height=certificate.height,
        view=certificate.view,
        block_id=certificate.block_id,
        decision=Decision.APPROVE,
        reason="",
        transaction_index=None,
        signature=entry.signature,
    )


def _commit_in(seal: Seal, bank: BankIndex) -> Commit:
    entry = next(entry for entry in seal.signatures if entry.bank == bank)
    return Commit(bank, seal.height, seal.view, seal.block_id, entry.signature)
