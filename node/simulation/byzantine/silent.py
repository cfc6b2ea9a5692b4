"""A bank that listens and says nothing."""

from __future__ import annotations

from node.consensus.effects import Effect
from node.simulation.byzantine.style import Style, message_of


class Silent(Style):
    """Sends nothing, not even old blocks to those who ask."""

    def effects(self, effects: list[Effect]) -> list[Effect]:
        return [effect for effect in effects if message_of(effect) is None]
