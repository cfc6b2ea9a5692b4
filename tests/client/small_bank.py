"""A small consortium whose banks serve one sealed ledger, for tests of the client.

Nothing is pretended that the client checks: transactions are proven and executed by the
production code (`tests.ledger.chain`), every block is certified by ballots of all four banks, and
it is served by the real gRPC server. What is left out is how the banks agree: blocks are sealed
when a test, or a submission, says so.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from crypto.errors import Rejected
from crypto.merkle import leaf_hash, prove_inclusion
from crypto.transaction import transaction_id as hash_transaction
from node.consensus.signatures import Ed25519Signer
from node.ledger.active_set import ActiveSet
from node.ledger.ballots import BallotCertificate, Decision, ballot_message, ballot_tag
from node.ledger.blocks import Block, Header
from node.ledger.effects import Transition, genesis_transition
from node.ledger.offences import VerifiedEvidence
from node.ledger.rejection import Rejection
from node.ledger.types import BankIndex, BlockId, Height, TransactionId, View
from node.rpc.backend import FoundTransaction, NotFound, NotYet
from node.wire.identity import Identity
from node.wire.records import (
    BallotConflict,
    BinRecord,
    BlockVotes,
    ClosedBinDigest,
    EvidenceItem,
    InclusionProof,
    LedgerParameters,
    NodeStatus,
    NoteRecord,
    NullifierRecord,
    Position,
    PublishedBlock,
    PublishedState,
    Receipt,
    RecordedVote,
    Refusal,
    SettledYear,
    TransactionState,
    TransactionStatus,
    TreasuryMovement,
    VotingStatus,
    YearShare,
)
from tests.ledger import booth
from tests.ledger.chain import Chain

PAGE = 3
"""Records in a page: small, so that every list takes several."""


def signer(bank: int) -> Ed25519Signer:
    return Ed25519Signer(hashlib.sha256(b"consensus %d" % bank).digest())


def certify(
    header: Header,
    active_set: ActiveSet,
    banks: Sequence[int] | None = None,
    view: int | None = None,
) -> BallotCertificate:
    """What is published of a header's seal: real ballots of these banks, or of a first quorum."""
    chosen = active_set.banks[: active_set.quorum] if banks is None else banks
    ballots = [booth.cast(active_set, header, bank, view) for bank in chosen]
    return BallotCertificate(
        height=header.height,
        view=header.original_view if view is None else View(view),
        block_id=header.block_id,
        ballots=tuple(sorted(ballots, key=ballot_tag)),
    )


