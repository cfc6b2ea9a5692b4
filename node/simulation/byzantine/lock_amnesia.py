"""A bank that forgets what it is locked on (BFT-12 E4)."""

from __future__ import annotations

from node.consensus.effects import Broadcast, Effect
from node.consensus.statements import Commit, Timeout
from node.simulation.byzantine.style import Style, message_of


class LockAmnesia(Style):
    """Claims in every timeout that it holds no certificate, and gives up views it committed in."""

    def effects(self, effects: list[Effect]) -> list[Effect]:
        changed: list[Effect] = []
        for effect in effects:
            message = message_of(effect)
            if isinstance(message, Timeout) and message.height == self.situation.height:
                forgetful = self.situation.timeout(message.view, None, message.timeout_certificate)
                changed.append(Broadcast(forgetful))
                continue
            changed.append(effect)
            if isinstance(message, Commit) and self._forgets(message):
                changed.append(Broadcast(self.situation.timeout(message.view, None)))
        return changed

    def _forgets(self, commit: Commit) -> bool:
        return commit.height == self.situation.height and self.situation.chance.random() < 0.5
