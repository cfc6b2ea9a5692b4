"""Stubs of `consortium.v1.Ledger` to values and back.

`..._to_stub` serves the bank, `..._from_stub` the client; request readers return plain checked
values. Everything that comes from a stub raises `MalformedMessage` when it breaks the contract.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence

from node.ledger.blocks import HEADER_BYTES, MAX_PARENT_BALLOTS, MAX_TRANSACTIONS, Header
from node.ledger.definitions import MAX_BANKS
from node.ledger.encoding import MalformedEncoding
from node.ledger.types import HASH_BYTES, BlockId, Height, TransactionId
from node.wire import ledger_pb2, types_pb2
from node.wire.fields import (
    MalformedMessage,
    bounded_bytes,
    bounded_count,
    exact_bytes,
    from_stub,
    to_stub,
)
from node.wire.limits import (
    MAX_BINS,
    MAX_CERTIFICATE_BYTES,
    MAX_CONFLICTS_PER_PAGE,
    MAX_EVIDENCE_PER_PAGE,
    MAX_NOTES_PER_PAGE,
    MAX_RECORDS_PER_PAGE,
    MAX_TRANSACTION_BYTES,
)
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
    Refusal,
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


def raw_transaction(value: bytes, field: str = "transaction") -> bytes:
    """Return the canonical bytes if their size is that of a transaction at all."""
    return bounded_bytes(field, value, MAX_TRANSACTION_BYTES, minimum=1)


def transaction_id(value: bytes, field: str = "transaction_id") -> TransactionId:
    """Return a transaction id of the right length."""
    return TransactionId(exact_bytes(field, value, HASH_BYTES))


def block_id(value: bytes, field: str = "block_id") -> BlockId:
    """Return a block id of the right length."""
    return BlockId(exact_bytes(field, value, HASH_BYTES))


def limit(value: int) -> int | None:
    """Read a `limit` field, in which 0 stands for no limit."""
    return value or None


def bin_ids(request: ledger_pb2.GetBinsRequest) -> tuple[int, ...]:
    """Read the ids of a GetBins request: 1 to 64, without repetition."""
    bounded_count("bin_ids", request.bin_ids, MAX_BINS, minimum=1)
    ids = tuple(request.bin_ids)
    if len(set(ids)) != len(ids):
        raise MalformedMessage("bin_ids", "an id is repeated")
    return ids


def requested_block(request: ledger_pb2.GetBlockRequest) -> Height | BlockId:
    """Read which block is asked for: a height (int) or an id (bytes)."""
    match request.WhichOneof("block"):
        case "height":
            return Height(request.height)
        case "block_id":
            return block_id(request.block_id)
        case _:
            raise MalformedMessage("block", "give a height or a block id")


# --- submission -----------------------------------------------------------------------------


def receipt_to_stub(receipt: Receipt) -> ledger_pb2.Receipt:
    """Build the stub of a receipt."""
    return to_stub(receipt, ledger_pb2.Receipt)


def receipt_from_stub(stub: ledger_pb2.Receipt) -> Receipt:
    """Read a receipt."""
    return from_stub(stub, Receipt, state=_state(stub.state))


def refusal_to_stub(refusal: Refusal) -> types_pb2.Rejection:
    """Build the stub of a refusal."""
    return to_stub(refusal, types_pb2.Rejection)


def refusal_from_stub(stub: types_pb2.Rejection) -> Refusal:
    """Read a refusal."""
    return from_stub(stub, Refusal)


def _state(value: int) -> TransactionState:
    try:
        return TransactionState(value)
    except ValueError:
        raise MalformedMessage("state", f"{value} is no state of a transaction") from None


def status_to_stub(status: TransactionStatus) -> types_pb2.TransactionStatus:
    """Build the stub of a transaction's status."""
    stub = types_pb2.TransactionStatus(
        transaction_id=status.transaction_id,
        state=status.state.value,  # type: ignore[arg-type]
    )
    if status.position is not None:
        stub.position.CopyFrom(to_stub(status.position, types_pb2.TransactionStatus.Position))
    if status.refusal is not None:
        stub.rejection.CopyFrom(refusal_to_stub(status.refusal))
    return stub


