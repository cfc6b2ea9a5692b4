"""`consortium.v1.Peer` over a `PeerBackend`: the incoming half of the links between banks."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import NoReturn

import grpc

from node.consensus.messages import Message
from node.consensus.statements import Commit, Proposal, Timeout, Vote
from node.ledger.types import BankIndex, Height
from node.rpc.backend import PeerBackend
from node.rpc.errors import CallReason, refuse
from node.rpc.gate import Context, RunningStream, caller, running_stream
from node.wire import codec, peer_codec, peer_pb2, snapshot_codec
from node.wire.fields import MalformedMessage
from node.wire.limits import MAX_FETCHED_BYTES
from node.wire.peer_codec import Frame
from node.wire.peer_pb2_grpc import PeerServicer
from node.wire.records import Hello

FRAMES_PER_ACKNOWLEDGEMENT = 64

_log = logging.getLogger(__name__)


def check_signers(sender: BankIndex, messages: tuple[Message, ...]) -> None:
    """Raise `CallRefused` unless directly signed statements come from their signer.

    BFT-12 12: what proves itself (certificates, seals, blocks) may come from any bank.
    """
    for message in messages:
        if isinstance(message, Proposal | Vote | Commit | Timeout) and message.bank != sender:
            raise refuse(
                grpc.StatusCode.PERMISSION_DENIED,
                CallReason.IMPERSONATION,
                f"bank {sender} delivers a {type(message).__name__} of bank {message.bank}",
            )


class PeerService(PeerServicer):
    """Takes frames from banks, in order, one stream a bank."""

    def __init__(self, backend: PeerBackend) -> None:
        self._backend = backend
        self._incoming: dict[BankIndex, RunningStream] = {}

    async def Exchange(  # noqa: N802
        self, requests: AsyncIterator[peer_pb2.PeerFrame], context: Context
    ) -> AsyncGenerator[peer_pb2.PeerAcknowledgement, None]:
        sender = caller().bank
        hello = await self._introduction(sender, requests)
        stream = self._take_place(sender)
        try:
            self._backend.linked(sender, hello)
            own = peer_codec.hello_to_stub(self._backend.hello())
            yield peer_pb2.PeerAcknowledgement(hello=own, frames=1)
            frames = 1
            async for request in requests:
                await self._take(sender, request)
                frames += 1
                if frames % FRAMES_PER_ACKNOWLEDGEMENT == 0:
                    yield peer_pb2.PeerAcknowledgement(frames=frames)
        finally:
            self._leave_place(sender, stream)

    async def _introduction(
        self, sender: BankIndex, requests: AsyncIterator[peer_pb2.PeerFrame]
    ) -> Hello:
        """Return the hello of the first frame if it names this genesis and the bank itself."""
        async for request in requests:
            hello = self._frame(sender, request).hello
            break
        else:
            hello = None
        if hello is None:
            raise MalformedMessage("hello", "must be in the first frame")
        if hello.chain_id != self._backend.hello().chain_id:
            raise refuse(
                grpc.StatusCode.FAILED_PRECONDITION,
                CallReason.OTHER_GENESIS,
                "this bank belongs to another genesis",
            )
        if hello.bank != sender:
            raise refuse(
                grpc.StatusCode.PERMISSION_DENIED,
                CallReason.OTHER_BANK,
                f"the certificate is of bank {sender}, the hello of bank {hello.bank}",
            )
        return hello

    def _take_place(self, sender: BankIndex) -> RunningStream:
        stream = running_stream()
        previous = self._incoming.get(sender)
        if previous is not None:
            # A bank that connects again has lost its old stream, even if we have not noticed yet.
            previous.end(
                refuse(grpc.StatusCode.ABORTED, CallReason.REPLACED, "a newer stream took over")
            )
        self._incoming[sender] = stream
        return stream

    def _leave_place(self, sender: BankIndex, stream: RunningStream) -> None:
        if self._incoming.get(sender) is stream:
            del self._incoming[sender]
            self._backend.unlinked(sender)

    async def _take(self, sender: BankIndex, request: peer_pb2.PeerFrame) -> None:
        frame = self._frame(sender, request)
        if frame.hello is not None:
            self._misbehaved(sender, MalformedMessage("hello", "must come first and once"))
        try:
            check_signers(sender, frame.messages)
        except Exception as error:  # edge: noted and raised again
            self._misbehaved(sender, error)
        await self._backend.receive(sender, frame.transactions, frame.messages, frame.unverified)

    def _frame(self, sender: BankIndex, request: peer_pb2.PeerFrame) -> Frame:
        try:
            return peer_codec.frame_from_stub(request)
        except MalformedMessage as error:
            self._misbehaved(sender, error)

    def _misbehaved(self, sender: BankIndex, error: Exception) -> NoReturn:
        """Tell the backend what a peer did, and end its stream."""
        reason = (
            CallReason.MALFORMED
            if isinstance(error, MalformedMessage)
            else CallReason.IMPERSONATION
        )
        _log.debug(
            "peer_misbehaved", extra={"peer": sender, "reason": reason.value, "detail": str(error)}
        )
        self._backend.misbehaved(sender, reason.value, str(error))
        raise error

    async def FetchTransactions(  # noqa: N802
        self, request: peer_pb2.FetchTransactionsRequest, context: Context
    ) -> peer_pb2.FetchTransactionsResponse:
        wanted = peer_codec.requested_transactions(request)
        found = await self._backend.transactions(wanted)
        return peer_pb2.FetchTransactionsResponse(
            transactions=peer_codec.fitting_prefix(found, MAX_FETCHED_BYTES)
        )

    async def FetchBlocks(  # noqa: N802
        self, request: peer_pb2.FetchBlocksRequest, context: Context
    ) -> peer_pb2.FetchBlocksResponse:
        blocks = await self._backend.sealed_blocks(Height(request.from_height))
        return peer_codec.block_range_to_stub(blocks)

    async def FetchBlock(  # noqa: N802
        self, request: peer_pb2.FetchBlockRequest, context: Context
    ) -> peer_pb2.FetchBlockResponse:
        block = await self._backend.block(codec.block_id(request.block_id))
        return peer_pb2.FetchBlockResponse(block=block)

    async def FetchSnapshot(  # noqa: N802
        self, request: peer_pb2.FetchSnapshotRequest, context: Context
    ) -> AsyncGenerator[peer_pb2.SnapshotPart, None]:
        async with aclosing(self._backend.snapshot(Height(request.minimum_height))) as parts:
            async for part in parts:
                yield snapshot_codec.part_to_stub(part)
