"""Sending one hostile message, and what the bank said to it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from node.client.connection import ClientCredentials, Endpoint
from node.client.fuzzing.generation import EXCHANGE, FuzzMessage, methods
from node.client.status import DETAILS_KEY, ERROR_DOMAIN
from node.wire import peer_pb2
from node.wire.identity import Role

CALL_S = 30.0
"""A bank that takes longer for anything but a scan or an audit is stuck."""
FIRST_ANSWER_S = 2.0
"""Of streams that may have nothing to say for a while."""
ATTEMPTS = 8
"""A stream between banks that the honest node takes back is opened again."""
UNREACHABLE_S = 0.25
WRITTEN_TOO_LATE = "Internal error from Core"
"""What gRPC calls a write, on our side, into a stream that the bank has just ended."""

ACCEPTED = "OK"
DISPLACED = "displaced"
NOT_READ = "ended-before-it-was-read"
SILENT = "taken without an answer yet"

CredentialsOf = Callable[[Role, int], ClientCredentials]
"""Takes a role and, for the role bank, whose certificate."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a message."""

    status: str
    """Name of the gRPC status; OK if it was taken."""
    reason: str
    """Reason code of the bank; empty where gRPC itself refused."""
    text: str

    @property
    def refused(self) -> bool:
        return self.status != ACCEPTED


class Delivery:
    """Channels to every bank under every credential; for use in one event loop."""

    def __init__(
        self, endpoints: Sequence[Endpoint], chain_id: bytes, credentials_of: CredentialsOf
    ) -> None:
        self._endpoints = endpoints
        self._chain_id = chain_id
        self._credentials_of = credentials_of
        self._channels: dict[tuple[int, Role, int], grpc.aio.Channel] = {}
        self._streams: dict[tuple[int, int], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def close(self) -> None:
        """Close all channels."""
        for channel in self._channels.values():
            await channel.close()

    async def send(self, message: FuzzMessage) -> Outcome:
        """Send one message and return what came of it; never raises for an answer."""
        if message.method == EXCHANGE and message.role is Role.BANK:
            # A bank has one stream to another: two of ours would displace each other.
            async with self._streams[message.sender, message.bank]:
                return await self._exchange(message)
        outcome = await self._call(message)
        for _ in range(ATTEMPTS):
            if outcome.text != WRITTEN_TOO_LATE:
                break
            outcome = await self._call(message)
        if outcome.text == WRITTEN_TOO_LATE:
            return Outcome("CANCELLED", NOT_READ, "")
        return outcome

    def _channel(self, message: FuzzMessage) -> grpc.aio.Channel:
        sender = message.sender if message.role is Role.BANK else -1
        key = message.bank, message.role, sender
        channel = self._channels.get(key)
        if channel is None:
            credentials = self._credentials_of(message.role, message.sender)
            channel = credentials.open_channel(self._endpoints[message.bank])
            self._channels[key] = channel
        return channel

    async def _call(self, message: FuzzMessage) -> Outcome:
        method = methods()[message.method].descriptor
        channel = self._channel(message)
        call: Any
        if method.client_streaming:
            call = channel.stream_stream(message.method)(_once(message.request), timeout=CALL_S)
        elif method.server_streaming:
            call = channel.unary_stream(message.method)(message.request, timeout=CALL_S)
        else:
            call = channel.unary_unary(message.method)(message.request, timeout=CALL_S)
        try:
            if method.server_streaming:
                await asyncio.wait_for(call.read(), FIRST_ANSWER_S)
            else:
                await call
        except TimeoutError:
            return Outcome(ACCEPTED, "", SILENT)
        except grpc.aio.AioRpcError as error:
            return outcome_of(error)
        finally:
            call.cancel()
        return Outcome(ACCEPTED, "", "")

    async def _exchange(self, message: FuzzMessage) -> Outcome:
        outcome = Outcome(ACCEPTED, "", "")
        for attempt in range(ATTEMPTS):
            outcome = await self._exchange_once(message)
            displaced = outcome.reason == "replaced" or outcome.text == WRITTEN_TOO_LATE
            if not displaced and outcome.status != "UNAVAILABLE":
                return outcome
            await asyncio.sleep(0 if displaced else UNREACHABLE_S * attempt)
        if outcome.status == "UNAVAILABLE":
            return outcome
        return Outcome(ACCEPTED, "", DISPLACED)

    async def _exchange_once(self, message: FuzzMessage) -> Outcome:
        hello = peer_pb2.PeerFrame(
            hello=peer_pb2.Hello(
                chain_id=self._chain_id, bank=message.sender, software_version="fuzz", height=0
            )
        )
        frames = _once(hello.SerializeToString(), message.request)
        call: Any = self._channel(message).stream_stream(EXCHANGE)(frames, timeout=CALL_S)
        try:
            async for _ in call:
                pass
        except grpc.aio.AioRpcError as error:
            return outcome_of(error)
        finally:
            call.cancel()
        return Outcome(ACCEPTED, "", "")


def outcome_of(error: grpc.aio.AioRpcError) -> Outcome:
    """Return what a failed call says, with the bank's reason if it gave one."""
    reason = ""
    details: Mapping[str, Any] = dict(error.trailing_metadata() or ())
    try:
        status = status_pb2.Status.FromString(details.get(DETAILS_KEY, b""))
        for detail in status.details:
            info = error_details_pb2.ErrorInfo()
            if detail.Unpack(info) and info.domain == ERROR_DOMAIN:
                reason = info.reason
    except DecodeError:
        reason = ""
    return Outcome(error.code().name, reason, error.details() or "")


async def _once(*frames: bytes) -> AsyncIterator[bytes]:
    for frame in frames:
        yield frame
