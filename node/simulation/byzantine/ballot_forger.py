"""Banks whose commits carry no ballot, or one that must not count (BFT-12 17, IDX1 9.6).

The commit itself is good, so none of this is an offence; and none of it may cost the others the
seal, or a tag in it.
"""

from __future__ import annotations

from dataclasses import replace

from node.consensus.certificates import Seal
from node.consensus.effects import Broadcast, Effect, Send
from node.consensus.events import Event, MessageReceived
from node.consensus.statements import Commit, Proposal, Vote
from node.ledger.types import View
from node.simulation.byzantine.style import Situation, Style


class BallotStyle(Style):
    """Commits like everybody, with `instead_of` for a ballot."""

    def effects(self, effects: list[Effect]) -> list[Effect]:
        return [self._altered(effect) for effect in effects]

    def _altered(self, effect: Effect) -> Effect:
        if not isinstance(effect, Send | Broadcast) or not isinstance(effect.message, Commit):
            return effect
        commit = effect.message
        if commit.height != self.situation.height:
            return effect
        return replace(effect, message=replace(commit, ballot=self.instead_of(commit)))

    def instead_of(self, commit: Commit) -> bytes | None:
        """Return what the commit carries."""
        raise NotImplementedError


class BallotWithholder(BallotStyle):
    """Commits without a ballot."""

    def instead_of(self, commit: Commit) -> bytes | None:
        return None


class BallotForger(BallotStyle):
    """Commits with noise, or with a ballot of its own in which a few bytes are changed."""

    def instead_of(self, commit: Commit) -> bytes | None:
        chance = self.situation.chance
        true = self.situation.ballot(commit.view, commit.block_id, approve=True)
        if chance.random() < 0.2 or not true:
            return chance.randbytes(chance.randint(0, 1_400))
        return corrupted(true, chance.randrange(len(true)))


class BallotReplayer(BallotStyle):
    """Commits with a true ballot of its own for another view, block or decision, or an old one."""

    def __init__(self, situation: Situation) -> None:
        super().__init__(situation)
        self._last: bytes | None = None

    def instead_of(self, commit: Commit) -> bytes | None:
        situation = self.situation
        other_block = situation.tip.block_id
        choices = [
            situation.ballot(View(commit.view + 1), commit.block_id, approve=True),
            situation.ballot(commit.view, commit.block_id, approve=False),
            situation.ballot(commit.view, other_block, approve=True),
        ]
        if self._last is not None:
            choices.append(self._last)
        self._last = situation.ballot(commit.view, commit.block_id, approve=True)
        return situation.chance.choice(choices)


class BallotCopier(BallotStyle):
    """Commits with another bank's ballot, of this height if it has heard one."""

    def __init__(self, situation: Situation) -> None:
        super().__init__(situation)
        self._heard: bytes | None = None

    def events(self, event: Event) -> list[Event]:
        if isinstance(event, MessageReceived):
            match event.message:
                case Commit(ballot=bytes(ballot)) | Vote(ballot=bytes(ballot)):
                    self._heard = ballot
                case Seal(ballots=(ballot, *_)):
                    self._heard = ballot
                case Proposal(block=block) if block.parent_ballots:
                    self._heard = self._heard or block.parent_ballots[0]
                case _:
                    pass
        return [event]

    def instead_of(self, commit: Commit) -> bytes | None:
        return self._heard


def corrupted(ballot: bytes, position: int) -> bytes:
    """Return the ballot with one bit turned over."""
    return ballot[:position] + bytes([ballot[position] ^ 1]) + ballot[position + 1 :]
