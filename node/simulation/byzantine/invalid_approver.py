"""A bank that approves whatever it is shown (BFT-12 E7)."""

from __future__ import annotations

from node.consensus.events import Approved, Event, Rejected, Validated
from node.simulation.byzantine.style import Style


class InvalidApprover(Style):
    """Finds every block valid, and commits to every certified one."""

    def events(self, event: Event) -> list[Event]:
        if isinstance(event, Validated) and isinstance(event.verdict, Rejected):
            return [Validated(event.ticket, Approved())]
        return [event]
