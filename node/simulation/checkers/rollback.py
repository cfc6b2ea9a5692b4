"""The rollback guard: a bank restored from an old disk signs nothing it may contradict (D4)."""

from __future__ import annotations

from collections.abc import Sequence

from node.consensus.effects import Persist
from node.consensus.messages import Commit, Message, Proposal, Timeout, Vote
from node.ledger.types import BankIndex, Height
from node.simulation.checker import Checker
from node.simulation.engine import Bank, Cluster


class RollbackGuard(Checker):
    """Holds a restored bank to silence at every height that it signed at before."""

    name = "rollback guard"

    def begin(self, cluster: Cluster) -> None:
        """Nobody's disk was restored."""
        super().begin(cluster)
        self._signed: dict[BankIndex, Persist] = {}
        self._silent: dict[BankIndex, Height] = {}

    def persisted(self, bank: Bank, effect: Persist) -> None:
        """Remember what the bank signed last."""
        self._signed[bank.index] = effect

    def restored(self, bank: Bank) -> None:
        """The bank's database was just put back to a backup: has it lost what was signed last?"""
        last = self._signed.get(bank.index)
        if last is not None and last.height > bank.height and last.record != bank.disk.record:
            self._silent[bank.index] = last.height

    def sent(self, bank: Bank, message: Message, targets: Sequence[BankIndex]) -> None:
        """What a bank says at a height that it may have forgotten is a violation."""
        if bank.index in self.cluster.byzantine:
            return
        if not isinstance(message, Proposal | Vote | Commit | Timeout):
            return
        silent = self._silent.get(bank.index)
        if silent is not None and message.height <= silent:
            raise self.violation(
                f"bank {bank.index} was restored from a backup and signed at height "
                f"{message.height}, although it had signed up to height {silent} before"
            )
