"""Banks that claim what they cannot show."""

from __future__ import annotations

from dataclasses import replace

from node.consensus.effects import Broadcast, Effect, Send
from node.consensus.messages import Message, SealedBlock, Status, SyncResponse
from node.consensus.statements import Timeout
from node.ledger.blocks import Block
from node.ledger.types import Height, View
from node.simulation.byzantine.equivocating_leader import with_wrong_state_root
from node.simulation.byzantine.style import Style

FAR_AHEAD = 1_000


class FalseClaimant(Style):
    """Signs timeouts that claim a certificate of this very view and never shows one.

    A timeout certificate that counted such a claim would leave a correct leader with nothing
    that it may propose.
    """

    def effects(self, effects: list[Effect]) -> list[Effect]:
        return [self._inflated(effect) for effect in effects]

    def _inflated(self, effect: Effect) -> Effect:
        if not isinstance(effect, Broadcast) or not isinstance(effect.message, Timeout):
            return effect
        honest = effect.message
        if honest.height != self.situation.height:
            return effect
        statement = self.situation.context.timeout(honest.view, honest.bank, honest.view)
        signature = self.situation.signer.sign(statement)
        return Broadcast(replace(honest, highest_view=honest.view, signature=signature))


class CatchUpLiar(Style):
    """Claims to be far ahead, and gives those who ask blocks that were never sealed."""

    def effects(self, effects: list[Effect]) -> list[Effect]:
        changed: list[Effect] = []
        for effect in effects:
            match effect:
                case Send(to=to, message=message):
                    changed.append(Send(to, _lie(message)))
                case Broadcast(message=message):
                    changed.append(Broadcast(_lie(message)))
                case _:
                    changed.append(effect)
        return changed


def _lie(message: Message) -> Message:
    match message:
        case Status():
            return replace(message, height=Height(message.height + FAR_AHEAD), view=View(0))
        case SyncResponse():
            forged = tuple(SealedBlock(_forged(item.block), item.seal) for item in message.blocks)
            return SyncResponse(forged, Height(message.top + FAR_AHEAD))
        case _:
            return message


def _forged(block: Block) -> Block:
    return with_wrong_state_root(block)
