"""BFT-12 section 9: the canonical encoding of evidence items, pinned by vectors."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.ballot import BallotOpening
from node.consensus.evidence_items import (
    MAX_PROOF_BYTES,
    MAX_SEALED_PROOF_BYTES,
    ApprovedInvalid,
    DoubleBallot,
    DoubleVote,
    InvalidProposal,
    RejectedProposal,
    SealedInvalid,
    decode_item,
    encode_item,
    in_order,
    key_of,
)
from node.ledger.ballots import BallotCertificate
from node.ledger.blocks import MAX_BALLOT_BYTES, MAX_EVIDENCE_BYTES
from node.ledger.encoding import MalformedEncoding
from node.ledger.offences import OffenceClass
from node.ledger.state_records import PunishedOffence
from node.ledger.types import BankIndex, View
from tests.consensus import samples

VECTORS = json.loads(
    (Path(__file__).parents[1] / "vectors" / "consensus.json").read_text(encoding="utf-8")
)["evidence"]
ITEMS = samples.evidence()


def test_vectors_cover_every_kind() -> None:
    assert [vector["name"] for vector in VECTORS] == list(ITEMS)
    assert {encode_item(item)[0] for item in ITEMS.values()} == set(range(1, 10))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_encoding_is_pinned(vector: dict[str, str]) -> None:
    encoded = encode_item(ITEMS[vector["name"]])
    assert encoded.hex() == vector["encoding"]
    assert hashlib.sha256(encoded).hexdigest() == vector["evidence_id"]
    assert decode_item(encoded) == ITEMS[vector["name"]]


@pytest.mark.parametrize("name", ITEMS)
def test_every_truncation_and_extension_is_refused(name: str) -> None:
    encoded = encode_item(ITEMS[name])
    for length in range(0, len(encoded), max(1, len(encoded) // 97)):
        with pytest.raises(MalformedEncoding):
            decode_item(encoded[:length])
    with pytest.raises(MalformedEncoding, match=r"^1 bytes follow the value$"):
        decode_item(encoded + b"\0")


@given(st.sampled_from(list(ITEMS)), st.integers(min_value=0), st.integers(0, 255))
def test_one_value_has_one_encoding(name: str, position: int, replacement: int) -> None:
    encoded = bytearray(encode_item(ITEMS[name]))
    encoded[position % len(encoded)] = replacement
    try:
        item = decode_item(bytes(encoded))
    except MalformedEncoding:
        return
    assert encode_item(item) == bytes(encoded)


@given(st.binary(max_size=600))
def test_garbage_is_refused_or_canonical(data: bytes) -> None:
    try:
        item = decode_item(data)
    except MalformedEncoding:
        return
    assert encode_item(item) == data


def test_section_9_keys() -> None:
    """(height, bank, class): E1 and E8 are a vote, E5 and E6 are one class, E7 accuses the
    approver."""
    classes = {name: key_of(item) for name, item in ITEMS.items()}
    creator = samples.block().header.proposer
    assert classes == {
        "E1": PunishedOffence(samples.HEIGHT, BankIndex(1), OffenceClass.VOTE),
        "E2": PunishedOffence(samples.HEIGHT, creator, OffenceClass.PROPOSAL),
        "E3": PunishedOffence(samples.HEIGHT, BankIndex(3), OffenceClass.COMMIT),
        "E4": PunishedOffence(samples.HEIGHT, BankIndex(3), OffenceClass.LOCK),
        "E5": PunishedOffence(samples.HEIGHT, creator, OffenceClass.INVALID_PROPOSAL),
        "E6": PunishedOffence(samples.HEIGHT, creator, OffenceClass.INVALID_PROPOSAL),
        "E7 on E5": PunishedOffence(samples.HEIGHT, BankIndex(1), OffenceClass.APPROVAL),
        "E7 on E6": PunishedOffence(samples.HEIGHT, BankIndex(0), OffenceClass.APPROVAL),
        "E8": PunishedOffence(samples.HEIGHT, BankIndex(2), OffenceClass.VOTE),
        "E8 by officers": PunishedOffence(samples.HEIGHT, BankIndex(2), OffenceClass.VOTE),
        "E5 by the seal": PunishedOffence(samples.HEIGHT, creator, OffenceClass.INVALID_PROPOSAL),
        "E7 on E5 by the seal": PunishedOffence(
            samples.HEIGHT, BankIndex(1), OffenceClass.APPROVAL
        ),
    }


def test_a_pair_has_one_order() -> None:
    item = ITEMS["E1"]
    assert isinstance(item, DoubleVote)
    assert in_order(item.first, item.second) == in_order(item.second, item.first)
    for twisted in (
        replace(item, first=item.second, second=item.first),
        replace(item, second=item.first),
    ):
        with pytest.raises(MalformedEncoding, match="not in increasing order"):
            decode_item(encode_item(twisted))


def test_ballots_have_one_order_and_an_opening_of_a_known_form() -> None:
    item = ITEMS["E8"]
    assert isinstance(item, DoubleBallot)
    with pytest.raises(MalformedEncoding, match="not in increasing order"):
        decode_item(encode_item(replace(item, first=item.second, second=item.first)))
    short = replace(item, opening=BallotOpening(2, bytes(63)))
    with pytest.raises(MalformedEncoding, match=r"^opening: "):
        decode_item(encode_item(short))


def test_rejections_have_one_order() -> None:
    item = ITEMS["E6"]
    assert isinstance(item, RejectedProposal)
    entries = item.rejections
    for twisted in ((*entries[1:], entries[0]), (entries[0], *entries)):
        with pytest.raises(MalformedEncoding, match="not in increasing bank index"):
            decode_item(encode_item(replace(item, rejections=twisted)))


def test_what_is_no_proof_of_an_invalid_block_carries_no_approval() -> None:
    pair: Any = ITEMS["E1"]
    nested = ApprovedInvalid(BankIndex(0), View(0), bytes(64), pair)
    with pytest.raises(MalformedEncoding, match="kind 1 does not show an invalid block"):
        decode_item(encode_item(nested))


def test_approvals_nested_in_approvals_are_refused_at_once() -> None:
    """Each level costs its sender 75 bytes; following them would exhaust the stack."""
    raw = b""
    while len(raw) < MAX_EVIDENCE_BYTES - 100:
        raw = bytes([7]) + bytes(70) + len(raw).to_bytes(4, "big") + raw
    with pytest.raises(MalformedEncoding, match="kind 7 does not show an invalid block"):
        decode_item(raw)


def test_the_largest_proof_beside_a_seal_still_fits_into_an_approval_of_it() -> None:
    sealed = ITEMS["E5 by the seal"]
    assert isinstance(sealed, SealedInvalid)
    ballots = tuple([bytes([index]) * MAX_BALLOT_BYTES for index in range(16)])
    certificate = BallotCertificate(sealed.height, sealed.view, sealed.block_id, ballots)
    largest = SealedInvalid.of(sealed.header, certificate, bytes(MAX_SEALED_PROOF_BYTES))
    assert largest is not None
    outer = ApprovedInvalid(BankIndex(0), View(0), bytes(64), largest)
    encoded = encode_item(outer)
    assert len(encoded) <= MAX_EVIDENCE_BYTES
    assert decode_item(encoded) == outer
    assert SealedInvalid.of(largest.header, certificate, bytes(MAX_SEALED_PROOF_BYTES + 1)) is None


def test_the_largest_proof_still_fits_into_an_approval_of_it() -> None:
    shown = ITEMS["E5"]
    assert isinstance(shown, InvalidProposal)
    largest = replace(shown, proof=bytes(MAX_PROOF_BYTES))
    outer = ApprovedInvalid(BankIndex(0), View(0), bytes(64), largest)
    encoded = encode_item(outer)
    assert len(encoded) <= MAX_EVIDENCE_BYTES
    assert decode_item(encoded) == outer
    with pytest.raises(MalformedEncoding, match="exceeds"):
        decode_item(encode_item(replace(shown, proof=bytes(MAX_PROOF_BYTES + 1))))


@pytest.mark.parametrize("kind", [0, 10, 255])
def test_kinds_that_are_none_are_refused(kind: int) -> None:
    with pytest.raises(MalformedEncoding, match=rf"^unknown kind of evidence {kind}$"):
        decode_item(bytes([kind]))


def test_size_is_checked_before_parsing() -> None:
    with pytest.raises(MalformedEncoding, match="evidence of 1048577 bytes exceeds 1048576"):
        decode_item(bytes(MAX_EVIDENCE_BYTES + 1))
