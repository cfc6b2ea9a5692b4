"""What clients ask of a bank: submission, statuses, blocks, proofs and material for wallets."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from crypto.merkle import merkle_root_of_hashes, prove_inclusion_of_hashes
from crypto.transaction import transaction_id as compute_transaction_id
from node.ledger.rejection import Reason, Rejection
from node.ledger.types import BlockId, Height, TransactionId
from node.rpc.backend import FoundTransaction, NotFound, NotReady, NotYet, Overloaded
from node.runtime.block_feed import BlockFeed
from node.runtime.catch_up import FAR_BEHIND
from node.runtime.chain import Chain
from node.runtime.stored_blocks import (
    naming_the_snapshot,
    published_block,
    published_certificate,
    published_set_change,
    stored_blocks,
)
from node.runtime.transaction_pool import TransactionPool
from node.runtime.transaction_tracker import TransactionTracker
from node.runtime.version import SOFTWARE_VERSION
from node.storage.database import Database
from node.storage.errors import NotFound as NotStored
from node.storage.records import (
    StoredBallotConflict,
    StoredClosedBin,
    StoredEvidence,
    StoredNote,
    StoredNullifier,
    StoredSettlement,
    StoredTransaction,
    StoredTreasuryRow,
    StoredVotes,
)
from node.storage.records import (
    VotingStatus as StoredStatus,
)
from node.wire.identity import Identity
from node.wire.records import (
    BallotConflict,
    BinRecord,
    BlockVotes,
    ClosedBinDigest,
    EvidenceItem,
    EvidenceStatus,
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
    SettledYear,
    TransactionState,
    TransactionStatus,
    TreasuryMovement,
    VotingStatus,
    YearShare,
)

PAGE_ROWS = 500
"""Rows read from the database at once."""
VOTES_AT_ONCE = 20
"""Blocks' voting records read at once: with their ballots they take 17 kB each."""