@dataclass
class SealedLedger:
    """What the banks agree on."""

    chain: Chain
    blocks: list[PublishedBlock] = field(default_factory=list)
    states: list[bytes] = field(default_factory=list)
    counts: list[tuple[int, int, int]] = field(default_factory=list)
    """Notes, nullifiers and closed bins after each height."""
    notes: list[NoteRecord] = field(default_factory=list)
    nullifiers: list[NullifierRecord] = field(default_factory=list)
    closed_bins: list[ClosedBinDigest] = field(default_factory=list)
    movements: list[TreasuryMovement] = field(default_factory=list)
    settlements: list[SettledYear] = field(default_factory=list)
    places: dict[bytes, Position] = field(default_factory=dict)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        assert self.chain.height == 0, "the ledger is followed from its beginning"
        self.blocks.append(PublishedBlock(self.chain.header.encode(), b"", b""))
        self._move(genesis_transition(self.chain.genesis), Height(0))
        self._remember()

    @property
    def height(self) -> int:
        return self.chain.height

    def seal(
        self, *raws: bytes, after_ms: int = 1_000, evidence: Sequence[VerifiedEvidence] = ()
    ) -> None:
        """Seal one block of these transactions, which punishes for this evidence."""
        built = self.chain.build(
            self.chain.verify(*raws), after_ms=after_ms, evidence=evidence
        )
        assert built.dropped == ()
        active_set = self.chain.state.active_set(self.chain.genesis)
        self.chain.apply(built.block, built.transition)
        header = built.block.header
        certificate = certify(header, active_set)
        self.blocks.append(
            PublishedBlock(
                header.encode(), built.block.encode(), certificate.encode(), tuple(raws)
            )
        )
        kinds = {item.transaction_id: int(item.kind) for item in built.transactions}
        for note in built.transition.notes:
            self.notes.append(
                NoteRecord(
                    sequence=note.sequence,
                    transaction_id=note.transaction_id,
                    transaction_kind=kinds[note.transaction_id],
                    output_index=note.output_index,
                    asset=note.asset,
                    bin_id=note.bin_id,
                    position=note.position,
                    height=header.height,
                    output=note.output.encode(),
                )
            )
        for item in built.transition.nullifiers:
            self.nullifiers.append(
                NullifierRecord(
                    len(self.nullifiers), item.nullifier, item.transaction_id, header.height
                )
            )
        for closed in built.transition.closed_bins:
            self.closed_bins.append(
                ClosedBinDigest(
                    sequence=len(self.closed_bins),
                    bin_id=closed.bin.bin_id,
                    asset=closed.bin.asset,
                    digest=closed.bin.digest,
                    count=closed.bin.count,
                    closed_height=header.height,
                )
            )
        self._move(built.transition, header.height)
        self._settle(built.transition, header.height)
        for index, item in enumerate(built.transactions):
            self.places[item.transaction_id] = Position(
                header.height, header.block_id, index, header.time_ms
            )
        self._remember()
        self.announce()

    def seal_matured(self, *raws: bytes) -> None:
        """Seal a block of these transactions, and one that closes every open bin."""
        self.seal(*raws)
        self.seal(after_ms=self.chain.genesis.parameters.bin_age_ms)

    def announce(self) -> None:
        """Wake everybody who waits for news."""
        self.news.set()
        self.news = asyncio.Event()

    def _move(self, transition: Transition, height: Height) -> None:
        for entry in transition.treasury_entries:
            self.movements.append(
                TreasuryMovement(
                    sequence=len(self.movements),
                    height=height,
                    bank=entry.bank,
                    fiscal_year=entry.fiscal_year,
                    amount=entry.amount,
                    kind=entry.kind.value,
                    reason=entry.reason,
                )
            )

    def _settle(self, transition: Transition, height: Height) -> None:
        outcome = transition.settlement
        if outcome is None:
            return
        self.settlements.append(
            SettledYear(
                fiscal_year=outcome.year,
                height=height,
                transaction_id=TransactionId(outcome.transaction_id),
                pot=outcome.pot.total,
                carried=outcome.carried,
                shares=tuple(YearShare(row.bank, row.count, row.reward) for row in outcome.rows),
            )
        )

    def _remember(self) -> None:
        self.states.append(self.chain.state.encode())
        self.counts.append((len(self.notes), len(self.nullifiers), len(self.closed_bins)))


def unchanged(value: Any) -> Any:
    return value


