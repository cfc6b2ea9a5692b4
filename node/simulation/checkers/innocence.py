"""Innocence: no correct bank ever signs what would convict it (BFT-12 sections 1 and 9)."""

from __future__ import annotations

from collections.abc import Sequence

from node.consensus.evidence import StatementLog
from node.consensus.messages import Commit, Message, Proposal, Timeout, Vote
from node.ledger.types import BankIndex
from node.simulation.checker import Checker
from node.simulation.engine import Bank, Cluster
from node.simulation.trace import describe


class Innocence(Checker):
    """Keeps every statement that correct banks ever sent, over crashes and restored disks."""

    name = "innocence"

    def begin(self, cluster: Cluster) -> None:
        """Nobody has signed anything."""
        super().begin(cluster)
        self.statements = StatementLog()

    def sent(self, bank: Bank, message: Message, targets: Sequence[BankIndex]) -> None:
        """A statement may not contradict what the bank said before."""
        if bank.index in self.cluster.byzantine:
            return
        if isinstance(message, Proposal | Vote | Commit | Timeout):
            conflicts = self.statements.observe(message)
            for conflict in conflicts:
                raise self.violation(
                    f"correct bank {bank.index} could be convicted of {conflict.offence.value}: "
                    f"{describe(conflict.first)}, and {describe(conflict.second)}"
                )
