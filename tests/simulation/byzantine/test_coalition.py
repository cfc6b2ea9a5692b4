"""A coalition is as strong as the protocol allows: BFT-12 sections 1 and 16."""

from __future__ import annotations

from random import Random

import pytest

from node.consensus.core import Consensus
from node.ledger.types import BankIndex
from node.simulation.ballot_oracle import ballot_signer_of
from node.simulation.byzantine.coalition import Coalition
from node.simulation.checker import Violation
from node.simulation.checkers.agreement import Agreement
from node.simulation.checkers.innocence import Innocence
from node.simulation.clients import Clients
from node.simulation.engine import Cluster, Core
from node.simulation.genesis import make_genesis
from node.simulation.mutants import MUTANTS
from node.simulation.oracle import OracleSigner, public_key
from node.simulation.production_ledger import ProductionLedger

HEIGHTS = 12


def run(seed: int, members: range) -> Cluster:
    """Let these banks collude until a correct bank sealed twelve heights."""
    coalition = Coalition(Random(seed))

    def make_core(bank: BankIndex, consensus: Consensus) -> Core:
        if bank not in members:
            return consensus
        signer = OracleSigner(public_key(bank))
        return coalition.join(bank, consensus, signer, ballot_signer_of(bank, chain_id))

    ledger = ProductionLedger(make_genesis(12))
    chain_id = ledger.definition.chain_id
    cluster = Cluster(
        ledger, seed=seed, checkers=(Agreement(), Innocence()), core_factory=make_core
    )
    cluster.byzantine = frozenset(members)
    Clients(cluster, ledger, Random(seed)).submit_every(200, 200_000)
    cluster.start()
    correct = [bank for bank in cluster.banks if bank.index not in members]
    cluster.run_until(lambda: any(bank.height >= HEIGHTS for bank in correct), 200_000)
    return cluster


@pytest.mark.parametrize("count", [1, 3, 7])
def test_section_1_up_to_seven_fork_nothing_and_heights_go_on(count: int) -> None:
    cluster = run(0, range(count))
    assert max(bank.height for bank in cluster.banks[count:]) >= HEIGHTS


def test_section_1_eight_fork() -> None:
    with pytest.raises(Violation, match="two blocks are sealed"):
        for seed in range(6):
            run(seed, range(8))


def test_section_13_hidden_certificates_fork_what_forgets_its_locks() -> None:
    """Lemma 2 needs q timeouts: with three, what the coalition hides is lost."""
    with MUTANTS["timeout-certificate-of-three"].applied(), pytest.raises(Violation, match="two"):
        for seed in range(20):
            run(seed, range(4))
