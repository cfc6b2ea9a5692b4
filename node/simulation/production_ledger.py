"""The production ledger under the engine: `node.ledger` alone decides, this module hosts it.

It is pure: the same arguments give the same result. Results are therefore remembered, so that
twelve banks at one point of the chain do not execute one block twelve times; `memoise=False` has
every bank compute for itself, and some runs do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from crypto.ballot_proof import HEAD_BYTES
from crypto.merkle import leaf_hash, merkle_root_of_hashes
from crypto.ring import ClosedBin
from node.consensus.events import BodyUnusable, Rejected
from node.ledger.active_set import ActiveSet
from node.ledger.ballots import VerifiedBallot, ballot_view
from node.ledger.block_validity import (
    build_block,
    next_bin_due_ms,
    parent_set,
    validate_block,
)
from node.ledger.blocks import Block, Header
from node.ledger.effects import Transition, genesis_transition
from node.ledger.facts import BlockFacts, facts_needed
from node.ledger.genesis import Genesis
from node.ledger.governance import GovernanceTransaction
from node.ledger.offences import VerifiedEvidence
from node.ledger.proofs import VerifiedTransaction
from node.ledger.rejection import Rejection
from node.ledger.rules import AdmissionView
from node.ledger.state import LedgerState, genesis_header
from node.ledger.transition import execute
from node.ledger.types import BankIndex, Height, TimeMs, TransactionId, View
from node.simulation.ballot_oracle import BallotOracle
from node.simulation.evidence_desk import EvidenceDesk
from node.simulation.ledger import Built, Examined, Valid
from node.simulation.proof_oracle import ProofOracle

MintTransaction = Callable[[bool], TransactionId]
"""Makes a transaction that a client might submit, or, told so, one that nobody may seal."""


@dataclass(frozen=True, eq=False)
class LedgerPoint:
    """The ledger after one block, with the part of a bank's storage that the rules ask."""

    genesis: Genesis
    header: Header
    transition: Transition
    spent: frozenset[bytes] = frozenset()
    known_notes: frozenset[bytes] = frozenset()
    sealed: frozenset[bytes] = frozenset()
    closed_bins: Mapping[int, ClosedBin] = field(default_factory=dict)
    admitted: dict[TransactionId, bool | None] = field(default_factory=dict)
    """What admission said here, remembered."""

    @property
    def state(self) -> LedgerState:
        """The ledger's state after the block."""
        return self.transition.state

    @cached_property
    def active_set(self) -> ActiveSet:
        """Of the next height."""
        return self.state.active_set(self.genesis)

    def facts(self, transactions: Sequence[VerifiedTransaction]) -> BlockFacts:
        """Return what a bank's storage would find for these."""
        needed = facts_needed(transactions)
        bins = self.closed_bins
        return BlockFacts(
            spent=self.spent.intersection(needed.nullifiers),
            known_notes=self.known_notes.intersection(needed.one_time_keys),
            closed_bins={item: bins[item] for item in needed.bin_ids if item in bins},
            sealed_transactions=self.sealed.intersection(needed.transaction_ids),
        )

    @cached_property
    def view(self) -> AdmissionView:
        """The point as admission reads it."""
        facts = BlockFacts(self.spent, self.known_notes, self.closed_bins, self.sealed)
        return AdmissionView(self.genesis, self.state, facts)

    def following(self, block: Block, transition: Transition) -> LedgerPoint:
        """Return the point after a block with this outcome."""
        return LedgerPoint(
            genesis=self.genesis,
            header=block.header,
            transition=transition,
            spent=self.spent.union([item.nullifier for item in transition.nullifiers]),
            known_notes=self.known_notes.union(
                [note.output.one_time_key for note in transition.notes]
            ),
            sealed=self.sealed.union(block.transaction_ids),
            closed_bins={
                **self.closed_bins,
                **{record.bin.bin_id: record.bin for record in transition.closed_bins},
            },
        )