def status_from_stub(stub: types_pb2.TransactionStatus) -> TransactionStatus:
    """Read a transaction's status: a position exactly with SEALED, a refusal with REJECTED."""
    state = _state(stub.state)
    if stub.HasField("position") != (state is TransactionState.SEALED):
        raise MalformedMessage("position", "goes with SEALED and with nothing else")
    if stub.HasField("rejection") != (state is TransactionState.REJECTED):
        raise MalformedMessage("rejection", "goes with REJECTED and with nothing else")
    return TransactionStatus(
        transaction_id=transaction_id(stub.transaction_id),
        state=state,
        position=from_stub(stub.position, Position) if stub.HasField("position") else None,
        refusal=refusal_from_stub(stub.rejection) if stub.HasField("rejection") else None,
    )


# --- blocks and proofs ----------------------------------------------------------------------


def published_block_to_stub(block: PublishedBlock) -> types_pb2.PublishedBlock:
    """Build the stub with its convenience fields; the header is our own and decodes."""
    header = Header.decode(block.header)
    return types_pb2.PublishedBlock(
        header=block.header,
        block=block.block,
        certificate=block.certificate,
        transactions=block.transactions,
        block_id=hashlib.sha256(block.header).digest(),
        height=header.height,
        time_ms=header.time_ms,
        proposer=header.proposer,
        transaction_count=header.transaction_count,
    )


def published_block_from_stub(stub: types_pb2.PublishedBlock) -> PublishedBlock:
    """Read a block; its convenience fields are ignored, for the header says it all."""
    return from_stub(
        stub,
        PublishedBlock,
        header=header_bytes(stub.header),
        certificate=_certificate(stub.certificate),
        transactions=_bodies(stub.transactions),
    )


def sealed_block_to_stub(block: StoredBlock) -> types_pb2.SealedBlock:
    """Build the stub of a block for another bank."""
    return to_stub(block, types_pb2.SealedBlock)


def sealed_block_from_stub(stub: types_pb2.SealedBlock) -> StoredBlock:
    """Read a block that another bank sent."""
    return from_stub(
        stub,
        StoredBlock,
        header=header_bytes(stub.header),
        transactions=_bodies(stub.transactions),
    )


def _bodies(transactions: Collection[bytes]) -> tuple[bytes, ...]:
    bounded_count("transactions", transactions, MAX_TRANSACTIONS)
    return tuple([raw_transaction(raw, "transactions") for raw in transactions])


def _certificate(value: bytes) -> bytes:
    return bounded_bytes("certificate", value, MAX_CERTIFICATE_BYTES)


def header_bytes(value: bytes, field: str = "header") -> bytes:
    """Return the bytes if they are a canonical header."""
    exact_bytes(field, value, HEADER_BYTES)
    try:
        Header.decode(value)
    except MalformedEncoding as error:
        raise MalformedMessage(field, str(error)) from None
    return value


def proof_to_stub(proof: InclusionProof) -> ledger_pb2.InclusionProof:
    """Build the stub of an inclusion proof."""
    return to_stub(
        proof, ledger_pb2.InclusionProof, set_changes=_set_changes_to_stubs(proof.set_changes)
    )


def proof_from_stub(stub: ledger_pb2.InclusionProof) -> InclusionProof:
    """Read an inclusion proof; what it proves is for the receiver to verify."""
    return from_stub(
        stub,
        InclusionProof,
        header=header_bytes(stub.header),
        certificate=_certificate(stub.certificate),
        set_changes=_set_changes_from_stubs(stub.set_changes),
    )


def published_state_to_stub(state: PublishedState) -> ledger_pb2.PublishedState:
    """Build the stub of a published state."""
    return to_stub(
        state, ledger_pb2.PublishedState, set_changes=_set_changes_to_stubs(state.set_changes)
    )


def published_state_from_stub(stub: ledger_pb2.PublishedState) -> PublishedState:
    """Read a published state; that it is sealed is for the receiver to verify."""
    return from_stub(
        stub,
        PublishedState,
        header=header_bytes(stub.header),
        certificate=_certificate(stub.certificate),
        set_changes=_set_changes_from_stubs(stub.set_changes),
    )


def _set_changes_to_stubs(
    changes: Sequence[PublishedSetChange],
) -> list[ledger_pb2.PublishedSetChange]:
    return [to_stub(change, ledger_pb2.PublishedSetChange) for change in changes]


def _set_changes_from_stubs(
    stubs: Iterable[ledger_pb2.PublishedSetChange],
) -> tuple[PublishedSetChange, ...]:
    return tuple(
        [
            from_stub(
                stub,
                PublishedSetChange,
                header=header_bytes(stub.header),
                certificate=_certificate(stub.certificate),
            )
            for stub in stubs
        ]
    )


