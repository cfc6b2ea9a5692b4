"""The Merkle tree against RFC 6962's own definition, hostile proofs and pinned roots (IDX1 11)."""

from __future__ import annotations

import hashlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.errors import MerkleProofInvalid
from crypto.merkle import (
    EMPTY_ROOT,
    claimed_index,
    leaf_hash,
    merkle_root,
    merkle_root_of_hashes,
    node_hash,
    prove_inclusion,
    prove_inclusion_of_hashes,
    verify_inclusion,
)

leaf_lists = st.lists(st.binary(max_size=40), min_size=1, max_size=40)
distinct_leaves = st.lists(st.binary(max_size=40), min_size=1, max_size=40, unique=True)


def root_by_definition(leaves: list[bytes]) -> bytes:
    """RFC 6962 2.1, literally: split at the largest power of two below n."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    left, right = root_by_definition(leaves[:split]), root_by_definition(leaves[split:])
    return hashlib.sha256(b"\x01" + left + right).digest()


@pytest.mark.parametrize("size", range(40))
def test_root_is_the_recursive_definition_11_1(size: int) -> None:
    leaves = [struct.pack("<I", i) for i in range(size)]
    assert merkle_root(leaves) == root_by_definition(leaves)
    assert merkle_root_of_hashes([leaf_hash(leaf) for leaf in leaves]) == merkle_root(leaves)


def test_root_of_nothing_is_the_hash_of_nothing_11_1() -> None:
    assert merkle_root([]) == EMPTY_ROOT
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_rfc_6962_style_root_is_pinned() -> None:
    leaves = [b"", b"\x00", b"\x10", b"\x20\x21", b"\x30\x31", b"\x40\x41\x42\x43"]
    leaves += [bytes(range(0x50, 0x58)), bytes(range(0x60, 0x70))]
    expected = "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
    assert merkle_root(leaves).hex() == expected


@given(leaf_lists, st.data())
def test_every_leaf_has_a_verifying_proof_11_3(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    proof = prove_inclusion(leaves, index)
    assert proof == prove_inclusion_of_hashes([leaf_hash(leaf) for leaf in leaves], index)
    verify_inclusion(leaves[index], proof, merkle_root(leaves), size=len(leaves))


@given(leaf_lists, st.data())
def test_a_proof_says_of_which_leaf_it_is_11_2(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    proof = prove_inclusion(leaves, index)
    assert claimed_index(proof) == index
    with pytest.raises(MerkleProofInvalid):
        claimed_index(proof[:-1])


def test_proof_lengths_at_one_hundred_leaves_11_2() -> None:
    leaves = [bytes([i]) for i in range(100)]
    counts = [prove_inclusion(leaves, i)[16] for i in range(100)]
    assert counts == [7] * 96 + [4] * 4


@given(distinct_leaves, st.data())
def test_any_changed_byte_of_a_proof_is_refused(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    proof = bytearray(prove_inclusion(leaves, index))
    position = data.draw(st.integers(0, len(proof) - 1))
    proof[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(MerkleProofInvalid):
        verify_inclusion(leaves[index], bytes(proof), merkle_root(leaves), size=len(leaves))


@given(distinct_leaves, st.data())
def test_proof_does_not_serve_another_position(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    other = data.draw(st.integers(0, len(leaves) + 3))
    proof = prove_inclusion(leaves, index)
    moved = struct.pack("<Q", other) + proof[8:]
    if other == index:
        verify_inclusion(leaves[index], moved, merkle_root(leaves), size=len(leaves))
    else:
        with pytest.raises(MerkleProofInvalid):
            verify_inclusion(leaves[index], moved, merkle_root(leaves), size=len(leaves))


@given(st.binary(max_size=200), st.binary(max_size=8))
def test_arbitrary_bytes_are_refused_with_the_named_error(proof: bytes, leaf: bytes) -> None:
    with pytest.raises(MerkleProofInvalid):
        verify_inclusion(leaf, proof, bytes(32))


def refusal(leaf: bytes, proof: bytes, root: bytes, size: int | None = None) -> str:
    with pytest.raises(MerkleProofInvalid) as caught:
        verify_inclusion(leaf, proof, root, size=size)
    return str(caught.value)


def test_each_refusal_says_what_is_wrong_11_3() -> None:
    leaves = [b"a", b"b", b"c"]
    root, proof = merkle_root(leaves), prove_inclusion(leaves, 1)
    assert refusal(b"b", proof[:16], root) == "proof of 16 bytes has no header"
    assert refusal(b"b", proof[:-1], root) == "proof has 80 bytes, its header says 81"
    assert refusal(b"b", proof + b"x", root) == "proof has 82 bytes, its header says 81"
    assert refusal(b"b", proof, root, 4) == "proof is for 3 leaves, the header has 4"
    outside = struct.pack("<Q", 3) + proof[8:]
    assert refusal(b"b", outside, root) == "leaf 3 is outside a tree of 3 leaves"
    longer = proof[:16] + b"\x03" + proof[17:] + bytes(32)
    assert refusal(b"b", longer, root) == "proof has more hashes than the tree has levels"
    shorter = proof[:16] + b"\x01" + proof[17:49]
    assert refusal(b"b", shorter, root) == "proof has fewer hashes than the tree has levels"
    assert refusal(b"x", proof, root) == "proof leads to another root"
    empty_tree = struct.pack("<QQB", 0, 0, 0)
    assert refusal(b"", empty_tree, EMPTY_ROOT) == "leaf 0 is outside a tree of 0 leaves"


@pytest.mark.parametrize("index", [-1, 3])
def test_proving_a_leaf_outside_the_tree_is_the_callers_error(index: int) -> None:
    with pytest.raises(IndexError, match=f"leaf {index} is outside a tree of 3 leaves"):
        prove_inclusion([b"a", b"b", b"c"], index)


@given(leaf_lists)
def test_doubling_trailing_leaves_changes_the_root(leaves: list[bytes]) -> None:
    """The lists that collide where an odd level's last node is hashed with itself
    (CVE-2012-2459)."""
    for repeated in range(1, len(leaves) + 1):
        assert merkle_root(leaves + leaves[-repeated:]) != merkle_root(leaves)


def test_an_inner_node_is_no_leaf() -> None:
    """A node's two children, offered as a leaf's bytes, do not hash to that node."""
    leaves = [b"a", b"b", b"c", b"d"]
    left = node_hash(leaf_hash(b"a"), leaf_hash(b"b"))
    right = node_hash(leaf_hash(b"c"), leaf_hash(b"d"))
    assert node_hash(left, right) == merkle_root(leaves)
    inner_as_leaf = leaf_hash(b"a") + leaf_hash(b"b")
    proof = struct.pack("<QQB", 0, 2, 1) + right
    assert refusal(inner_as_leaf, proof, merkle_root(leaves)) == "proof leads to another root"
    assert merkle_root([inner_as_leaf, leaf_hash(b"c") + leaf_hash(b"d")]) != merkle_root(leaves)
