"""Leaders whose blocks are invalid (BFT-12 E5, E6)."""

from __future__ import annotations

from node.consensus.effects import Broadcast, Effect
from node.consensus.statements import Proposal
from node.simulation.byzantine.equivocating_leader import with_wrong_state_root
from node.simulation.byzantine.style import Style


class InvalidProposer(Style):
    """Proposes blocks whose state root no execution gives: a quorum's rejections prove it (E6)."""

    def effects(self, effects: list[Effect]) -> list[Effect]:
        return [self._spoiled(effect) for effect in effects]

    def _spoiled(self, effect: Effect) -> Effect:
        if not isinstance(effect, Broadcast) or not isinstance(effect.message, Proposal):
            return effect
        honest = effect.message
        if honest.quorum_certificate is not None or honest.height != self.situation.height:
            return effect
        block = with_wrong_state_root(honest.block)
        return Broadcast(self.situation.propose_instead(honest, block))