def sealed_state_to_stub(state: SealedState) -> types_pb2.SealedState:
    """Build the stub of a sealed state for another bank."""
    changes = [to_stub(change, types_pb2.SetChange) for change in state.set_changes]
    return to_stub(state, types_pb2.SealedState, set_changes=changes)


def sealed_state_from_stub(stub: types_pb2.SealedState) -> SealedState:
    """Read a sealed state that another bank sent; verify it."""
    changes = [
        from_stub(change, SetChange, header=header_bytes(change.header))
        for change in stub.set_changes
    ]
    return from_stub(
        stub, SealedState, header=header_bytes(stub.header), set_changes=tuple(changes)
    )


# --- notes, nullifiers, bins ----------------------------------------------------------------


def notes_to_stub(notes: Sequence[NoteRecord]) -> ledger_pb2.NotePage:
    """Build the stub of a page of notes."""
    return ledger_pb2.NotePage(notes=[to_stub(note, ledger_pb2.Note) for note in notes])


def notes_from_stub(page: ledger_pb2.NotePage) -> tuple[NoteRecord, ...]:
    """Read a page of notes."""
    bounded_count("notes", page.notes, MAX_NOTES_PER_PAGE)
    return tuple(from_stub(stub, NoteRecord) for stub in page.notes)


def nullifiers_to_stub(nullifiers: Sequence[NullifierRecord]) -> ledger_pb2.NullifierPage:
    """Build the stub of a page of nullifiers."""
    return ledger_pb2.NullifierPage(
        nullifiers=[to_stub(nullifier, ledger_pb2.Nullifier) for nullifier in nullifiers]
    )


def nullifiers_from_stub(page: ledger_pb2.NullifierPage) -> tuple[NullifierRecord, ...]:
    """Read a page of nullifiers."""
    bounded_count("nullifiers", page.nullifiers, MAX_RECORDS_PER_PAGE)
    return tuple(from_stub(stub, NullifierRecord) for stub in page.nullifiers)


def closed_bins_to_stub(bins: Sequence[ClosedBinDigest]) -> ledger_pb2.ClosedBinPage:
    """Build the stub of a page of closed bins."""
    return ledger_pb2.ClosedBinPage(
        bins=[to_stub(closed, ledger_pb2.ClosedBinDigest) for closed in bins]
    )


def closed_bins_from_stub(page: ledger_pb2.ClosedBinPage) -> tuple[ClosedBinDigest, ...]:
    """Read a page of closed bins."""
    bounded_count("bins", page.bins, MAX_RECORDS_PER_PAGE)
    return tuple(from_stub(stub, ClosedBinDigest) for stub in page.bins)


def bins_to_stub(bins: Sequence[BinRecord]) -> ledger_pb2.GetBinsResponse:
    """Build the stub of closed bins with their notes."""
    return ledger_pb2.GetBinsResponse(bins=[to_stub(item, ledger_pb2.Bin) for item in bins])


def bins_from_stub(stub: ledger_pb2.GetBinsResponse) -> tuple[BinRecord, ...]:
    """Read closed bins; their digests are for the receiver to recompute (IDX1 4.4)."""
    bounded_count("bins", stub.bins, MAX_BINS)
    return tuple(from_stub(item, BinRecord) for item in stub.bins)


# --- evidence and treasury -------------------------------------------------------------------


def evidence_to_stub(items: Sequence[EvidenceItem]) -> ledger_pb2.EvidencePage:
    """Build the stub of a page of evidence."""
    return ledger_pb2.EvidencePage(
        items=[
            to_stub(item, ledger_pb2.EvidenceItem, status=item.status.value)
            for item in items
        ]
    )


def evidence_from_stub(page: ledger_pb2.EvidencePage) -> tuple[EvidenceItem, ...]:
    """Read a page of evidence; what an item proves is for the receiver to verify."""
    bounded_count("items", page.items, MAX_EVIDENCE_PER_PAGE)
    return tuple(
        from_stub(stub, EvidenceItem, status=_evidence_status(stub.status)) for stub in page.items
    )


def _evidence_status(value: int) -> EvidenceStatus:
    try:
        return EvidenceStatus(value)
    except ValueError:
        raise MalformedMessage("status", f"{value} is no status of evidence") from None


