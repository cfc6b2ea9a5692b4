"""Conservation of value and the treasury's sums (BFT-12 section 18)."""

from __future__ import annotations

from node.consensus.messages import Seal
from node.ledger.blocks import Block
from node.ledger.effects import TreasuryKind
from node.ledger.invariants import InvariantBroken, check_conservation, note_supply
from node.simulation.checker import Checker
from node.simulation.clients import Clients
from node.simulation.engine import Bank, Cluster
from node.simulation.ledger import Valid
from node.simulation.production_ledger import LedgerPoint


class Conservation(Checker):
    """Compares the public totals with each other, and with the values that clients know of."""

    name = "conservation of value"

    def __init__(self) -> None:
        self.clients: Clients | None = None
        """Who know the hidden values; compared with at the end."""
        self._checked: set[bytes] = set()

    def applied(self, bank: Bank, block: Block, seal: Seal, outcome: Valid) -> None:
        """The equations of BFT-12 section 18 hold in every sealed state."""
        after = outcome.after
        assert isinstance(after, LedgerPoint), "money exists on the production ledger alone"
        if bank.index in self.cluster.byzantine or block.block_id in self._checked:
            return
        self._checked.add(block.block_id)
        try:
            check_conservation(after.genesis, after.state)
        except InvariantBroken as error:
            raise self.violation(f"height {block.height}: {error}") from error

    def finish(self) -> None:
        """The supply of notes is the sum of what is in them."""
        if self.clients is None:
            return
        supply = note_supply(self.clients.tip.state.assets[0])
        hidden = sum(note.value for note in self.clients.unspent.values())
        if supply != hidden:
            raise self.violation(f"the ledger says {supply} are in notes, wallets hold {hidden}")


class TreasurySums(Checker):
    """Adds up every treasury row that a bank would store, and compares with the state."""

    name = "treasury sums"

    def begin(self, cluster: Cluster) -> None:
        """The genesis' rows: each bank's initial stake."""
        super().begin(cluster)
        self._seen: set[bytes] = set()
        self._sums: dict[TreasuryKind, int] = {}
        genesis = cluster.ledger.genesis
        assert isinstance(genesis, LedgerPoint), "money exists on the production ledger alone"
        for entry in genesis.transition.treasury_entries:
            self._sums[entry.kind] = self._sums.get(entry.kind, 0) + entry.amount

    def applied(self, bank: Bank, block: Block, seal: Seal, outcome: Valid) -> None:
        """What went into pots and did not come out as rewards is there; so are the stakes."""
        after = outcome.after
        assert isinstance(after, LedgerPoint), "money exists on the production ledger alone"
        if bank.index in self.cluster.byzantine or block.block_id in self._seen:
            return
        self._seen.add(block.block_id)
        for entry in after.transition.treasury_entries:
            self._sums[entry.kind] = self._sums.get(entry.kind, 0) + entry.amount
        state = after.state
        collected = self._sum(TreasuryKind.FEE) + self._sum(TreasuryKind.PENALTY)
        in_pots = sum(pot.approver_fees + pot.penalties + pot.carried for pot in state.pots)
        self._compare(block, TreasuryKind.REWARD, collected - in_pots)
        self._compare(block, TreasuryKind.REWARD, sum(bank.rewards for bank in state.banks))
        self._compare(block, TreasuryKind.CARRY, 0)
        stakes = sum(bank.stake for bank in state.banks)
        self._compare(block, TreasuryKind.PENALTY, self._sum(TreasuryKind.STAKE) - stakes)
        # The equation of section 18, by what was ever paid in and out.
        paid_in = sum(bank.initial_stake + bank.topped_up for bank in state.banks)
        paid_in += sum(asset.fees for asset in state.assets)
        paid_out = sum(bank.creator_fees + bank.rewards + bank.withdrawn for bank in state.banks)
        if paid_in != stakes + in_pots + paid_out:
            raise self.violation(
                f"height {block.height}: {paid_in} were paid in, {stakes} are staked, {in_pots} "
                f"in pots, and {paid_out} paid out"
            )

    def _sum(self, kind: TreasuryKind) -> int:
        return self._sums.get(kind, 0)

    def _compare(self, block: Block, kind: TreasuryKind, expected: int) -> None:
        if self._sum(kind) != expected:
            raise self.violation(
                f"height {block.height}: {kind} rows add up to {self._sum(kind)}, "
                f"the state says {expected}"
            )
