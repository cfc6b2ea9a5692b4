"""Frames between banks: joined items, decoded messages, limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.consensus.messages import (
    BlockRequest,
    Message,
    Status,
    SyncRequest,
    encode_message,
)
from node.ledger.types import BankIndex, BlockId, Height, View
from node.wire import peer_codec, peer_pb2
from node.wire.fields import MalformedMessage
from node.wire.limits import MAX_TRANSACTION_BYTES
from node.wire.peer_codec import Frame
from node.wire.records import BlockRange, Hello
from tests.rpc.doubles import CHAIN, stored_block

HELLO = Hello(CHAIN, BankIndex(3), "0.1.0", Height(17))
MESSAGES: tuple[Message, ...] = (
    SyncRequest(Height(9)),
    BlockRequest(Height(9), BlockId(bytes(32))),
    Status(Height(9), View(0), None, None),
)


def decoded(data: bytes) -> Frame:
    return peer_codec.frame_from_stub(peer_pb2.PeerFrame.FromString(data))


@given(
    st.lists(
        st.one_of(
            st.sampled_from(MESSAGES),
            st.binary(min_size=1, max_size=300),
        ),
        max_size=20,
    )
)
def test_joined_items_are_one_frame_in_the_order_given(items: list[Message | bytes]) -> None:
    encoded = [
        peer_codec.transaction_item(item)
        if isinstance(item, bytes)
        else peer_codec.message_item(encode_message(item))
        for item in items
    ]
    assert decoded(peer_codec.join_items(encoded)) == Frame(
        hello=None,
        messages=tuple(item for item in items if not isinstance(item, bytes)),
        transactions=tuple(item for item in items if isinstance(item, bytes)),
    )


def test_what_the_sender_has_not_verified_is_told_apart() -> None:
    items = [peer_codec.transaction_item(b"a"), peer_codec.unverified_item(b"b")]
    assert decoded(peer_codec.join_items(items)) == Frame(None, (), (b"a",), (b"b",))


def test_a_hello_travels_alone() -> None:
    assert decoded(peer_codec.hello_frame(HELLO)) == Frame(HELLO, (), ())
    with pytest.raises(MalformedMessage) as caught:
        decoded(peer_codec.hello_frame(HELLO) + peer_codec.transaction_item(b"x"))
    assert str(caught.value) == "hello: must be alone in its frame"


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (peer_codec.message_item(b""), "consensus_messages: must have 1 to "),
        (peer_codec.message_item(b"\xff"), "consensus_messages: unknown message type 255"),
        (
            peer_codec.message_item(encode_message(MESSAGES[0]) + b"\x00"),
            "consensus_messages: message type 9 of 10 bytes exceeds 9",
        ),
        (
            peer_codec.message_item(encode_message(MESSAGES[0])[:-1]),
            "consensus_messages: 8 bytes wanted at offset 1 of 8",
        ),
        (peer_codec.transaction_item(b""), "transactions: must have 1 to "),
        (
            peer_codec.transaction_item(bytes(MAX_TRANSACTION_BYTES + 1)),
            f"transactions: must have 1 to {MAX_TRANSACTION_BYTES} bytes, not ",
        ),
        (peer_codec.unverified_item(b""), "unverified_transactions: must have 1 to "),
        (peer_codec.transaction_item(b"x") * 16_385, "frame: 16385 items exceed 16384"),
        (
            (peer_codec.transaction_item(b"x") + peer_codec.unverified_item(b"x")) * 8_193,
            "frame: 16386 items exceed 16384",
        ),
        (
            peer_pb2.PeerFrame(
                hello=peer_pb2.Hello(chain_id=CHAIN, bank=1 << 16)
            ).SerializeToString(),
            "bank: 65536 is no bank's index",
        ),
        (
            peer_pb2.PeerFrame(hello=peer_pb2.Hello(chain_id=b"x")).SerializeToString(),
            "chain_id: must have 32 bytes, not 1",
        ),
    ],
    ids=[
        "empty-message",
        "unknown-type",
        "trailing-byte",
        "truncated-message",
        "empty-transaction",
        "oversize-transaction",
        "empty-unverified-transaction",
        "too-many-items",
        "too-many-items-of-two-kinds",
        "bank-out-of-range",
        "short-chain-id",
    ],
)
def test_a_broken_frame_is_named(item: bytes, message: str) -> None:
    with pytest.raises(MalformedMessage) as caught:
        decoded(item)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("count", [0, 201])
def test_bodies_are_asked_for_in_bounded_numbers(count: int) -> None:
    request = peer_pb2.FetchTransactionsRequest(transaction_ids=[bytes(32)] * count)
    with pytest.raises(MalformedMessage) as caught:
        peer_codec.requested_transactions(request)
    assert str(caught.value) == f"transaction_ids: must list 1 to 200 items, not {count}"


def test_block_ranges_survive_the_wire() -> None:
    blocks = BlockRange((stored_block(4), stored_block(5)), Height(9))
    assert peer_codec.block_range_from_stub(peer_codec.block_range_to_stub(blocks)) == blocks


def test_an_endless_block_range_is_refused() -> None:
    blocks = BlockRange(tuple(stored_block(4) for _ in range(21)), Height(9))
    with pytest.raises(MalformedMessage) as caught:
        peer_codec.block_range_from_stub(peer_codec.block_range_to_stub(blocks))
    assert str(caught.value) == "blocks: must list 0 to 20 items, not 21"


@given(st.lists(st.binary(max_size=20), max_size=20), st.integers(0, 200))
def test_the_longest_prefix_that_fits_is_sent(bodies: list[bytes], limit: int) -> None:
    fitting = list(peer_codec.fitting_prefix(bodies, limit))
    assert fitting == bodies[: len(fitting)]
    assert sum(map(len, fitting)) <= limit
    if len(fitting) < len(bodies):
        assert sum(map(len, bodies[: len(fitting) + 1])) > limit