@dataclass
class SmallBank:
    """One bank's view of the ledger, with the ways in which a bank can fail a client."""

    ledger: SealedLedger
    index: int = 0
    seals_at_once: bool = False
    """Whether a submission is sealed, and its bin closed, before it is answered."""
    lag: int = 0
    """How many heights this bank is behind."""
    submit_errors: list[Exception] = field(default_factory=list)
    """Raised by the next submissions, one each."""
    swallows: bool = False
    """Admits, and passes nothing on."""
    held_evidence: list[EvidenceItem] = field(default_factory=list)
    forge: dict[str, Callable[[Any], Any]] = field(default_factory=dict)
    """By method: what this bank makes of the truth."""
    waiting: dict[bytes, bytes] = field(default_factory=dict)
    rejected: dict[bytes, Refusal] = field(default_factory=dict)
    expired: set[bytes] = field(default_factory=set)
    submissions: list[bytes] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def _tell(self, method: str, value: Any) -> Any:
        self.calls.append(method)
        return self.forge.get(method, unchanged)(value)

    @property
    def tip(self) -> int:
        return max(0, self.ledger.height - self.lag)

    async def submit(self, transaction: bytes, source: Identity) -> Receipt:
        self.submissions.append(transaction)
        if self.submit_errors:
            raise self.submit_errors.pop(0)
        transaction_id = TransactionId(hash_transaction(transaction))
        height = Height(self.tip)
        if transaction_id in self.ledger.places:
            return Receipt(transaction_id, TransactionState.SEALED, height)
        try:
            self.ledger.chain.decode(transaction)
        except Rejected as error:
            raise Rejection.of(error) from error
        built = self.ledger.chain.build(self.ledger.chain.verify(transaction))
        if built.dropped:
            raise built.dropped[0].rejection
        if not self.swallows:
            self.waiting[transaction_id] = transaction
        if self.seals_at_once:
            self.seal_waiting()
        return Receipt(transaction_id, TransactionState.ADMITTED, height)

    def seal_waiting(self) -> None:
        """Seal everything admitted, and close its bin."""
        raws = list(self.waiting.values())
        self.waiting.clear()
        self.ledger.seal_matured(*raws)

    def _status(self, transaction_id: TransactionId) -> TransactionStatus | None:
        place = self.ledger.places.get(transaction_id)
        if place is not None and place.height <= self.tip:
            return TransactionStatus(transaction_id, TransactionState.SEALED, position=place)
        if transaction_id in self.rejected:
            return TransactionStatus(
                transaction_id, TransactionState.REJECTED, refusal=self.rejected[transaction_id]
            )
        if transaction_id in self.expired:
            return TransactionStatus(transaction_id, TransactionState.EXPIRED)
        if transaction_id in self.waiting:
            self._evict_conflicting(transaction_id)
            if transaction_id in self.rejected:
                return self._status(transaction_id)
            return TransactionStatus(transaction_id, TransactionState.ADMITTED)
        return None

    def _evict_conflicting(self, transaction_id: TransactionId) -> None:
        transaction = self.ledger.chain.decode(self.waiting[transaction_id])
        spent = self.ledger.chain.history.spent
        if any(spend.nullifier in spent for spend in transaction.inputs):
            del self.waiting[transaction_id]
            self.rejected[transaction_id] = Refusal("nullifier", "a note is spent already")

    async def transaction(self, transaction_id: TransactionId) -> FoundTransaction:
        status = self._status(transaction_id)
        if status is None:
            raise NotFound("no such transaction at this bank")
        raw = self.waiting.get(transaction_id)
        if status.position is not None:
            block = self.ledger.blocks[status.position.height]
            raw = block.transactions[status.position.index]
        return self._tell("transaction", FoundTransaction(status, raw))

    async def transaction_states(
        self, transaction_id: TransactionId
    ) -> AsyncGenerator[TransactionStatus, None]:
        last: TransactionStatus | None = None
        while True:
            news = self.ledger.news
            status = self._status(transaction_id) or TransactionStatus(
                transaction_id, TransactionState.UNKNOWN
            )
            status = self._tell("transaction_states", status)
            if status != last:
                last = status
                yield status
            if status.state.is_final:
                return
            await news.wait()

    async def block_at(self, height: Height, include_transactions: bool) -> PublishedBlock:
        if height > self.tip:
            raise NotFound(f"no block at height {height}")
        block = self.ledger.blocks[height]
        return block if include_transactions else replace(block, transactions=())

    async def block_by_id(self, block_id: BlockId, include_transactions: bool) -> PublishedBlock:
        for height in range(self.tip + 1):
            block = self.ledger.blocks[height]
            if hashlib.sha256(block.header).digest() == block_id:
                return await self.block_at(Height(height), include_transactions)
        raise NotFound("no such block")

    async def blocks(
        self, from_height: Height, follow: bool, include_transactions: bool
    ) -> AsyncGenerator[PublishedBlock, None]:
        height = from_height
        while True:
            news = self.ledger.news
            while height <= self.tip:
                yield self._tell("blocks", await self.block_at(height, include_transactions))
                height = Height(height + 1)
            if not follow:
                return
            await news.wait()

    async def inclusion_proof(self, transaction_id: TransactionId) -> InclusionProof:
        place = self.ledger.places.get(transaction_id)
        if place is None:
            if transaction_id in self.waiting:
                raise NotYet("not-sealed", "the transaction is on its way", 5)
            raise NotFound("no such transaction at this bank")
        block = self.ledger.blocks[place.height]
        return self._tell(
            "inclusion_proof",
            InclusionProof(
                header=block.header,
                certificate=block.certificate,
                proof=prove_inclusion(block.transactions, place.index),
                leaf_hash=leaf_hash(block.transactions[place.index]),
            ),
        )

    async def _pages(
        self, method: str, records: Sequence[Any], from_sequence: int, limit: int | None
    ) -> AsyncGenerator[Sequence[Any], None]:
        chosen = records[from_sequence : None if limit is None else from_sequence + limit]
        for start in range(0, len(chosen), PAGE):
            yield self._tell(method, chosen[start : start + PAGE])

    def notes(
        self, from_sequence: int, limit: int | None
    ) -> AsyncGenerator[Sequence[NoteRecord], None]:
        records = self.ledger.notes[: self.ledger.counts[self.tip][0]]
        return self._pages("notes", records, from_sequence, limit)

    def nullifiers(
        self, from_sequence: int, limit: int | None
    ) -> AsyncGenerator[Sequence[NullifierRecord], None]:
        records = self.ledger.nullifiers[: self.ledger.counts[self.tip][1]]
        return self._pages("nullifiers", records, from_sequence, limit)

    def closed_bins(
        self, from_sequence: int, limit: int | None
    ) -> AsyncGenerator[Sequence[ClosedBinDigest], None]:
        records = self.ledger.closed_bins[: self.ledger.counts[self.tip][2]]
        return self._pages("closed_bins", records, from_sequence, limit)

    def evidence(
        self, from_sequence: int, limit: int | None
    ) -> AsyncGenerator[Sequence[EvidenceItem], None]:
        return self._pages("evidence", self.held_evidence, from_sequence, limit)

    def treasury(
        self, from_sequence: int, limit: int | None, fiscal_year: int | None
    ) -> AsyncGenerator[Sequence[TreasuryMovement], None]:
        records = [
            item
            for item in self.ledger.movements[from_sequence:]
            if item.height <= self.tip and fiscal_year in (None, item.fiscal_year)
        ]
        return self._pages("treasury", records, 0, limit)

    async def votes(self, height: Height, include_ballots: bool) -> BlockVotes:
        if not 0 < height <= self.tip:
            raise NotFound(f"nobody voted on a block of height {height}")
        header = Header.decode(self.ledger.blocks[height].header)
        votes: list[RecordedVote] = []
        if height < self.tip:
            child = Block.decode(self.ledger.blocks[height + 1].block)
            votes = [
                RecordedVote(
                    tag=ballot_tag(raw),
                    approve=ballot_message(raw).endswith(Decision.APPROVE.value),
                    ballot=raw if include_ballots else b"",
                )
                for raw in child.parent_ballots
            ]
        approved = sum(vote.approve for vote in votes)
        status = VotingStatus.RECORDED if height < self.tip else VotingStatus.PENDING
        return self._tell(
            "votes",
            BlockVotes(
                height=height,
                block_id=header.block_id,
                time_ms=header.time_ms,
                status=status,
                approved=approved,
                rejected=len(votes) - approved,
                votes=tuple(votes),
            ),
        )

    async def votes_from(
        self, from_height: Height, include_ballots: bool
    ) -> AsyncGenerator[BlockVotes, None]:
        for height in range(max(1, from_height), self.tip + 1):
            yield await self.votes(Height(height), include_ballots)

    def settlements(
        self, from_year: int, limit: int | None
    ) -> AsyncGenerator[Sequence[SettledYear], None]:
        records = [item for item in self.ledger.settlements if item.fiscal_year >= from_year]
        return self._pages("settlements", records, 0, limit)

    def ballot_conflicts(
        self, from_sequence: int, limit: int | None
    ) -> AsyncGenerator[Sequence[BallotConflict], None]:
        return self._pages("ballot_conflicts", (), from_sequence, limit)

    async def bins(self, bin_ids: Sequence[int]) -> Sequence[BinRecord]:
        heights = {record.bin_id: record.closed_height for record in self.ledger.closed_bins}
        records = []
        for bin_id in bin_ids:
            closed = self.ledger.chain.history.closed_bins.get(bin_id)
            if closed is None:
                raise NotYet("bin-open", f"bin {bin_id} still fills", 5)
            records.append(
                BinRecord(
                    bin_id=bin_id,
                    asset=closed.asset,  # type: ignore[arg-type]
                    count=closed.count,
                    closed_height=heights[bin_id],
                    notes=b"".join(key + commitment for key, commitment in closed.notes),
                    digest=closed.digest,
                )
            )
        return self._tell("bins", records)

    async def sealed_state(self) -> PublishedState:
        block = self.ledger.blocks[self.tip]
        return self._tell(
            "sealed_state",
            PublishedState(block.header, block.certificate, self.ledger.states[self.tip]),
        )

    async def parameters(self) -> LedgerParameters:
        genesis = self.ledger.chain.genesis
        return self._tell(
            "parameters",
            LedgerParameters(
                genesis_json=json.dumps(genesis.to_json_object()).encode(),
                chain_id=genesis.chain_id,
                height=Height(self.tip),
                ring_base=genesis.parameters.ring_base,
                transfer_fee=genesis.parameters.transfer_fee,
                bin_age_ms=genesis.parameters.bin_age_ms,
                max_expiry_heights=genesis.parameters.max_expiry_heights,
            ),
        )

    async def node_status(self) -> NodeStatus:
        genesis = self.ledger.chain.genesis
        header = Header.decode(self.ledger.blocks[self.tip].header)
        return NodeStatus(
            bank=BankIndex(self.index),
            bank_name=genesis.banks[self.index].name,
            software_version="0",
            chain_id=genesis.chain_id,
            height=header.height,
            block_id=header.block_id,
            time_ms=header.time_ms,
            mempool_transactions=len(self.waiting),
            ready=True,
            linked_banks=4,
            quorum=4,
        )