def treasury_to_stub(rows: Sequence[TreasuryMovement]) -> ledger_pb2.TreasuryPage:
    """Build the stub of a page of the treasury."""
    return ledger_pb2.TreasuryPage(
        movements=[to_stub(row, ledger_pb2.TreasuryMovement) for row in rows]
    )


def treasury_from_stub(page: ledger_pb2.TreasuryPage) -> tuple[TreasuryMovement, ...]:
    """Read a page of the treasury."""
    bounded_count("movements", page.movements, MAX_RECORDS_PER_PAGE)
    return tuple(from_stub(stub, TreasuryMovement) for stub in page.movements)


# --- votes, settlements, conflicts ------------------------------------------------------------


def votes_to_stub(votes: BlockVotes) -> ledger_pb2.BlockVotes:
    """Build the stub of a block's voting record."""
    return to_stub(
        votes,
        ledger_pb2.BlockVotes,
        status=votes.status.value,
        votes=[to_stub(vote, ledger_pb2.RecordedVote) for vote in votes.votes],
    )


def votes_from_stub(stub: ledger_pb2.BlockVotes) -> BlockVotes:
    """Read a block's voting record: votes only when it is recorded, by increasing tag."""
    try:
        status = VotingStatus(stub.status)
    except ValueError:
        raise MalformedMessage("status", f"{stub.status} is no status of votes") from None
    bounded_count("votes", stub.votes, MAX_PARENT_BALLOTS)
    votes = tuple([from_stub(vote, RecordedVote) for vote in stub.votes])
    if votes and status is VotingStatus.PENDING:
        raise MalformedMessage("votes", "are listed although they are pending")
    tags = [vote.tag for vote in votes]
    if tags != sorted(set(tags)):
        raise MalformedMessage("votes", "are not in increasing order of their tags")
    return from_stub(stub, BlockVotes, status=status, votes=votes)


def settlements_to_stub(settlements: Sequence[SettledYear]) -> ledger_pb2.SettlementPage:
    """Build the stub of a page of settlements."""
    return ledger_pb2.SettlementPage(
        settlements=[
            to_stub(
                item,
                ledger_pb2.SettledYear,
                shares=[to_stub(share, ledger_pb2.SettledYear.Share) for share in item.shares],
            )
            for item in settlements
        ]
    )


def settlements_from_stub(page: ledger_pb2.SettlementPage) -> tuple[SettledYear, ...]:
    """Read a page of settlements; the transactions they name prove them."""
    bounded_count("settlements", page.settlements, MAX_RECORDS_PER_PAGE)
    for stub in page.settlements:
        bounded_count("shares", stub.shares, MAX_BANKS)
    return tuple(
        [
            from_stub(
                stub,
                SettledYear,
                shares=tuple([from_stub(share, YearShare) for share in stub.shares]),
            )
            for stub in page.settlements
        ]
    )


def conflicts_to_stub(conflicts: Sequence[BallotConflict]) -> ledger_pb2.BallotConflictPage:
    """Build the stub of a page of ballot conflicts."""
    return ledger_pb2.BallotConflictPage(
        conflicts=[to_stub(item, ledger_pb2.BallotConflict) for item in conflicts]
    )


def conflicts_from_stub(page: ledger_pb2.BallotConflictPage) -> tuple[BallotConflict, ...]:
    """Read a page of ballot conflicts; verify the ballots."""
    bounded_count("conflicts", page.conflicts, MAX_CONFLICTS_PER_PAGE)
    return tuple([from_stub(stub, BallotConflict) for stub in page.conflicts])


# --- parameters and status ------------------------------------------------------------------


def parameters_to_stub(parameters: LedgerParameters) -> ledger_pb2.GetParametersResponse:
    """Build the stub of the ledger's parameters."""
    return to_stub(parameters, ledger_pb2.GetParametersResponse)


def parameters_from_stub(stub: ledger_pb2.GetParametersResponse) -> LedgerParameters:
    """Read the ledger's parameters."""
    return from_stub(stub, LedgerParameters)


def node_status_to_stub(status: NodeStatus) -> ledger_pb2.GetNodeStatusResponse:
    """Build the stub of a node's status."""
    return to_stub(status, ledger_pb2.GetNodeStatusResponse)


def node_status_from_stub(stub: ledger_pb2.GetNodeStatusResponse) -> NodeStatus:
    """Read a node's status."""
    return from_stub(stub, NodeStatus)
