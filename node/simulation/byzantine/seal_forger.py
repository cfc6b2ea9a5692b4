"""Banks that pass seals on with other ballots than belong to them (BFT-12 17).

The signatures of such a seal are good, its ballots are not: it must be refused, and must not keep
the good one out.
"""

from __future__ import annotations

from dataclasses import replace

from node.consensus.certificates import Seal
from node.consensus.effects import Broadcast, Effect, Send
from node.consensus.messages import Message, SealedBlock, SyncResponse
from node.consensus.statements import Proposal
from node.simulation.byzantine.ballot_forger import corrupted
from node.simulation.byzantine.style import Style


class SealStyle(Style):
    """Changes the ballots of every seal that it sends, alone or attached to something."""

    def effects(self, effects: list[Effect]) -> list[Effect]:
        return [
            replace(effect, message=self._altered(effect.message))
            if isinstance(effect, Send | Broadcast)
            else effect
            for effect in effects
        ]

    def _altered(self, message: Message) -> Message:
        match message:
            case Seal():
                return self._with_ballots(message)
            case Proposal(parent_seal=Seal() as seal):
                return replace(message, parent_seal=self._with_ballots(seal))
            case SyncResponse():
                blocks = [
                    SealedBlock(item.block, self._with_ballots(item.seal))
                    for item in message.blocks
                ]
                return SyncResponse(tuple(blocks), message.top)
            case _:
                return message

    def _with_ballots(self, seal: Seal) -> Seal:
        return replace(seal, ballots=self.ballots(seal)) if seal.ballots else seal

    def ballots(self, seal: Seal) -> tuple[bytes, ...]:
        """Return what the seal carries instead."""
        raise NotImplementedError


class TagRepeater(SealStyle):
    """Counts one ballot twice, or as often as a quorum needs."""

    def ballots(self, seal: Seal) -> tuple[bytes, ...]:
        first, _, *rest = seal.ballots
        if self.situation.chance.random() < 0.5:
            return (first,) * len(seal.ballots)
        return first, first, *rest


class BallotReplacer(SealStyle):
    """Puts a false ballot in a true one's place, so that only its proof gives it away; or leaves
    one out, or all."""

    def ballots(self, seal: Seal) -> tuple[bytes, ...]:
        chance = self.situation.chance
        throw = chance.random()
        if throw < 0.1:
            return ()
        if throw < 0.3:
            return seal.ballots[1:]
        position = chance.randrange(len(seal.ballots))
        changed = list(seal.ballots)
        changed[position] = corrupted(changed[position], len(changed[position]) - 1)
        return tuple(changed)
