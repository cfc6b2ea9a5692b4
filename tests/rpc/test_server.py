"""The server as a whole: health, reflection, addresses, stopping."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from node.rpc.certificates import CertificateInvalid
from node.rpc.credentials import TlsFiles
from node.rpc.gate import Admittance
from node.rpc.server import AddressUnusable, Backends, serve
from node.wire import ledger_pb2
from node.wire.ledger_pb2_grpc import LedgerStub
from tests.rpc.conftest import CONSORTIUM, ServedNode
from tests.rpc.doubles import LedgerDouble, OperatorDouble, PeerDouble
from tests.rpc.faults import seen_fault
from tests.rpc.waiting import eventually

Serving = health_pb2.HealthCheckResponse.ServingStatus


def backends() -> Backends:
    return Backends(LedgerDouble(), PeerDouble(), OperatorDouble())


async def test_health_follows_readiness(node: ServedNode) -> None:
    stub = health_pb2_grpc.HealthStub(node.channel())

    async def check(service: str) -> str:
        request = health_pb2.HealthCheckRequest(service=service)
        return Serving.Name((await stub.Check(request, timeout=10)).status)

    services = ("", "consortium.v1.Ledger", "consortium.v1.Peer", "consortium.v1.Operator")
    assert [await check(service) for service in services] == ["NOT_SERVING"] * 4
    await node.server.set_ready(True)
    assert [await check(service) for service in services] == ["SERVING"] * 4


async def test_a_watcher_of_health_sees_the_change(node: ServedNode) -> None:
    stub = health_pb2_grpc.HealthStub(node.channel())
    watch = stub.Watch(health_pb2.HealthCheckRequest())
    first = await watch.read()
    await node.server.set_ready(True)
    second = await watch.read()
    watch.cancel()
    assert [Serving.Name(answer.status) for answer in (first, second)] == [
        "NOT_SERVING",
        "SERVING",
    ]


async def test_an_unknown_health_service_is_not_found(node: ServedNode) -> None:
    stub = health_pb2_grpc.HealthStub(node.channel())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Check(health_pb2.HealthCheckRequest(service="other"), timeout=10)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_reflection_lists_the_services_and_describes_them(node: ServedNode) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(node.channel())
    requests = (
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="consortium.v1.Ledger"),
    )
    listed, described = [
        answer async for answer in stub.ServerReflectionInfo(iter(requests), timeout=10)
    ]
    assert {service.name for service in listed.list_services_response.service} == {
        "consortium.v1.Ledger",
        "consortium.v1.Operator",
        "consortium.v1.Peer",
        "consortium.v1.Supervision",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    assert described.file_descriptor_response.file_descriptor_proto


async def test_a_port_in_use_is_refused_in_words(
    node: ServedNode, tls_files: Callable[[str], TlsFiles]
) -> None:
    with pytest.raises(AddressUnusable) as caught:
        await serve(backends(), tls_files("bank/1"), node.address, Admittance(CONSORTIUM))
    assert str(caught.value) == (
        f"cannot listen on {node.address}: it is in use or not of this machine"
    )


async def test_without_usable_tls_files_nothing_is_served(tmp_path: Path) -> None:
    with pytest.raises(CertificateInvalid) as caught:
        await serve(backends(), TlsFiles(tmp_path), "127.0.0.1:0", Admittance(CONSORTIUM))
    assert str(caught.value) == f"{tmp_path}/tls.crt: No such file or directory"


async def test_stopping_ends_streams_that_would_live_on(node: ServedNode) -> None:
    stream = LedgerStub(node.channel()).StreamBlocks(
        ledger_pb2.StreamBlocksRequest(from_height=5, follow=True)
    )
    await stream.read()
    stopping = asyncio.create_task(node.server.stop(3_600))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stream.read()
    fault = await seen_fault(caught.value)
    assert (fault.status, fault.reason, fault.message) == (
        "UNAVAILABLE",
        "not-ready",
        "the bank is stopping",
    )
    assert node.ledger.closed_streams == 1
    await stopping


async def test_stopping_lets_calls_finish_and_refuses_new_ones(node: ServedNode) -> None:
    node.ledger.waits = asyncio.Event()
    stub = LedgerStub(node.channel())
    request = ledger_pb2.SubmitTransactionRequest(transaction=b"raw")
    under_way = asyncio.ensure_future(stub.SubmitTransaction(request, timeout=10))
    await eventually(lambda: node.ledger.in_work)
    stopping = asyncio.create_task(node.server.stop(5))
    await asyncio.sleep(0.05)
    node.ledger.waits.set()
    assert (await under_way).receipt.admitted_at_height == 5
    await stopping
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.SubmitTransaction(request, timeout=2)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
