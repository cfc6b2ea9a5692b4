"""The outgoing half of the link to one bank: one long-lived stream, kept up for ever.

`PeerLink.send_message` and `send_transaction` only queue. A task of the link connects, introduces
this bank, and writes what is queued: the first item at once, then everything due in one tick in
one frame, because the number of messages is the budget and not their bytes. When the stream
breaks, the link tries again with a doubling pause that is capped and without chance in it.

TLS checks that the other end holds the certificate of the very bank (`transport.link_options`),
the hello that it belongs to this genesis.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import grpc
import grpc.aio

from node.ledger.types import BankIndex, BlockId, Height, TransactionId
from node.rpc.certificates import CertificateInvalid, utc_now
from node.rpc.credentials import TlsFiles, channel_credentials
from node.rpc.link_conditions import CUT, DelayLine, LinkConditions
from node.rpc.outgoing_queue import OutgoingQueue, QueueCounters, QueueLimits
from node.rpc.revocation import require_valid_server
from node.rpc.roles import PEER
from node.rpc.transport import link_options
from node.wire import peer_codec, peer_pb2
from node.wire.fields import MalformedMessage
from node.wire.identity import Identity, bank_server_name
from node.wire.peer_pb2_grpc import PeerStub
from node.wire.records import BlockRange, Hello

_log = logging.getLogger(__name__)
T = TypeVar("T")


class PeerUnavailable(Exception):
    """The peer did not answer: not linked, too slow, or it refused."""


class PeerMisbehaved(Exception):
    """The peer answered what no correct bank answers."""


@dataclass(frozen=True, slots=True)
class LinkTiming:
    """Pauses and time limits of a link, in seconds."""

    tick_s: float = 0.002
    """Least time between two frames: what is queued meanwhile shares one."""
    gossip_s: float = 0.25
    """The same between a frame and one that carries transactions alone. Frames cost more
    than their bytes, and no round waits for gossip."""
    connect_s: float = 5.0
    """From connecting to the peer's hello."""
    first_pause_s: float = 0.1
    longest_pause_s: float = 3.0
    stale_after_s: float = 1.0
    """Messages older than this are dropped when a link comes up: the core has repeated them."""
    fetch_s: float = 5.0


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """A link as operators see it."""

    bank: BankIndex
    address: str
    linked: bool
    peer_height: Height
    """As of its hello."""
    queued_items: int
    queued_bytes: int
    counters: QueueCounters
    connections: int
    last_error: str
    """Why the link is down; empty when it is up."""


