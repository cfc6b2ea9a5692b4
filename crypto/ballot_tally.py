"""Counting ballots without opening one: sums of ciphertexts, and what they decrypt to (BFT-12 18).

A ballot encrypts its voter's key: (E1, E2) = (qKV, P + qY). Ciphertexts add up, so the sum over a
block, or a year, decrypts to sum(count_i P_i). The opener proves claimed counts of a sum by one
decryption of it: with D = yE1 proven (`crypto.opener_shares`), anybody checks

    E2 - D = sum(count_i P_i)

in one multi-scalar multiplication, and learns nothing about single ballots.

What the equation proves. Given the sum, counts are unique up to relations sum(d_i P_i) = 0 that
somebody knows among the keys. Every key was registered with a proof that its owner knows its
secret, so a relation can only be known among the keys of banks that collude, with each other and
with the opener: the counts of all other banks are exact. The caller also requires sum(count_i) to
be the number of ballots and each count to be at most that of blocks; then sum(d_i) = 0 as well.
So one bank can do nothing; two neither, for d (P_1 - P_2) = 0 means equal keys, which no genesis
has; three or more with related secrets can move counts among themselves, never their total.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations

from crypto.ballot_keys import BallotKey, BallotRing
from crypto.curve import POINT_BYTES, Point, decode_curve, decode_strict, identity, msm, multiply
from crypto.encoding import u64
from crypto.errors import DecryptionInvalid, ProvingError, Rejected, TallyInvalid
from crypto.opener_shares import (
    OpenerShare,
    PartialDecryption,
    combine_partials,
    decode_element,
    decode_partials,
    decrypt_partially,
    encode_element,
    encode_partials,
)
from crypto.randomness import RandomBytes
from crypto.transcript import hash64

CIPHERTEXT_BYTES = 2 * POINT_BYTES
EMPTY_SUM = bytes(CIPHERTEXT_BYTES)
"""The sum of no ciphertext: each identity is 96 zero bytes."""

Counts = Sequence[tuple[bytes, int]]
"""(P, count) for every registered key, in the order of the registry."""


def add_ciphertexts(total: bytes, ciphertexts: Sequence[bytes]) -> bytes:
    """Add ciphertexts E1 || E2 (192 bytes each) to a sum, itself 192 bytes.

    The ciphertexts are those of verified ballots and the total is a sum of such, so their points
    are not checked for the subgroup again. Raises Rejected for bytes that are no points.
    """
    halves = []
    for start in (0, POINT_BYTES):
        point = _decode_summand(total[start : start + POINT_BYTES])
        for ciphertext in ciphertexts:
            point = point + _decode_summand(ciphertext[start : start + POINT_BYTES])
        halves.append(encode_element(point))
    return b"".join(halves)


def _decode_summand(data: bytes) -> Point:
    return decode_curve(data) if any(data) else identity()


def prove_tally(
    total: bytes,
    counts: Counts,
    opener: BallotKey,
    statement: bytes,
    random_bytes: RandomBytes = os.urandom,
) -> bytes:
    """Prove the counts of a sum with the whole opener's key.

    `statement` is whatever else the opener claims along with them. Raises ProvingError if the sum
    decrypts to other counts.
    """
    partial = prove_tally_partially(
        total, counts, OpenerShare.whole(opener), statement, random_bytes
    )
    return assemble_tally_proof(total, counts, opener.public, statement, (partial,))


def prove_tally_partially(
    total: bytes,
    counts: Counts,
    share: OpenerShare,
    statement: bytes,
    random_bytes: RandomBytes = os.urandom,
) -> PartialDecryption:
    """One officer's part of the proof; he agrees to these counts and this statement by it."""
    return decrypt_partially(
        total[:POINT_BYTES], share, _tally_statement(total, counts, statement), random_bytes
    )


