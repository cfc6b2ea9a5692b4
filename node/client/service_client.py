"""What clients of one process share: its channel, deadlines, typed errors."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc

from node.client.errors import LedgerError, LedgerFault
from node.client.status import error_of_call
from node.wire.fields import MalformedMessage

T = TypeVar("T")


class ServiceClient:
    """Client of one service of one process, without failover; an async context manager.

    The connection is made when it is first needed.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        make_stub: Callable[[grpc.aio.Channel], Any],
        callee: str,
        deadline_ms: int,
    ) -> None:
        """`callee` is what errors call the other end."""
        self._channel = channel
        self._stub = make_stub(channel)
        self._callee = callee
        self._deadline_ms = deadline_ms

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()

    async def _call(
        self,
        method: str,
        request: Any,
        read: Callable[[Any], T],
        *,
        deadline_ms: int | None = None,
    ) -> T:
        """Make one call; raises `LedgerError` subclasses."""
        timeout_s = (deadline_ms or self._deadline_ms) / 1000
        try:
            return read(await getattr(self._stub, method)(request, timeout=timeout_s))
        except (grpc.aio.AioRpcError, MalformedMessage) as error:
            raise self._failure(error) from error

    async def _stream(
        self, method: str, request: Any, read: Callable[[Any], T], deadline_ms: int
    ) -> AsyncGenerator[T, None]:
        """Make one call and yield its answers; raises `LedgerError` subclasses."""
        try:
            async for answer in getattr(self._stub, method)(request, timeout=deadline_ms / 1000):
                yield read(answer)
        except (grpc.aio.AioRpcError, MalformedMessage) as error:
            raise self._failure(error) from error

    def _failure(self, error: grpc.aio.AioRpcError | MalformedMessage) -> LedgerError:
        if isinstance(error, grpc.aio.AioRpcError):
            return error_of_call(error, self._callee)
        return LedgerFault(f"the answer breaks the contract: {error}", endpoint=self._callee)
