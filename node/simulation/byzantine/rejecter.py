"""Banks that reject valid blocks: no offence, and harmless up to n-q of them (BFT-12 section 9)."""

from __future__ import annotations

from node.consensus.certificates import QuorumCertificate
from node.consensus.effects import Broadcast, Effect
from node.consensus.events import (
    Approved,
    Event,
    MessageReceived,
    Rejected,
    TimerFired,
    TimerKind,
    Validated,
)
from node.consensus.signing import Decision
from node.consensus.statements import Vote
from node.ledger.rejection import Reason
from node.simulation.byzantine.style import Situation, Style


class Rejecter(Style):
    """Finds every block invalid."""

    def events(self, event: Event) -> list[Event]:
        if isinstance(event, Validated) and isinstance(event.verdict, Approved):
            return [Validated(event.ticket, Rejected(Reason.STATE_ROOT, deterministic=True))]
        return [event]


class LateRejecter(Rejecter):
    """Finds every block invalid, and says so when it hurts most.

    Its rejections leave when it hears that a certificate was made after all, or just before
    everybody repeats what may have been lost: the leader waits for a vote until then, and a
    reject certificate then meets banks that are about to commit.
    """

    def __init__(self, situation: Situation) -> None:
        super().__init__(situation)
        self._held: list[Effect] = []
        self._moment = False

    def events(self, event: Event) -> list[Event]:
        match event:
            case MessageReceived(message=QuorumCertificate()):
                self._moment = True
            case TimerFired(kind=TimerKind.RETRY):
                self._moment = True
        return super().events(event)

    def effects(self, effects: list[Effect]) -> list[Effect]:
        changed: list[Effect] = []
        for effect in effects:
            if isinstance(effect, Broadcast) and _is_rejection(effect):
                self._held.append(effect)
            else:
                changed.append(effect)
        if self._moment:
            changed += self._held
            self._held = []
            self._moment = False
        return changed


def _is_rejection(effect: Broadcast) -> bool:
    message = effect.message
    return isinstance(message, Vote) and message.decision is Decision.REJECT