class LedgerBackend:
    """Implements `node.rpc.backend.LedgerBackend` for one bank."""

    def __init__(
        self,
        bank: int,
        chain: Chain,
        database: Database,
        pool: TransactionPool,
        tracker: TransactionTracker,
        feed: BlockFeed,
        linked_banks: Callable[[], int],
        unready_reason: Callable[[], str | None],
        heights_behind: Callable[[], int] = lambda: 0,
    ) -> None:
        self._bank = bank
        self._chain = chain
        self._database = database
        self._pool = pool
        self._tracker = tracker
        self._feed = feed
        self._linked_banks = linked_banks
        self._unready_reason = unready_reason
        self._heights_behind = heights_behind
        self._genesis_json = json.dumps(
            chain.genesis.to_json_object(), separators=(",", ":")
        ).encode()

    async def submit(self, transaction: bytes, source: Identity) -> Receipt:
        self._require_ready()
        self._require_level()
        transaction_id = TransactionId(compute_transaction_id(transaction))
        height = self._chain.height
        try:
            await self._pool.submit(transaction, str(source))
        except Rejection as rejection:
            if rejection.reason is Reason.MEMPOOL_FULL:
                raise Overloaded(rejection.reason.value, rejection.message) from rejection
            if rejection.reason is Reason.DUPLICATE_TRANSACTION:
                # The same bytes again: idempotent, answered with where they stand.
                return Receipt(transaction_id, TransactionState.SEALED, height)
            if await self._sealed(transaction_id) is not None:
                return Receipt(transaction_id, TransactionState.SEALED, height)
            raise
        status = self._tracker.status(transaction_id)
        state = status.state if status is not None else TransactionState.ADMITTED
        return Receipt(transaction_id, state, height)

    def _require_level(self) -> None:
        """A verdict on a state that old could be wrong, and would be final."""
        behind = self._heights_behind()
        if behind > FAR_BEHIND:
            raise NotReady(f"this bank is {behind} heights behind the others and catches up")

    def _require_ready(self) -> None:
        reason = self._unready_reason()
        if reason is not None:
            raise NotReady(reason)

    async def transaction(self, transaction_id: TransactionId) -> FoundTransaction:
        status = await self._status(transaction_id)
        if status is None:
            raise await self._unknown(transaction_id)
        known = self._pool.known(transaction_id)
        if known is not None:
            return FoundTransaction(status, known.raw)
        bodies = await self._database.transaction_bodies([transaction_id])
        return FoundTransaction(status, bodies.get(transaction_id))

    async def _unknown(self, transaction_id: TransactionId) -> NotFound:
        text = f"transaction {transaction_id.hex()} is unknown at this bank"
        origin = await self._database.origin()
        if origin.height:
            text += (
                f", which joined by a snapshot of height {origin.height}; if it may be older, ask"
                " another bank"
            )
        return NotFound(text)

    async def _status(self, transaction_id: TransactionId) -> TransactionStatus | None:
        """The database knows what is sealed, the tracker everything else."""
        status = self._tracker.status(transaction_id)
        if status is not None and (not status.state.is_final or status.position is not None):
            return status
        sealed = await self._sealed(transaction_id)
        if sealed is None:
            return status
        return TransactionStatus(
            transaction_id, TransactionState.SEALED, position=_position(sealed)
        )

    async def _sealed(self, transaction_id: TransactionId) -> StoredTransaction | None:
        try:
            return await self._database.transaction(transaction_id)
        except NotStored:
            return None

    async def transaction_states(
        self, transaction_id: TransactionId
    ) -> AsyncGenerator[TransactionStatus, None]:
        unknown = TransactionStatus(transaction_id, TransactionState.UNKNOWN)
        first = await self._status(transaction_id) or unknown
        # What happened during that query was told to the tracker, and nobody listened yet.
        follower = self._tracker.follow(
            transaction_id, self._tracker.status(transaction_id) or first
        )
        try:
            async for status in follower:
                yield status
        finally:
            await follower.aclose()

    async def block_at(self, height: Height, include_transactions: bool) -> PublishedBlock:
        try:
            with naming_the_snapshot():
                stored = await self._database.block_by_height(height)
        except NotStored as error:
            raise NotFound(f"height {height} is above the tip {self._chain.height}") from error
        return await published_block(self._database, stored, include_transactions)

    async def block_by_id(self, block_id: BlockId, include_transactions: bool) -> PublishedBlock:
        try:
            with naming_the_snapshot():
                stored = await self._database.block_by_id(block_id)
        except NotStored as error:
            raise NotFound(f"block {block_id.hex()} is unknown at this bank") from error
        return await published_block(self._database, stored, include_transactions)

    async def blocks(
        self, from_height: Height, follow: bool, include_transactions: bool
    ) -> AsyncGenerator[PublishedBlock, None]:
        height = from_height
        while True:
            tip = self._chain.height
            async for stored in stored_blocks(self._database, height, tip):
                yield await published_block(self._database, stored, include_transactions)
                height = Height(stored.height + 1)
            if not follow:
                return
            await self._feed.beyond(Height(height - 1))

    async def inclusion_proof(self, transaction_id: TransactionId) -> InclusionProof:
        sealed = await self._sealed(transaction_id)
        if sealed is None:
            status = self._tracker.status(transaction_id)
            if status is None:
                raise await self._unknown(transaction_id)
            if not status.state.is_final:
                raise NotYet("not-sealed", f"transaction {transaction_id.hex()} is not sealed yet")
            raise NotFound(f"transaction {transaction_id.hex()} was not sealed")
        block = await self._database.block_by_height(sealed.height)
        leaves = await self._database.leaf_hashes(sealed.height)
        if merkle_root_of_hashes(leaves) != self._database.header_of(block).transactions_root:
            raise self._database.transactions_damaged(sealed.height)
        return InclusionProof(
            header=block.header,
            certificate=published_certificate(self._database, block.height, block.seal),
            proof=prove_inclusion_of_hashes(leaves, sealed.position),
            leaf_hash=sealed.leaf_hash,
            set_changes=await self._set_changes(sealed.height),
        )

    async def _set_changes(self, height: Height) -> tuple[PublishedSetChange, ...]:
        """Return what leads from the genesis set to the set of a height."""
        changes = await self._database.set_changes(height)
        return tuple([published_set_change(self._database, item) for item in changes])

    def notes(
        self, from_sequence: int, limit: int | None
    ) -> AsyncGenerator[Sequence[NoteRecord], None]:
        return _pages(self._database.notes, _note_record, from_sequence, limit)

    def nullifiers(
        self, from_sequence: int, limit: int | None
    ) -> AsyncGenerator[Sequence[NullifierRecord], None]:
        return _pages(self._database.nullifiers, _nullifier_record, from_sequence, limit)

    def closed_bins(
        self, from_sequence: int, limit: int | None
    ) -> AsyncGenerator[Sequence[ClosedBinDigest], None]:
        return _pages(self._database.closed_bins, _closed_bin_digest, from_sequence, limit)

    def evidence(
        self, from_sequence: int, limit: int | None
    ) -> AsyncGenerator[Sequence[EvidenceItem], None]:
        return _pages(self._database.evidence, _evidence_item, from_sequence, limit)

    def treasury(
        self, from_sequence: int, limit: int | None, fiscal_year: int | None
    ) -> AsyncGenerator[Sequence[TreasuryMovement], None]:
        height = self._chain.height

        async def read(position: int, count: int) -> Sequence[TreasuryMovement]:
            rows = await self._database.treasury_rows(height, position, count, fiscal_year)
            return [_treasury_movement(row) for row in rows]

        return _pages(read, lambda movement: movement, from_sequence, limit)

    async def votes(self, height: Height, include_ballots: bool) -> BlockVotes:
        try:
            with naming_the_snapshot():
                stored = await self._database.votes_of(height, include_ballots=include_ballots)
        except NotStored as error:
            text = f"nobody voted on a block of height {height}; the tip is {self._chain.height}"
            raise NotFound(text) from error
        return _block_votes(stored)

    async def votes_from(
        self, from_height: Height, include_ballots: bool
    ) -> AsyncGenerator[BlockVotes, None]:
        height = from_height
        while True:
            with naming_the_snapshot():
                page = await self._database.votes(
                    height, VOTES_AT_ONCE, include_ballots=include_ballots
                )
            if not page:
                return
            for stored in page:
                yield _block_votes(stored)
            height = Height(page[-1].counts.height + 1)

    async def settlements(
        self, from_year: int, limit: int | None
    ) -> AsyncGenerator[Sequence[SettledYear], None]:
        year, left = from_year, limit
        while left is None or left > 0:
            count = PAGE_ROWS if left is None else min(left, PAGE_ROWS)
            page = await self._database.settlements(year, count)
            if not page:
                return
            yield [_settled_year(stored) for stored in page]
            year = page[-1].fiscal_year + 1
            left = None if left is None else left - len(page)

    def ballot_conflicts(
        self, from_sequence: int, limit: int | None
    ) -> AsyncGenerator[Sequence[BallotConflict], None]:
        return _pages(self._database.conflicts, _ballot_conflict, from_sequence, limit)

    async def bins(self, bin_ids: Sequence[int]) -> Sequence[BinRecord]:
        stored = await self._database.bins(bin_ids)
        records: list[BinRecord] = []
        for bin_id in bin_ids:
            found = stored.get(bin_id)
            if found is None:
                raise NotFound(f"bin {bin_id} does not exist")
            if found.closed is None or found.closed_at_height is None:
                raise NotYet("bin-open", f"bin {bin_id} still fills")
            records.append(
                BinRecord(
                    bin_id=bin_id,
                    asset=found.asset,
                    count=found.closed.count,
                    closed_height=found.closed_at_height,
                    notes=found.closed.packed,
                    digest=found.closed.digest,
                )
            )
        return records

    async def sealed_state(self) -> PublishedState:
        header, seal, state = self._chain.header, self._chain.seal, self._chain.state
        return PublishedState(
            header=header.encode(),
            certificate=published_certificate(self._database, header.height, seal),
            state=state.encode(),
            set_changes=await self._set_changes(header.height),
        )

    async def parameters(self) -> LedgerParameters:
        genesis = self._chain.genesis
        return LedgerParameters(
            genesis_json=self._genesis_json,
            chain_id=genesis.chain_id,
            height=self._chain.height,
            ring_base=genesis.parameters.ring_base,
            transfer_fee=genesis.parameters.transfer_fee,
            bin_age_ms=genesis.parameters.bin_age_ms,
            max_expiry_heights=genesis.parameters.max_expiry_heights,
        )

    async def node_status(self) -> NodeStatus:
        chain = self._chain
        bank = chain.genesis.banks[self._bank]
        return NodeStatus(
            bank=bank.index,
            bank_name=bank.name,
            software_version=SOFTWARE_VERSION,
            chain_id=chain.genesis.chain_id,
            height=chain.height,
            block_id=chain.header.block_id,
            time_ms=chain.header.time_ms,
            mempool_transactions=len(self._pool.mempool),
            ready=self._unready_reason() is None,
            linked_banks=self._linked_banks() + 1,
            quorum=chain.active_set.quorum,
        )


