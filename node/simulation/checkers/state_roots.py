"""Equal state roots: whoever is at a height has the same state there (BFT-12 section 8)."""

from __future__ import annotations

from node.consensus.messages import Seal
from node.ledger.blocks import Block
from node.ledger.types import Height
from node.simulation.checker import Checker
from node.simulation.engine import Bank, Cluster
from node.simulation.ledger import Valid
from node.simulation.production_ledger import LedgerPoint


class StateRoots(Checker):
    """Compares the whole encoded state, also where banks computed it by themselves."""

    name = "state roots"

    def begin(self, cluster: Cluster) -> None:
        """No state is known."""
        super().begin(cluster)
        self._states: dict[Height, LedgerPoint] = {}

    def applied(self, bank: Bank, block: Block, seal: Seal, outcome: Valid) -> None:
        """The state of a height is the same bytes for everybody."""
        after = outcome.after
        assert isinstance(after, LedgerPoint), "states are of the production ledger"
        if bank.index in self.cluster.byzantine:
            return
        known = self._states.setdefault(block.height, after)
        if known is not after and known.state.encode() != after.state.encode():
            raise self.violation(f"bank {bank.index} has another state at height {block.height}")
