"""The ballots of one height, as far as this bank has seen them (BFT-12 section 17).

Signers and tags are counted apart: a statement counts for its signer whatever its ballot is worth,
and a ballot counts for its tag, whoever brought it. What enters here has the form of a ballot of
its place; whether its proof holds is for the host to say, and is asked only when something depends
on it. There is at most one ballot of each kind for a signer and a view, and one seal for a source,
so nobody can make this bank verify without bound (section 12).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from node.consensus.certificates import Seal, is_ballot_about
from node.ledger.active_set import ActiveSet
from node.ledger.ballots import Decision, ballot_message, ballot_tag
from node.ledger.types import BankIndex, BlockId, Height, View


@dataclass(frozen=True, slots=True)
class SuspectPair:
    """Two ballots of one view with one tag and different messages, not both verified yet."""

    view: View
    first: bytes
    second: bytes

    @property
    def tag(self) -> bytes:
        return ballot_tag(self.first)


@dataclass(slots=True)
class HeightBallots:
    """Ballots and verdicts of one height."""

    chain_id: bytes
    height: Height
    active_set: ActiveSet
    verdicts: dict[bytes, bool] = field(default_factory=dict)
    """By the ballot's bytes, which name the view."""
    asked: dict[int, tuple[bytes, ...]] = field(default_factory=dict)
    """What the host is verifying, by ticket."""
    approvals: dict[tuple[View, BankIndex], bytes] = field(default_factory=dict)
    """Of commits, by the commit's signer."""
    rejections: dict[tuple[View, BankIndex], bytes] = field(default_factory=dict)
    """Of REJECT votes, by the vote's signer."""
    pending: dict[BankIndex, Seal] = field(default_factory=dict)
    """Seals whose signatures are good and whose ballots are being verified, by their source."""
    suspects: list[SuspectPair] = field(default_factory=list)
    kept: dict[tuple[View, bytes], bool] = field(default_factory=dict)
    """View and tag of the pairs that the host was told to keep."""
    _by_tag: dict[tuple[View, bytes], list[bytes]] = field(default_factory=dict)

    def add_approval(self, bank: BankIndex, view: View, block_id: BlockId, raw: bytes) -> bool:
        """Take the ballot of a commit; return whether it is one of this place."""
        return self._add(self.approvals, bank, view, block_id, raw, Decision.APPROVE)

    def add_rejection(self, bank: BankIndex, view: View, block_id: BlockId, raw: bytes) -> bool:
        """Take the ballot of a REJECT vote; return whether it is one of this place."""
        return self._add(self.rejections, bank, view, block_id, raw, Decision.REJECT)

    def note(self, view: View, raw: bytes) -> None:
        """Compare a ballot with those of its tag: one bank has one message in a view."""
        known = self._by_tag.setdefault((view, ballot_tag(raw)), [])
        if raw in known:
            return
        for other in known:
            if ballot_message(other) != ballot_message(raw):
                self.suspects.append(SuspectPair(view, min(other, raw), max(other, raw)))
        known.append(raw)

    def approvals_of(self, view: View, block_id: BlockId) -> dict[bytes, BankIndex]:
        """Return the ballots that approve a block in a view, and with whose commit each came."""
        return _about(self.approvals, view, block_id, Decision.APPROVE)

    def rejections_of(self, view: View, block_id: BlockId) -> dict[bytes, BankIndex]:
        """Return the ballots that reject a block in a view, and with whose vote each came."""
        return _about(self.rejections, view, block_id, Decision.REJECT)

    def lacking(self, ballots: Iterable[bytes]) -> tuple[bytes, ...]:
        """Return those of which nothing is known and which nobody is verifying, each once."""
        under_way = {raw for asked in self.asked.values() for raw in asked}
        unknown = [raw for raw in ballots if raw not in self.verdicts and raw not in under_way]
        return tuple(dict.fromkeys(unknown))

    def answer(self, ticket: int, valid: tuple[bool, ...]) -> list[BankIndex]:
        """Record the host's verdicts, and return whose ballots do not hold.

        A ticket of another height is ignored.
        """
        asked = self.asked.pop(ticket, None)
        if asked is None:
            return []
        verdicts = dict(zip(asked, valid, strict=True))
        self.verdicts.update(verdicts)
        brought = (*self.approvals.items(), *self.rejections.items())
        return [bank for (_, bank), raw in brought if not verdicts.get(raw, True)]

    def _add(
        self,
        kept: dict[tuple[View, BankIndex], bytes],
        bank: BankIndex,
        view: View,
        block_id: BlockId,
        raw: bytes,
        decision: Decision,
    ) -> bool:
        place = (self.chain_id, self.height, view, block_id)
        if not is_ballot_about(raw, *place, decision, self.active_set):
            return False
        if kept.setdefault((view, bank), raw) == raw:
            self.note(view, raw)
        return True


def count_tags(ballots: Iterable[bytes]) -> int:
    """Return how many banks cast these ballots, if they all hold."""
    return len({ballot_tag(raw) for raw in ballots})


def select_ballots(verified: Iterable[bytes], required: int) -> tuple[bytes, ...]:
    """Return `required` ballots with distinct tags, sorted by tag; none if there are too few.

    The lowest tags are taken: nothing about the choice tells who cast them.
    """
    by_tag: dict[bytes, bytes] = {}
    for raw in verified:
        by_tag.setdefault(ballot_tag(raw), raw)
    if len(by_tag) < required:
        return ()
    return tuple(by_tag[tag] for tag in sorted(by_tag)[:required])


def _about(
    kept: dict[tuple[View, BankIndex], bytes], view: View, block_id: BlockId, decision: Decision
) -> dict[bytes, BankIndex]:
    message = block_id + decision.value
    cast = [(raw, bank) for (cast_in, bank), raw in kept.items() if cast_in == view]
    return {raw: bank for raw, bank in cast if ballot_message(raw) == message}
