"""BFT-12 section 3: one canonical encoding of every message, pinned by vectors."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.consensus.messages import (
    MAX_MESSAGE_BYTES,
    BlockRequest,
    Message,
    Seal,
    Status,
    SyncRequest,
    decode_message,
    encode_message,
)
from node.ledger.encoding import MalformedEncoding
from node.ledger.types import BlockId, Height, View
from tests.consensus import samples

VECTORS = json.loads(
    (Path(__file__).parents[1] / "vectors" / "consensus.json").read_text(encoding="utf-8")
)
MESSAGES = samples.messages()


def test_vectors_cover_every_sample() -> None:
    assert [vector["name"] for vector in VECTORS["messages"]] == list(MESSAGES)
    assert [vector["name"] for vector in VECTORS["statements"]] == list(samples.statements())


@pytest.mark.parametrize("vector", VECTORS["messages"], ids=lambda vector: vector["name"])
def test_encoding_is_pinned(vector: dict[str, str]) -> None:
    encoded = encode_message(MESSAGES[vector["name"]])
    assert encoded.hex() == vector["encoding"]
    assert hashlib.sha256(encoded).hexdigest() == vector["sha256"]
    assert decode_message(bytes.fromhex(vector["encoding"])) == MESSAGES[vector["name"]]


@pytest.mark.parametrize("vector", VECTORS["statements"], ids=lambda vector: vector["name"])
def test_signed_bytes_and_signature_are_pinned(vector: dict[str, str]) -> None:
    statement = samples.statements()[vector["name"]]
    assert statement.signed_bytes(samples.CONTEXT).hex() == vector["signed"]
    assert statement.signature.hex() == vector["signature"]
    assert samples.SIGNERS[statement.bank].public_key.hex() == vector["public_key"]


@pytest.mark.parametrize("name", MESSAGES)
def test_every_truncation_and_extension_is_refused(name: str) -> None:
    encoded = encode_message(MESSAGES[name])
    for length in range(0, len(encoded), max(1, len(encoded) // 97)):
        with pytest.raises(MalformedEncoding):
            decode_message(encoded[:length])
    with pytest.raises(MalformedEncoding, match=r"^(1 bytes follow the value|message type .*)$"):
        decode_message(encoded + b"\0")


@given(st.sampled_from(list(MESSAGES)), st.integers(min_value=0), st.integers(0, 255))
def test_one_value_has_one_encoding(name: str, position: int, replacement: int) -> None:
    """Whatever still decodes after a byte was changed encodes to exactly those bytes."""
    encoded = bytearray(encode_message(MESSAGES[name]))
    encoded[position % len(encoded)] = replacement
    try:
        message = decode_message(bytes(encoded))
    except MalformedEncoding:
        return
    assert encode_message(message) == bytes(encoded)


@given(st.binary(max_size=400))
def test_garbage_is_refused_or_canonical(data: bytes) -> None:
    try:
        message = decode_message(data)
    except MalformedEncoding:
        return
    assert encode_message(message) == data


@given(
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**31 - 1),
    st.binary(min_size=32, max_size=32),
)
def test_round_trip(height: int, view: int, block_id: bytes) -> None:
    values: list[Message] = [
        Status(Height(height), View(view), None, samples.quorum_certificate()),
        SyncRequest(Height(height)),
        BlockRequest(Height(height), BlockId(block_id)),
        Seal(Height(height), View(view), BlockId(block_id), ()),
    ]
    for value in values:
        assert decode_message(encode_message(value)) == value


def test_no_message_exceeds_four_mebibytes() -> None:
    assert MAX_MESSAGE_BYTES < 4 << 20


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty message"),
        (b"\x00", "unknown message type 0"),
        (b"\x0e", "unknown message type 14"),
        (b"\x09" + bytes(9), "message type 9 of 10 bytes exceeds 9"),
        (b"\x0b" + bytes(41), "message type 11 of 42 bytes exceeds 41"),
    ],
)
def test_size_and_type_are_checked_before_parsing(data: bytes, message: str) -> None:
    with pytest.raises(MalformedEncoding) as caught:
        decode_message(data)
    assert str(caught.value) == message


def _patched(name: str, position: int, replacement: bytes) -> bytes:
    encoded = bytearray(encode_message(MESSAGES[name]))
    encoded[position : position + len(replacement)] = replacement
    return bytes(encoded)


def test_values_no_writer_produces_are_refused() -> None:
    vote_decision = 1 + 2 + 8 + 4 + 32
    reason = vote_decision + 1 + 4
    cases = [
        (_patched("vote approve", vote_decision, b"\x03"), "a decision is 1 or 2, not 3"),
        (
            _patched("vote reject", reason, b"N"),
            "a rejection reason is 1 to 48 characters of a-z, 0-9 and -",
        ),
        (_patched("status", 1 + 8, b"\x80"), "view 2147483651 exceeds 2147483647"),
        (
            _patched("timeout", 1 + 2 + 8 + 4, b"\xff\xff\xff\xfe"),
            "highest certificate view -2 is below -1",
        ),
        (
            _patched("quorum certificate", 1 + 8 + 4 + 32, b"\x00\x00\x00\x11"),
            "list of 17 items exceeds 16",
        ),
    ]
    for data, message in cases:
        with pytest.raises(MalformedEncoding) as caught:
            decode_message(data)
        assert str(caught.value) == message
