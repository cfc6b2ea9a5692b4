"""A bank that rejects a block and commits to it in one view (BFT-12 17, E8).

Its two statements are of different kinds, so no pair of them convicts (E1 to E4 are pairs of one
kind, or of a commit and a timeout). Its two ballots have one tag and different messages: whoever
verified both keeps them, and once the regulator has opened one, the bank is convicted.
"""

from __future__ import annotations

from node.consensus.effects import Broadcast, Effect, Send
from node.consensus.signing import Decision
from node.consensus.statements import Vote
from node.ledger.rejection import Reason
from node.simulation.byzantine.style import Style, message_of


class DoubleBalloter(Style):
    """Tells all that it rejects what its own core approved, and commits with its core."""

    def effects(self, effects: list[Effect]) -> list[Effect]:
        return [self._turned(effect) for effect in effects]

    def _turned(self, effect: Effect) -> Effect:
        vote = message_of(effect)
        if not isinstance(vote, Vote) or vote.decision is not Decision.APPROVE:
            return effect
        if vote.height != self.situation.height or not isinstance(effect, Send | Broadcast):
            return effect
        return Broadcast(
            self.situation.vote(vote.view, vote.block_id, Decision.REJECT, Reason.STATE_ROOT)
        )
