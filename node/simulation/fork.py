"""The control of the simulator: eight Byzantine banks of twelve must fork, and must be convicted.

BFT-12 sections 1 and 9. Agreement holds up to b = 2q-n-1 Byzantine banks. With one more, a fork is
possible, and then the statements that correct banks hold convict at least 2q-n banks and never a
correct one. An adversary that finds no fork there would prove nothing by finding none with seven.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from node.consensus.accusations import pair_of
from node.consensus.core import Consensus
from node.consensus.evidence import StatementLog
from node.consensus.evidence_items import encode_item
from node.consensus.messages import Seal
from node.ledger.blocks import Block
from node.ledger.offences import Offence, VerifiedEvidence
from node.ledger.state_records import PunishedOffence
from node.ledger.types import BankIndex, BlockId, Height, View
from node.simulation.ballot_oracle import ballot_signer_of
from node.simulation.byzantine.coalition import Coalition
from node.simulation.checker import Checker
from node.simulation.clients import Clients
from node.simulation.engine import Bank, Cluster, Core
from node.simulation.genesis import make_genesis
from node.simulation.ledger import Valid
from node.simulation.network import Network
from node.simulation.oracle import OracleSigner, public_key
from node.simulation.production_ledger import LedgerPoint, ProductionLedger

LIMIT_MS = 120_000
"""Virtual time in which the coalition must succeed."""
HEIGHTS = 24
"""Heights after which a run without a fork ends: every bank led its view 0 twice."""
PAYMENT_PERIOD_MS = 400


@dataclass(frozen=True, slots=True)
class Branch:
    """One of the blocks that were sealed at one height."""

    block_id: BlockId
    view: View
    """In which it was sealed."""
    banks: tuple[BankIndex, ...]
    """Correct banks that applied it."""


@dataclass(frozen=True, slots=True)
class ForkOutcome:
    """What became of one seed."""

    seed: int
    byzantine: tuple[BankIndex, ...]
    height: Height | None
    """Of the fork; None if there was none."""
    branches: tuple[Branch, ...]
    evidence: tuple[VerifiedEvidence, ...]
    """What the correct banks' statements prove together, each item verified."""
    heights: int
    """Sealed by the correct bank that came farthest."""
    events: int
    messages: int
    virtual_ms: int

    @property
    def forked(self) -> bool:
        return self.height is not None

    @property
    def convicted(self) -> tuple[BankIndex, ...]:
        """Banks that the evidence convicts, in increasing index."""
        return tuple(sorted({item.bank for item in self.evidence}))

    @property
    def innocent_convicted(self) -> tuple[BankIndex, ...]:
        """Correct banks among them: there must be none."""
        return tuple(bank for bank in self.convicted if bank not in self.byzantine)


class _TwoBranches(Checker):
    """Notes what correct banks apply, and when two of them part."""

    name = "fork"

    def __init__(self) -> None:
        self.applied_at: dict[Height, dict[BlockId, list[tuple[BankIndex, View]]]] = {}
        self.forked_at: Height | None = None

    def applied(self, bank: Bank, block: Block, seal: Seal, outcome: Valid) -> None:
        """Compare with what others applied at this height."""
        if bank.index in self.cluster.byzantine:
            return
        branches = self.applied_at.setdefault(block.height, {})
        branches.setdefault(block.block_id, []).append((bank.index, seal.view))
        if len(branches) > 1 and self.forked_at is None:
            self.forked_at = block.height


def run_fork(
    seed: int, *, bank_count: int = 12, byzantine: int = 8, heights: int = HEIGHTS
) -> ForkOutcome:
    """Let a coalition try to fork, and pool what the correct banks then know.

    Ends at the fork, or when a correct bank has sealed `heights`. Pure in its arguments; no bank
    crashes, so that the logs of all correct banks are at hand.
    """
    random = Random(f"fork/{seed}/{bank_count}/{byzantine}")
    watch = _TwoBranches()
    ledger = ProductionLedger(make_genesis(bank_count))
    cluster, members = _set_up(ledger, seed, random, watch, byzantine)
    cluster.start()
    correct = [bank for bank in cluster.banks if bank.index not in cluster.byzantine]

    def over() -> bool:
        return watch.forked_at is not None or any(bank.height >= heights for bank in correct)

    cluster.run_until(over, LIMIT_MS)
    branches = watch.applied_at[watch.forked_at] if watch.forked_at is not None else {}
    return ForkOutcome(
        seed=seed,
        byzantine=members,
        height=watch.forked_at,
        branches=tuple(
            Branch(block_id, banks[0][1], tuple(sorted(bank for bank, _ in banks)))
            for block_id, banks in branches.items()
        ),
        evidence=tuple(pooled_evidence(ledger, correct)),
        heights=max(bank.height for bank in correct),
        events=cluster.events_handled,
        messages=cluster.messages_sent,
        virtual_ms=cluster.now_ms,
    )


def _set_up(
    ledger: ProductionLedger, seed: int, random: Random, watch: Checker, byzantine: int
) -> tuple[Cluster, tuple[BankIndex, ...]]:
    banks = ledger.genesis.active_set.banks
    members = tuple(sorted(random.sample(banks, byzantine)))
    coalition = Coalition(random)

    def make_core(bank: BankIndex, consensus: Consensus) -> Core:
        if bank not in members:
            return consensus
        signer = OracleSigner(public_key(bank))
        ballot_signer = ballot_signer_of(bank, ledger.definition.chain_id)
        return coalition.join(bank, consensus, signer, ballot_signer)

    cluster = Cluster(
        ledger,
        seed=f"fork/{seed}",
        network=Network(
            loss=random.choice([0, 0, 0.05]), max_delay_ms=random.choice([5, 50, 200])
        ),
        checkers=(watch,),
        core_factory=make_core,
    )
    cluster.byzantine = frozenset(members)
    Clients(cluster, ledger, random).submit_every(PAYMENT_PERIOD_MS, LIMIT_MS)
    return cluster, members


def pooled_evidence(ledger: ProductionLedger, correct: Sequence[Bank]) -> list[VerifiedEvidence]:
    """Put together what correct banks hold, statements and stored items; return what it proves.

    One item for each offence of each bank at each height; every item is verified.
    """
    log = StatementLog()
    items: dict[bytes, bool] = {}
    for bank in correct:
        items.update(dict.fromkeys(bank.disk.evidence.values(), True))
        assert isinstance(bank.core, Consensus), "a correct bank that is up runs the core itself"
        for statement in bank.core.statements():
            log.observe(statement)
    for conflict in log.conflicts():
        pair = pair_of(conflict.first, conflict.second)
        assert pair is not None, "the log knows what convicts"
        items[encode_item(pair)] = True
    farthest = max(correct, key=lambda bank: bank.height).disk.point
    assert isinstance(farthest, LedgerPoint), "the banks run the production ledger"
    verdicts = [ledger.evidence.verdict(farthest.state, item) for item in items]
    proven: dict[tuple[PunishedOffence, Offence], VerifiedEvidence] = {}
    for verdict in verdicts:
        if isinstance(verdict, VerifiedEvidence):
            proven.setdefault((verdict.key, verdict.offence), verdict)
    return list(proven.values())
