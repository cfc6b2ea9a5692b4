"""`consortium.v1.Peer` on a real server: introduction, frames, impersonation, fetching."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from typing import Any, get_args

import grpc
import grpc.aio
import pytest

from node.consensus.messages import Message, SyncRequest, encode_message
from node.ledger.types import BankIndex, Height
from node.rpc.errors import CallRefused
from node.rpc.peer_service import FRAMES_PER_ACKNOWLEDGEMENT, check_signers
from node.wire import peer_codec, peer_pb2, snapshot_codec
from node.wire.peer_pb2_grpc import PeerStub
from node.wire.records import Hello
from tests.rpc.conftest import ServedNode
from tests.rpc.doubles import CHAIN, SNAPSHOT, block_at, header_at, stored_block
from tests.rpc.faults import fault_of_call, seen_fault
from tests.rpc.statements import certificate, signed_statements

EXCHANGE = "/consortium.v1.Peer/Exchange"
HELLO = Hello(CHAIN, BankIndex(3), "0.1.0", Height(17))


def item(message: Message) -> bytes:
    return peer_codec.message_item(encode_message(message))


def exchange(node: ServedNode, party: str = "bank/3") -> Any:
    return node.channel(party).stream_stream(
        EXCHANGE, response_deserializer=peer_pb2.PeerAcknowledgement.FromString
    )(timeout=20)


async def introduced(node: ServedNode, hello: Hello = HELLO) -> Any:
    stream = exchange(node)
    await stream.write(peer_codec.hello_frame(hello))
    acknowledgement = await stream.read()
    assert peer_codec.hello_from_stub(acknowledgement.hello) == node.peer.hello()
    return stream


async def fault_after(stream: Any, *frames: bytes) -> Any:
    """Write frames and read until the stream fails."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        for frame in frames:
            await stream.write(frame)
        while await stream.read() is not grpc.aio.EOF:
            pass
    return await seen_fault(caught.value)


async def test_frames_arrive_decoded_in_order_from_their_bank(node: ServedNode) -> None:
    stream = await introduced(node)
    vote, request = signed_statements(3)[1], SyncRequest(Height(5))
    await stream.write(peer_codec.join_items([item(vote), peer_codec.transaction_item(b"t1")]))
    await stream.write(item(request))
    await stream.write(peer_codec.unverified_item(b"t2"))
    await node.peer.until(lambda: len(node.peer.frames) == 3)
    assert node.peer.frames == [(3, (b"t1",), (vote,)), (3, (), (request,)), (3, (), ())]
    assert node.peer.unverified == [b"t2"]
    await stream.done_writing()
    assert await stream.read() is grpc.aio.EOF
    assert node.peer.events == [("linked", 3, 17), ("unlinked", 3)]


async def test_frames_are_acknowledged_now_and_then(node: ServedNode) -> None:
    stream = await introduced(node)
    for _ in range(FRAMES_PER_ACKNOWLEDGEMENT - 1):
        await stream.write(item(SyncRequest(Height(5))))
    assert (await stream.read()).frames == FRAMES_PER_ACKNOWLEDGEMENT


@pytest.mark.parametrize("kind", range(4), ids=["Proposal", "Vote", "Commit", "Timeout"])
async def test_a_statement_in_another_banks_name_ends_the_stream(
    node: ServedNode, kind: int
) -> None:
    """BFT-12 12: the TLS identity must equal the signer."""
    stream = await introduced(node)
    statement = signed_statements(4)[kind]
    fault = await fault_after(stream, item(statement))
    assert (fault.status, fault.reason, fault.message) == (
        "PERMISSION_DENIED",
        "impersonation",
        f"bank 3 delivers a {type(statement).__name__} of bank 4",
    )
    assert node.peer.frames == []
    assert node.peer.events == [
        ("linked", 3, 17),
        ("misbehaved", 3, "impersonation"),
        ("unlinked", 3),
    ]


