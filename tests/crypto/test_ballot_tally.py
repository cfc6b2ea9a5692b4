"""Sums of ballots, what they prove, and how a block is counted (BFT-12 17, 18)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.ballot_keys import BallotKey, BallotRing
from crypto.ballot_proof import BallotContext, Decision, sign_ballot, verify_ballot
from crypto.ballot_tally import (
    EMPTY_SUM,
    add_ciphertexts,
    assemble_tally_proof,
    count_block,
    decrypt_block_partially,
    prove_tally,
    prove_tally_partially,
    verify_tally,
)
from crypto.errors import ProvingError, Rejected, TallyInvalid
from crypto.opener_shares import OpenerShare, encode_partials, split_opener
from crypto.randomness import Coins

CHAIN_ID = bytes(range(32))
OPENER = BallotKey(77)
KEYS = tuple(
    BallotKey(int.from_bytes(hashlib.sha256(b"voter %d" % index).digest()[:31]))
    for index in range(6)
)
"""Unrelated: small numbers have small relations, and counts would not be unique."""
RING = BallotRing(OPENER.public, [key.public for key in KEYS])
QUORUM = 5
STATEMENT = b"chain, year, seed"


@cache
def ciphertext(ring: BallotRing, key: BallotKey, height: int) -> bytes:
    """Of a real ballot: only verified ones enter a sum."""
    context = BallotContext(CHAIN_ID, height, 0)
    data = sign_ballot(key, ring, context, bytes(32), Decision.APPROVE)
    return verify_ballot(data, ring, context).ciphertext


def block_sum(voters: Sequence[int], height: int = 1) -> bytes:
    return add_ciphertexts(EMPTY_SUM, [ciphertext(RING, KEYS[at], height) for at in voters])


def year_of(
    blocks: Sequence[Sequence[int]], keys: Sequence[BallotKey] = KEYS, ring: BallotRing = RING
) -> tuple[bytes, list[int]]:
    """The sum of some blocks and the true counts."""
    total, counts = EMPTY_SUM, [0] * len(keys)
    for height, voters in enumerate(blocks, 1):
        total = add_ciphertexts(total, [ciphertext(ring, keys[at], height) for at in voters])
        for at in voters:
            counts[at] += 1
    return total, counts


def claimed(counts: Sequence[int], keys: Sequence[BallotKey] = KEYS) -> list[tuple[bytes, int]]:
    return [(key.public, count) for key, count in zip(keys, counts, strict=True)]


BLOCKS = ((0, 1, 2, 3, 4), (0, 1, 2, 3, 5), (0, 1, 2, 4, 5), (1, 2, 3, 4, 5))
TOTAL, COUNTS = year_of(BLOCKS)
PROOF = prove_tally(TOTAL, claimed(COUNTS), OPENER, STATEMENT, Coins(b"tally").take)


def refused(
    counts: Sequence[int],
    *,
    total: bytes = TOTAL,
    keys: Sequence[BallotKey] = KEYS,
    opener: BallotKey = OPENER,
) -> str:
    """How false counts are refused that a dishonest opener proves as well as he can."""
    claim = claimed(counts, keys)
    proof = encode_partials(
        [prove_tally_partially(total, claim, OpenerShare.whole(opener), STATEMENT)]
    )
    with pytest.raises(TallyInvalid) as caught:
        verify_tally(total, claim, OPENER.public, STATEMENT, proof)
    with pytest.raises(ProvingError):
        prove_tally(total, claim, opener, STATEMENT)
    return str(caught.value)


# Sums


def test_the_empty_sum_is_all_zero() -> None:
    assert bytes(192) == EMPTY_SUM
    assert add_ciphertexts(EMPTY_SUM, []) == EMPTY_SUM
    one = ciphertext(RING, KEYS[0], 1)
    assert add_ciphertexts(EMPTY_SUM, [one]) == one


def test_a_sum_does_not_depend_on_order_or_batches() -> None:
    parts = [ciphertext(RING, KEYS[at], height) for at in (0, 1) for height in (1, 2)]
    at_once = add_ciphertexts(EMPTY_SUM, parts)
    assert add_ciphertexts(EMPTY_SUM, parts[::-1]) == at_once
    assert add_ciphertexts(add_ciphertexts(EMPTY_SUM, parts[:1]), parts[1:]) == at_once
    assert len(at_once) == 192


def test_a_half_of_a_sum_may_vanish_by_itself() -> None:
    """Nobody can make it so, but no bank would halt if somebody could."""
    first, second = ciphertext(RING, KEYS[0], 1)[:96], ciphertext(RING, KEYS[0], 1)[96:]
    assert add_ciphertexts(first + bytes(96), [bytes(96) + second]) == first + second


def test_bytes_that_are_no_points_are_refused() -> None:
    with pytest.raises(Rejected):
        add_ciphertexts(EMPTY_SUM, [b"\x01" * 192])


# Proofs


def test_section_18_one_decryption_proves_the_counts() -> None:
    assert COUNTS == [3, 4, 4, 3, 3, 3]
    assert len(PROOF) == 258
    verify_tally(TOTAL, claimed(COUNTS), OPENER.public, STATEMENT, PROOF)


def test_section_18_a_year_without_ballots_is_proven_too() -> None:
    nobody = claimed([0] * 6)
    proof = prove_tally(EMPTY_SUM, nobody, OPENER, STATEMENT)
    verify_tally(EMPTY_SUM, nobody, OPENER.public, STATEMENT, proof)
    assert refused([1, 0, 0, 0, 0, 0], total=EMPTY_SUM) == "the sum decrypts to other counts"


def test_section_18_officers_prove_it_together_and_two_cannot() -> None:
    shares = split_opener(OPENER, 3, 5)
    parts = [
        prove_tally_partially(TOTAL, claimed(COUNTS), shares[at], STATEMENT) for at in (4, 0, 2)
    ]
    proof = assemble_tally_proof(TOTAL, claimed(COUNTS), OPENER.public, STATEMENT, parts)
    verify_tally(TOTAL, claimed(COUNTS), OPENER.public, STATEMENT, proof)
    with pytest.raises(ProvingError, match="are not the opener's key"):
        assemble_tally_proof(TOTAL, claimed(COUNTS), OPENER.public, STATEMENT, parts[:2])


def test_section_18_another_key_proves_nothing() -> None:
    expected = "the share keys of officers [1] are not the opener's key"
    assert refused(COUNTS, opener=BallotKey(78)) == expected


def test_section_18_a_proof_serves_its_sum_counts_and_statement_alone() -> None:
    other_total, other_counts = year_of(BLOCKS[1:])
    for total, counts, statement in (
        (other_total, COUNTS, STATEMENT),
        (other_total, other_counts, STATEMENT),
        (TOTAL, other_counts, STATEMENT),
        (TOTAL, COUNTS, b"another year"),
        (EMPTY_SUM, COUNTS, STATEMENT),
    ):
        with pytest.raises(TallyInvalid):
            verify_tally(total, claimed(counts), OPENER.public, statement, PROOF)
    with pytest.raises(TallyInvalid):
        verify_tally(TOTAL, claimed(COUNTS)[::-1], OPENER.public, STATEMENT, PROOF)
    for at in range(0, len(PROOF), 5):
        damaged = bytearray(PROOF)
        damaged[at] ^= 1
        with pytest.raises(TallyInvalid):
            verify_tally(TOTAL, claimed(COUNTS), OPENER.public, STATEMENT, bytes(damaged))


def test_section_18_wrong_counts_are_refused() -> None:
    """Swapped between two banks, one bank's off by one, every bank's, one moved to another."""
    other = "the sum decrypts to other counts"
    assert refused([4, 3, 4, 3, 3, 3]) == other
    for at in range(6):
        assert refused([count + (index == at) for index, count in enumerate(COUNTS)]) == other
        assert refused([count - (index == at) for index, count in enumerate(COUNTS)]) == other
    assert refused([count + 1 for count in COUNTS]) == other
    for giver, taker in combinations(range(6), 2):
        moved = list(COUNTS)
        moved[giver] -= 1
        moved[taker] += 1
        assert refused(moved) == other
    assert refused([0] * 6) == other


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=6, max_size=6))
def test_section_18_counts_are_unique(counts: list[int]) -> None:
    if counts != COUNTS:
        assert refused(counts) == "the sum decrypts to other counts"


# Banks whose keys are related, and who collude with the opener


def test_section_18_two_related_keys_move_nothing_as_long_as_the_sum_is_fixed() -> None:
    """P_2 = 2 P_1: the equation accepts two approvals of the first for one of the second, which
    changes the number of ballots, and that is known. With it fixed nothing is accepted."""
    keys = (BallotKey(500), BallotKey(1000), *KEYS[2:])
    ring = BallotRing(OPENER.public, [key.public for key in keys])
    total, counts = year_of(BLOCKS, keys, ring)
    assert counts == [3, 4, 4, 3, 3, 3]
    shifted = [1, 5, 4, 3, 3, 3]
    proof = prove_tally(total, claimed(shifted, keys), OPENER, STATEMENT)
    verify_tally(total, claimed(shifted, keys), OPENER.public, STATEMENT, proof)
    assert sum(shifted) != sum(counts)
    for first in range(8):
        same_sum = [first, 7 - first, 4, 3, 3, 3]
        if same_sum != counts:
            assert refused(same_sum, total=total, keys=keys) == "the sum decrypts to other counts"


def test_section_18_three_related_keys_move_counts_among_themselves_alone() -> None:
    """P_1 - 2 P_2 + P_3 = 0: (1, -2, 1) is accepted, and no other bank's count changes."""
    keys = (BallotKey(500), BallotKey(501), BallotKey(502), *KEYS[3:])
    ring = BallotRing(OPENER.public, [key.public for key in keys])
    total, counts = year_of(BLOCKS, keys, ring)
    assert counts == [3, 4, 4, 3, 3, 3]
    shifted = [4, 2, 5, 3, 3, 3]
    proof = prove_tally(total, claimed(shifted, keys), OPENER, STATEMENT)
    verify_tally(total, claimed(shifted, keys), OPENER.public, STATEMENT, proof)
    assert sum(shifted) == sum(counts)
    assert sum(shifted[:3]) == sum(counts[:3])
    assert max(shifted) > len(BLOCKS), "which the bound of blocks refuses"
    for giver in range(3):
        for taker in range(3, 6):
            for change in (1, 2, 3):
                moved = list(counts)
                moved[giver] -= change
                moved[taker] += change
                if min(moved) >= 0:
                    other = "the sum decrypts to other counts"
                    assert refused(moved, total=total, keys=keys) == other


