"""Validity: no invalid block is sealed (BFT-12 sections 1, 8), judged apart from the banks."""

from __future__ import annotations

from node.consensus.messages import Seal
from node.ledger.blocks import Block
from node.simulation.checker import Checker
from node.simulation.engine import Bank
from node.simulation.ledger import Valid
from node.simulation.production_ledger import LedgerPoint, ProductionLedger


class Validity(Checker):
    """Asks the proof oracle and the set of spent notes itself, not the banks' verdicts."""

    name = "validity"

    def __init__(self, ledger: ProductionLedger) -> None:
        self._oracle = ledger.oracle
        self._spent: dict[bytes, bytes] = {}
        self._checked: set[bytes] = set()

    def applied(self, bank: Bank, block: Block, seal: Seal, outcome: Valid) -> None:
        """Every sealed transaction was made by its owner, and no note is spent by two of them."""
        after = outcome.after
        if bank.index in self.cluster.byzantine or block.block_id in self._checked:
            return
        assert isinstance(after, LedgerPoint), "points are of the production ledger"
        self._checked.add(block.block_id)
        for transaction_id in block.transaction_ids:
            if not self._oracle.owned(transaction_id):
                raise self.violation(
                    f"bank {bank.index} sealed the invalid transaction "
                    f"{transaction_id.hex()[:16]} at height {block.height}"
                )
        for item in after.transition.nullifiers:
            first = self._spent.setdefault(item.nullifier, item.transaction_id)
            if first != item.transaction_id:
                raise self.violation(f"one note is spent twice, again at height {block.height}")
        if after.state.root() != block.header.post_state_root:
            raise self.violation(f"the state root of height {block.height} is wrong")
