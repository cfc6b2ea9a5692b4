"""A hostile bank's end of the stream to another bank, frame by frame."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio

from node.wire import peer_pb2
from node.wire.identity import Role
from tests.attacks.consortium import DEADLINE_S, Consortium
from tests.rpc.faults import SeenFault, fault_of_stream

EXCHANGE = "/consortium.v1.Peer/Exchange"
END = None
FRAMES_PER_ACKNOWLEDGEMENT = 64
DISPLACED = (grpc.StatusCode.ABORTED, grpc.StatusCode.INTERNAL)
"""How a stream ends that a newer one replaces; INTERNAL is gRPC's for a write that came after."""


@dataclass
class PeerStream:
    """One Exchange call. What is put in `frames` is sent; None ends the sending."""

    call: Any
    frames: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)

    def send(self, frame: bytes) -> None:
        self.frames.put_nowait(frame)

    async def fault(self) -> SeenFault:
        """Read to the end of the stream, which must be a fault."""
        return await fault_of_stream(self.call)

    async def taken(self, frames: int) -> None:
        """Wait for the acknowledgement of this many frames, hello included."""
        async for raw in self.call:
            if peer_pb2.PeerAcknowledgement.FromString(raw).frames >= frames:
                return


async def deliver(
    consortium: Consortium, frames: Sequence[bytes], *, to: int, certificate_of: int
) -> None:
    """Have these frames taken by a bank whose stream stays open.

    The honest node of the certificate takes its stream back within a moment; then again.
    """
    frames = [*frames, *[b""] * (FRAMES_PER_ACKNOWLEDGEMENT - 1 - len(frames))]
    async with asyncio.timeout(DEADLINE_S):
        while True:
            async with peer_stream(consortium, to=to, certificate_of=certificate_of) as stream:
                for item in frames:
                    stream.send(item)
                try:
                    await stream.taken(FRAMES_PER_ACKNOWLEDGEMENT)
                    return
                except grpc.aio.AioRpcError as error:
                    assert error.code() in DISPLACED, error


async def fault_of_frames(
    consortium: Consortium,
    *frames: bytes,
    to: int,
    certificate_of: int,
    first: bytes | None = None,
) -> SeenFault:
    """Send frames that end the stream, and return the fault; again if the honest node took over."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            async with peer_stream(
                consortium, to=to, certificate_of=certificate_of, first=first
            ) as stream:
                for item in frames:
                    stream.send(item)
                fault = await stream.fault()
            if fault.reason != "replaced":
                return fault


def hello(consortium: Consortium, bank: int, chain_id: bytes | None = None) -> bytes:
    introduction = peer_pb2.Hello(
        chain_id=consortium.cluster.genesis.chain_id if chain_id is None else chain_id,
        bank=bank,
        software_version="hostile",
        height=0,
    )
    return peer_pb2.PeerFrame(hello=introduction).SerializeToString()


@asynccontextmanager
async def peer_stream(
    consortium: Consortium, *, to: int, certificate_of: int, first: bytes | None = None
) -> AsyncIterator[PeerStream]:
    """Open the stream with a bank's own certificate; the first frame is an honest hello."""
    credentials = consortium.credentials_of(Role.BANK, str(certificate_of))
    channel = consortium.channel(to, credentials)
    frames: asyncio.Queue[bytes | None] = asyncio.Queue()
    frames.put_nowait(hello(consortium, certificate_of) if first is None else first)

    async def sending() -> AsyncIterator[bytes]:
        while (frame := await frames.get()) is not END:
            yield frame

    call = channel.stream_stream(EXCHANGE)(sending())
    try:
        yield PeerStream(call, frames)
    finally:
        frames.put_nowait(END)
        call.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await call.code()
        await channel.close()
