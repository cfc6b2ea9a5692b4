"""`consortium.v1.Ledger` on a real server: every method once, and submission in depth."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from crypto.transaction import transaction_id
from node.ledger.rejection import Reason, Rejection
from node.ledger.types import Height, TransactionId
from node.rpc.backend import NotYet
from node.rpc.ledger_service import SUBMISSIONS_IN_FLIGHT
from node.wire import codec, ledger_pb2
from node.wire.ledger_pb2_grpc import LedgerStub
from node.wire.limits import MAX_TRANSACTION_BYTES
from node.wire.records import Receipt, Refusal, TransactionState, VotingStatus
from tests.rpc.conftest import ServedNode
from tests.rpc.doubles import (
    BIN,
    NODE_STATUS,
    PARAMETERS,
    PROOF,
    PUBLISHED_STATE,
    closed_bin,
    conflict,
    evidence_item,
    header_at,
    movement,
    note,
    nullifier,
    published_block,
    settled,
    status_of,
    votes_at,
)
from tests.rpc.faults import SeenFault, fault_of_call, fault_of_stream
from tests.rpc.waiting import eventually

ID = TransactionId(bytes(range(32)))
RAW = b"canonical bytes of a transaction"


@pytest.fixture
def stub(node: ServedNode) -> LedgerStub:
    return LedgerStub(node.channel())


async def pages(stream: AsyncIterator[Any]) -> list[Any]:
    return [page async for page in stream]


# --- submission -----------------------------------------------------------------------------


async def test_a_receipt_says_that_it_is_no_promise(node: ServedNode, stub: LedgerStub) -> None:
    request = ledger_pb2.SubmitTransactionRequest(transaction=RAW)
    response = await stub.SubmitTransaction(request, timeout=10)
    assert codec.receipt_from_stub(response.receipt) == Receipt(
        transaction_id=TransactionId(transaction_id(RAW)),
        state=TransactionState.ADMITTED,
        admitted_at_height=Height(5),
        notice="admitted: verified by this bank and passed on; "
        "only a seal of the quorum makes it final",
    )
    assert node.ledger.submitted == [(RAW, "client/alice")]


@pytest.mark.parametrize(
    ("reason", "status", "retry_delay_ms"),
    [
        (Reason.RANGE, "INVALID_ARGUMENT", None),
        (Reason.NULLIFIER, "ALREADY_EXISTS", None),
        (Reason.BIN_OPEN, "FAILED_PRECONDITION", 1_000),
        (Reason.MEMPOOL_FULL, "RESOURCE_EXHAUSTED", 500),
    ],
)
async def test_a_refusal_names_reason_transaction_and_when_to_retry(
    node: ServedNode,
    stub: LedgerStub,
    reason: Reason,
    status: str,
    retry_delay_ms: int | None,
) -> None:
    node.ledger.raises = Rejection(reason, "because")
    request = ledger_pb2.SubmitTransactionRequest(transaction=RAW)
    assert await fault_of_call(stub.SubmitTransaction(request, timeout=10)) == SeenFault(
        status=status,
        reason=reason.value,
        message="because",
        metadata={"transaction_id": transaction_id(RAW).hex()},
        retry_delay_ms=retry_delay_ms,
        fields=(),
    )


@pytest.mark.parametrize("size", [0, MAX_TRANSACTION_BYTES + 1])
async def test_bytes_of_no_transactions_size_never_reach_the_backend(
    node: ServedNode, stub: LedgerStub, size: int
) -> None:
    request = ledger_pb2.SubmitTransactionRequest(transaction=bytes(size))
    assert await fault_of_call(stub.SubmitTransaction(request, timeout=10)) == SeenFault(
        status="INVALID_ARGUMENT",
        reason="malformed",
        message=f"must have 1 to {MAX_TRANSACTION_BYTES} bytes, not {size}",
        metadata={},
        retry_delay_ms=None,
        fields=("transaction",),
    )
    assert node.ledger.submitted == []


async def test_a_stream_answers_each_item_and_survives_refusals(
    node: ServedNode, stub: LedgerStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    admit = node.ledger.submit

    async def submit(transaction: bytes, source: Any) -> Receipt:
        if transaction == b"spent":
            raise Rejection(Reason.NULLIFIER, "spent at height 3")
        return await admit(transaction, source)

    monkeypatch.setattr(node.ledger, "submit", submit)
    items = {1: b"good", 2: b"spent", 3: b"", 4: b"good too"}
    stream = stub.SubmitTransactions(
        (
            ledger_pb2.SubmitTransactionsRequest(item=item, transaction=raw)
            for item, raw in items.items()
        ),
        timeout=10,
    )
    answers = {
        answer.item: codec.receipt_from_stub(answer.receipt).transaction_id
        if answer.HasField("receipt")
        else codec.refusal_from_stub(answer.rejection)
        async for answer in stream
    }
    assert answers == {
        1: transaction_id(b"good"),
        2: Refusal("nullifier", "spent at height 3", 0),
        3: Refusal("malformed", f"must have 1 to {MAX_TRANSACTION_BYTES} bytes, not 0", 0),
        4: transaction_id(b"good too"),
    }


async def test_a_stream_is_worked_on_together_but_within_bounds(
    node: ServedNode, stub: LedgerStub
) -> None:
    node.ledger.waits = asyncio.Event()
    count = SUBMISSIONS_IN_FLIGHT + 50
    stream = stub.SubmitTransactions(
        ledger_pb2.SubmitTransactionsRequest(item=item, transaction=b"%d" % item)
        for item in range(count)
    )
    await eventually(lambda: node.ledger.in_work == SUBMISSIONS_IN_FLIGHT)
    node.ledger.waits.set()
    assert {answer.item async for answer in stream} == set(range(count))
    assert node.ledger.most_in_work == SUBMISSIONS_IN_FLIGHT


async def test_a_defect_ends_the_stream_without_a_word_of_it(
    node: ServedNode, stub: LedgerStub
) -> None:
    node.ledger.raises = RuntimeError("secret")
    stream = stub.SubmitTransactions(
        (ledger_pb2.SubmitTransactionsRequest(item=1, transaction=RAW),), timeout=10
    )
    fault = await fault_of_stream(stream)
    assert (fault.status, fault.reason) == ("INTERNAL", "internal")
    assert "secret" not in fault.message


# --- transactions, blocks, proofs -----------------------------------------------------------


async def test_a_transaction_is_found_with_its_bytes_if_asked(stub: LedgerStub) -> None:
    for include, raw in ((False, b""), (True, b"raw")):
        request = ledger_pb2.GetTransactionRequest(
            transaction_id=ID, include_transaction=include
        )
        response = await stub.GetTransaction(request, timeout=10)
        assert codec.status_from_stub(response.status) == status_of(ID, TransactionState.SEALED)
        assert response.transaction == raw


async def test_an_unknown_transaction_is_not_found(stub: LedgerStub) -> None:
    request = ledger_pb2.GetTransactionRequest(transaction_id=bytes(32))
    fault = await fault_of_call(stub.GetTransaction(request, timeout=10))
    assert (fault.status, fault.reason, fault.message) == (
        "NOT_FOUND",
        "not-found",
        "no such transaction at this bank",
    )


async def test_waiting_ends_with_the_final_state(node: ServedNode, stub: LedgerStub) -> None:
    request = ledger_pb2.WaitForTransactionRequest(transaction_id=ID)
    states = await pages(stub.WaitForTransaction(request, timeout=10))
    assert [codec.status_from_stub(state).state.name for state in states] == [
        "UNKNOWN",
        "PENDING",
        "ADMITTED",
        "PROPOSED",
        "SEALED",
    ]
    assert node.ledger.closed_streams == 1


async def test_a_block_by_height_by_id_and_none_above_the_tip(stub: LedgerStub) -> None:
    by_height = ledger_pb2.GetBlockRequest(height=3, include_transactions=True)
    by_id = ledger_pb2.GetBlockRequest(block_id=header_at(5).block_id)
    read = codec.published_block_from_stub
    assert read(await stub.GetBlock(by_height, timeout=10)) == published_block(3, (b"raw",))
    assert read(await stub.GetBlock(by_id, timeout=10)) == published_block(5)
    fault = await fault_of_call(stub.GetBlock(ledger_pb2.GetBlockRequest(height=6), timeout=10))
    assert (fault.status, fault.message) == ("NOT_FOUND", "no block at height 6; the tip is 5")


@pytest.mark.parametrize(("limit", "heights"), [(0, [2, 3, 4, 5]), (2, [2, 3])])
async def test_blocks_stream_in_order_up_to_a_limit(
    node: ServedNode, stub: LedgerStub, limit: int, heights: list[int]
) -> None:
    request = ledger_pb2.StreamBlocksRequest(from_height=2, limit=limit)
    blocks = await pages(stub.StreamBlocks(request, timeout=10))
    assert [codec.published_block_from_stub(block) for block in blocks] == [
        published_block(height) for height in heights
    ]
    assert node.ledger.closed_streams == 1


async def test_an_inclusion_proof_or_not_yet(node: ServedNode, stub: LedgerStub) -> None:
    request = ledger_pb2.GetInclusionProofRequest(transaction_id=ID)
    assert codec.proof_from_stub(await stub.GetInclusionProof(request, timeout=10)) == PROOF
    node.ledger.raises = NotYet("not-sealed", "on its way", 800)
    fault = await fault_of_call(stub.GetInclusionProof(request, timeout=10))
    assert (fault.status, fault.reason, fault.retry_delay_ms) == (
        "FAILED_PRECONDITION",
        "not-sealed",
        800,
    )


# --- what wallets scan ----------------------------------------------------------------------


async def test_notes_come_in_pages_of_at_most_500(stub: LedgerStub) -> None:
    received = await pages(
        stub.ListNotes(ledger_pb2.ListNotesRequest(from_sequence=100), timeout=10)
    )
    assert [len(page.notes) for page in received] == [500, 500, 100]
    notes = [item for page in received for item in codec.notes_from_stub(page)]
    assert notes == [note(sequence) for sequence in range(100, 1_200)]


async def test_nullifiers_and_closed_bins_stream_in_order(stub: LedgerStub) -> None:
    nullifiers = stub.ListNullifiers(ledger_pb2.ListNullifiersRequest(limit=2), timeout=10)
    assert [codec.nullifiers_from_stub(page) for page in await pages(nullifiers)] == [
        (nullifier(0), nullifier(1))
    ]
    bins = stub.ListClosedBins(ledger_pb2.ListClosedBinsRequest(from_sequence=1), timeout=10)
    assert [codec.closed_bins_from_stub(page) for page in await pages(bins)] == [
        (closed_bin(1), closed_bin(2))
    ]


async def test_pages_of_evidence_stay_below_two_mebibytes(stub: LedgerStub) -> None:
    received = await pages(stub.ListEvidence(ledger_pb2.ListEvidenceRequest(), timeout=10))
    assert [len(page.items) for page in received] == [2, 2, 1]
    items = [item for page in received for item in codec.evidence_from_stub(page)]
    assert items == [evidence_item(sequence) for sequence in range(5)]


async def test_the_treasury_streams_in_order(stub: LedgerStub) -> None:
    received = await pages(stub.ListTreasury(ledger_pb2.ListTreasuryRequest(), timeout=10))
    assert [len(page.movements) for page in received] == [1_000, 200]
    movements = [item for page in received for item in codec.treasury_from_stub(page)]
    assert movements == [movement(sequence) for sequence in range(1_200)]


async def test_the_treasury_of_one_year_leaves_gaps(stub: LedgerStub) -> None:
    request = ledger_pb2.ListTreasuryRequest(limit=5, fiscal_year=0)
    (page,) = await pages(stub.ListTreasury(request, timeout=10))
    assert codec.treasury_from_stub(page) == (movement(0), movement(2), movement(4))


async def test_section_17_votes_are_recorded_but_for_the_tips(stub: LedgerStub) -> None:
    request = ledger_pb2.GetVotesRequest(height=4, include_ballots=True)
    votes = codec.votes_from_stub(await stub.GetVotes(request, timeout=10))
    assert votes == votes_at(4, include_ballots=True)
    tip = codec.votes_from_stub(
        await stub.GetVotes(ledger_pb2.GetVotesRequest(height=5), timeout=10)
    )
    assert (tip.status, tip.votes) == (VotingStatus.PENDING, ())
    fault = await fault_of_call(stub.GetVotes(ledger_pb2.GetVotesRequest(height=6), timeout=10))
    assert (fault.status, fault.message) == ("NOT_FOUND", "height 6 is above the tip 5")


@pytest.mark.parametrize(("limit", "heights"), [(0, [2, 3, 4, 5]), (2, [2, 3])])
async def test_section_17_voting_records_stream_up_to_a_limit(
    stub: LedgerStub, limit: int, heights: list[int]
) -> None:
    request = ledger_pb2.ListVotesRequest(from_height=2, limit=limit)
    received = await pages(stub.ListVotes(request, timeout=10))
    assert [codec.votes_from_stub(item) for item in received] == [
        votes_at(height) for height in heights
    ]


async def test_section_18_settlements_stream_in_order(stub: LedgerStub) -> None:
    request = ledger_pb2.ListSettlementsRequest(from_year=2026, limit=2)
    (page,) = await pages(stub.ListSettlements(request, timeout=10))
    assert codec.settlements_from_stub(page) == (settled(2026), settled(2027))


async def test_section_17_conflicts_go_to_banks_and_the_regulator(node: ServedNode) -> None:
    stub = LedgerStub(node.channel("regulator/watch"))
    request = ledger_pb2.ListBallotConflictsRequest()
    received = await pages(stub.ListBallotConflicts(request, timeout=10))
    assert [len(page.conflicts) for page in received] == [100, 50]
    conflicts = [item for page in received for item in codec.conflicts_from_stub(page)]
    assert conflicts == [conflict(sequence) for sequence in range(150)]


async def test_bins_or_a_bin_that_still_fills(node: ServedNode, stub: LedgerStub) -> None:
    request = ledger_pb2.GetBinsRequest(bin_ids=[12])
    assert codec.bins_from_stub(await stub.GetBins(request, timeout=10)) == (BIN,)
    node.ledger.raises = NotYet("bin-open", "bin 12 still fills", 2_000)
    fault = await fault_of_call(stub.GetBins(request, timeout=10))
    assert (fault.status, fault.reason, fault.retry_delay_ms) == (
        "FAILED_PRECONDITION",
        "bin-open",
        2_000,
    )


async def test_a_broken_request_names_its_field(stub: LedgerStub) -> None:
    fault = await fault_of_call(
        stub.GetBins(ledger_pb2.GetBinsRequest(bin_ids=[1, 1]), timeout=10)
    )
    assert (fault.status, fault.reason, fault.fields, fault.message) == (
        "INVALID_ARGUMENT",
        "malformed",
        ("bin_ids",),
        "an id is repeated",
    )


async def test_state_parameters_and_status(stub: LedgerStub) -> None:
    state = await stub.GetSealedState(ledger_pb2.GetSealedStateRequest(), timeout=10)
    parameters = await stub.GetParameters(ledger_pb2.GetParametersRequest(), timeout=10)
    status = await stub.GetNodeStatus(ledger_pb2.GetNodeStatusRequest(), timeout=10)
    assert (
        codec.published_state_from_stub(state),
        codec.parameters_from_stub(parameters),
        codec.node_status_from_stub(status),
    ) == (PUBLISHED_STATE, PARAMETERS, NODE_STATUS)
