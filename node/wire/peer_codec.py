"""Stubs of `consortium.v1.Peer` to values and back, and the encoded items of its frames."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from node.consensus.messages import Message, decode_message
from node.ledger.encoding import MalformedEncoding
from node.ledger.types import BankIndex, Height, TransactionId
from node.wire import peer_pb2
from node.wire.codec import (
    raw_transaction,
    sealed_block_from_stub,
    sealed_block_to_stub,
    transaction_id,
)
from node.wire.fields import (
    MalformedMessage,
    bounded_bytes,
    bounded_count,
    from_stub,
    to_stub,
)
from node.wire.limits import (
    MAX_CONSENSUS_MESSAGE_BYTES,
    MAX_FETCHED_TRANSACTIONS,
    MAX_FRAME_ITEMS,
    MAX_FRAME_MESSAGES,
    MAX_SYNC_BLOCKS,
)
from node.wire.records import BlockRange, Hello

MAX_BANK_INDEX = (1 << 16) - 1


@dataclass(frozen=True, slots=True)
class Frame:
    """What one frame of the peer stream carries, decoded; nothing in it is verified yet."""

    hello: Hello | None
    messages: tuple[Message, ...]
    transactions: tuple[bytes, ...]
    """That the sender has admitted."""
    unverified: tuple[bytes, ...] = ()
    """That the sender is verifying."""


def message_item(message: bytes) -> bytes:
    """Encode a canonical consensus message as an item that frames are joined from."""
    return peer_pb2.PeerFrame(consensus_messages=[message]).SerializeToString()


def transaction_item(transaction: bytes) -> bytes:
    """Encode a canonical transaction as an item that frames are joined from."""
    return peer_pb2.PeerFrame(transactions=[transaction]).SerializeToString()


def unverified_item(transaction: bytes) -> bytes:
    """Encode a canonical transaction that the sender has not verified yet as such an item."""
    return peer_pb2.PeerFrame(unverified_transactions=[transaction]).SerializeToString()


def hello_frame(hello: Hello) -> bytes:
    """Encode the first frame of a stream."""
    return peer_pb2.PeerFrame(hello=hello_to_stub(hello)).SerializeToString()


def join_items(items: Iterable[bytes]) -> bytes:
    """Return one encoded frame with all items, which only copies bytes.

    Protobuf defines the concatenation of two encoded messages as their merge, in which repeated
    fields are appended.
    """
    return b"".join(items)


def frame_from_stub(stub: peer_pb2.PeerFrame) -> Frame:
    """Decode a frame with every message in it; raises `MalformedMessage`."""
    items = (
        len(stub.consensus_messages) + len(stub.transactions) + len(stub.unverified_transactions)
    )
    if items > MAX_FRAME_ITEMS:
        raise MalformedMessage("frame", f"{items} items exceed {MAX_FRAME_ITEMS}")
    bounded_count("consensus_messages", stub.consensus_messages, MAX_FRAME_MESSAGES)
    hello = hello_from_stub(stub.hello) if stub.HasField("hello") else None
    if hello is not None and items:
        raise MalformedMessage("hello", "must be alone in its frame")
    return Frame(
        hello=hello,
        messages=tuple(_message(raw) for raw in stub.consensus_messages),
        transactions=tuple([raw_transaction(raw, "transactions") for raw in stub.transactions]),
        unverified=tuple(
            [
                raw_transaction(raw, "unverified_transactions")
                for raw in stub.unverified_transactions
            ]
        ),
    )


def _message(raw: bytes) -> Message:
    bounded_bytes("consensus_messages", raw, MAX_CONSENSUS_MESSAGE_BYTES, minimum=1)
    try:
        return decode_message(raw)
    except MalformedEncoding as error:
        raise MalformedMessage("consensus_messages", str(error)) from None


def hello_to_stub(hello: Hello) -> peer_pb2.Hello:
    """Build the stub of an introduction."""
    return to_stub(hello, peer_pb2.Hello)


def hello_from_stub(stub: peer_pb2.Hello) -> Hello:
    """Read an introduction; it is a claim until compared with the certificate."""
    return from_stub(stub, Hello, bank=bank_index(stub.bank))


def bank_index(value: int, field: str = "bank") -> BankIndex:
    """Return a bank's index if it fits one."""
    if value > MAX_BANK_INDEX:
        raise MalformedMessage(field, f"{value} is no bank's index")
    return BankIndex(value)


def requested_transactions(
    request: peer_pb2.FetchTransactionsRequest,
) -> tuple[TransactionId, ...]:
    """Read the ids of a FetchTransactions request: 1 to 200."""
    ids = request.transaction_ids
    bounded_count("transaction_ids", ids, MAX_FETCHED_TRANSACTIONS, minimum=1)
    return tuple(transaction_id(item, "transaction_ids") for item in ids)


def fetched_transactions(stub: peer_pb2.FetchTransactionsResponse) -> tuple[bytes, ...]:
    """Read bodies sent by a peer; whose they are is for the receiver to recompute."""
    bounded_count("transactions", stub.transactions, MAX_FETCHED_TRANSACTIONS)
    return tuple(raw_transaction(raw, "transactions") for raw in stub.transactions)


def block_range_to_stub(blocks: BlockRange) -> peer_pb2.FetchBlocksResponse:
    """Build the stub of consecutive sealed blocks."""
    return peer_pb2.FetchBlocksResponse(
        blocks=[sealed_block_to_stub(block) for block in blocks.blocks], top=blocks.top
    )


def block_range_from_stub(stub: peer_pb2.FetchBlocksResponse) -> BlockRange:
    """Read consecutive sealed blocks; everything in them is for the receiver to verify."""
    bounded_count("blocks", stub.blocks, MAX_SYNC_BLOCKS)
    blocks = tuple([sealed_block_from_stub(block) for block in stub.blocks])
    return BlockRange(blocks, Height(stub.top))


def fitting_prefix(transactions: Sequence[bytes], limit_bytes: int) -> Sequence[bytes]:
    """Return as many of the first transactions as fit in the limit."""
    total = 0
    for index, transaction in enumerate(transactions):
        total += len(transaction)
        if total > limit_bytes:
            return transactions[:index]
    return transactions
