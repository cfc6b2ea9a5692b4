"""Small in-memory backends for tests of the network edge: they keep what they were given.

They hold no ledger and check nothing; tests of rules use the real ledger elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from crypto.transaction import transaction_id
from node.consensus.messages import Message
from node.ledger.blocks import Block, Header
from node.ledger.types import (
    AssetId,
    BankIndex,
    BlockId,
    Height,
    TimeMs,
    TransactionId,
    View,
)
from node.rpc.backend import FoundTransaction, NotFound, NotReady
from node.wire.identity import Identity
from node.wire.operator_records import (
    AlarmReport,
    AuditExtent,
    AuditFailure,
    AuditReport,
    ByzantineFault,
    ConsensusReport,
    CpuReport,
    DatabaseReport,
    FaultReport,
    LedgerDigests,
    LinkFault,
    MempoolReport,
    NodeReport,
    PeerReport,
    ProcessReport,
    RefusedReport,
    RoundReport,
    TrafficReport,
    TransactionTrace,
)
from node.wire.records import (
    BallotConflict,
    BinRecord,
    BlockRange,
    BlockVotes,
    ClosedBinDigest,
    EvidenceItem,
    EvidenceStatus,
    Hello,
    InclusionProof,
    LedgerParameters,
    NodeStatus,
    NoteRecord,
    NullifierRecord,
    Position,
    PublishedBlock,
    PublishedSetChange,
    PublishedState,
    Receipt,
    RecordedVote,
    SealedState,
    SetChange,
    SettledYear,
    StoredBlock,
    TransactionState,
    TransactionStatus,
    TreasuryMovement,
    VotingStatus,
    YearShare,
)
from node.wire.snapshot_records import (
    BinPart,
    HeaderPart,
    NotePart,
    NullifierPart,
    SnapshotBin,
    SnapshotNote,
    SnapshotPart,
    SnapshotStart,
    TreasuryPart,
)
from tests.rpc.observed_samples import PERFORMANCE, ROUND, TRACE

CHAIN = bytes([7]) * 32
ASSET = AssetId(bytes([1]) * 16)
SEAL = b"a canonical seal"
CERTIFICATE = b"a canonical ballot certificate"


def header_at(height: int) -> Header:
    return Header(
        chain_id=CHAIN,
        height=Height(height),
        parent_id=BlockId(bytes([height % 256]) * 32),
        original_view=View(0),
        proposer=BankIndex(height % 12),
        time_ms=TimeMs(1_700_000_000_000 + height),
        transactions_root=bytes(32),
        evidence_root=bytes(32),
        ballots_root=bytes(32),
        transaction_count=0,
        post_state_root=bytes([9]) * 32,
        next_set_hash=bytes([8]) * 32,
    )


def block_at(height: int) -> Block:
    return Block(header_at(height), parent_ballots=(), evidence=(), transaction_ids=())


def stored_block(height: int, transactions: tuple[bytes, ...] = ()) -> StoredBlock:
    block = block_at(height)
    return StoredBlock(block.header.encode(), block.encode(), SEAL, transactions)


def published_block(height: int, transactions: tuple[bytes, ...] = ()) -> PublishedBlock:
    block = block_at(height)
    return PublishedBlock(block.header.encode(), block.encode(), CERTIFICATE, transactions)


def votes_at(height: int, include_ballots: bool = False) -> BlockVotes:
    """Pending at the tip of 5; before it, one approval and one rejection."""
    header = header_at(height)
    votes = tuple(
        RecordedVote(bytes([tag]) * 96, tag == 1, b"ballot" if include_ballots else b"")
        for tag in (1, 2)
    )
    if height == 5:
        return BlockVotes(
            header.height, header.block_id, header.time_ms, VotingStatus.PENDING, 0, 0
        )
    return BlockVotes(
        header.height, header.block_id, header.time_ms, VotingStatus.RECORDED, 1, 1, votes
    )


def settled(year: int) -> SettledYear:
    shares = (YearShare(BankIndex(0), 7, 60), YearShare(BankIndex(3), 5, 40))
    return SettledYear(year, Height(9), TransactionId(bytes([3]) * 32), 100, 0, shares)


def conflict(sequence: int) -> BallotConflict:
    return BallotConflict(sequence, Height(7), View(1), b"one ballot", b"the other")


def note(sequence: int) -> NoteRecord:
    return NoteRecord(
        sequence=sequence,
        transaction_id=TransactionId(bytes([3]) * 32),
        transaction_kind=1,
        output_index=sequence % 2,
        asset=ASSET,
        bin_id=sequence // 64,
        position=sequence % 64,
        height=Height(5),
        output=bytes([sequence % 256]) * 281,
    )


def nullifier(sequence: int) -> NullifierRecord:
    return NullifierRecord(
        sequence, bytes([4]) * 96, TransactionId(bytes([3]) * 32), Height(5)
    )


def evidence_item(sequence: int) -> EvidenceItem:
    """An item of 900,000 bytes: two of them fit into a page."""
    return EvidenceItem(
        sequence=sequence,
        evidence_id=bytes([sequence]) * 32,
        offence="E1",
        bank=BankIndex(3),
        offence_height=Height(7),
        status=EvidenceStatus.RECORDED,
        item=bytes([sequence]) * 900_000,
        recorded_height=Height(9),
        penalty=2_250,
    )


def movement(sequence: int) -> TreasuryMovement:
    return TreasuryMovement(
        sequence=sequence,
        height=Height(9),
        bank=None if sequence % 2 else BankIndex(3),
        fiscal_year=2026,
        amount=-sequence,
        kind="stake",
        reason="withdrawn",
    )


def closed_bin(sequence: int) -> ClosedBinDigest:
    return ClosedBinDigest(sequence, sequence + 10, ASSET, bytes([6]) * 32, 17, Height(5))


BIN = BinRecord(12, ASSET, 17, Height(5), bytes(64 * 192), bytes([6]) * 32)
SET_CHANGE = SetChange(header_at(3).encode(), SEAL, b"active set")
PUBLISHED_CHANGE = PublishedSetChange(header_at(3).encode(), CERTIFICATE, b"active set")
PROOF = InclusionProof(
    header_at(5).encode(), CERTIFICATE, bytes(17), bytes([2]) * 32, (PUBLISHED_CHANGE,)
)
PUBLISHED_STATE = PublishedState(
    header_at(5).encode(), CERTIFICATE, b"ledger state", (PUBLISHED_CHANGE,)
)
STATE = SealedState(header_at(5).encode(), SEAL, b"ledger state", (SET_CHANGE,))
SNAPSHOT: tuple[SnapshotPart, ...] = (
    SnapshotStart(STATE, 1),
    HeaderPart((header_at(1).encode(), header_at(2).encode())),
    NotePart((SnapshotNote(ASSET, 12, 3, 1, bytes(281)),)),
    NullifierPart((bytes([8]) * 96, bytes([9]) * 96)),
    BinPart((SnapshotBin(10, 17, bytes([6]) * 32),)),
    TreasuryPart((TreasuryMovement(12, Height(4), None, 2026, 75, "fee", "approvers' part"),)),
)
PARAMETERS = LedgerParameters(b"{}", CHAIN, Height(5), 8, 25, 2_000, 1_000)
NODE_STATUS = NodeStatus(
    bank=BankIndex(0),
    bank_name="Amberfield",
    software_version="0.1.0",
    chain_id=CHAIN,
    height=Height(5),
    block_id=BlockId(bytes([5]) * 32),
    time_ms=TimeMs(1_700_000_000_005),
    mempool_transactions=3,
    ready=True,
    linked_banks=12,
    quorum=10,
)
FAULTS = (FaultReport("slow", "links with bank 3: 50 ms late", (BankIndex(3),), 1_200),)
REPORT = NodeReport(
    bank=BankIndex(0),
    bank_name="Amberfield",
    software_version="0.1.0",
    chain_id=CHAIN,
    height=Height(5),
    block_id=BlockId(bytes([5]) * 32),
    state_root=bytes([9]) * 32,
    time_ms=TimeMs(1_700_000_000_005),
    last_seal_age_ms=1_234,
    ready=True,
    halted="",
    consensus=ConsensusReport(
        height=Height(6),
        view=View(1),
        leader=BankIndex(7),
        active_banks=12,
        quorum=10,
        has_work=True,
        approvals=(BankIndex(0), BankIndex(3)),
        rejections=(BankIndex(4),),
        commits=(),
        timed_out=(BankIndex(0),),
        missing=(BankIndex(11),),
        margin=-1,
        highest_view=View(-1),
        refused=(RefusedReport(BankIndex(4), 3),),
        last_refusal="bank 4: a bad signature",
        waiting_for="votes",
        behind=True,
        active=False,
        accused=(BankIndex(4), BankIndex(9)),
    ),
    peers=(
        PeerReport(
            bank=BankIndex(1),
            address="127.0.0.1:7001",
            linked_out=True,
            linked_in=False,
            height=Height(4),
            last_heard_ms=None,
            queued_items=1,
            queued_bytes=300,
            sent_frames=5,
            sent_items=9,
            sent_bytes=2_700,
            dropped_transactions=2,
            dropped_messages=1,
            connections=3,
            last_error="",
        ),
    ),
    mempool=MempoolReport(3, 18_954, 4_000, 40 << 20, 10, 2, 4),
    process=ProcessReport(4_711, 60_000, 90 << 20, 1_500),
    database=DatabaseReport(True, "18.4", 12 << 20),
    alarms=(AlarmReport("certified-invalid", "block 4", TimeMs(1_700_000_000_001)),),
    faults=FAULTS,
    faults_allowed=True,
    cpu=CpuReport(900, 200, 100, 250, 50, 1_500),
    traffic=TrafficReport(30_000, 31_000, 2_000, 19_000),
    performance=PERFORMANCE,
)
DIGESTS = LedgerDigests(
    from_height=Height(4),
    at_height=Height(5),
    block_ids=(BlockId(bytes([4]) * 32), BlockId(bytes([5]) * 32)),
    state_root=bytes([9]) * 32,
    transaction_count=7,
    nullifier_count=6,
    nullifier_digest=bytes([1]) * 32,
    note_count=14,
    note_digest=bytes([2]) * 32,
    voting_record_count=0,
    voting_record_digest=bytes([3]) * 32,
    treasury_count=2,
    treasury_digest=bytes([4]) * 32,
    tip_height=Height(6),
)
AUDIT = (
    AuditReport(1, 2, (), False),
    AuditReport(
        2,
        2,
        (AuditFailure(TransactionId(bytes([3]) * 32), Height(5), "range", "no"),),
        True,
    ),
)


def status_of(raw_id: TransactionId, state: TransactionState) -> TransactionStatus:
    position = None
    if state is TransactionState.SEALED:
        position = Position(Height(5), BlockId(bytes([5]) * 32), 2, TimeMs(1_700_000_000_005))
    return TransactionStatus(raw_id, state, position)


@dataclass
class LedgerDouble:
    """Admits whatever it is given, unless told to raise or to wait."""

    raises: Exception | None = None
    waits: asyncio.Event | None = None
    submitted: list[tuple[bytes, str]] = field(default_factory=list)
    in_work: int = 0
    most_in_work: int = 0
    closed_streams: int = 0

    async def submit(self, transaction: bytes, source: Identity) -> Receipt:
        self.submitted.append((transaction, str(source)))
        self.in_work += 1
        self.most_in_work = max(self.most_in_work, self.in_work)
        try:
            if self.waits is not None:
                await self.waits.wait()
        finally:
            self.in_work -= 1
        if self.raises is not None:
            raise self.raises
        return Receipt(
            TransactionId(transaction_id(transaction)), TransactionState.ADMITTED, Height(5)
        )

    async def transaction(self, transaction_id: TransactionId) -> FoundTransaction:
        if transaction_id == bytes(32):
            raise NotFound("no such transaction at this bank")
        return FoundTransaction(status_of(transaction_id, TransactionState.SEALED), b"raw")

    async def transaction_states(
        self, transaction_id: TransactionId
    ) -> AsyncGenerator[TransactionStatus, None]:
        try:
            for state in (
                TransactionState.UNKNOWN,
                TransactionState.PENDING,
                TransactionState.ADMITTED,
                TransactionState.PROPOSED,
            ):
                yield status_of(transaction_id, state)
            if self.waits is not None:
                await self.waits.wait()
            yield status_of(transaction_id, TransactionState.SEALED)
        finally:
            self.closed_streams += 1

    async def block_at(self, height: Height, include_transactions: bool) -> PublishedBlock:
        if height > 5:
            raise NotFound(f"no block at height {height}; the tip is 5")
        return published_block(height, (b"raw",) if include_transactions else ())

    async def block_by_id(self, block_id: BlockId, include_transactions: bool) -> PublishedBlock:
        if block_id != header_at(5).block_id:
            raise NotFound("no such block")
        return published_block(5)

    async def blocks(
        self, from_height: Height, follow: bool, include_transactions: bool
    ) -> AsyncGenerator[PublishedBlock, None]:
        try:
            for height in range(from_height, 6):
                yield published_block(height)
            if follow:
                await asyncio.Event().wait()
        finally:
            self.closed_streams += 1

    async def inclusion_proof(self, transaction_id: TransactionId) -> InclusionProof:
        if self.raises is not None:
            raise self.raises
        return PROOF

    async def notes(
        self, from_sequence: int, limit: int | None
    ) -> AsyncGenerator[Sequence[NoteRecord], None]:
        yield [note(sequence) for sequence in range(from_sequence, limit or 1_200)]

    async def nullifiers(
        self, from_sequence: int, limit: int | None
    ) -> AsyncGenerator[Sequence[NullifierRecord], None]:
        yield [nullifier(sequence) for sequence in range(from_sequence, limit or 3)]

    async def closed_bins(
        self, from_sequence: int, limit: int | None
    ) -> AsyncGenerator[Sequence[ClosedBinDigest], None]:
        yield [closed_bin(sequence) for sequence in range(from_sequence, limit or 3)]

    async def evidence(
        self, from_sequence: int, limit: int | None
    ) -> AsyncGenerator[Sequence[EvidenceItem], None]:
        yield [evidence_item(sequence) for sequence in range(from_sequence, limit or 5)]

    async def treasury(
        self, from_sequence: int, limit: int | None, fiscal_year: int | None
    ) -> AsyncGenerator[Sequence[TreasuryMovement], None]:
        step = 1 if fiscal_year is None else 2
        yield [movement(sequence) for sequence in range(from_sequence, limit or 1_200, step)]

    async def votes(self, height: Height, include_ballots: bool) -> BlockVotes:
        if height > 5:
            raise NotFound(f"height {height} is above the tip 5")
        return votes_at(height, include_ballots)

    async def votes_from(
        self, from_height: Height, include_ballots: bool
    ) -> AsyncGenerator[BlockVotes, None]:
        for height in range(from_height, 6):
            yield votes_at(height, include_ballots)

    async def settlements(
        self, from_year: int, limit: int | None
    ) -> AsyncGenerator[Sequence[SettledYear], None]:
        yield [settled(year) for year in range(from_year, from_year + (limit or 3))]

    async def ballot_conflicts(
        self, from_sequence: int, limit: int | None
    ) -> AsyncGenerator[Sequence[BallotConflict], None]:
        yield [conflict(sequence) for sequence in range(from_sequence, limit or 150)]

    async def bins(self, bin_ids: Sequence[int]) -> Sequence[BinRecord]:
        if self.raises is not None:
            raise self.raises
        return [BIN]

    async def sealed_state(self) -> PublishedState:
        return PUBLISHED_STATE

    async def parameters(self) -> LedgerParameters:
        return PARAMETERS

    async def node_status(self) -> NodeStatus:
        if self.raises is not None:
            raise self.raises
        return NODE_STATUS


@dataclass
class PeerDouble:
    """Keeps frames in the order of arrival; `linked_event` and `received` wake the test."""

    bank: int = 0
    chain_id: bytes = CHAIN
    events: list[tuple[object, ...]] = field(default_factory=list)
    frames: list[tuple[int, tuple[bytes, ...], tuple[Message, ...]]] = field(default_factory=list)
    unverified: list[bytes] = field(default_factory=list)
    """Transactions that came marked so."""
    news: asyncio.Event = field(default_factory=asyncio.Event)
    gate: asyncio.Event | None = None

    def hello(self) -> Hello:
        return Hello(self.chain_id, BankIndex(self.bank), "0.1.0", Height(5))

    def linked(self, bank: BankIndex, hello: Hello) -> None:
        self._note("linked", bank, hello.height)

    def unlinked(self, bank: BankIndex) -> None:
        self._note("unlinked", bank)

    def misbehaved(self, sender: BankIndex, reason: str, message: str) -> None:
        self._note("misbehaved", sender, reason)

    def _note(self, *event: object) -> None:
        self.events.append(event)
        self.news.set()

    async def receive(
        self,
        sender: BankIndex,
        transactions: Sequence[bytes],
        messages: Sequence[Message],
        unverified: Sequence[bytes] = (),
    ) -> None:
        if self.gate is not None:
            await self.gate.wait()
        self.frames.append((sender, tuple(transactions), tuple(messages)))
        self.unverified += unverified
        self.news.set()

    async def transactions(self, transaction_ids: Sequence[TransactionId]) -> Sequence[bytes]:
        return [b"body of " + bytes(item) for item in transaction_ids if item != bytes(32)]

    async def sealed_blocks(self, from_height: Height) -> BlockRange:
        return BlockRange(tuple(stored_block(h) for h in range(from_height, 6)), Height(5))

    async def block(self, block_id: BlockId) -> bytes:
        if block_id != header_at(5).block_id:
            raise NotFound("no such block")
        return block_at(5).encode()

    async def snapshot(self, minimum_height: Height) -> AsyncGenerator[SnapshotPart, None]:
        if minimum_height > 5:
            raise NotReady("the tip of this bank is at height 5", 5_000)
        for part in SNAPSHOT:
            yield part

    async def until(self, condition: object) -> None:
        """Wait until `condition()` holds; every event and frame is an occasion to look again."""
        async with asyncio.timeout(10):
            while not condition():  # type: ignore[operator]
                self.news.clear()
                await self.news.wait()

    def received(self) -> list[bytes]:
        return [transaction for _, transactions, _ in self.frames for transaction in transactions]


@dataclass
class OperatorDouble:
    """Answers with fixed reports and keeps what it was asked to do."""

    asked: list[tuple[object, ...]] = field(default_factory=list)
    kept_round: RoundReport | None = ROUND
    kept_trace: TransactionTrace | None = TRACE

    async def report(self) -> NodeReport:
        return REPORT

    async def shutdown(self, reason: str, requested_by: Identity) -> None:
        self.asked.append(("shutdown", reason, str(requested_by)))

    async def digests(self, from_height: Height, at_height: Height | None) -> LedgerDigests:
        self.asked.append(("digests", from_height, at_height))
        return DIGESTS

    async def stored_blocks(
        self, from_height: Height, to_height: Height | None
    ) -> AsyncGenerator[PublishedBlock, None]:
        for height in range(from_height, (to_height or 5) + 1):
            yield published_block(height, (b"raw",))

    async def audit(self, extent: AuditExtent) -> AsyncGenerator[AuditReport, None]:
        self.asked.append(("audit", extent))
        for report in AUDIT:
            yield report

    async def set_log_level(self, level: str) -> str:
        self.asked.append(("log level", level))
        return "INFO"

    async def inject_fault(self, fault: LinkFault | ByzantineFault) -> tuple[FaultReport, ...]:
        self.asked.append(("fault", fault))
        return FAULTS

    async def heal_faults(self) -> tuple[FaultReport, ...]:
        self.asked.append(("heal",))
        return ()

    async def round(self, height: Height) -> RoundReport:
        self.asked.append(("round", height))
        if self.kept_round is None:
            raise NotFound(f"nothing is kept of the round of height {height}")
        return self.kept_round

    async def transaction_trace(self, transaction_id: TransactionId) -> TransactionTrace:
        self.asked.append(("trace", transaction_id))
        if self.kept_trace is None:
            raise NotFound(f"nothing is kept of transaction {transaction_id.hex()}")
        return self.kept_trace
