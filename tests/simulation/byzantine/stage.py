"""A consortium of twelve in which some banks misbehave in a named style, over production rules."""

from __future__ import annotations

from random import Random

from node.consensus.core import Consensus
from node.consensus.messages import Seal
from node.ledger.blocks import Block
from node.ledger.types import BankIndex
from node.simulation.ballot_oracle import ballot_signer_of
from node.simulation.byzantine import make_byzantine
from node.simulation.checker import Checker
from node.simulation.checkers.agreement import Agreement
from node.simulation.checkers.conviction import NoFalseConviction
from node.simulation.checkers.innocence import Innocence
from node.simulation.checkers.voting_record import OneBallot, VotingRecord
from node.simulation.checkers.write_ahead import WriteAhead
from node.simulation.clients import Clients
from node.simulation.engine import Bank, Cluster, Core
from node.simulation.fork import pooled_evidence
from node.simulation.genesis import make_genesis
from node.simulation.ledger import Valid
from node.simulation.oracle import OracleSigner, public_key
from node.simulation.production_ledger import LedgerPoint, ProductionLedger
from node.simulation.regulator import Regulator

PERIOD_MS = 200
LIMIT_MS = 120_000


class Punishments(Checker):
    """Notes every slash that a correct bank's ledger applies."""

    name = "punishments"

    def __init__(self) -> None:
        self.seen: set[tuple[int, str]] = set()

    def applied(self, bank: Bank, block: Block, seal: Seal, outcome: Valid) -> None:
        assert isinstance(outcome.after, LedgerPoint)
        for item in outcome.after.transition.punishments:
            self.seen.add((item.bank, str(item.offence)))


class Stage:
    """`styles` names the Byzantine banks. Agreement, write-ahead and innocence are checked."""

    def __init__(self, styles: dict[int, str], *, seed: int = 1) -> None:
        random = Random(seed)
        self.ledger = ledger = ProductionLedger(make_genesis(12))

        def make_core(bank: BankIndex, consensus: Consensus) -> Core:
            if bank not in styles:
                return consensus
            signer = OracleSigner(public_key(bank))
            ballot_signer = ballot_signer_of(bank, ledger.definition.chain_id)
            return make_byzantine(styles[bank], consensus, signer, ballot_signer, random)

        self.punishments, self.record = Punishments(), VotingRecord()
        self.cluster = Cluster(
            ledger,
            seed=seed,
            checkers=(
                Agreement(),
                WriteAhead(),
                Innocence(),
                OneBallot(),
                NoFalseConviction(),
                self.record,
                self.punishments,
            ),
            core_factory=make_core,
        )
        self.cluster.byzantine = frozenset(styles)
        Clients(self.cluster, ledger, random).submit_every(PERIOD_MS, LIMIT_MS)
        self.regulator = Regulator(self.cluster, ledger, random)
        self.regulator.oversteps = False
        self.regulator.act_every(PERIOD_MS, LIMIT_MS)
        self.cluster.start()

    @property
    def correct(self) -> list[Bank]:
        return [b for b in self.cluster.banks if b.index not in self.cluster.byzantine]

    def seal(self, height: int) -> None:
        """Run until every correct bank sealed this height."""
        banks = [bank.index for bank in self.correct]
        self.cluster.reach(height, banks=banks, limit_ms=LIMIT_MS)

    @property
    def provable(self) -> set[tuple[int, str]]:
        """Whom the correct banks could convict together now, and of what."""
        evidence = pooled_evidence(self.ledger, self.correct)
        return {(item.bank, str(item.offence)) for item in evidence}

    @property
    def punished(self) -> set[tuple[int, str]]:
        """Whose stake the ledger has cut, and for what."""
        return self.punishments.seen
