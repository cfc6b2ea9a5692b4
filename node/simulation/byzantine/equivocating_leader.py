"""Leaders that propose two blocks in one view to two parts of the banks (BFT-12 E2)."""

from __future__ import annotations

from dataclasses import replace

from node.consensus.effects import Broadcast, BuildBlock, Effect
from node.consensus.events import BlockBuilt, Event
from node.consensus.statements import Proposal
from node.ledger.blocks import Block
from node.simulation.byzantine.style import Situation, Style, to_each

MAX_BUILDS = 5
"""How often the host is asked for a block that differs from the first; a host whose clock is
behind the chain's stamps every block with the parent's time plus one."""


class EquivocatingLeader(Style):
    """Has the host build twice, and proposes one valid block to some and another to the rest."""

    def __init__(self, situation: Situation) -> None:
        super().__init__(situation)
        self._first: Proposal | None = None
        self._builds = 0
        self._second: Block | None = None

    def events(self, event: Event) -> list[Event]:
        first = self._first
        if first is None or not isinstance(event, BlockBuilt):
            return [event]
        if (event.height, event.view) != (first.height, first.view):
            return [event]
        self._second = event.block
        return []

    def effects(self, effects: list[Effect]) -> list[Effect]:
        changed: list[Effect] = []
        for effect in effects:
            if isinstance(effect, Broadcast) and isinstance(effect.message, Proposal):
                changed += self._hold(effect.message)
            else:
                changed.append(effect)
        if self._second is not None:
            changed += self._compare(self._second)
        return changed

    def _hold(self, proposal: Proposal) -> list[Effect]:
        """Keep a new proposal until the second block is there; a certified one has no rival."""
        if proposal.quorum_certificate is not None:
            return [Broadcast(proposal)]
        self._first, self._builds = proposal, 1
        return [BuildBlock(proposal.height, proposal.view)]

    def _compare(self, block: Block) -> list[Effect]:
        first, self._second = self._first, None
        if first is None or first.height != self.situation.height:
            self._first = None
            return []
        if block.block_id == first.block.block_id and self._builds < MAX_BUILDS:
            self._builds += 1
            return [BuildBlock(first.height, first.view)]
        self._first = None
        return divide(self.situation, first, block)


class EquivocatingLeaderWithInvalidBranch(Style):
    """Proposes its valid block to some, and to the rest one whose state root is wrong."""

    def effects(self, effects: list[Effect]) -> list[Effect]:
        changed: list[Effect] = []
        for effect in effects:
            if isinstance(effect, Broadcast) and isinstance(effect.message, Proposal):
                first = effect.message
                changed += divide(self.situation, first, with_wrong_state_root(first.block))
            else:
                changed.append(effect)
        return changed


def divide(situation: Situation, first: Proposal, rival: Block) -> list[Effect]:
    """Send a proposal to one random part of the others and its rival to the rest.

    Half of the time one bank hears both: nobody else could convict.
    """
    believers = situation.some_others()
    rest = [bank for bank in situation.others if bank not in believers]
    if situation.chance.random() < 0.5:
        rest.append(situation.chance.choice(believers))
    second = situation.propose_instead(first, rival)
    return [*to_each(believers, first), *to_each(rest, second)]


def with_wrong_state_root(block: Block) -> Block:
    """Return the block with a root that no execution gives."""
    wrong = bytes(byte ^ 0xFF for byte in block.header.post_state_root)
    return replace(block, header=replace(block.header, post_state_root=wrong))
