"""Asking another bank for a snapshot: a connection of its own, before any link is up.

TLS checks that the other end holds the certificate of the very bank. Whatever it sends is decoded
within limits and verified by the caller. A bank that is too slow to be of use is given up: a part
must come within `part_s`, and after `grace_s` the whole must average `slowest_bytes_per_s`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import grpc.aio

from node.ledger.types import Height
from node.rpc.certificates import utc_now
from node.rpc.credentials import TlsFiles, channel_credentials
from node.rpc.peer_link import PeerMisbehaved, PeerUnavailable
from node.rpc.transport import link_options
from node.wire import peer_pb2, snapshot_codec
from node.wire.fields import MalformedMessage
from node.wire.identity import Identity
from node.wire.peer_pb2_grpc import PeerStub
from node.wire.snapshot_records import SnapshotPart


@dataclass(frozen=True, slots=True)
class FetchTiming:
    """When a bank that serves a snapshot is too slow."""

    part_s: float = 15.0
    """Longest wait for one part, the first included."""
    grace_s: float = 30.0
    slowest_bytes_per_s: int = 64 << 10


async def fetch_snapshot(
    peer: Identity,
    address: str,
    tls: TlsFiles,
    minimum_height: Height,
    timing: FetchTiming | None = None,
) -> AsyncGenerator[SnapshotPart, None]:
    """Yield the parts of a snapshot as one bank sends them.

    Raises `PeerUnavailable` (also for a bank that is too slow), `PeerMisbehaved` and
    `CertificateInvalid`.
    """
    limits = timing or FetchTiming()
    clock = asyncio.get_running_loop().time
    credentials = channel_credentials(tls.load(utc_now()))
    options = link_options(peer)
    async with grpc.aio.secure_channel(address, credentials, options=options) as channel:
        request = peer_pb2.FetchSnapshotRequest(minimum_height=minimum_height)
        call = PeerStub(channel).FetchSnapshot(request)
        received_bytes, waited_s = 0, 0.0
        while True:
            began_s = clock()
            try:
                async with asyncio.timeout(limits.part_s):
                    stub = await call.read()
            except TimeoutError:
                raise PeerUnavailable(f"no part within {limits.part_s:g} s") from None
            except grpc.aio.AioRpcError as error:
                raise PeerUnavailable(f"{error.code().name}: {error.details()}") from None
            if stub is grpc.aio.EOF:
                return
            received_bytes += stub.ByteSize()
            # The time that the caller takes to verify is not the sender's.
            waited_s += clock() - began_s
            if waited_s > limits.grace_s:
                rate = received_bytes / waited_s
                if rate < limits.slowest_bytes_per_s:
                    raise PeerUnavailable(f"only {rate:.0f} bytes a second")
            try:
                part = snapshot_codec.part_from_stub(stub)
            except MalformedMessage as error:
                raise PeerMisbehaved(str(error)) from None
            yield part
