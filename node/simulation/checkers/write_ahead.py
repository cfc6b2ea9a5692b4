"""Write-ahead: what leaves a bank is on its disk first, block included (BFT-12 D1, D2)."""

from __future__ import annotations

from collections.abc import Sequence

from node.consensus.effects import Persist
from node.consensus.messages import Commit, Message, Proposal, Timeout, Vote
from node.consensus.signing import Decision
from node.ledger.types import BankIndex, BlockId
from node.simulation.checker import Checker
from node.simulation.disk import SignaturePoint
from node.simulation.engine import Bank
from node.simulation.trace import describe

Statement = Proposal | Vote | Commit | Timeout


class WriteAhead(Checker):
    """Compares every statement that leaves a correct bank with the disk of that moment."""

    name = "write-ahead"

    def persisted(self, bank: Bank, effect: Persist) -> None:
        """(height, view, step) only grows: what the rollback guard relies on (D4)."""
        if bank.index in self.cluster.byzantine:
            return
        point = SignaturePoint(effect.height, effect.view, effect.step)
        guard = bank.disk.guard
        if guard is not None and point <= guard:
            raise self.violation(f"bank {bank.index} persisted {point} after {guard}")

    def sent(self, bank: Bank, message: Message, targets: Sequence[BankIndex]) -> None:
        """D1: what leaves is on disk. D2: so is the block that an approval stands for.

        A record holds statements in the encoding in which they are sent, after the type byte.
        """
        if bank.index in self.cluster.byzantine or not isinstance(message, Statement):
            return
        disk = bank.disk
        if disk.record is None:
            raise self.violation(
                f"bank {bank.index} sent a statement without any record: {describe(message)}"
            )
        if self.cluster.encoded(message)[1:] not in disk.record:
            raise self.violation(f"bank {bank.index} sent what is not on disk: {describe(message)}")
        needed = _vouched_for(message)
        if needed is None:
            return
        block = disk.blocks.get(needed)
        if block is None or not disk.bodies.issuperset(block.transaction_ids):
            raise self.violation(f"bank {bank.index} vouches for a block that is not on disk")


def _vouched_for(statement: Statement) -> BlockId | None:
    """Return the block that a bank must be able to produce after saying this.

    A proposal of a certified block needs none: q banks have it on their disks.
    """
    match statement:
        case Proposal(quorum_certificate=None):
            return statement.block.block_id
        case Vote(decision=Decision.APPROVE) | Commit():
            return statement.block_id
        case _:
            return None