def assemble_tally_proof(
    total: bytes,
    counts: Counts,
    opener_key: bytes,
    statement: bytes,
    partials: Sequence[PartialDecryption],
) -> bytes:
    """Join t officers' parts into a proof; raises ProvingError if it would not verify."""
    proof = encode_partials(sorted(partials, key=lambda partial: partial.index))
    try:
        verify_tally(total, counts, opener_key, statement, proof)
    except TallyInvalid as error:
        raise ProvingError(f"these counts cannot be proven: {error}") from error
    return proof


def verify_tally(
    total: bytes, counts: Counts, opener_key: bytes, statement: bytes, proof: bytes
) -> None:
    """Check that a sum of verified ballots' ciphertexts holds these counts; raises TallyInvalid.

    Whether the counts add up to the number of ballots, and each is possible, is for the caller to
    check: without that, related keys can shift the totals.
    """
    try:
        decryption = combine_partials(
            decode_partials(proof),
            opener_key,
            total[:POINT_BYTES],
            _tally_statement(total, counts, statement),
        )
        encrypted = decode_element(total[POINT_BYTES:])
        keys = [decode_strict(key) for key, _ in counts]
    except (DecryptionInvalid, Rejected) as error:
        raise TallyInvalid(str(error)) from error
    if encrypted + multiply(decryption, -1) != msm(keys, [count for _, count in counts]):
        raise TallyInvalid("the sum decrypts to other counts")


def _tally_statement(total: bytes, counts: Counts, statement: bytes) -> bytes:
    claimed = [key + u64(count) for key, count in counts]
    return hash64("IDX1/tally", total, statement, *claimed)


def decrypt_block_partially(
    total: bytes, ring: BallotRing, share: OpenerShare, random_bytes: RandomBytes = os.urandom
) -> PartialDecryption:
    """One officer's part in counting a block by the sum of its ballots."""
    return decrypt_partially(
        total[:POINT_BYTES], share, _block_statement(total, ring), random_bytes
    )


def count_block(
    total: bytes,
    opener: BallotKey | Sequence[PartialDecryption],
    ring: BallotRing,
    quorum: int,
) -> tuple[int, ...]:
    """Positions in the ring of the `quorum` banks whose ballots add up to `total`, increasing.

    Only the sum is decrypted, never a single ballot. `opener` is the whole key, or t officers'
    parts from `decrypt_block_partially`. Raises ProvingError for another opener's key, for parts
    that do not hold, and for a sum that no quorum of the ring makes.
    """
    try:
        encrypted = decode_element(total[POINT_BYTES:])
        if isinstance(opener, BallotKey):
            if opener.public != ring.opener:
                raise ProvingError("the key is not the opener of the ring")
            decryption = multiply(decode_element(total[:POINT_BYTES]), opener.secret)
        else:
            decryption = combine_partials(
                opener, ring.opener, total[:POINT_BYTES], _block_statement(total, ring)
            )
    except (DecryptionInvalid, Rejected) as error:
        raise ProvingError(f"the block's sum cannot be decrypted: {error}") from error
    decrypted = encode_element(encrypted + multiply(decryption, -1))
    voters = _quorums(ring, quorum).get(decrypted)
    if voters is None:
        raise ProvingError(f"no {quorum} keys of the ring add up to what the sum decrypts to")
    return voters


def _block_statement(total: bytes, ring: BallotRing) -> bytes:
    return hash64("IDX1/block-sum", ring.digest, total)


@lru_cache(maxsize=64)
def _quorums(ring: BallotRing, quorum: int) -> dict[bytes, tuple[int, ...]]:
    """Every set of `quorum` positions by the sum of its keys: 66 for 10 of 12.

    Where related keys give two sets one sum, the first in lexicographic order stands for both.
    """
    found: dict[bytes, tuple[int, ...]] = {}
    for voters in combinations(range(ring.size), quorum):
        total = identity()
        for voter in voters:
            total = total + ring.key_points[voter]
        found.setdefault(encode_element(total), voters)
    return found
