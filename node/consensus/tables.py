"""Statements collected at the current height, and the certificates they add up to.

Every statement in here passed its signature check. Certificates come out sorted by bank index.
"""

from __future__ import annotations

from node.consensus.certificates import (
    QuorumCertificate,
    RejectCertificate,
    RejectionEntry,
    SignatureEntry,
    TimeoutCertificate,
    TimeoutEntry,
)
from node.consensus.signing import Decision
from node.consensus.statements import Commit, Timeout, Vote
from node.ledger.types import BankIndex, BlockId, View


class VoteTable:
    """The first vote of each bank in each view."""

    def __init__(self) -> None:
        self._by_view: dict[View, dict[BankIndex, Vote]] = {}
        self._rejected: dict[View, bool] = {}
        """Views in which somebody rejected."""

    def add(self, vote: Vote) -> None:
        self._by_view.setdefault(vote.view, {}).setdefault(vote.bank, vote)
        if vote.decision is Decision.REJECT:
            self._rejected[vote.view] = True

    def of_view(self, view: View) -> tuple[Vote, ...]:
        """Return the votes of a view in increasing bank index."""
        votes = self._by_view.get(view, {})
        return tuple(votes[bank] for bank in sorted(votes))

    def quorum_certificate(
        self, view: View, block_id: BlockId, required: int
    ) -> QuorumCertificate | None:
        """Return the certificate that `required` approvals make (BFT-12 P4)."""
        if len(self._by_view.get(view, ())) < required:
            return None
        matching = self._matching(view, block_id, Decision.APPROVE)
        if len(matching) < required:
            return None
        signatures = [SignatureEntry(vote.bank, vote.signature) for vote in matching[:required]]
        return QuorumCertificate(matching[0].height, view, block_id, tuple(signatures))

    def reject_certificate(self, view: View, required: int) -> RejectCertificate | None:
        """Return the certificate that `required` rejections of one block make (BFT-12 R1)."""
        if view not in self._rejected:
            return None
        for block_id in {vote.block_id: None for vote in self.of_view(view)}:
            matching = self._matching(view, block_id, Decision.REJECT)
            if len(matching) < required:
                continue
            entries = [
                RejectionEntry(vote.bank, vote.reason, vote.transaction_index, vote.signature)
                for vote in matching[:required]
            ]
            return RejectCertificate(matching[0].height, view, block_id, tuple(entries))
        return None

    def _matching(self, view: View, block_id: BlockId, decision: Decision) -> list[Vote]:
        return [
            vote
            for vote in self.of_view(view)
            if vote.block_id == block_id and vote.decision is decision
        ]


class CommitTable:
    """The first commit of each bank in each view."""

    def __init__(self) -> None:
        self._by_view: dict[View, dict[BankIndex, Commit]] = {}

    def add(self, commit: Commit) -> None:
        self._by_view.setdefault(commit.view, {}).setdefault(commit.bank, commit)

    def of_view(self, view: View) -> tuple[Commit, ...]:
        """Return the commits of a view in increasing bank index."""
        commits = self._by_view.get(view, {})
        return tuple(commits[bank] for bank in sorted(commits))

    def quorums(self, required: int) -> list[list[Commit]]:
        """Return `required` commits of one view and block, wherever there are so many (P6)."""
        found = []
        for view, by_bank in self._by_view.items():
            if len(by_bank) < required:
                continue
            by_block: dict[BlockId, list[Commit]] = {}
            for commit in self.of_view(view):
                by_block.setdefault(commit.block_id, []).append(commit)
            enough = [commits for commits in by_block.values() if len(commits) >= required]
            found += [commits[:required] for commits in enough]
        return found


class TimeoutTable:
    """The timeout of each bank in each view, the one with the highest claim; often empty."""

    def __init__(self) -> None:
        self._by_view: dict[View, dict[BankIndex, Timeout]] = {}

    def add(self, timeout: Timeout) -> None:
        by_bank = self._by_view.setdefault(timeout.view, {})
        known = by_bank.get(timeout.bank)
        if known is None or known.highest_view < timeout.highest_view:
            by_bank[timeout.bank] = timeout

    def __len__(self) -> int:
        """Return in how many views somebody gave up."""
        return len(self._by_view)

    def of_view(self, view: View) -> tuple[Timeout, ...]:
        """Return the timeouts of a view in increasing bank index."""
        timeouts = self._by_view.get(view, {})
        return tuple(timeouts[bank] for bank in sorted(timeouts))

    def count_of(self, view: View) -> int:
        """Return how many banks gave up a view."""
        return len(self._by_view.get(view, ()))

    def certificate(self, from_view: View, required: int) -> TimeoutCertificate | None:
        """Return the certificate of the highest view >= `from_view` that is complete (V4).

        The highest claims are preferred, so that as little as possible is re-decided.
        """
        for view in sorted(self._by_view, reverse=True):
            if view < from_view or self.count_of(view) < required:
                continue
            timeouts = self.of_view(view)
            chosen = sorted(timeouts, key=lambda timeout: (-timeout.highest_view, timeout.bank))
            entries = [
                TimeoutEntry(timeout.bank, timeout.highest_view, timeout.signature)
                for timeout in sorted(chosen[:required], key=lambda timeout: timeout.bank)
            ]
            return TimeoutCertificate(timeouts[0].height, view, tuple(entries))
        return None
