"""The one way into every method: sizes, parsing, quotas, time limits, errors, cancellation."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from typing import Any

import grpc
import grpc.aio
import pytest

from node.ledger.rejection import Reason, Rejection
from node.rpc import gate
from node.rpc.backend import NotFound, NotReady, Overloaded
from node.rpc.call_rates import CALL_RATES, CallRate
from node.rpc.roles import METHODS, SUBMISSION_BYTES
from node.wire import ledger_pb2
from node.wire.identity import Role
from node.wire.ledger_pb2_grpc import LedgerStub
from node.wire.limits import MAX_MESSAGE_BYTES
from tests.rpc.conftest import ServedNode
from tests.rpc.faults import SeenFault, fault_of_call, fault_of_stream
from tests.rpc.waiting import eventually

SUBMIT = "/consortium.v1.Ledger/SubmitTransaction"
STATUS = ledger_pb2.GetNodeStatusRequest()


def status_call(node: ServedNode, party: str = "client/alice") -> Any:
    return LedgerStub(node.channel(party)).GetNodeStatus(STATUS, timeout=10)


async def test_a_request_over_its_methods_limit_is_not_parsed(node: ServedNode) -> None:
    raw = ledger_pb2.SubmitTransactionRequest(
        transaction=bytes(SUBMISSION_BYTES)
    ).SerializeToString()
    assert await fault_of_call(node.channel().unary_unary(SUBMIT)(raw, timeout=10)) == SeenFault(
        status="INVALID_ARGUMENT",
        reason="too-large",
        message=f"a request of {len(raw)} bytes exceeds {SUBMISSION_BYTES}",
        metadata={},
        retry_delay_ms=None,
        fields=(),
    )
    assert node.ledger.submitted == []


async def test_a_message_over_four_mebibytes_is_refused_by_the_transport(
    node: ServedNode,
) -> None:
    channel = node.channel(options=(("grpc.max_send_message_length", -1),))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await channel.unary_unary(SUBMIT)(bytes(MAX_MESSAGE_BYTES + 1), timeout=10)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert node.ledger.submitted == []


@pytest.mark.parametrize("raw", [b"\xff", b"\x0a\xff\xff\xff\xff\x0f", b"\x07garbage"])
async def test_garbage_is_malformed(node: ServedNode, raw: bytes) -> None:
    assert await fault_of_call(node.channel().unary_unary(SUBMIT)(raw, timeout=10)) == SeenFault(
        status="INVALID_ARGUMENT",
        reason="malformed",
        message="the request is not an encoded message of this method",
        metadata={},
        retry_delay_ms=None,
        fields=(),
    )


@pytest.mark.parametrize(
    ("error", "status", "reason", "retry_delay_ms"),
    [
        (NotFound("gone"), "NOT_FOUND", "not-found", None),
        (NotReady("halted"), "UNAVAILABLE", "not-ready", 1_000),
        (Overloaded("busy", "later", 250), "RESOURCE_EXHAUSTED", "busy", 250),
        (Rejection(Reason.NULLIFIER, "spent"), "ALREADY_EXISTS", "nullifier", None),
    ],
)
async def test_what_a_backend_raises_on_purpose_arrives_with_its_details(
    node: ServedNode, error: Exception, status: str, reason: str, retry_delay_ms: int | None
) -> None:
    node.ledger.raises = error
    fault = await fault_of_call(status_call(node))
    assert (fault.status, fault.reason, fault.retry_delay_ms) == (status, reason, retry_delay_ms)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("postgresql://amberfield:hunter2@127.0.0.1/ledger"),
        TimeoutError("the pool of the database"),
        Rejection(Reason.STATE_ROOT, "hunter2"),
    ],
)
async def test_an_unforeseen_error_is_internal_and_tells_only_a_correlation_id(
    node: ServedNode, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    node.ledger.raises = error
    with caplog.at_level(logging.ERROR):
        fault = await fault_of_call(status_call(node))
    correlation_id = fault.metadata["correlation_id"]
    assert fault == SeenFault(
        status="INTERNAL",
        reason="internal",
        message=f"internal error; the bank's log has it under {correlation_id}",
        metadata={"correlation_id": correlation_id},
        retry_delay_ms=None,
        fields=(),
    )
    (record,) = caplog.records
    assert (record.getMessage(), record.__dict__["correlation_id"]) == (
        "call_failed",
        correlation_id,
    )
    assert record.exc_info is not None and record.exc_info[1] is error


async def test_an_error_in_the_middle_of_a_stream_is_translated_too(
    node: ServedNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def breaks(*_: object) -> Any:
        yield [object()]

    monkeypatch.setattr(node.ledger, "notes", breaks)
    stream = LedgerStub(node.channel()).ListNotes(ledger_pb2.ListNotesRequest(), timeout=10)
    fault = await fault_of_stream(stream)
    assert (fault.status, fault.reason) == ("INTERNAL", "internal")


async def test_a_method_with_large_answers_has_a_limit_of_its_own(
    node: ServedNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = "/consortium.v1.Ledger/WaitForTransaction"
    monkeypatch.setitem(
        gate.METHODS,  # type: ignore[arg-type]
        path,
        dataclasses.replace(gate.METHODS[path], calls_at_once=1),
    )
    node.ledger.waits = asyncio.Event()
    request = ledger_pb2.WaitForTransactionRequest(transaction_id=bytes(32))
    stub = LedgerStub(node.channel())
    stream = stub.WaitForTransaction(request, timeout=10)
    await stream.read()
    refused = await fault_of_call(stub.WaitForTransaction(request, timeout=10).read())
    assert (refused.status, refused.reason, refused.message, refused.retry_delay_ms) == (
        "RESOURCE_EXHAUSTED",
        "too-many-calls",
        "the limit of 1 such calls is reached",
        250,
    )
    assert (await stub.GetNodeStatus(STATUS, timeout=10)).bank_name == "Amberfield"
    other = LedgerStub(node.channel("client/bob")).WaitForTransaction(request, timeout=10)
    await other.read()
    other.cancel()
    node.ledger.waits.set()


async def test_a_caller_that_calls_too_fast_is_told_when_to_come_back(
    node: ServedNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = CallRate(per_s=1, burst=2)
    monkeypatch.setitem(CALL_RATES, Role.CLIENT, slow)  # type: ignore[arg-type]
    for _ in range(2):
        assert (await status_call(node)).bank_name == "Amberfield"
    refused = await fault_of_call(status_call(node))
    assert (refused.status, refused.reason, refused.message) == (
        "RESOURCE_EXHAUSTED",
        "too-many-calls",
        "these are too many calls in so short a time",
    )
    assert refused.retry_delay_ms is not None and 0 < refused.retry_delay_ms <= 1_000
    assert (await status_call(node, "client/bob")).bank_name == "Amberfield"


async def test_there_is_always_room_for_banks(
    node: ServedNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "CALLS_BUT_BANKS", 1)
    node.ledger.waits = asyncio.Event()
    stream = LedgerStub(node.channel()).WaitForTransaction(
        ledger_pb2.WaitForTransactionRequest(transaction_id=bytes(32)), timeout=10
    )
    await stream.read()
    refused = await fault_of_call(status_call(node, "operator/olivia"))
    assert (refused.reason, refused.message) == (
        "too-many-calls",
        "the bank has no room for more calls",
    )
    assert (await status_call(node, "bank/3")).bank_name == "Amberfield"
    node.ledger.waits.set()


async def test_a_caller_beyond_its_quota_is_told_to_wait(
    node: ServedNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(gate.CALL_QUOTAS, Role.CLIENT, 1)
    node.ledger.waits = asyncio.Event()
    stub = LedgerStub(node.channel())
    stream = stub.WaitForTransaction(
        ledger_pb2.WaitForTransactionRequest(transaction_id=bytes(32)), timeout=10
    )
    await stream.read()
    refused = await fault_of_call(stub.GetNodeStatus(STATUS, timeout=10))
    assert refused == SeenFault(
        status="RESOURCE_EXHAUSTED",
        reason="too-many-calls",
        message="the limit of 1 open calls is reached",
        metadata={},
        retry_delay_ms=250,
        fields=(),
    )
    assert (await status_call(node, "client/bob")).bank_name == "Amberfield"
    node.ledger.waits.set()
    while await stream.read() is not grpc.aio.EOF:
        pass
    assert (await stub.GetNodeStatus(STATUS, timeout=10)).bank_name == "Amberfield"


def limit_time(monkeypatch: pytest.MonkeyPatch, path: str, seconds: float) -> None:
    rule = dataclasses.replace(METHODS[path], time_limit_s=seconds)
    monkeypatch.setitem(METHODS, path, rule)  # type: ignore[arg-type]


async def test_a_method_ends_at_its_own_limit_without_any_deadline_of_the_caller(
    node: ServedNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit_time(monkeypatch, SUBMIT, 0.05)
    node.ledger.waits = asyncio.Event()
    request = ledger_pb2.SubmitTransactionRequest(transaction=b"raw")
    fault = await fault_of_call(LedgerStub(node.channel()).SubmitTransaction(request))
    assert (fault.status, fault.reason, fault.message) == (
        "DEADLINE_EXCEEDED",
        "deadline",
        "the method's own time limit has passed",
    )
    assert node.ledger.in_work == 0


async def test_a_stream_ends_at_its_own_limit(
    node: ServedNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = "/consortium.v1.Ledger/WaitForTransaction"
    limit_time(monkeypatch, path, 0.05)
    node.ledger.waits = asyncio.Event()
    stream = LedgerStub(node.channel()).WaitForTransaction(
        ledger_pb2.WaitForTransactionRequest(transaction_id=bytes(32))
    )
    fault = await fault_of_stream(stream)
    assert (fault.status, fault.reason) == ("DEADLINE_EXCEEDED", "deadline")
    assert node.ledger.closed_streams == 1


async def test_the_callers_deadline_cancels_the_work(node: ServedNode) -> None:
    node.ledger.waits = asyncio.Event()
    request = ledger_pb2.SubmitTransactionRequest(transaction=b"raw")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await LedgerStub(node.channel()).SubmitTransaction(request, timeout=0.1)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await eventually(lambda: not node.ledger.in_work)


async def test_a_cancelled_stream_is_closed_at_the_backend_and_its_place_given_back(
    node: ServedNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(gate.CALL_QUOTAS, Role.CLIENT, 1)
    stub = LedgerStub(node.channel())
    stream = stub.StreamBlocks(ledger_pb2.StreamBlocksRequest(from_height=5, follow=True))
    await stream.read()
    stream.cancel()
    await eventually(lambda: node.ledger.closed_streams)
    async with asyncio.timeout(10):
        while True:
            try:
                await stub.GetNodeStatus(STATUS, timeout=10)
                break
            except grpc.aio.AioRpcError:
                await asyncio.sleep(0.01)


def access_lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [record.__dict__ for record in caplog.records if record.name == "node.rpc.gate"]


async def test_the_access_log_has_one_line_a_call(
    node: ServedNode, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, logger="node.rpc.gate"):
        await status_call(node)
        node.ledger.raises = NotFound("gone")
        await fault_of_call(status_call(node))
        # a refusal reaches the caller before its call has ended here
        await eventually(lambda: len(access_lines(caplog)) == 2)
    lines = access_lines(caplog)
    assert [(line["method"], line["caller"], line["outcome"]) for line in lines] == [
        ("/consortium.v1.Ledger/GetNodeStatus", "client/alice", "OK"),
        ("/consortium.v1.Ledger/GetNodeStatus", "client/alice", "NOT_FOUND not-found"),
    ]
