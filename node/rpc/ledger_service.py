"""`consortium.v1.Ledger` over a `LedgerBackend`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

from crypto.transaction import transaction_id
from node.ledger.rejection import Rejection
from node.ledger.types import Height
from node.rpc.backend import LedgerBackend, NotYet, Overloaded
from node.rpc.errors import CallRefused, Fault, fault_of, fault_of_rejection, refusal_of
from node.rpc.gate import Context, caller
from node.wire import codec, ledger_pb2, types_pb2
from node.wire.fields import MalformedMessage
from node.wire.identity import Identity
from node.wire.ledger_pb2_grpc import LedgerServicer
from node.wire.limits import (
    MAX_CONFLICTS_PER_PAGE,
    MAX_EVIDENCE_PAGE_BYTES,
    MAX_EVIDENCE_PER_PAGE,
    MAX_NOTES_PER_PAGE,
    MAX_RECORDS_PER_PAGE,
)
from node.wire.records import EvidenceItem, Receipt

SUBMISSIONS_IN_FLIGHT = 256
"""Items of one SubmitTransactions stream that are worked on at a time: a few batches."""

T = TypeVar("T")


class LedgerService(LedgerServicer):
    """Parses requests, calls the backend, builds answers; errors are the gate's business."""

    def __init__(self, backend: LedgerBackend) -> None:
        self._backend = backend

    async def SubmitTransaction(  # noqa: N802
        self, request: ledger_pb2.SubmitTransactionRequest, context: Context
    ) -> ledger_pb2.SubmitTransactionResponse:
        receipt = await self._submit(request.transaction, caller())
        return ledger_pb2.SubmitTransactionResponse(receipt=codec.receipt_to_stub(receipt))

    async def SubmitTransactions(  # noqa: N802
        self,
        requests: AsyncIterator[ledger_pb2.SubmitTransactionsRequest],
        context: Context,
    ) -> AsyncGenerator[ledger_pb2.SubmitTransactionsResponse, None]:
        source = caller()

        async def answer(
            request: ledger_pb2.SubmitTransactionsRequest,
        ) -> ledger_pb2.SubmitTransactionsResponse:
            try:
                receipt = await self._submit(request.transaction, source)
            except (CallRefused, MalformedMessage, NotYet, Overloaded) as error:
                fault = fault_of(error)
                assert fault is not None, "each of these stands for a fault"
                return ledger_pb2.SubmitTransactionsResponse(
                    item=request.item, rejection=codec.refusal_to_stub(refusal_of(fault))
                )
            return ledger_pb2.SubmitTransactionsResponse(
                item=request.item, receipt=codec.receipt_to_stub(receipt)
            )

        async with aclosing(_concurrently(requests, answer, SUBMISSIONS_IN_FLIGHT)) as answers:
            async for response in answers:
                yield response

    async def _submit(self, raw: bytes, source: Identity) -> Receipt:
        transaction = codec.raw_transaction(raw)
        try:
            return await self._backend.submit(transaction, source)
        except Rejection as rejection:
            fault = fault_of_rejection(rejection)
            raise CallRefused(_about(fault, transaction)) from rejection

    async def GetTransaction(  # noqa: N802
        self, request: ledger_pb2.GetTransactionRequest, context: Context
    ) -> ledger_pb2.GetTransactionResponse:
        found = await self._backend.transaction(codec.transaction_id(request.transaction_id))
        raw = found.transaction if request.include_transaction else None
        return ledger_pb2.GetTransactionResponse(
            status=codec.status_to_stub(found.status), transaction=raw or b""
        )

    async def WaitForTransaction(  # noqa: N802
        self, request: ledger_pb2.WaitForTransactionRequest, context: Context
    ) -> AsyncGenerator[types_pb2.TransactionStatus, None]:
        wanted = codec.transaction_id(request.transaction_id)
        async with aclosing(self._backend.transaction_states(wanted)) as states:
            async for status in states:
                yield codec.status_to_stub(status)
                if status.state.is_final:
                    return

    async def GetBlock(  # noqa: N802
        self, request: ledger_pb2.GetBlockRequest, context: Context
    ) -> types_pb2.PublishedBlock:
        wanted = codec.requested_block(request)
        include = request.include_transactions
        if isinstance(wanted, bytes):
            block = await self._backend.block_by_id(wanted, include)
        else:
            block = await self._backend.block_at(wanted, include)
        return codec.published_block_to_stub(block)

    async def StreamBlocks(  # noqa: N802
        self, request: ledger_pb2.StreamBlocksRequest, context: Context
    ) -> AsyncGenerator[types_pb2.PublishedBlock, None]:
        left = codec.limit(request.limit)
        blocks = self._backend.blocks(
            Height(request.from_height), request.follow, request.include_transactions
        )
        async with aclosing(blocks):
            async for block in blocks:
                yield codec.published_block_to_stub(block)
                if left is not None:
                    left -= 1
                    if left == 0:
                        return

    async def GetInclusionProof(  # noqa: N802
        self, request: ledger_pb2.GetInclusionProofRequest, context: Context
    ) -> ledger_pb2.InclusionProof:
        wanted = codec.transaction_id(request.transaction_id)
        return codec.proof_to_stub(await self._backend.inclusion_proof(wanted))

    async def ListNotes(  # noqa: N802
        self, request: ledger_pb2.ListNotesRequest, context: Context
    ) -> AsyncGenerator[ledger_pb2.NotePage, None]:
        pages = self._backend.notes(request.from_sequence, codec.limit(request.limit))
        async with aclosing(_repaged(pages, MAX_NOTES_PER_PAGE)) as repaged:
            async for page in repaged:
                yield codec.notes_to_stub(page)

    async def ListNullifiers(  # noqa: N802
        self, request: ledger_pb2.ListNullifiersRequest, context: Context
    ) -> AsyncGenerator[ledger_pb2.NullifierPage, None]:
        pages = self._backend.nullifiers(request.from_sequence, codec.limit(request.limit))
        async with aclosing(_repaged(pages, MAX_RECORDS_PER_PAGE)) as repaged:
            async for page in repaged:
                yield codec.nullifiers_to_stub(page)

    async def ListClosedBins(  # noqa: N802
        self, request: ledger_pb2.ListClosedBinsRequest, context: Context
    ) -> AsyncGenerator[ledger_pb2.ClosedBinPage, None]:
        pages = self._backend.closed_bins(request.from_sequence, codec.limit(request.limit))
        async with aclosing(_repaged(pages, MAX_RECORDS_PER_PAGE)) as repaged:
            async for page in repaged:
                yield codec.closed_bins_to_stub(page)

    async def GetBins(  # noqa: N802
        self, request: ledger_pb2.GetBinsRequest, context: Context
    ) -> ledger_pb2.GetBinsResponse:
        return codec.bins_to_stub(await self._backend.bins(codec.bin_ids(request)))

    async def GetSealedState(  # noqa: N802
        self, request: ledger_pb2.GetSealedStateRequest, context: Context
    ) -> ledger_pb2.PublishedState:
        return codec.published_state_to_stub(await self._backend.sealed_state())

    async def ListEvidence(  # noqa: N802
        self, request: ledger_pb2.ListEvidenceRequest, context: Context
    ) -> AsyncGenerator[ledger_pb2.EvidencePage, None]:
        pages = self._backend.evidence(request.from_sequence, codec.limit(request.limit))
        async with aclosing(pages):
            async for items in pages:
                for page in _within_bytes(items):
                    yield codec.evidence_to_stub(page)

    async def ListTreasury(  # noqa: N802
        self, request: ledger_pb2.ListTreasuryRequest, context: Context
    ) -> AsyncGenerator[ledger_pb2.TreasuryPage, None]:
        year = request.fiscal_year if request.HasField("fiscal_year") else None
        pages = self._backend.treasury(request.from_sequence, codec.limit(request.limit), year)
        async with aclosing(_repaged(pages, MAX_RECORDS_PER_PAGE)) as repaged:
            async for page in repaged:
                yield codec.treasury_to_stub(page)

    async def GetVotes(  # noqa: N802
        self, request: ledger_pb2.GetVotesRequest, context: Context
    ) -> ledger_pb2.BlockVotes:
        votes = await self._backend.votes(Height(request.height), request.include_ballots)
        return codec.votes_to_stub(votes)

    async def ListVotes(  # noqa: N802
        self, request: ledger_pb2.ListVotesRequest, context: Context
    ) -> AsyncGenerator[ledger_pb2.BlockVotes, None]:
        left = codec.limit(request.limit)
        records = self._backend.votes_from(Height(request.from_height), request.include_ballots)
        async with aclosing(records):
            async for votes in records:
                yield codec.votes_to_stub(votes)
                if left is not None:
                    left -= 1
                    if left == 0:
                        return

    async def ListSettlements(  # noqa: N802
        self, request: ledger_pb2.ListSettlementsRequest, context: Context
    ) -> AsyncGenerator[ledger_pb2.SettlementPage, None]:
        pages = self._backend.settlements(request.from_year, codec.limit(request.limit))
        async with aclosing(_repaged(pages, MAX_RECORDS_PER_PAGE)) as repaged:
            async for page in repaged:
                yield codec.settlements_to_stub(page)

    async def ListBallotConflicts(  # noqa: N802
        self, request: ledger_pb2.ListBallotConflictsRequest, context: Context
    ) -> AsyncGenerator[ledger_pb2.BallotConflictPage, None]:
        limit = codec.limit(request.limit)
        pages = self._backend.ballot_conflicts(request.from_sequence, limit)
        async with aclosing(_repaged(pages, MAX_CONFLICTS_PER_PAGE)) as repaged:
            async for page in repaged:
                yield codec.conflicts_to_stub(page)

    async def GetParameters(  # noqa: N802
        self, request: ledger_pb2.GetParametersRequest, context: Context
    ) -> ledger_pb2.GetParametersResponse:
        return codec.parameters_to_stub(await self._backend.parameters())

    async def GetNodeStatus(  # noqa: N802
        self, request: ledger_pb2.GetNodeStatusRequest, context: Context
    ) -> ledger_pb2.GetNodeStatusResponse:
        return codec.node_status_to_stub(await self._backend.node_status())


