"""Merkle tree over the transactions of a block (IDX1 11; RFC 6962 2.1 and RFC 9162 2.1.3).

A leaf and an inner node are hashed under different first bytes, so a node never passes for a leaf.
A tree of n > 1 leaves splits at the largest power of two below n and duplicates nothing, so two
different lists of leaves never share a root (the flaw known as CVE-2012-2459).

Building works on leaf hashes: a node hashes each transaction once, keeps the 32 bytes by
transaction id and hands them to `merkle_root_of_hashes` and `prove_inclusion_of_hashes`.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from hashlib import sha256

from crypto.errors import MerkleProofInvalid

HASH_BYTES = 32

PROOF_HEADER_BYTES = 17
"""Index u64, size u64 and the count byte of an inclusion proof (IDX1 11.2)."""

EMPTY_ROOT = sha256(b"").digest()
"""Root of the tree without leaves (IDX1 11.1)."""


def leaf_hash(leaf: bytes) -> bytes:
    """Hash of one leaf, all bytes of a transaction (IDX1 11.1)."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node over its two 32-byte children (IDX1 11.1)."""
    return sha256(b"\x01" + left + right).digest()


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """Root of the tree over these leaves, in order (IDX1 11.1)."""
    return merkle_root_of_hashes([leaf_hash(leaf) for leaf in leaves])


def merkle_root_of_hashes(leaf_hashes: Sequence[bytes]) -> bytes:
    """Root of the tree whose leaves have these hashes, in order (IDX1 11.1)."""
    if not leaf_hashes:
        return EMPTY_ROOT
    level = list(leaf_hashes)
    while len(level) > 1:
        level = _next_level(level)
    return level[0]


def prove_inclusion(leaves: Sequence[bytes], index: int) -> bytes:
    """Inclusion proof of `leaves[index]` (IDX1 11.2).

    Raises IndexError for an index outside the tree.
    """
    return prove_inclusion_of_hashes([leaf_hash(leaf) for leaf in leaves], index)


def prove_inclusion_of_hashes(leaf_hashes: Sequence[bytes], index: int) -> bytes:
    """Inclusion proof of the leaf whose hash is `leaf_hashes[index]` (IDX1 11.2).

    Raises IndexError for an index outside the tree.
    """
    if not 0 <= index < len(leaf_hashes):
        raise IndexError(f"leaf {index} is outside a tree of {len(leaf_hashes)} leaves")
    siblings = []
    position = index
    level = list(leaf_hashes)
    while len(level) > 1:
        sibling = position ^ 1
        if sibling < len(level):
            siblings.append(level[sibling])
        level = _next_level(level)
        position //= 2
    header = struct.pack("<QQB", index, len(leaf_hashes), len(siblings))
    return header + b"".join(siblings)


def verify_inclusion(leaf: bytes, proof: bytes, root: bytes, *, size: int | None = None) -> None:
    """Check that `leaf` is in the tree with this root (IDX1 11.3); raises MerkleProofInvalid.

    `size` is the number of leaves from the certified header. Without it only the proof's own claim
    of the size is checked, which a caller must not rely on.
    """
    index, claimed_size, siblings = _decode_proof(proof)
    if size is not None and claimed_size != size:
        raise MerkleProofInvalid(f"proof is for {claimed_size} leaves, the header has {size}")
    if index >= claimed_size:
        raise MerkleProofInvalid(f"leaf {index} is outside a tree of {claimed_size} leaves")
    first, last, computed = index, claimed_size - 1, leaf_hash(leaf)
    for sibling in siblings:
        if last == 0:
            raise MerkleProofInvalid("proof has more hashes than the tree has levels")
        if first % 2 == 1 or first == last:
            computed = node_hash(sibling, computed)
            while first % 2 == 0 and first != 0:
                first //= 2
                last //= 2
        else:
            computed = node_hash(computed, sibling)
        first //= 2
        last //= 2
    if last != 0:
        raise MerkleProofInvalid("proof has fewer hashes than the tree has levels")
    if computed != root:
        raise MerkleProofInvalid("proof leads to another root")


def claimed_index(proof: bytes) -> int:
    """The index an inclusion proof speaks of, true if the proof verifies (IDX1 11.2).

    Raises MerkleProofInvalid for bytes that are no proof.
    """
    return _decode_proof(proof)[0]


def _next_level(level: Sequence[bytes]) -> list[bytes]:
    # Hashing neighbours and carrying an odd last node upward unchanged is the same tree as
    # splitting at the largest power of two below n.
    parents = [node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
    if len(level) % 2 == 1:
        parents.append(level[-1])
    return parents


def _decode_proof(proof: bytes) -> tuple[int, int, list[bytes]]:
    if len(proof) < PROOF_HEADER_BYTES:
        raise MerkleProofInvalid(f"proof of {len(proof)} bytes has no header")
    index, size, count = struct.unpack_from("<QQB", proof)
    expected_bytes = PROOF_HEADER_BYTES + HASH_BYTES * count
    if len(proof) != expected_bytes:
        raise MerkleProofInvalid(f"proof has {len(proof)} bytes, its header says {expected_bytes}")
    siblings = [
        proof[start : start + HASH_BYTES]
        for start in range(PROOF_HEADER_BYTES, expected_bytes, HASH_BYTES)
    ]
    return index, size, siblings