class _Numbered(Protocol):
    """A row that has its place in ledger order."""

    @property
    def sequence(self) -> int: ...


Row = TypeVar("Row", bound=_Numbered)
Record = TypeVar("Record")


async def _pages(
    read: Callable[[int, int], Awaitable[Sequence[Row]]],
    as_record: Callable[[Row], Record],
    from_sequence: int,
    limit: int | None,
) -> AsyncGenerator[Sequence[Record], None]:
    """Yield rows in ledger order up to the tip, or `limit` of them, a page at a time."""
    sequence, left = from_sequence, limit
    while left is None or left > 0:
        with naming_the_snapshot():
            rows = await read(sequence, PAGE_ROWS if left is None else min(left, PAGE_ROWS))
        if not rows:
            return
        yield [as_record(row) for row in rows]
        sequence = rows[-1].sequence + 1
        left = None if left is None else left - len(rows)


def _block_votes(stored: StoredVotes) -> BlockVotes:
    counts = stored.counts
    pending = counts.status is StoredStatus.PENDING
    return BlockVotes(
        height=counts.height,
        block_id=stored.block_id,
        time_ms=stored.time_ms,
        status=VotingStatus.PENDING if pending else VotingStatus.RECORDED,
        approved=counts.approved,
        rejected=counts.rejected,
        votes=tuple([RecordedVote(vote.tag, vote.approve, vote.ballot) for vote in stored.votes]),
    )


