"""Leaders that keep what they collected: a certificate or a seal reaches some banks or none."""

from __future__ import annotations

from node.consensus.certificates import QuorumCertificate, Seal
from node.consensus.effects import Broadcast, Effect, Send
from node.consensus.messages import Message
from node.simulation.byzantine.style import Situation, Style, to_each


class Withholder(Style):
    """Sends messages of one kind to a random part of the others, or to nobody."""

    withheld: type[Message]

    def __init__(self, situation: Situation) -> None:
        super().__init__(situation)
        self._favoured = set(situation.some_others()) if situation.chance.random() < 0.7 else set()

    def effects(self, effects: list[Effect]) -> list[Effect]:
        changed: list[Effect] = []
        for effect in effects:
            if isinstance(effect, Broadcast) and isinstance(effect.message, self.withheld):
                changed += to_each(sorted(self._favoured), effect.message)
            elif isinstance(effect, Send) and isinstance(effect.message, self.withheld):
                changed += [effect] if effect.to in self._favoured else []
            else:
                changed.append(effect)
        return changed


class CertificateWithholder(Withholder):
    """Keeps quorum certificates from most banks: they wait for what they approved."""

    withheld = QuorumCertificate


class SealWithholder(Withholder):
    """Keeps seals from most banks: they do not learn that the height is decided."""

    withheld = Seal
