"""A leader that proposes what its view does not allow (BFT-12 P3, justification)."""

from __future__ import annotations

from dataclasses import replace

from node.consensus.certificates import TimeoutCertificate
from node.consensus.effects import Broadcast, BuildBlock, Effect
from node.consensus.events import BlockBuilt, Event
from node.consensus.statements import Proposal
from node.ledger.blocks import Block
from node.simulation.byzantine.style import Situation, Style


class UnjustifiedLeader(Style):
    """Where a certified block must be proposed again it proposes a new one; where a new one may
    be proposed it justifies it by an old timeout certificate, or by none."""

    def __init__(self, situation: Situation) -> None:
        super().__init__(situation)
        self._due: Proposal | None = None
        self._block: Block | None = None
        self._stale: TimeoutCertificate | None = None

    def events(self, event: Event) -> list[Event]:
        due = self._due
        if due is None or not isinstance(event, BlockBuilt):
            return [event]
        if (event.height, event.view) != (due.height, due.view):
            return [event]
        self._block = event.block
        return []

    def effects(self, effects: list[Effect]) -> list[Effect]:
        changed: list[Effect] = []
        for effect in effects:
            if isinstance(effect, Broadcast) and isinstance(effect.message, Proposal):
                changed += self._instead_of(effect.message)
            else:
                changed.append(effect)
        due, block = self._due, self._block
        if due is not None and block is not None:
            self._due = self._block = None
            if due.height == self.situation.height:
                new = self.situation.propose_instead(due, block)
                changed.append(Broadcast(replace(new, quorum_certificate=None)))
        return changed

    def _instead_of(self, proposal: Proposal) -> list[Effect]:
        if proposal.view == 0:
            return [Broadcast(proposal)]
        if proposal.quorum_certificate is not None:
            self._due = proposal
            return [BuildBlock(proposal.height, proposal.view)]
        stale, self._stale = self._stale, proposal.timeout_certificate
        return [Broadcast(replace(proposal, timeout_certificate=stale))]