def _settled_year(stored: StoredSettlement) -> SettledYear:
    return SettledYear(
        fiscal_year=stored.fiscal_year,
        height=stored.height,
        transaction_id=stored.transaction_id,
        pot=stored.pot,
        carried=stored.carried,
        shares=tuple([YearShare(item.bank, item.count, item.reward) for item in stored.shares]),
    )


def _ballot_conflict(stored: StoredBallotConflict) -> BallotConflict:
    return BallotConflict(
        stored.sequence, stored.height, stored.view, stored.first, stored.second
    )


def _note_record(row: StoredNote) -> NoteRecord:
    return NoteRecord(
        sequence=row.sequence,
        transaction_id=row.transaction_id,
        transaction_kind=row.transaction_kind,
        output_index=row.output_index,
        asset=row.asset,
        bin_id=row.bin_id,
        position=row.position,
        height=row.height,
        output=row.output,
    )


def _nullifier_record(row: StoredNullifier) -> NullifierRecord:
    return NullifierRecord(row.sequence, row.nullifier, row.transaction_id, row.height)


def _closed_bin_digest(row: StoredClosedBin) -> ClosedBinDigest:
    return ClosedBinDigest(
        sequence=row.sequence,
        bin_id=row.bin_id,
        asset=row.asset,
        digest=row.digest,
        count=row.count,
        closed_height=row.closed_at_height,
    )


def _evidence_item(row: StoredEvidence) -> EvidenceItem:
    return EvidenceItem(
        sequence=row.sequence,
        evidence_id=row.evidence_id,
        offence=row.offence,
        bank=row.bank,
        offence_height=row.offence_height,
        status=EvidenceStatus[row.status.name],
        item=row.raw,
        recorded_height=row.recorded_at if row.penalty is not None else None,
        penalty=row.penalty,
    )


def _treasury_movement(row: StoredTreasuryRow) -> TreasuryMovement:
    return TreasuryMovement(
        sequence=row.record,
        height=row.height,
        bank=row.bank,
        fiscal_year=row.fiscal_year,
        amount=row.amount,
        kind=row.kind,
        reason=row.reason,
    )


def _position(sealed: StoredTransaction) -> Position:
    return Position(sealed.height, sealed.block_id, sealed.position, sealed.time_ms)
