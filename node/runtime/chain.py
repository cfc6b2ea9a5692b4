"""The bank's own chain: the tip in memory, history in the database, the pure ledger between.

Every question to the ledger has the same shape here: fetch the facts that the transactions at
hand need, call the pure function, return its value. Executions are kept by block id until the
height is applied, so that building, voting and applying one block execute it once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from crypto.ring import ClosedBin
from node.ledger.active_set import ActiveSet
from node.ledger.ballots import VerifiedBallot
from node.ledger.block_validity import BuiltBlock, build_block, parent_set, validate_block
from node.ledger.blocks import Block, Header
from node.ledger.facts import BlockFacts, CarriesTransaction, facts_needed
from node.ledger.genesis import Genesis
from node.ledger.governance import LedgerTransaction
from node.ledger.offences import VerifiedEvidence
from node.ledger.proofs import AdmissionView, VerifiedTransaction
from node.ledger.rejection import Rejection
from node.ledger.rules import decode
from node.ledger.state import LedgerState
from node.ledger.transition import Transition
from node.ledger.types import BankIndex, BlockId, Height, TimeMs, View
from node.runtime.ballot_verdicts import BallotVerdicts
from node.runtime.bin_cache import BinCache
from node.runtime.recent_blocks import RecentBlocks
from node.storage.database import Database


class Chain:
    """The tip and the executions on top of it."""

    def __init__(
        self, genesis: Genesis, database: Database, header: Header, state: LedgerState, seal: bytes
    ) -> None:
        self.genesis = genesis
        self.header = header
        """Of the tip."""
        self.state = state
        """After the tip."""
        self.seal = seal
        """Canonical seal of the tip; empty at height 0."""
        self.recent = RecentBlocks(state.height)
        self.ballots = BallotVerdicts(genesis.chain_id)
        self._database = database
        self._bins = BinCache()
        self._transitions: dict[BlockId, Transition] = {}

    @property
    def height(self) -> Height:
        return self.state.height

    @property
    def active_set(self) -> ActiveSet:
        """The banks that decide the next height."""
        return self.state.active_set(self.genesis)

    async def facts(
        self, transactions: Iterable[LedgerTransaction | CarriesTransaction]
    ) -> BlockFacts:
        """Look up what the ledger's rules need to know about these transactions."""
        needed = facts_needed(transactions)
        bins: dict[int, ClosedBin] = {}
        for bin_id in needed.bin_ids:
            closed = self._bins.get(bin_id)
            if closed is not None:
                bins[bin_id] = closed
        absent = tuple([bin_id for bin_id in needed.bin_ids if bin_id not in bins])
        facts = await self._database.facts(replace(needed, bin_ids=absent))
        self._bins.put(facts.closed_bins.values())
        return replace(facts, closed_bins={**bins, **facts.closed_bins})

    async def admission_view(self, raws: Sequence[bytes]) -> AdmissionView:
        """Return the present state with the facts that these transactions need.

        Bytes that do not decode need no facts; verification will say what is wrong with them.
        """
        decoded: list[LedgerTransaction] = []
        for raw in raws:
            try:
                decoded.append(decode(raw, self.genesis))
            except Rejection:
                continue
        while True:
            state = self.state
            facts = await self.facts(decoded)
            if state is self.state:
                return AdmissionView(self.genesis, state, facts)
            # A block was applied during the query: facts and state must be of one height.

    async def validate(
        self,
        block: Block,
        transactions: Sequence[VerifiedTransaction | Rejection],
        clock_ms: TimeMs | None,
        evidence: Sequence[VerifiedEvidence | Rejection] = (),
    ) -> Transition:
        """Judge a block on the tip (BFT-12 section 8); raises `Rejection`.

        `transactions` and `evidence` are the verdicts on the block's items in order, `clock_ms` is
        this bank's clock if the header's time is to be judged by it.
        """
        known = self._transitions.get(block.block_id)
        # A fresh proposal is validated in full before the vote, by its own leader too (BFT-12
        # P2); what was judged before is proposed again, or applied, without a second execution.
        if known is not None and clock_ms is None:
            return known
        verified = [item for item in transactions if isinstance(item, VerifiedTransaction)]
        ballots = await self._verdicts_on_ballots(block.parent_ballots)
        facts = await self.facts(verified)
        transition = validate_block(
            self.genesis,
            self.state,
            self.header,
            block,
            transactions,
            facts,
            clock_ms=clock_ms,
            evidence=evidence,
            ballots=ballots,
        )
        self._transitions[block.block_id] = transition
        return transition

    async def build(
        self,
        view: View,
        proposer: BankIndex,
        clock_ms: TimeMs,
        candidates: Sequence[VerifiedTransaction],
        evidence: Sequence[VerifiedEvidence] = (),
        ballots: Sequence[bytes] = (),
    ) -> BuiltBlock:
        """Build a block of the valid ones among candidates, evidence and ballots, on the tip.

        Raises `Rejection` (BALLOTS) if there are not enough good ballots about the tip.
        """
        verdicts = await self._verdicts_on_ballots(ballots)
        facts = await self.facts(candidates)
        built = build_block(
            self.genesis,
            self.state,
            self.header,
            view=view,
            proposer=proposer,
            clock_ms=clock_ms,
            candidates=candidates,
            facts=facts,
            evidence=evidence,
            ballots=[item for item in verdicts if isinstance(item, VerifiedBallot)],
        )
        self._transitions[built.block.block_id] = built.transition
        return built

    async def _verdicts_on_ballots(
        self, ballots: Sequence[bytes]
    ) -> tuple[VerifiedBallot | Rejection, ...]:
        """Judge ballots about the tip; most are known from its seal."""
        return await self.ballots.verify_about(
            ballots, self.header, parent_set(self.genesis, self.state)
        )

    async def apply(
        self,
        block: Block,
        seal: bytes,
        transactions: Sequence[VerifiedTransaction],
        evidence: Sequence[VerifiedEvidence | Rejection] = (),
    ) -> Transition:
        """Validate once more, store everything in one database transaction, advance the tip.

        Raises `Rejection` if the block is invalid here and `StorageError` if it could not be
        stored; nothing has changed then.
        """
        transition = await self.validate(block, transactions, None, evidence)
        await self._database.apply_block(block, seal, transition, transactions)
        self.header = block.header
        self.state = transition.state
        self.seal = seal
        self._transitions.clear()
        self._bins.put([record.bin for record in transition.closed_bins])
        self.recent.add(transition.state.height, transactions)
        return transition