def test_section_12_only_direct_statements_must_come_from_their_signer() -> None:
    """Every other type of message proves itself and may come from anybody."""
    refused = set()
    for kind in get_args(Message):
        message = object.__new__(kind)
        if "bank" in {item.name for item in dataclasses.fields(kind)}:
            object.__setattr__(message, "bank", BankIndex(4))
        check_signers(BankIndex(4), (message,))
        with contextlib.suppress(CallRefused):
            check_signers(BankIndex(3), (message,))
            continue
        refused.add(kind.__name__)
    assert refused == {"Proposal", "Vote", "Commit", "Timeout"}


async def test_own_statements_and_what_proves_itself_pass(node: ServedNode) -> None:
    stream = await introduced(node)
    messages = (*signed_statements(3), certificate())
    await stream.write(peer_codec.join_items(item(message) for message in messages))
    await node.peer.until(lambda: node.peer.frames)
    assert node.peer.frames == [(3, (), messages)]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (peer_codec.message_item(b"\xffgarbage"), "unknown message type 255"),
        (peer_codec.message_item(b""), "must have 1 to "),
        (peer_codec.transaction_item(bytes(20_000)), "must have 1 to "),
        (peer_codec.hello_frame(HELLO), "must come first and once"),
    ],
    ids=["unknown-type", "empty-message", "oversize-transaction", "second-hello"],
)
async def test_what_no_correct_bank_sends_ends_the_stream(
    node: ServedNode, frame: bytes, message: str
) -> None:
    stream = await introduced(node)
    fault = await fault_after(stream, frame)
    assert (fault.status, fault.reason) == ("INVALID_ARGUMENT", "malformed")
    assert fault.message.startswith(message)
    assert node.peer.events == [
        ("linked", 3, 17),
        ("misbehaved", 3, "malformed"),
        ("unlinked", 3),
    ]


async def test_garbage_instead_of_a_frame_ends_the_stream(node: ServedNode) -> None:
    fault = await fault_after(await introduced(node), b"\xff\xff")
    assert (fault.status, fault.reason) == ("INVALID_ARGUMENT", "malformed")


@pytest.mark.parametrize(
    ("first", "status", "reason", "message"),
    [
        (
            peer_codec.transaction_item(b"t"),
            "INVALID_ARGUMENT",
            "malformed",
            "must be in the first frame",
        ),
        (
            peer_codec.hello_frame(Hello(bytes(32), BankIndex(3), "0.1.0", Height(0))),
            "FAILED_PRECONDITION",
            "other-genesis",
            "this bank belongs to another genesis",
        ),
        (
            peer_codec.hello_frame(Hello(CHAIN, BankIndex(4), "0.1.0", Height(0))),
            "PERMISSION_DENIED",
            "other-bank",
            "the certificate is of bank 3, the hello of bank 4",
        ),
    ],
    ids=["no-hello", "other-genesis", "other-bank"],
)
async def test_a_stream_begins_with_a_proper_introduction(
    node: ServedNode, first: bytes, status: str, reason: str, message: str
) -> None:
    fault = await fault_after(exchange(node), first)
    assert (fault.status, fault.reason, fault.message) == (status, reason, message)
    assert node.peer.events == []


async def test_an_empty_stream_is_no_introduction(node: ServedNode) -> None:
    stream = exchange(node)
    await stream.done_writing()
    fault = await fault_after(stream)
    assert (fault.reason, fault.message) == ("malformed", "must be in the first frame")


async def test_a_newer_stream_of_a_bank_replaces_the_older(node: ServedNode) -> None:
    older = await introduced(node)
    newer = await introduced(node)
    fault = await fault_after(older)
    assert (fault.status, fault.reason) == ("ABORTED", "replaced")
    await newer.write(peer_codec.transaction_item(b"t"))
    await node.peer.until(lambda: node.peer.frames)
    assert node.peer.events == [("linked", 3, 17), ("linked", 3, 17)]


async def test_a_slow_bank_slows_the_sender(node: ServedNode) -> None:
    """Frames are read one by one: what is not taken stays with the sender."""
    node.peer.gate = asyncio.Event()
    stream = await introduced(node)
    frame = peer_codec.join_items([peer_codec.transaction_item(bytes(15_000))] * 60)
    sent = 0

    async def send() -> None:
        nonlocal sent
        while True:
            await stream.write(frame)
            sent += 1

    sender = asyncio.create_task(send())
    before = -1
    while sent > before:
        before = sent
        await asyncio.sleep(0.2)
    assert sent < 30
    node.peer.gate.set()
    await node.peer.until(lambda: len(node.peer.frames) > before)
    sender.cancel()
    await asyncio.gather(sender, return_exceptions=True)


