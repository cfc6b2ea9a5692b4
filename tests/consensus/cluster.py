"""The simulator's engine over the toy ledger: the consensus alone, looked at from all sides."""

from __future__ import annotations

from node.consensus.parameters import ConsensusParameters
from node.simulation import engine
from node.simulation.checker import Violation
from node.simulation.checkers.agreement import Agreement
from node.simulation.checkers.innocence import Innocence
from node.simulation.checkers.write_ahead import WriteAhead
from node.simulation.network import Network
from tests.consensus.toy_ledger import ToyLedger

__all__ = ["Cluster", "Network", "Violation"]


class Cluster(engine.Cluster):
    """Agreement, durability and innocence are checked; invalid blocks by `ToyLedger` alone."""

    def __init__(
        self,
        bank_count: int = 12,
        *,
        seed: int = 0,
        network: Network | None = None,
        parameters: ConsensusParameters | None = None,
        crash_chance: float = 0.0,
        slow_validation_chance: float = 0.0,
    ) -> None:
        self.agreement = Agreement()
        super().__init__(
            ToyLedger(bank_count),
            seed=seed,
            network=network,
            parameters=parameters,
            crash_chance=crash_chance,
            slow_validation_chance=slow_validation_chance,
            checkers=(self.agreement, WriteAhead(), Innocence()),
        )
