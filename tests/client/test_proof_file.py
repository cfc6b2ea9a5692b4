"""Proofs in files: what is written is read, whatever else is refused before it is believed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.ballot import ballot_bytes
from crypto.merkle import PROOF_HEADER_BYTES
from crypto.transaction import MAX_TRANSACTION_BYTES
from node.client.errors import ProofFileInvalid
from node.client.proof_file import FORMAT, MAX_FIELD_BYTES, MAX_FILE_BYTES, ProofFile
from node.ledger.active_set import quorum_size
from node.ledger.blocks import HEADER_BYTES, MAX_TRANSACTIONS
from node.ledger.definitions import MAX_BANKS
from node.wire.records import InclusionProof, PublishedSetChange

short = st.binary(max_size=40)
changes = st.builds(PublishedSetChange, header=short, certificate=short, active_set=short)
proofs = st.builds(
    InclusionProof,
    header=short,
    certificate=short,
    proof=short,
    leaf_hash=short,
    set_changes=st.lists(changes, max_size=3).map(tuple),
)
files = st.builds(ProofFile, transaction=short, proof=proofs)

EXAMPLE = ProofFile(b"\xaa", InclusionProof(b"\x01", b"\x02", b"\x03", b"\x04"))


@given(files)
def test_what_is_written_is_read(file: ProofFile) -> None:
    assert ProofFile.decode(file.encode()) == file


@given(st.binary(max_size=200))
def test_anything_else_is_refused_by_name(data: bytes) -> None:
    with pytest.raises(ProofFileInvalid):
        ProofFile.decode(data)


def test_the_format_is_fixed() -> None:
    assert json.loads(EXAMPLE.encode()) == {
        "format": "consortium/inclusion-proof/2",
        "transaction": "aa",
        "header": "01",
        "certificate": "02",
        "leaf_hash": "04",
        "proof": "03",
        "set_changes": [],
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "consortium/inclusion-proof/1"}, f"it is not of the format {FORMAT}"),
        ({"header": 1}, "`header` is missing, no text, or too long"),
        ({"certificate": None}, "`certificate` is missing, no text, or too long"),
        (
            {"certificate": "00" * (MAX_FIELD_BYTES + 1)},
            "`certificate` is missing, no text, or too long",
        ),
        ({"proof": "0"}, "`proof` is not hexadecimal"),
        ({"transaction": "AA"}, "`transaction` is not lower-case hexadecimal"),
        ({"leaf_hash": "0 1"}, "`leaf_hash` is not hexadecimal"),
        ({"set_changes": None}, "`set_changes` is not a list of objects"),
        ({"set_changes": ["00"]}, "`set_changes` is not a list of objects"),
        ({"set_changes": [{"header": "00"}]}, "`certificate` is missing, no text, or too long"),
    ],
)
def test_a_field_that_is_wrong_is_named(change: dict[str, object], message: str) -> None:
    document = {**json.loads(EXAMPLE.encode()), **change}
    with pytest.raises(ProofFileInvalid) as caught:
        ProofFile.decode(json.dumps(document).encode())
    assert str(caught.value) == message


def test_size_and_depth_are_limited_before_anything_is_built() -> None:
    with pytest.raises(ProofFileInvalid) as caught:
        ProofFile.decode(b" " * (MAX_FILE_BYTES + 1))
    assert str(caught.value) == f"{MAX_FILE_BYTES + 1} bytes are more than any proof has"
    with pytest.raises(ProofFileInvalid):
        ProofFile.decode(b"[" * 100_000)


def test_a_proof_says_what_it_takes_beyond_the_header_chain() -> None:
    change = PublishedSetChange(header=bytes(5), certificate=bytes(6), active_set=bytes(7))
    proof = InclusionProof(bytes(1), bytes(20), bytes(300), bytes(4_000), (change, change))
    file = ProofFile(bytes(50_000), proof)
    assert (file.proof_bytes, file.header_bytes) == (54_320, 37)


def test_the_largest_proof_of_the_largest_consortium_takes_less_than_40_kb() -> None:
    """A ring of sixteen banks, the largest transaction, a full block: beyond the header chain."""
    quorum = quorum_size(MAX_BANKS)
    certificate = 8 + 4 + 32 + 4 + quorum * (4 + ballot_bytes(MAX_BANKS))
    path = PROOF_HEADER_BYTES + 32 * (MAX_TRANSACTIONS - 1).bit_length()
    proof = InclusionProof(bytes(HEADER_BYTES), bytes(certificate), bytes(path), bytes(32))
    largest = ProofFile(bytes(MAX_TRANSACTION_BYTES), proof)
    assert (quorum, largest.proof_bytes) == (14, 38_627)
    twelve = 8 + 4 + 32 + 4 + quorum_size(12) * (4 + ballot_bytes(12))
    assert twelve == 13_998
