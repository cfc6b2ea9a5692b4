"""`consortium.v1.Operator` on a real server."""

from __future__ import annotations

import pytest

from node.ledger.types import BankIndex, Height
from node.wire import codec, operator_codec, operator_pb2
from node.wire.operator_pb2_grpc import OperatorStub
from node.wire.operator_records import AuditExtent, ByzantineFault, LinkDirection, LinkFault
from tests.rpc.conftest import ServedNode
from tests.rpc.doubles import AUDIT, DIGESTS, FAULTS, REPORT, published_block
from tests.rpc.faults import fault_of_call
from tests.rpc.observed_samples import ROUND, TRACE


@pytest.fixture
def stub(node: ServedNode) -> OperatorStub:
    return OperatorStub(node.channel("operator/olivia"))


async def test_the_report_arrives_whole(stub: OperatorStub) -> None:
    answer = await stub.GetStatus(operator_pb2.GetStatusRequest(), timeout=10)
    assert operator_codec.report_from_stub(answer) == REPORT


async def test_a_shutdown_is_passed_on_with_who_asked(
    node: ServedNode, stub: OperatorStub
) -> None:
    await stub.Shutdown(operator_pb2.ShutdownRequest(reason="maintenance"), timeout=10)
    assert node.operator.asked == [("shutdown", "maintenance", "operator/olivia")]


@pytest.mark.parametrize(("at_height", "expected"), [(0, None), (5, Height(5))])
async def test_digests_up_to_a_height(
    node: ServedNode, stub: OperatorStub, at_height: int, expected: Height | None
) -> None:
    request = operator_pb2.GetDigestsRequest(from_height=4, at_height=at_height)
    assert operator_codec.digests_from_stub(await stub.GetDigests(request, timeout=10)) == DIGESTS
    assert node.operator.asked == [("digests", 4, expected)]


async def test_stored_blocks_come_with_their_transactions(stub: OperatorStub) -> None:
    stream = stub.ListBlocks(
        operator_pb2.ListBlocksRequest(from_height=3, to_height=4), timeout=10
    )
    assert [codec.published_block_from_stub(block) async for block in stream] == [
        published_block(3, (b"raw",)),
        published_block(4, (b"raw",)),
    ]


async def test_an_audit_streams_progress_to_its_end(
    node: ServedNode, stub: OperatorStub
) -> None:
    request = operator_pb2.AuditTransactionsRequest(seed=b"seed", sample_size=2)
    stream = stub.AuditTransactions(request, timeout=10)
    assert tuple([operator_codec.audit_from_stub(report) async for report in stream]) == AUDIT
    assert node.operator.asked == [("audit", AuditExtent(b"seed", 2))]


async def test_the_log_level_is_set_and_the_old_one_told(
    node: ServedNode, stub: OperatorStub
) -> None:
    request = operator_pb2.SetLogLevelRequest(level="DEBUG")
    assert (await stub.SetLogLevel(request, timeout=10)).previous_level == "INFO"
    assert node.operator.asked == [("log level", "DEBUG")]


async def test_an_unknown_log_level_names_its_field(node: ServedNode, stub: OperatorStub) -> None:
    request = operator_pb2.SetLogLevelRequest(level="NOISY")
    fault = await fault_of_call(stub.SetLogLevel(request, timeout=10))
    assert (fault.status, fault.reason, fault.fields) == (
        "INVALID_ARGUMENT",
        "malformed",
        ("level",),
    )
    assert node.operator.asked == []


FAULT_REQUESTS = {
    "link": (
        operator_pb2.InjectFaultRequest(
            link=operator_pb2.LinkFault(
                peers=[3, 4], direction=2, delay_ms=50, jitter_ms=5, loss_per_mille=100
            )
        ),
        LinkFault((BankIndex(3), BankIndex(4)), LinkDirection.IN, False, 50, 5, 100),
    ),
    "cut": (
        operator_pb2.InjectFaultRequest(link=operator_pb2.LinkFault(direction=3, cut=True)),
        LinkFault((), LinkDirection.BOTH, cut=True),
    ),
    "byzantine": (
        operator_pb2.InjectFaultRequest(
            byzantine=operator_pb2.ByzantineFault(style="silent", seed=7)
        ),
        ByzantineFault("silent", 7),
    ),
}


@pytest.mark.parametrize("kind", FAULT_REQUESTS)
async def test_a_fault_is_passed_on_and_all_faults_are_told(
    node: ServedNode, stub: OperatorStub, kind: str
) -> None:
    request, fault = FAULT_REQUESTS[kind]
    answer = await stub.InjectFault(request, timeout=10)
    assert operator_codec.faults_from_stub(answer) == FAULTS
    assert node.operator.asked == [("fault", fault)]
    assert operator_codec.fault_to_stub(fault) == request


async def test_healing_is_passed_on(node: ServedNode, stub: OperatorStub) -> None:
    answer = await stub.HealFaults(operator_pb2.HealFaultsRequest(), timeout=10)
    assert operator_codec.faults_from_stub(answer) == ()
    assert node.operator.asked == [("heal",)]


@pytest.mark.parametrize(
    ("link", "field"),
    [
        (operator_pb2.LinkFault(direction=3, delay_ms=60_001), "delay_ms"),
        (operator_pb2.LinkFault(direction=3, jitter_ms=60_001), "jitter_ms"),
        (operator_pb2.LinkFault(direction=3, loss_per_mille=1_001), "loss_per_mille"),
        (operator_pb2.LinkFault(peers=range(17), direction=3), "peers"),
        (operator_pb2.LinkFault(cut=True), "direction"),
        (None, "fault"),
    ],
)
async def test_a_fault_out_of_bounds_names_its_field(
    node: ServedNode, stub: OperatorStub, link: operator_pb2.LinkFault | None, field: str
) -> None:
    request = operator_pb2.InjectFaultRequest(link=link)
    fault = await fault_of_call(stub.InjectFault(request, timeout=10))
    assert (fault.status, fault.reason, fault.fields) == ("INVALID_ARGUMENT", "malformed", (field,))
    assert node.operator.asked == []


async def test_the_steps_of_a_height_are_told(node: ServedNode, stub: OperatorStub) -> None:
    answer = await stub.GetRound(operator_pb2.GetRoundRequest(height=5), timeout=10)
    assert operator_codec.round_from_stub(answer) == ROUND
    assert node.operator.asked == [("round", 5)]


async def test_the_trace_of_a_transaction_is_told(node: ServedNode, stub: OperatorStub) -> None:
    wanted = bytes([3]) * 32
    request = operator_pb2.GetTransactionTraceRequest(transaction_id=wanted)
    answer = await stub.GetTransactionTrace(request, timeout=10)
    assert operator_codec.trace_from_stub(answer) == TRACE
    assert node.operator.asked == [("trace", wanted)]


async def test_a_trace_of_half_an_id_is_refused(node: ServedNode, stub: OperatorStub) -> None:
    request = operator_pb2.GetTransactionTraceRequest(transaction_id=bytes(16))
    fault = await fault_of_call(stub.GetTransactionTrace(request, timeout=10))
    assert (fault.status, fault.fields) == ("INVALID_ARGUMENT", ("transaction_id",))
    assert node.operator.asked == []
