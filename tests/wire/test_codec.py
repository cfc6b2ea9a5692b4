"""Ledger stubs to values and back: whole values survive, broken contracts are named."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from node.ledger.types import BlockId, Height, TransactionId
from node.wire import codec, ledger_pb2, types_pb2
from node.wire.fields import MalformedMessage
from node.wire.limits import MAX_TRANSACTION_BYTES
from node.wire.records import (
    Position,
    PublishedBlock,
    Receipt,
    Refusal,
    TransactionState,
    TransactionStatus,
)
from tests.rpc.doubles import (
    BIN,
    CERTIFICATE,
    NODE_STATUS,
    PARAMETERS,
    PROOF,
    PUBLISHED_STATE,
    STATE,
    closed_bin,
    conflict,
    header_at,
    note,
    nullifier,
    published_block,
    settled,
    status_of,
    stored_block,
    votes_at,
)

ID = TransactionId(bytes(range(32)))


def over_the_wire(stub: Any) -> Any:
    return type(stub).FromString(stub.SerializeToString())


@pytest.mark.parametrize(
    ("to_stub", "from_stub", "value"),
    [
        (codec.receipt_to_stub, codec.receipt_from_stub, Receipt(ID, TransactionState(3), 5)),
        (codec.refusal_to_stub, codec.refusal_from_stub, Refusal("bin-open", "no", 500)),
        (
            codec.published_block_to_stub,
            codec.published_block_from_stub,
            published_block(3, (b"one", b"two")),
        ),
        (codec.sealed_block_to_stub, codec.sealed_block_from_stub, stored_block(3)),
        (codec.proof_to_stub, codec.proof_from_stub, PROOF),
        (codec.sealed_state_to_stub, codec.sealed_state_from_stub, STATE),
        (codec.published_state_to_stub, codec.published_state_from_stub, PUBLISHED_STATE),
        (codec.votes_to_stub, codec.votes_from_stub, votes_at(4, include_ballots=True)),
        (codec.votes_to_stub, codec.votes_from_stub, votes_at(5)),
        (codec.settlements_to_stub, codec.settlements_from_stub, (settled(2026), settled(2028))),
        (codec.conflicts_to_stub, codec.conflicts_from_stub, (conflict(0), conflict(1))),
        (codec.notes_to_stub, codec.notes_from_stub, (note(0), note(1))),
        (codec.nullifiers_to_stub, codec.nullifiers_from_stub, (nullifier(0),)),
        (codec.closed_bins_to_stub, codec.closed_bins_from_stub, (closed_bin(0),)),
        (codec.bins_to_stub, codec.bins_from_stub, (BIN,)),
        (codec.parameters_to_stub, codec.parameters_from_stub, PARAMETERS),
        (codec.node_status_to_stub, codec.node_status_from_stub, NODE_STATUS),
        *[
            (codec.status_to_stub, codec.status_from_stub, status_of(ID, state))
            for state in TransactionState
            if state is not TransactionState.REJECTED
        ],
        (
            codec.status_to_stub,
            codec.status_from_stub,
            TransactionStatus(ID, TransactionState.REJECTED, refusal=Refusal("range", "no")),
        ),
    ],
)
def test_values_survive_the_wire(to_stub: Any, from_stub: Any, value: Any) -> None:
    assert from_stub(over_the_wire(to_stub(value))) == value


def test_a_block_repeats_fields_of_its_header_for_convenience() -> None:
    stub = codec.published_block_to_stub(published_block(7))
    header = header_at(7)
    assert (stub.block_id, stub.height, stub.time_ms, stub.proposer, stub.transaction_count) == (
        hashlib.sha256(header.encode()).digest(),
        7,
        header.time_ms,
        7,
        0,
    )


def test_genesis_has_neither_block_nor_certificate() -> None:
    genesis = PublishedBlock(header_at(0).encode(), b"", b"")
    stub = codec.published_block_to_stub(genesis)
    assert codec.published_block_from_stub(stub) == genesis


def test_convenience_fields_are_not_believed() -> None:
    stub = codec.published_block_to_stub(published_block(7))
    stub.height = 8
    assert codec.published_block_from_stub(stub) == published_block(7)


@pytest.mark.parametrize(
    ("broken", "read", "message"),
    [
        (
            types_pb2.TransactionStatus(transaction_id=ID, state=5),
            codec.status_from_stub,
            "position: goes with SEALED and with nothing else",
        ),
        (
            types_pb2.TransactionStatus(
                transaction_id=ID, state=3, position=types_pb2.TransactionStatus.Position()
            ),
            codec.status_from_stub,
            "position: goes with SEALED and with nothing else",
        ),
        (
            types_pb2.TransactionStatus(transaction_id=ID, state=6),
            codec.status_from_stub,
            "rejection: goes with REJECTED and with nothing else",
        ),
        (
            types_pb2.TransactionStatus(transaction_id=ID),
            codec.status_from_stub,
            "state: 0 is no state of a transaction",
        ),
        (
            types_pb2.PublishedBlock(header=b"short", certificate=CERTIFICATE),
            codec.published_block_from_stub,
            "header: must have 268 bytes, not 5",
        ),
        (
            types_pb2.PublishedBlock(header=bytes(268), certificate=CERTIFICATE),
            codec.published_block_from_stub,
            "header: not a block header",
        ),
        (
            types_pb2.PublishedBlock(header=header_at(1).encode(), transactions=[b"x"] * 101),
            codec.published_block_from_stub,
            "transactions: must list 0 to 100 items, not 101",
        ),
        (
            ledger_pb2.NotePage(notes=[ledger_pb2.Note()] * 501),
            codec.notes_from_stub,
            "notes: must list 0 to 500 items, not 501",
        ),
        (ledger_pb2.GetBinsRequest(), codec.bin_ids, "bin_ids: must list 1 to 64 items, not 0"),
        (
            ledger_pb2.GetBinsRequest(bin_ids=range(65)),
            codec.bin_ids,
            "bin_ids: must list 1 to 64 items, not 65",
        ),
        (
            ledger_pb2.GetBinsRequest(bin_ids=[1, 2, 1]),
            codec.bin_ids,
            "bin_ids: an id is repeated",
        ),
        (
            ledger_pb2.GetBlockRequest(),
            codec.requested_block,
            "block: give a height or a block id",
        ),
        (
            ledger_pb2.GetBlockRequest(block_id=b"no"),
            codec.requested_block,
            "block_id: must have 32 bytes, not 2",
        ),
    ],
)
def test_a_broken_contract_is_named(broken: Any, read: Any, message: str) -> None:
    with pytest.raises(MalformedMessage) as caught:
        read(broken)
    assert str(caught.value) == message


@pytest.mark.parametrize("size", [0, MAX_TRANSACTION_BYTES + 1])
def test_the_size_of_a_transaction_is_checked_before_anything_else(size: int) -> None:
    with pytest.raises(MalformedMessage) as caught:
        codec.raw_transaction(bytes(size))
    assert str(caught.value) == (
        f"transaction: must have 1 to {MAX_TRANSACTION_BYTES} bytes, not {size}"
    )


def test_a_block_is_asked_for_by_height_or_id() -> None:
    assert codec.requested_block(ledger_pb2.GetBlockRequest(height=0)) == Height(0)
    by_id = ledger_pb2.GetBlockRequest(block_id=bytes(32))
    assert codec.requested_block(by_id) == BlockId(bytes(32))


def test_limit_zero_is_no_limit() -> None:
    assert (codec.limit(0), codec.limit(7)) == (None, 7)


def test_a_position_is_whole() -> None:
    status = status_of(ID, TransactionState.SEALED)
    stub = codec.status_to_stub(status)
    stub.position.block_id = b"short"
    with pytest.raises(MalformedMessage) as caught:
        codec.status_from_stub(stub)
    assert str(caught.value) == "block_id: must have 32 bytes, not 5"
    assert isinstance(status.position, Position)