class ProductionLedger:
    """Satisfies `node.simulation.ledger.Ledger` with the production rules."""

    def __init__(self, genesis: Genesis, *, memoise: bool = True) -> None:
        self.definition = genesis
        self.oracle = ProofOracle(genesis)
        self.ballot_oracle = BallotOracle(genesis.chain_id)
        self.evidence = EvidenceDesk(genesis, self.oracle, self.ballot_oracle)
        self.genesis = LedgerPoint(genesis, genesis_header(genesis), genesis_transition(genesis))
        self.make_transaction: MintTransaction | None = None
        """How `transaction` makes one; the clients' part."""
        self._memoise = memoise
        self._judged: dict[tuple[object, ...], Valid | Rejected | BodyUnusable] = {}

    def build(
        self,
        point: LedgerPoint,
        *,
        view: View,
        proposer: BankIndex,
        clock_ms: int,
        candidates: Sequence[TransactionId],
        evidence: Sequence[bytes],
        ballots: Sequence[bytes],
    ) -> Built:
        """Build with `build_block`; candidates that cannot be proposed now are left out."""
        verdicts = [self.oracle.judge(item, point.view) for item in candidates]
        verified = [item for item in verdicts if isinstance(item, VerifiedTransaction)]
        refused = [
            identifier
            for identifier, verdict in zip(candidates, verdicts, strict=True)
            if isinstance(verdict, Rejection) and not verdict.reason.is_not_yet
        ]
        proven = [self.evidence.verdict(point.state, item) for item in evidence]
        built = build_block(
            self.definition,
            point.state,
            point.header,
            view=view,
            proposer=proposer,
            clock_ms=TimeMs(clock_ms),
            candidates=verified,
            facts=point.facts(verified),
            evidence=[item for item in proven if isinstance(item, VerifiedEvidence)],
            ballots=[
                item
                for item in self._judge_ballots(point, ballots)
                if isinstance(item, VerifiedBallot)
            ],
        )
        refused += [
            item.transaction_id for item in built.dropped if not item.rejection.reason.is_not_yet
        ]
        return Built(built.block, tuple(refused))

    def poison(self, block: Block, invalid: Sequence[TransactionId]) -> Block:
        """Append transactions without executing them; the state root stays the honest part's."""
        ids = (*block.transaction_ids, *invalid)
        header = replace(
            block.header,
            transactions_root=merkle_root_of_hashes([self.oracle.leaf(item) for item in ids]),
            transaction_count=len(ids),
        )
        return replace(block, header=header, transaction_ids=ids)

    def judge(
        self, point: LedgerPoint, block: Block, *, clock_ms: int | None
    ) -> Valid | Rejected | BodyUnusable:
        """Judge with `validate_block`, after the host's part: are the lists the header's?"""
        skew_ms = self.definition.parameters.max_clock_skew_ms
        ahead = clock_ms is not None and block.header.time_ms > clock_ms + skew_ms
        if ahead or not self._memoise:
            return self._judge(point, block, clock_ms)
        lists = (block.transaction_ids, block.evidence, block.parent_ballots)
        key = (point.header.block_id, block.block_id, lists)
        judged = self._judged.get(key)
        if judged is None:
            judged = self._judged[key] = self._judge(point, block, None)
        return judged

    def _judge(
        self, point: LedgerPoint, block: Block, clock_ms: int | None
    ) -> Valid | Rejected | BodyUnusable:
        unusable = self._unusable(block)
        return self._validate(point, block, clock_ms) if unusable is None else unusable

    def _unusable(self, block: Block) -> BodyUnusable | None:
        header = block.header
        if header.transaction_count != len(block.transaction_ids):
            return BodyUnusable("the list of transactions is not the header's")
        if merkle_root_of_hashes([leaf_hash(raw) for raw in block.parent_ballots]) != (
            header.ballots_root
        ):
            return BodyUnusable("the ballots are not the header's")
        if merkle_root_of_hashes([leaf_hash(raw) for raw in block.evidence]) != (
            header.evidence_root
        ):
            return BodyUnusable("the evidence is not the header's")
        leaves = [self.oracle.leaf(item) for item in block.transaction_ids]
        if merkle_root_of_hashes(leaves) != header.transactions_root:
            return BodyUnusable("the transactions do not hash to the header's root")
        return None

    def _validate(self, point: LedgerPoint, block: Block, clock_ms: int | None) -> Valid | Rejected:
        verdicts = [self.oracle.judge(item, point.view) for item in block.transaction_ids]
        verified = [item for item in verdicts if isinstance(item, VerifiedTransaction)]
        evidence = [self.evidence.verdict(point.state, item) for item in block.evidence]
        try:
            transition = validate_block(
                self.definition,
                point.state,
                point.header,
                block,
                verdicts,
                point.facts(verified),
                clock_ms=None if clock_ms is None else TimeMs(clock_ms),
                evidence=evidence,
                ballots=self._judge_ballots(point, block.parent_ballots),
            )
        except Rejection as rejection:
            return Rejected(
                rejection.reason.value,
                deterministic=rejection.reason.is_deterministic,
                transaction_index=rejection.transaction_index,
                proof=self.evidence.prove_invalidity(block, rejection),
            )
        punished = tuple([item.key for item in evidence if isinstance(item, VerifiedEvidence)])
        return Valid(point.following(block, transition), punished)

    def _judge_ballots(
        self, point: LedgerPoint, raws: Sequence[bytes]
    ) -> list[VerifiedBallot | Rejection]:
        """Judge ballots about the last block, each in the view that it names, as
        `node.ledger.ballots.verify_parent_ballots` does."""
        active_set = parent_set(self.definition, point.state)
        verdicts: list[VerifiedBallot | Rejection] = []
        for raw in raws:
            view = ballot_view(raw) if len(raw) >= HEAD_BYTES else View(0)
            verdicts += self.ballot_oracle.verify(
                [raw], height=point.header.height, view=view, active_set=active_set
            )
        return verdicts

    def admit(self, point: LedgerPoint, transaction_id: TransactionId) -> bool | None:
        """Judge as admission does."""
        known = point.admitted
        if transaction_id not in known or not self._memoise:
            verdict = self.oracle.judge(transaction_id, point.view)
            if isinstance(verdict, VerifiedTransaction):
                known[transaction_id] = self._executable(point, verdict)
            else:
                known[transaction_id] = None if verdict.reason.is_not_yet else False
        return known[transaction_id]

    def _executable(self, point: LedgerPoint, verified: VerifiedTransaction) -> bool:
        """Whether governance may stand in the next block: a node admits nothing else."""
        if not isinstance(verified.transaction, GovernanceTransaction):
            return True
        state = point.state
        try:
            execute(
                self.definition,
                state,
                height=Height(state.height + 1),
                time_ms=TimeMs(state.time_ms + 1),
                proposer=point.active_set.banks[0],
                transactions=(verified,),
                facts=BlockFacts(),
            )
        except Rejection:
            return False
        return True

    def bin_due_ms(self, point: LedgerPoint) -> int | None:
        """Ask the state, as the node does."""
        return next_bin_due_ms(point.state, self.definition)

    def examine(self, point: LedgerPoint, item: bytes) -> Examined:
        """Verify an evidence item and ask the state whether it can still be punished."""
        return self.evidence.examine(point.state, item)

    def transaction(self, *, invalid: bool) -> TransactionId:
        """Make a new transaction."""
        assert self.make_transaction is not None, "clients set it"
        return self.make_transaction(invalid)
