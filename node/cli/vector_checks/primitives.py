"""Checks of hashing, expansion, generators and the Merkle tree (IDX1 1, 2, 11)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from crypto.curve import encode_point, hash_to_curve
from crypto.errors import MerkleProofInvalid
from crypto.merkle import merkle_root, prove_inclusion, verify_inclusion
from crypto.scalar import encode_scalar
from crypto.transcript import expand, h2s, hash32, hash64
from node.cli.vector_checks.document import Check, Json, VectorFile, expect, list_entries, unhex


def hash_checks(file: VectorFile) -> Iterator[Check]:
    """Framed hashing (IDX1 1.1, 1.2)."""
    return file.checks(_check_hash, "hash")


def _check_hash(_file: VectorFile, case: Json) -> None:
    tag, parts = case["tag"], [unhex(part) for part in case["parts"]]
    expect("hash64", hash64(tag, *parts).hex(), case["hash64"])
    expect("hash32", hash32(tag, *parts).hex(), case["hash32"])
    expect("h2s", encode_scalar(h2s(tag, *parts)).hex(), case["h2s"])


def expand_checks(file: VectorFile) -> Iterator[Check]:
    """The expansion in counter mode (IDX1 1.3)."""
    return file.checks(_check_expand, "expand")


def _check_expand(_file: VectorFile, case: Json) -> None:
    # first, so that no file asks for more bytes than it holds itself
    expect("n", case["n"], len(unhex(case["out"])))
    out = expand(case["tag"], unhex(case["seed"]), case["n"])
    expect("out", out.hex(), case["out"])


def generator_checks(file: VectorFile) -> Iterator[Check]:
    """Hashing to the curve (IDX1 2.4)."""
    return file.checks(_check_generator, "generators")


def _check_generator(_file: VectorFile, case: Json) -> None:
    expect("point", encode_point(hash_to_curve(unhex(case["name"]))).hex(), case["point"])


def merkle_checks(file: VectorFile) -> Iterator[Check]:
    """Roots and inclusion proofs (IDX1 11)."""
    for name, tree in file.entries("merkle"):
        yield Check(name, partial(_check_root, file, tree))
        for case_name, case in list_entries(f"{name}.cases", tree.get("cases", [])):
            yield Check(case_name, partial(_check_inclusion, file, tree, case))


def _leaves(file: VectorFile, tree: Json) -> list[bytes]:
    if "transactions" in tree:
        return [file.transactions[name] for name in tree["transactions"]]
    return [unhex(leaf) for leaf in tree["leaves"]]


def _check_root(file: VectorFile, tree: Json) -> None:
    leaves = _leaves(file, tree)
    expect("size", len(leaves), tree["size"])
    expect("root", merkle_root(leaves).hex(), tree["root"])


def _check_inclusion(file: VectorFile, tree: Json, case: Json) -> None:
    leaf, proof = unhex(case["leaf"]), unhex(case["proof"])
    valid = True
    try:
        verify_inclusion(leaf, proof, unhex(tree["root"]))
    except MerkleProofInvalid:
        valid = False
    expect("valid", valid, case["valid"])
    if valid:
        own_proof = prove_inclusion(_leaves(file, tree), case["index"])
        expect("our own proof", own_proof.hex(), case["proof"])