@pytest.fixture(params=["bank/3", "regulator/watch"])
def observer(node: ServedNode, request: pytest.FixtureRequest) -> PeerStub:
    return PeerStub(node.channel(request.param))


async def test_bodies_are_fetched_by_id(observer: PeerStub) -> None:
    ids = [bytes([1]) * 32, bytes(32), bytes([2]) * 32]
    answer = await observer.FetchTransactions(
        peer_pb2.FetchTransactionsRequest(transaction_ids=ids), timeout=10
    )
    assert peer_codec.fetched_transactions(answer) == (b"body of " + ids[0], b"body of " + ids[2])


async def test_blocks_are_fetched_from_a_height(observer: PeerStub) -> None:
    answer = await observer.FetchBlocks(peer_pb2.FetchBlocksRequest(from_height=4), timeout=10)
    blocks = peer_codec.block_range_from_stub(answer)
    assert (blocks.blocks, blocks.top) == ((stored_block(4), stored_block(5)), 5)


async def test_a_block_is_fetched_by_id(observer: PeerStub) -> None:
    wanted = header_at(5).block_id
    answer = await observer.FetchBlock(peer_pb2.FetchBlockRequest(block_id=wanted), timeout=10)
    assert answer.block == block_at(5).encode()
    unknown = peer_pb2.FetchBlockRequest(block_id=bytes(32))
    fault = await fault_of_call(observer.FetchBlock(unknown, timeout=10))
    assert (fault.status, fault.message) == ("NOT_FOUND", "no such block")


async def test_too_many_ids_are_refused(observer: PeerStub) -> None:
    request = peer_pb2.FetchTransactionsRequest(transaction_ids=[bytes(32)] * 201)
    fault = await fault_of_call(observer.FetchTransactions(request, timeout=10))
    assert (fault.reason, fault.message) == (
        "malformed",
        "must list 1 to 200 items, not 201",
    )


async def test_a_snapshot_is_streamed_to_banks(node: ServedNode) -> None:
    joining = PeerStub(node.channel("bank/3"))
    request = peer_pb2.FetchSnapshotRequest(minimum_height=5)
    parts = [
        snapshot_codec.part_from_stub(stub)
        async for stub in joining.FetchSnapshot(request, timeout=10)
    ]
    assert tuple(parts) == SNAPSHOT


async def test_a_snapshot_that_would_be_too_old_is_not_begun(node: ServedNode) -> None:
    joining = PeerStub(node.channel("bank/3"))
    request = peer_pb2.FetchSnapshotRequest(minimum_height=6)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await joining.FetchSnapshot(request, timeout=10).read()
    fault = await seen_fault(caught.value)
    assert (fault.status, fault.message) == ("UNAVAILABLE", "the tip of this bank is at height 5")


async def test_every_replaced_stream_hears_of_it_however_early(node: ServedNode) -> None:
    """Also one that is replaced while the bank is still writing its first acknowledgement.

    A stream that ended here and lives on over there would be a link that is up and carries nothing.
    """
    callers = [node.channel("bank/3").stream_stream(EXCHANGE) for _ in range(4)]
    streams = []
    for number in range(120):
        streams.append(callers[number % 4](timeout=60))
        await streams[-1].write(peer_codec.hello_frame(HELLO))
    ends = [asyncio.create_task(end_of(stream)) for stream in streams]
    async with asyncio.timeout(20):
        for heard, end in enumerate(asyncio.as_completed(ends), 1):
            await end
            if heard == len(ends) - 1:
                break
    for stream in streams:
        stream.cancel()
    await asyncio.wait(ends)
    assert [end.result() for end in ends].count(grpc.StatusCode.CANCELLED) == 1, "the newest"


async def end_of(stream: Any) -> grpc.StatusCode:
    with contextlib.suppress(grpc.aio.AioRpcError, asyncio.CancelledError):
        while await stream.read() is not grpc.aio.EOF:
            pass
    return await stream.code()
