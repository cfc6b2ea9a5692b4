"""The method x role table (ARCHITECTURE 6), called cell by cell on a real server."""

from __future__ import annotations

from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from node.rpc.roles import METHODS
from node.wire import ledger_pb2, operator_pb2, peer_pb2, regulator_pb2
from node.wire.identity import Role
from tests.rpc.conftest import ServedNode
from tests.rpc.faults import seen_fault

ALL = "bank regulator client operator"
EXPECTED = {
    "/consortium.v1.Ledger/SubmitTransaction": ALL,
    "/consortium.v1.Ledger/SubmitTransactions": ALL,
    "/consortium.v1.Ledger/GetTransaction": ALL,
    "/consortium.v1.Ledger/WaitForTransaction": ALL,
    "/consortium.v1.Ledger/GetBlock": ALL,
    "/consortium.v1.Ledger/StreamBlocks": ALL,
    "/consortium.v1.Ledger/GetInclusionProof": ALL,
    "/consortium.v1.Ledger/ListNotes": ALL,
    "/consortium.v1.Ledger/ListNullifiers": ALL,
    "/consortium.v1.Ledger/ListClosedBins": ALL,
    "/consortium.v1.Ledger/GetBins": ALL,
    "/consortium.v1.Ledger/GetSealedState": ALL,
    "/consortium.v1.Ledger/ListEvidence": ALL,
    "/consortium.v1.Ledger/ListTreasury": ALL,
    "/consortium.v1.Ledger/GetVotes": ALL,
    "/consortium.v1.Ledger/ListVotes": ALL,
    "/consortium.v1.Ledger/ListSettlements": ALL,
    "/consortium.v1.Ledger/ListBallotConflicts": "bank regulator",
    "/consortium.v1.Ledger/GetParameters": ALL,
    "/consortium.v1.Ledger/GetNodeStatus": ALL,
    "/consortium.v1.Peer/Exchange": "bank",
    "/consortium.v1.Peer/FetchTransactions": "bank regulator",
    "/consortium.v1.Peer/FetchBlocks": "bank regulator",
    "/consortium.v1.Peer/FetchBlock": "bank regulator",
    "/consortium.v1.Peer/FetchSnapshot": "bank",
    "/consortium.v1.Operator/GetStatus": "operator",
    "/consortium.v1.Operator/Shutdown": "operator",
    "/consortium.v1.Operator/GetDigests": "operator",
    "/consortium.v1.Operator/ListBlocks": "operator",
    "/consortium.v1.Operator/AuditTransactions": "operator",
    "/consortium.v1.Operator/SetLogLevel": "operator",
    "/consortium.v1.Operator/InjectFault": "operator",
    "/consortium.v1.Operator/HealFaults": "operator",
    "/consortium.v1.Operator/GetRound": "operator",
    "/consortium.v1.Operator/GetTransactionTrace": "operator",
    "/consortium.v1.Supervision/SubmitEvidence": "regulator",
    "/grpc.health.v1.Health/Check": ALL,
    "/grpc.health.v1.Health/Watch": ALL,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": ALL,
}
"""Who may call what, written down a second time on purpose."""

PARTIES = {
    Role.BANK: "bank/3",
    Role.REGULATOR: "regulator/watch",
    Role.CLIENT: "client/alice",
    Role.OPERATOR: "operator/olivia",
}
NOT_SERVED = "/grpc.health.v1.Health/List"
"""In the definition of the service, but its library does not implement it for asyncio."""


def described_methods() -> dict[str, Any]:
    """Every method of every service that the server registers, from its descriptors."""
    files = (ledger_pb2, peer_pb2, operator_pb2, regulator_pb2, health_pb2, reflection_pb2)
    return {
        f"/{service.full_name}/{method.name}": method
        for file in files
        for service in file.DESCRIPTOR.services_by_name.values()
        if service.full_name != "consortium.v1.Regulator"
        for method in service.methods
        if f"/{service.full_name}/{method.name}" != NOT_SERVED
    }


async def outcome(channel: Any, path: str, method: Any) -> str:
    """Call with an empty request; return the fault's reason, or "" if the caller was let in."""

    async def one_request() -> Any:
        yield b""

    if method.server_streaming:
        make = channel.stream_stream if method.client_streaming else channel.unary_stream
        call = make(path)(one_request() if method.client_streaming else b"", timeout=10)
        answer = call.read()
    else:
        call = answer = channel.unary_unary(path)(b"", timeout=10)
    try:
        await answer
    except grpc.aio.AioRpcError as error:
        if error.code() in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED):
            return (await seen_fault(error)).reason
    finally:
        call.cancel()
    return ""


def test_the_table_lists_every_method_of_every_service() -> None:
    assert set(METHODS) == set(described_methods()) == set(EXPECTED)


@pytest.mark.parametrize("role", list(Role))
async def test_each_role_may_call_exactly_its_methods(node: ServedNode, role: Role) -> None:
    channel = node.channel(PARTIES[role])
    seen = {
        path: await outcome(channel, path, method) for path, method in described_methods().items()
    }
    assert seen == {
        path: "" if role in allowed.split() else "role" for path, allowed in EXPECTED.items()
    }


async def test_a_method_outside_the_table_is_not_served(node: ServedNode) -> None:
    channel = node.channel()
    for path in (NOT_SERVED, "/consortium.v1.Ledger/NoSuchMethod", "/other.Service/Method"):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(path)(b"", timeout=10)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_only_streams_that_live_on_have_no_time_limit() -> None:
    assert {path.rpartition("/")[2] for path, rule in METHODS.items() if not rule.time_limit_s} == {
        "Exchange",
        "StreamBlocks",
        "Watch",
    }