def _about(fault: Fault, transaction: bytes) -> Fault:
    return fault.with_metadata(transaction_id=transaction_id(transaction).hex())


async def _repaged(
    pages: AsyncGenerator[Sequence[T], None], size: int
) -> AsyncGenerator[Sequence[T], None]:
    """Yield the same records in pages of at most `size`."""
    async with aclosing(pages):
        async for page in pages:
            for start in range(0, len(page), size):
                yield page[start : start + size]


def _within_bytes(items: Sequence[EvidenceItem]) -> Iterator[Sequence[EvidenceItem]]:
    """Cut a page of evidence so that each part stays below the limits of a message."""
    part: list[EvidenceItem] = []
    size = 0
    for item in items:
        full = size + len(item.item) > MAX_EVIDENCE_PAGE_BYTES or len(part) == MAX_EVIDENCE_PER_PAGE
        if part and full:
            yield part
            part, size = [], 0
        part.append(item)
        size += len(item.item)
    if part:
        yield part


async def _concurrently(
    requests: AsyncIterator[Any], work: Callable[[Any], Any], in_flight: int
) -> AsyncGenerator[Any, None]:
    """Yield `work(request)` of every request as each is done, `in_flight` at a time.

    Requests are read only while there is room, and room is made only by taking answers, so that a
    caller who does not read is not read from either.
    """
    answers: asyncio.Queue[Any] = asyncio.Queue()
    room = asyncio.Semaphore(in_flight)
    ended = object()

    async def run(request: Any) -> None:
        answers.put_nowait(await work(request))

    async def read() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                async for request in requests:
                    await room.acquire()
                    group.create_task(run(request))
        finally:
            answers.put_nowait(ended)

    reader = asyncio.create_task(read())
    try:
        while (answer := await answers.get()) is not ended:
            yield answer
            room.release()
        await _first_error(reader)
    finally:
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)


async def _first_error(reader: asyncio.Task[None]) -> None:
    """Await the reader; raise the first error of a group in place of the group."""
    try:
        await reader
    except ExceptionGroup as group:
        raise group.exceptions[0] from None
