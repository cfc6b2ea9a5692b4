"""Reading a failed call as a client of another language would: status and google.rpc details."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable
from dataclasses import dataclass
from typing import Any

import grpc.aio
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status


@dataclass(frozen=True)
class SeenFault:
    """A failed call as its caller sees it."""

    status: str
    reason: str
    message: str
    metadata: dict[str, str]
    retry_delay_ms: int | None
    fields: tuple[str, ...]


async def seen_fault(error: grpc.aio.AioRpcError) -> SeenFault:
    status = rpc_status.from_call(error)
    assert status is not None, f"no google.rpc.Status in the trailers of {error!r}"
    assert (status.code, status.message) == (error.code().value[0], error.details())
    found: dict[str, Any] = {}
    for detail in status.details:
        for kind in (
            error_details_pb2.ErrorInfo,
            error_details_pb2.RetryInfo,
            error_details_pb2.BadRequest,
        ):
            if detail.Is(kind.DESCRIPTOR):
                found[kind.DESCRIPTOR.name] = message = kind()
                detail.Unpack(message)
    info = found["ErrorInfo"]
    assert info.domain == "consortium.v1"
    retry = found.get("RetryInfo")
    bad_request = found.get("BadRequest")
    return SeenFault(
        status=error.code().name,
        reason=info.reason,
        message=status.message,
        metadata=dict(info.metadata),
        retry_delay_ms=None if retry is None else retry.retry_delay.ToMilliseconds(),
        fields=tuple(v.field for v in bad_request.field_violations) if bad_request else (),
    )


async def fault_of_call(call: Awaitable[Any]) -> SeenFault:
    """Await a unary answer that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return await seen_fault(caught.value)


async def fault_of_stream(stream: AsyncIterable[Any]) -> SeenFault:
    """Read a stream that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in stream:
            pass
    return await seen_fault(caught.value)
