"""What a bank does that wants to keep others from their work: as much of everything as it can."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

import grpc
import grpc.aio

from node.client.connection import ClientCredentials, Endpoint
from node.client.fuzzing.corpus import Corpus
from node.consensus.messages import SyncRequest, encode_message
from node.ledger.types import Height
from node.wire import ledger_pb2, peer_pb2

EXCHANGE = "/consortium.v1.Peer/Exchange"
FETCH_BLOCKS = "/consortium.v1.Peer/FetchBlocks"
SUBMIT_MANY = "/consortium.v1.Ledger/SubmitTransactions"
LIST_NOTES = "/consortium.v1.Ledger/ListNotes"
PAUSE_S = 0.5
OPEN_CALLS = 300
DEFECTS = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}
MESSAGES_PER_FRAME = 100


@dataclass
class Flood:
    """One bank's certificate, and everything sent under it to every other bank at once."""

    endpoints: Sequence[Endpoint]
    credentials: ClientCredentials
    corpus: Corpus
    bank: int
    sent: dict[str, int] = field(default_factory=dict)
    """Frames, calls and answers, for the record."""

    def count(self, what: str, number: int = 1) -> None:
        self.sent[what] = self.sent.get(what, 0) + number

    # --- on the stream ------------------------------------------------------------------------

    def consensus_frames(self) -> AsyncIterator[bytes]:
        """Frames full of well-formed messages of every type, each a signature to be checked."""
        valid = [encode_message(item) for item in self.corpus.consensus_messages(self.bank)]
        rising = [encode_message(SyncRequest(Height(height))) for height in range(1, 25)]

        async def frames() -> AsyncIterator[bytes]:
            chance = Random(self.bank)
            while True:
                chosen = chance.choices(valid, k=MESSAGES_PER_FRAME) + rising
                yield peer_pb2.PeerFrame(consensus_messages=chosen).SerializeToString()
                self.count("consensus messages", len(chosen))
                await asyncio.sleep(0)

        return frames()

    def transaction_frames(self) -> AsyncIterator[bytes]:
        """Frames full of transactions whose proofs do not hold, each another one."""

        async def frames() -> AsyncIterator[bytes]:
            for number in itertools.count():
                raws = [
                    raw[:-8] + (number * 100 + index).to_bytes(8, "big")
                    for index, raw in enumerate(itertools.islice(self._transactions(), 100))
                ]
                yield peer_pb2.PeerFrame(transactions=raws).SerializeToString()
                self.count("transactions", len(raws))
                await asyncio.sleep(0)

        return frames()

    def _transactions(self) -> itertools.cycle[bytes]:
        return itertools.cycle(self.corpus.transactions)

    async def on_streams(self, make: Callable[[], AsyncIterator[bytes]]) -> None:
        """Keep a stream to every bank full until cancelled."""
        async with asyncio.TaskGroup() as group:
            for endpoint in self.endpoints:
                group.create_task(self._stream(endpoint, make))

    async def _stream(self, endpoint: Endpoint, make: Callable[[], AsyncIterator[bytes]]) -> None:
        hello = peer_pb2.PeerFrame(
            hello=peer_pb2.Hello(
                chain_id=self.corpus.chain_id, bank=self.bank, software_version="x", height=0
            )
        ).SerializeToString()

        async def all_frames() -> AsyncIterator[bytes]:
            yield hello
            async for frame in make():
                yield frame

        async with self.credentials.open_channel(endpoint) as channel:
            while True:
                call = channel.stream_stream(EXCHANGE)(all_frames())
                with suppress(grpc.aio.AioRpcError):
                    async for _ in call:
                        self.count("acknowledgements")
                self.count("streams ended by the bank")

    # --- calls --------------------------------------------------------------------------------

    async def with_calls(self) -> None:
        """As many calls at a time as go, none of whose answers is read with any hurry."""
        async with asyncio.TaskGroup() as group:
            for endpoint in self.endpoints:
                group.create_task(self._calls(endpoint))

    async def _calls(self, endpoint: Endpoint) -> None:
        blocks = peer_pb2.FetchBlocksRequest(from_height=1).SerializeToString()
        async with self.credentials.open_channel(endpoint) as channel:
            fetch = channel.unary_unary(FETCH_BLOCKS)
            notes = channel.unary_stream(LIST_NOTES)
            unread = [notes(b"", timeout=60) for _ in range(OPEN_CALLS)]
            while True:
                answers = await asyncio.gather(
                    *(fetch(blocks, timeout=20) for _ in range(OPEN_CALLS)), return_exceptions=True
                )
                refused = [item for item in answers if isinstance(item, grpc.aio.AioRpcError)]
                self.count("calls", len(answers))
                self.count("calls refused", len(refused))
                codes = {item.code() for item in refused}
                assert not codes & DEFECTS, codes
                self.count("streams left unread", len(unread))
                # The flooder shares one event loop with the banks that it floods.
                await asyncio.sleep(PAUSE_S)

    async def with_submissions(self) -> None:
        """Submissions by the thousand, of which no answer is read."""
        requests = [
            ledger_pb2.SubmitTransactionsRequest(item=index, transaction=raw).SerializeToString()
            for index, raw in enumerate(itertools.islice(self._transactions(), 100))
        ]

        async def endless() -> AsyncIterator[bytes]:
            while True:
                for request in requests:
                    yield request
                    self.count("submissions")

        async def leave_unread(endpoint: Endpoint) -> None:
            async with self.credentials.open_channel(endpoint) as channel:
                calls = [channel.stream_stream(SUBMIT_MANY)(endless()) for _ in range(20)]
                await asyncio.wait([asyncio.create_task(call.code()) for call in calls])

        async with asyncio.TaskGroup() as group:
            for endpoint in self.endpoints:
                group.create_task(leave_unread(endpoint))


@asynccontextmanager
async def under(flood: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Let a flood run meanwhile; it must not have ended by itself."""
    task = asyncio.create_task(flood)
    try:
        await asyncio.sleep(0.5)
        yield
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
