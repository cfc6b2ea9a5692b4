"""Durability: what a client was told is sealed stays sealed, everywhere (BFT-12 P7)."""

from __future__ import annotations

from node.ledger.types import BankIndex, Height, TransactionId
from node.simulation.checker import Checker
from node.simulation.engine import Bank, Cluster


class Durability(Checker):
    """Looks for every acknowledged transaction on the disk that acknowledged it, after every
    restart, and at the end on the disk of every correct bank that is that far."""

    name = "durability"

    def begin(self, cluster: Cluster) -> None:
        """Nobody was told anything."""
        super().begin(cluster)
        self._acknowledged: dict[TransactionId, Height] = {}
        self.restored: set[BankIndex] = set()
        """Banks whose disk was put back to a backup: they owe only what they synced since."""

    def acknowledged(self, bank: Bank, transaction_id: TransactionId) -> None:
        """The bank must have it on disk by now."""
        self._acknowledged[transaction_id] = bank.height
        item = bank.disk.chain[-1]
        if transaction_id not in item.block.transaction_ids:
            raise self.violation(f"bank {bank.index} acknowledged what is not on its disk")

    def restarted(self, bank: Bank) -> None:
        """What is on disk is whole: block by block, in order, with the bytes of transactions."""
        if bank.index in self.cluster.byzantine:
            return
        for position, item in enumerate(bank.disk.chain, start=1):
            if item.block.height != position or item.seal.block_id != item.block.block_id:
                raise self.violation(f"bank {bank.index} came back with a damaged chain")

    def finish(self) -> None:
        """Every correct bank that reached the height has the transaction on its disk."""
        for bank in self.cluster.banks:
            if bank.index in self.cluster.byzantine:
                continue
            places = {
                transaction_id: item.block.height
                for item in bank.disk.chain
                for transaction_id in item.block.transaction_ids
            }
            for transaction_id, height in self._acknowledged.items():
                if bank.height >= height and places.get(transaction_id) != height:
                    raise self.violation(
                        f"bank {bank.index} has lost transaction {transaction_id.hex()[:16]}, "
                        f"acknowledged at height {height}"
                    )
        highest = max(bank.height for bank in self.cluster.banks)
        lost = [height for height in self._acknowledged.values() if height > highest]
        if lost:
            raise self.violation(f"acknowledged heights {sorted(set(lost))} are gone")
