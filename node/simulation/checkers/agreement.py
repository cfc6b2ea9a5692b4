"""Agreement: no two sealed blocks at one height, and one chain for all (BFT-12 sections 1, 13)."""

from __future__ import annotations

from collections.abc import Sequence

from node.consensus.certificates import CertificateInvalid, verify_seal
from node.consensus.messages import Message, Seal
from node.ledger.active_set import ActiveSet
from node.ledger.blocks import Block, Header
from node.ledger.types import BankIndex, BlockId, Height
from node.simulation.checker import Checker
from node.simulation.engine import Bank, Cluster
from node.simulation.ledger import Valid


class Agreement(Checker):
    """Looks at every seal that a bank sends or applies."""

    name = "agreement"

    def begin(self, cluster: Cluster) -> None:
        """Start from the genesis."""
        super().begin(cluster)
        genesis = cluster.ledger.genesis
        self.chain: dict[Height, Header] = {genesis.header.height: genesis.header}
        self.active_sets: dict[Height, ActiveSet] = {Height(1): genesis.active_set}
        self._sealed: dict[Height, BlockId] = {}
        self._verified: dict[Height, Seal] = {}
        """The seal of each height that was looked at last: most banks have the same one."""

    def sent(self, bank: Bank, message: Message, targets: Sequence[BankIndex]) -> None:
        """A seal that a correct bank sends is one that it verified or formed."""
        if isinstance(message, Seal) and bank.index not in self.cluster.byzantine:
            self._one_seal_per_height(message.height, message.block_id)

    def applied(self, bank: Bank, block: Block, seal: Seal, outcome: Valid) -> None:
        """Every correct bank extends the same chain, under valid seals."""
        if bank.index in self.cluster.byzantine:
            return
        header = block.header
        active_set = self.active_sets[header.height]
        if self._verified.get(header.height) is not seal:
            try:
                verify_seal(seal, header.chain_id, active_set, self.cluster.verifier)
            except CertificateInvalid as error:
                raise self.violation(
                    f"bank {bank.index} applied height {header.height} under a bad seal: {error}"
                ) from error
            self._verified[header.height] = seal
        self._one_seal_per_height(header.height, header.block_id)
        if seal.block_id != header.block_id:
            raise self.violation(f"bank {bank.index} applied a block under another block's seal")
        parent = self.chain[Height(header.height - 1)]
        known = self.chain.setdefault(header.height, header)
        if known.block_id != header.block_id or header.parent_id != parent.block_id:
            raise self.violation(f"bank {bank.index} left the chain at height {header.height}")
        following = self.active_sets.setdefault(Height(header.height + 1), outcome.after.active_set)
        if following.set_hash != outcome.after.active_set.set_hash:
            raise self.violation(f"bank {bank.index} has another active set after {header.height}")

    def _one_seal_per_height(self, height: Height, block_id: BlockId) -> None:
        if self._sealed.setdefault(height, block_id) != block_id:
            raise self.violation(f"two blocks are sealed at height {height}")