class PeerLink:
    """The link to one bank."""

    def __init__(
        self,
        peer: Identity,
        address: str,
        tls: TlsFiles,
        hello: Callable[[], Hello],
        *,
        on_linked: Callable[[BankIndex], None] = lambda bank: None,
        timing: LinkTiming | None = None,
        limits: QueueLimits | None = None,
    ) -> None:
        """Describe a link; `start` brings it up.

        `hello` introduces this bank at each connection. `on_linked` is called whenever the
        stream has come up, for example to pass on the transactions of the mempool.
        """
        self.bank = peer.bank
        self.address = address
        self._peer = peer
        self._tls = tls
        self._hello = hello
        self._on_linked = on_linked
        self._timing = timing or LinkTiming()
        self._queue = OutgoingQueue(limits or QueueLimits())
        self._messages = DelayLine(self._queue_message)
        self._transactions = DelayLine(self._queue_transaction)
        self._open = asyncio.Event()
        self._open.set()
        self._queued = asyncio.Event()
        self._last_frame_s = 0.0
        self._gossip_timer: asyncio.TimerHandle | None = None
        self._again = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stub: PeerStub | None = None
        self._peer_height = Height(0)
        self._connections = 0
        self._last_error = "not started"

    @property
    def linked(self) -> bool:
        """Whether the stream is up and the peer has confirmed the genesis."""
        return self._stub is not None

    def start(self) -> None:
        """Begin to connect; must be called in a running event loop, once."""
        assert self._task is None, "a link is started once"
        self._start(None)

    def _start(self, cut_off: asyncio.Task[None] | None) -> None:
        self._task = asyncio.create_task(self._keep_up(cut_off), name=f"link to bank {self.bank}")

    async def close(self) -> None:
        """Take the link down and drop what is queued."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._messages.close()
        self._transactions.close()
        if self._gossip_timer is not None:
            self._gossip_timer.cancel()
        self._last_error = "closed"

    def send_message(self, item: bytes) -> None:
        """Queue a consensus message, encoded once by `peer_codec.message_item`. Never blocks."""
        self._messages.put(item)

    def send_transaction(self, item: bytes) -> None:
        """Queue a transaction, encoded once by `peer_codec.transaction_item`. Never blocks."""
        self._transactions.put(item)

    def _queue_message(self, item: bytes) -> None:
        self._queue.add_message(item, asyncio.get_running_loop().time())
        self._queued.set()

    def _queue_transaction(self, item: bytes) -> None:
        self._queue.add_transaction(item)
        if self._gossip_timer is None:
            due_s = self._last_frame_s + self._timing.gossip_s
            self._gossip_timer = asyncio.get_running_loop().call_at(due_s, self._gossip_due)

    def _gossip_due(self) -> None:
        self._gossip_timer = None
        self._queued.set()

    @property
    def conditions(self) -> LinkConditions:
        return self._messages.conditions

    def set_conditions(self, conditions: LinkConditions) -> None:
        """Disturb what this bank sends from now on, or stop disturbing it; a cut ends the stream.

        For use in a running event loop.
        """
        self._messages.conditions = self._transactions.conditions = conditions
        if not conditions.cut:
            self._open.set()
        elif self._open.is_set():
            self._open.clear()
            if self._task is not None:
                cut_off, self._task = self._task, None
                cut_off.cancel()
                self._start(cut_off)

    def connect_now(self) -> None:
        """Cut the present pause short, for example because the peer has just connected to us."""
        self._again.set()

    def status(self) -> LinkStatus:
        """Return the link's state."""
        return LinkStatus(
            bank=self.bank,
            address=self.address,
            linked=self.linked,
            peer_height=self._peer_height,
            queued_items=len(self._queue),
            queued_bytes=self._queue.queued_bytes,
            counters=replace(self._queue.counters),
            connections=self._connections,
            last_error=self._last_error,
        )

    # --- fetching -----------------------------------------------------------------------------

    async def fetch_transactions(self, ids: Sequence[TransactionId]) -> tuple[bytes, ...]:
        """Ask for bodies; the answer may lack some, and the caller recomputes each id.

        Raises `PeerUnavailable`, `PeerMisbehaved`.
        """
        request = peer_pb2.FetchTransactionsRequest(transaction_ids=ids)
        answer = await self._fetch("FetchTransactions", request)
        return _checked(peer_codec.fetched_transactions, answer)

    async def fetch_blocks(self, from_height: Height) -> BlockRange:
        """Ask for sealed blocks; everything in them is for the caller to verify.

        Raises `PeerUnavailable`, `PeerMisbehaved`.
        """
        request = peer_pb2.FetchBlocksRequest(from_height=from_height)
        answer = await self._fetch("FetchBlocks", request)
        return _checked(peer_codec.block_range_from_stub, answer)

    async def fetch_block(self, block_id: BlockId) -> bytes:
        """Ask for one canonical block; the caller recomputes its id.

        Raises `PeerUnavailable`.
        """
        request = peer_pb2.FetchBlockRequest(block_id=block_id)
        answer = await self._fetch("FetchBlock", request)
        return bytes(answer.block)

    async def _fetch(self, method: str, request: object) -> Any:
        if self.conditions.delay_ms:
            await asyncio.sleep(self.conditions.delay_ms / 1_000)
        stub = self._stub
        if stub is None:
            raise PeerUnavailable(f"bank {self.bank} is not linked: {self._last_error}")
        try:
            return await getattr(stub, method)(request, timeout=self._timing.fetch_s)
        except grpc.aio.AioRpcError as error:
            raise PeerUnavailable(f"bank {self.bank}: {_said(error)}") from None

    # --- the stream ---------------------------------------------------------------------------

    async def _keep_up(self, cut_off: asyncio.Task[None] | None) -> None:
        if cut_off is not None:
            await asyncio.wait({cut_off})
        pause = self._timing.first_pause_s
        while True:
            if not self._open.is_set():
                self._down(CUT)
                await self._open.wait()
            connections = self._connections
            try:
                await self._session()
                self._down("the peer ended the stream")
            except grpc.aio.AioRpcError as error:
                self._down(_said(error))
            except (CertificateInvalid, MalformedMessage, PeerMisbehaved) as error:
                self._down(str(error))
            except TimeoutError:
                self._down(f"no hello within {self._timing.connect_s:g} s")
            except Exception as error:  # edge: a link must outlive whatever breaks one session
                _log.exception("link_failed", extra={"peer": self.bank})
                self._down(type(error).__name__)
            if self._connections > connections:
                pause = self._timing.first_pause_s
            self._again.clear()
            try:
                await asyncio.wait_for(self._again.wait(), pause)
            except TimeoutError:
                pause = min(2 * pause, self._timing.longest_pause_s)

    def _down(self, error: str) -> None:
        if error != self._last_error:
            _log.info("link_down", extra={"peer": self.bank, "error": error})
        self._last_error = error

    async def _session(self) -> None:
        """Connect, introduce this bank, and write until the stream breaks."""
        credentials = channel_credentials(self._tls.load(utc_now()))
        name = bank_server_name(self._peer.consortium, self._peer.bank)
        await require_valid_server(self.address, name, self._tls)
        options = link_options(self._peer)
        async with grpc.aio.secure_channel(self.address, credentials, options=options) as channel:
            stream = channel.stream_stream(
                f"/{PEER}/Exchange",
                request_serializer=None,
                response_deserializer=peer_pb2.PeerAcknowledgement.FromString,
            )()
            async with asyncio.timeout(self._timing.connect_s):
                await stream.write(peer_codec.hello_frame(self._hello()))
                self._peer_height = self._confirmed(await stream.read()).height
            self._up(PeerStub(channel))
            try:
                await self._write_until_broken(stream)
            finally:
                self._stub = None
                stream.cancel()

    def _confirmed(self, acknowledgement: Any) -> Hello:
        """Return the peer's hello; raises `PeerMisbehaved` if it is of another genesis or bank."""
        if acknowledgement is grpc.aio.EOF or not acknowledgement.HasField("hello"):
            raise PeerMisbehaved("the peer did not introduce itself")
        hello = peer_codec.hello_from_stub(acknowledgement.hello)
        if hello.bank != self.bank or hello.chain_id != self._hello().chain_id:
            raise PeerMisbehaved(f"expected bank {self.bank} of this genesis, found {hello.bank}")
        return hello

    def _up(self, stub: PeerStub) -> None:
        self._stub = stub
        self._connections += 1
        self._last_error = ""
        now = asyncio.get_running_loop().time()
        self._queue.drop_messages_before(now - self._timing.stale_after_s)
        _log.info("link_up", extra={"peer": self.bank})
        self._on_linked(self.bank)

    async def _write_until_broken(self, stream: Any) -> None:
        """Write frames while reading acknowledgements; the first of both to end ends both."""
        writer = asyncio.create_task(self._write(stream))
        reader = asyncio.create_task(_read_to_end(stream))
        try:
            done, _ = await asyncio.wait({writer, reader}, return_when=asyncio.FIRST_COMPLETED)
            # What the peer said last explains a failed write better than the write does.
            await (reader if reader in done else _settled(reader, writer))
        finally:
            for task in (writer, reader):
                task.cancel()
            await asyncio.gather(writer, reader, return_exceptions=True)

    async def _write(self, stream: Any) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._queued.wait()
            began = loop.time()
            frame = self._queue.take_frame()
            drained = not self._queue
            if drained:
                self._queued.clear()
            if not frame:
                continue
            self._last_frame_s = began
            await stream.write(peer_codec.join_items(frame))
            if drained:
                await asyncio.sleep(max(0.0, began + self._timing.tick_s - loop.time()))


async def _read_to_end(stream: Any) -> None:
    """Read acknowledgements until the stream ends; raises `AioRpcError` if it ends badly."""
    while await stream.read() is not grpc.aio.EOF:
        pass


async def _settled(reader: asyncio.Task[None], writer: asyncio.Task[None]) -> None:
    """Give the reader a moment to learn why the writer failed, then raise one of the two."""
    await asyncio.wait({reader}, timeout=1.0)
    await (reader if reader.done() else writer)


def _said(error: grpc.aio.AioRpcError) -> str:
    return f"{error.code().name}: {error.details()}"


def _checked(read: Callable[[Any], T], answer: Any) -> T:
    try:
        return read(answer)
    except MalformedMessage as error:
        raise PeerMisbehaved(str(error)) from None
