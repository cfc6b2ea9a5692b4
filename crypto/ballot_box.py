"""The ballots of one context, one counted for each tag (IDX1 9.6)."""

from __future__ import annotations

from crypto.ballot_keys import BallotRing
from crypto.ballot_proof import BallotContext, CollectedBallot
from crypto.errors import Reason, Rejected


class Equivocation(Rejected):
    """One bank signed two messages in one context; both ballots are the evidence (IDX1 9.6)."""

    def __init__(self, first: CollectedBallot, second: CollectedBallot) -> None:
        super().__init__(Reason.EQUIVOCATION, f"second message under tag {first.tag[:8].hex()}")
        self.first = first
        self.second = second


class BallotBox:
    """The verified ballots of one ring and context, counted by tag (IDX1 9.6).

    Of each tag it keeps the first ballot and the first that contradicts it, which is all the
    evidence needs, and of any further message its 33 bytes.
    """

    def __init__(self, ring: BallotRing, context: BallotContext) -> None:
        self._ring = ring
        self._context = context
        self._messages: dict[bytes, set[bytes]] = {}
        self._first: dict[bytes, CollectedBallot] = {}
        self._contradicting: dict[bytes, CollectedBallot] = {}

    def add(self, ballot: CollectedBallot) -> None:
        """Take a ballot whose equations were verified.

        Raises Rejected(duplicate) if its tag was seen with this message, Equivocation if it was
        seen, but never with this message; then the tag goes on counting for the message that came
        first. Raises ValueError for a ballot that was collected for another ring or context.
        """
        if ballot.context != self._context or ballot.ring != self._ring:
            raise ValueError("the ballot was collected for another ring or context")
        messages = self._messages.setdefault(ballot.tag, set())
        if ballot.message in messages:
            raise Rejected(Reason.DUPLICATE, f"tag {ballot.tag[:8].hex()} said so before")
        messages.add(ballot.message)
        first = self._first.setdefault(ballot.tag, ballot)
        if first is not ballot:
            self._contradicting.setdefault(ballot.tag, ballot)
            raise Equivocation(first, ballot)

    def counted(self, message: bytes) -> tuple[CollectedBallot, ...]:
        """The ballots that count for a message, one a tag, sorted by tag; a quorum counts these."""
        return tuple(
            ballot for _, ballot in sorted(self._first.items()) if ballot.message == message
        )

    def evidence(self) -> tuple[tuple[CollectedBallot, CollectedBallot], ...]:
        """Two contradicting ballots of each tag that equivocated, sorted by tag."""
        return tuple(
            (self._first[tag], ballot) for tag, ballot in sorted(self._contradicting.items())
        )
