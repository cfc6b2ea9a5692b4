"""Leaders whose blocks are invalid (BFT-12 E5, E6)."""

from __future__ import annotations

from dataclasses import replace

from node.consensus.events import BlockBuilt, Event
from node.simulation.byzantine.equivocating_leader import with_wrong_state_root
from node.simulation.byzantine.invalid_approver import InvalidApprover


class InvalidProposer(InvalidApprover):
    """Proposes blocks whose state root no execution gives: a quorum's rejections prove it (E6).

    Its own core takes them for what it built, so that it would seal them if it were let. A block
    that is invalid by its bytes alone (E5) holds an invalid transaction, which only the host can
    come by: hand it one, and this bank proposes it like anybody's.
    """

    def events(self, event: Event) -> list[Event]:
        if isinstance(event, BlockBuilt) and event.block is not None:
            return [replace(event, block=with_wrong_state_root(event.block))]
        return super().events(event)