# Counting


def test_section_18_a_block_is_counted_by_its_sum() -> None:
    for height, voters in enumerate(combinations(range(6), QUORUM), 1):
        assert count_block(block_sum(voters, height), OPENER, RING, QUORUM) == voters


def test_section_18_officers_count_a_block_together() -> None:
    shares = split_opener(OPENER, 2, 3)
    total = block_sum((0, 2, 3, 4, 5))
    parts = [decrypt_block_partially(total, RING, share) for share in shares]
    assert count_block(total, parts[:2], RING, QUORUM) == (0, 2, 3, 4, 5)
    assert count_block(total, parts[1:], RING, QUORUM) == (0, 2, 3, 4, 5)
    with pytest.raises(ProvingError, match="are not the opener's key"):
        count_block(total, parts[:1], RING, QUORUM)
    other = block_sum((0, 1, 3, 4, 5))
    with pytest.raises(ProvingError, match="officer 1: the challenge is another one"):
        count_block(other, parts[:2], RING, QUORUM)


def test_section_18_what_is_no_block_is_not_counted() -> None:
    total = block_sum((0, 1, 2, 3, 4))
    with pytest.raises(ProvingError, match="the key is not the opener of the ring"):
        count_block(total, BallotKey(78), RING, QUORUM)
    for not_a_block in (EMPTY_SUM, block_sum((0, 1, 2, 3)), block_sum((0, 1, 2, 3, 4, 5))):
        with pytest.raises(ProvingError, match="no 5 keys of the ring add up"):
            count_block(not_a_block, OPENER, RING, QUORUM)
    with pytest.raises(ProvingError, match="cannot be decrypted"):
        count_block(b"\x01" * 192, OPENER, RING, QUORUM)


def test_the_bytes_of_a_sum_and_a_proof_are_pinned() -> None:
    digest = hashlib.sha256(TOTAL + PROOF).hexdigest()
    assert digest == "072510390060651e14d92bec4be4c83b6085c8c86e2a951f06343697670d3981"
