"""The rollback guard: a bank restored from an old disk signs nothing it may contradict (D4)."""

from __future__ import annotations

from collections.abc import Sequence

from node.consensus.effects import Persist
from node.consensus.messages import Message
from node.ledger.types import BankIndex, Height
from node.simulation.checker import Checker
from node.simulation.disk import SignaturePoint
from node.simulation.engine import Bank, Cluster


class RollbackGuard(Checker):
    """Holds a restored bank to silence at every height where it may have forgotten what it said.

    Repeating a statement that the backup holds is no new signature and contradicts nothing.
    """

    name = "rollback guard"

    def begin(self, cluster: Cluster) -> None:
        """Nobody's disk was restored."""
        super().begin(cluster)
        self._spoken: dict[BankIndex, tuple[SignaturePoint, bytes]] = {}
        """What was on each bank's disk when it last said anything: all that can be out.

        What was written after that has not left the bank, and may be forgotten.
        """
        self._silent: dict[BankIndex, Height] = {}

    def restored(self, bank: Bank) -> None:
        """The bank's database was just put back to a backup: has it lost what was signed last?"""
        spoken = self._spoken.get(bank.index)
        if spoken is None:
            return
        point, record = spoken
        recorded = bank.disk.recorded
        newer = recorded is not None and recorded > point
        if point.height > bank.height and record != bank.disk.record and not newer:
            self._silent[bank.index] = point.height

    def sent(self, bank: Bank, message: Message, targets: Sequence[BankIndex]) -> None:
        """Whatever is on the disk by now may be known outside."""
        disk = bank.disk
        if disk.record is not None and disk.recorded is not None:
            self._spoken[bank.index] = (disk.recorded, disk.record)

    def persisted(self, bank: Bank, effect: Persist) -> None:
        """What a bank signs at a height that it may have forgotten is a violation."""
        silent = self._silent.get(bank.index)
        if bank.index in self.cluster.byzantine or silent is None:
            return
        if effect.height <= silent:
            raise self.violation(
                f"bank {bank.index} was restored from a backup and signed at height "
                f"{effect.height}, although it had signed up to height {silent} before"
            )
