"""Ballots: keys, rings, signing as a function, tags, batches and openings (IDX1 9, BFT-12 17)."""

from __future__ import annotations

import hashlib
import os
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.ballot import (
    MAX_BALLOT_BYTES,
    BallotBox,
    BallotContext,
    BallotKey,
    BallotOpening,
    BallotRing,
    CollectedBallot,
    Decision,
    Equivocation,
    ballot_bytes,
    collect_ballot,
    open_ballot,
    prove_possession,
    sign_ballot,
    verify_ballot,
    verify_ballot_opening,
    verify_possession,
)
from crypto.batch import verify_batch
from crypto.curve import decode_curve, encode_point
from crypto.errors import (
    BatchRejected,
    OpeningInvalid,
    ProofOfPossessionInvalid,
    ProvingError,
    Reason,
    Rejected,
)
from crypto.scalar import ORDER

CHAIN_ID = bytes(range(32))
CONTEXT = BallotContext(CHAIN_ID, 5, 2)
BLOCK_ID = b"\x07" * 32
OTHER_BLOCK_ID = b"\x08" * 32
KEYS = [BallotKey(1000 + index) for index in range(16)]
OPENER = BallotKey(77)
ORDER_3_POINT = bytes(95) + b"\x02"
"""x = 0, y = 2: on the curve, of order 3."""


@cache
def ring_of(size: int) -> BallotRing:
    return BallotRing(OPENER.public, [key.public for key in KEYS[:size]])


RING = ring_of(12)


@cache
def ballot_of(
    index: int,
    decision: Decision = Decision.APPROVE,
    block_id: bytes = BLOCK_ID,
    context: BallotContext = CONTEXT,
) -> bytes:
    return sign_ballot(KEYS[index], RING, context, block_id, decision)


def refusal(data: bytes, ring: BallotRing = RING, context: BallotContext = CONTEXT) -> str:
    with pytest.raises(Rejected) as caught:
        verify_ballot(data, ring, context)
    return str(caught.value)


def points_of(data: bytes) -> list[bytes]:
    return [data[start : start + 96] for start in range(79, 79 + 9 * 96, 96)]


# Signing and verifying (9.3-9.5)


@pytest.mark.parametrize("size", [2, 3, 12, 16])
def test_every_key_of_a_ring_signs_9_4(size: int) -> None:
    ring = ring_of(size)
    for index in {0, size // 2, size - 1}:
        data = sign_ballot(KEYS[index], ring, CONTEXT, BLOCK_ID, Decision.REJECT)
        ballot = verify_ballot(data, ring, CONTEXT)
        assert len(data) == ballot_bytes(size) == 943 + 32 * (size + 2)
        found = (ballot.data, ballot.block_id, ballot.decision, ballot.message)
        assert found == (data, BLOCK_ID, Decision.REJECT, BLOCK_ID + b"R")
        assert ballot.tag == points_of(data)[0]


def test_sizes_9_4() -> None:
    assert (ballot_bytes(12), MAX_BALLOT_BYTES) == (1391, ballot_bytes(16))


def test_the_bytes_of_a_ballot_are_pinned() -> None:
    digest = hashlib.sha256(ballot_of(3)).hexdigest()
    assert digest == "719189c5e445e47e0f03aae292e6e65539c3ccd0da1dd00f1da06c47b75dbd85"


def test_signing_is_a_function_and_no_two_statements_share_a_coin_bft12_17() -> None:
    data = ballot_of(3)
    assert sign_ballot(BallotKey(1003), ring_of(12), CONTEXT, BLOCK_ID, Decision.APPROVE) == data
    others = [
        ballot_of(3, Decision.REJECT),
        ballot_of(3, block_id=OTHER_BLOCK_ID),
        ballot_of(3, context=BallotContext(CHAIN_ID, 6, 2)),
        ballot_of(3, context=BallotContext(CHAIN_ID, 5, 3)),
        ballot_of(3, context=BallotContext(bytes(32), 5, 2)),
        ballot_of(4),
        sign_ballot(KEYS[3], ring_of(13), CONTEXT, BLOCK_ID, Decision.APPROVE),
    ]
    every_mask = [point for ballot in [data, *others] for point in points_of(ballot)[1:]]
    assert len(set(every_mask)) == len(every_mask)


def test_the_tag_depends_on_key_and_context_alone_9_3() -> None:
    tag = collect_ballot(ballot_of(3), RING, CONTEXT).tag
    same = [ballot_of(3, Decision.REJECT), ballot_of(3, block_id=OTHER_BLOCK_ID)]
    assert [points_of(data)[0] for data in same] == [tag, tag]
    other_height = BallotContext(CHAIN_ID, 6, 2)
    other = [ballot_of(4), ballot_of(3, context=other_height)]
    assert tag not in [points_of(data)[0] for data in other]


def test_a_prover_refuses_what_it_cannot_sign() -> None:
    with pytest.raises(ProvingError, match="the vote key is not in the ring"):
        sign_ballot(KEYS[12], RING, CONTEXT, BLOCK_ID, Decision.APPROVE)
    with pytest.raises(ProvingError, match="a block id has 32 bytes, not 31"):
        sign_ballot(KEYS[0], RING, CONTEXT, BLOCK_ID[:31], Decision.APPROVE)


# Validation order (9.6)


def test_refusals_and_their_order_9_6() -> None:
    data = ballot_of(3)
    assert refusal(b"") == "length: 0 bytes hold no version and kind"
    assert refusal(b"\x01") == "length: 1 bytes hold no version and kind"
    assert refusal(b"\x02\x04") == "version: version 2 instead of 1"
    assert refusal(b"\x01\x04") == "kind: kind 4 instead of 3"
    assert refusal(data[:-1]) == "length: 1390 bytes instead of 1391"
    assert refusal(data + b"\x00") == "trailing: 1392 bytes instead of 1391"
    other_ledger = BallotContext(bytes(32), 6, 2)
    assert refusal(data, context=other_ledger) == "chain: ballot of another ledger"
    message = "context: ballot for another height or round"
    assert refusal(data, context=BallotContext(CHAIN_ID, 6, 2)) == message
    assert refusal(data, context=BallotContext(CHAIN_ID, 5, 1)) == message
    assert refusal(data[:78] + b"\x42" + data[79:]) == "message: decision byte 0x42"
    assert refusal(data[:78] + b"R" + data[79:]) == "ballot: the equations do not hold"
    assert refusal(data, ring=ring_of(13)).startswith("length: ")


@pytest.mark.parametrize("index", range(9))
def test_points_are_judged_each_in_its_set_10_2(index: int) -> None:
    data = ballot_of(3)
    start = 79 + 96 * index

    def with_point(point: bytes) -> bytes:
        return data[:start] + point + data[start + 96 :]

    assert refusal(with_point(bytes(96))).startswith("identity: ")
    assert refusal(with_point(b"\xff" * 96)).startswith("point: ")
    shifted = decode_curve(data[start : start + 96]) + decode_curve(ORDER_3_POINT)
    expected = "subgroup: " if index < 3 else "ballot: "
    assert refusal(with_point(encode_point(shifted))).startswith(expected)


def test_known_subgroup_checks_may_be_skipped_and_nothing_else() -> None:
    data = ballot_of(3)
    shifted = decode_curve(data[79:175]) + decode_curve(ORDER_3_POINT)
    changed = data[:79] + encode_point(shifted) + data[175:]
    assert collect_ballot(changed, RING, CONTEXT, points_checked=True).data == changed
    with pytest.raises(Rejected, match="identity"):
        collect_ballot(data[:79] + bytes(96) + data[175:], RING, CONTEXT, points_checked=True)


@pytest.mark.parametrize("value", [ORDER, 2**256 - 1])
def test_scalars_are_canonical_2_3(value: int) -> None:
    data = ballot_of(3)
    for start in (943, len(data) - 32):
        changed = data[:start] + int(value).to_bytes(32, "little") + data[start + 32 :]
        assert refusal(changed) == "scalar: not below the group order"


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1390), st.integers(1, 255))
def test_any_changed_byte_is_refused(position: int, change: int) -> None:
    data = bytearray(ballot_of(3))
    data[position] ^= change
    with pytest.raises(Rejected):
        verify_ballot(bytes(data), RING, CONTEXT)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_with_the_named_error(data: bytes) -> None:
    for prefix in (b"", b"\x01\x03"):
        with pytest.raises(Rejected):
            collect_ballot(prefix + data, RING, CONTEXT)


# Batches (10.4-10.7)


def collected(indices: range) -> list[CollectedBallot]:
    return [collect_ballot(ballot_of(index), RING, CONTEXT) for index in indices]


def test_ten_ballots_verify_in_one_batch() -> None:
    verify_batch(collected(range(10)), os.urandom)


def test_a_batch_names_exactly_its_bad_ballots_10_7() -> None:
    ballots = collected(range(10))
    for index in (2, 7):
        data = ballot_of(index)
        changed = data[:-32] + bytes([data[-32] ^ 1]) + data[-31:]
        ballots[index] = collect_ballot(changed, RING, CONTEXT)
    with pytest.raises(BatchRejected) as caught:
        verify_batch(ballots, os.urandom)
    assert caught.value.failures == {2: Reason.BALLOT, 7: Reason.BALLOT}


def test_ballots_of_different_contexts_and_rings_share_a_batch_10_6() -> None:
    other_context = BallotContext(CHAIN_ID, 6, 0)
    small = sign_ballot(KEYS[1], ring_of(3), CONTEXT, BLOCK_ID, Decision.REJECT)
    verify_batch(
        [
            *collected(range(2)),
            collect_ballot(ballot_of(0, context=other_context), RING, other_context),
            collect_ballot(small, ring_of(3), CONTEXT),
        ],
        os.urandom,
    )


# Tags (9.6)


def test_a_box_counts_one_ballot_a_tag_9_6() -> None:
    box = BallotBox(RING, CONTEXT)
    first, again = verify_ballot(ballot_of(0), RING, CONTEXT), collected(range(1))[0]
    second = verify_ballot(ballot_of(1), RING, CONTEXT)
    box.add(first)
    box.add(second)
    with pytest.raises(Rejected) as duplicate:
        box.add(again)
    assert (duplicate.type, duplicate.value.reason) == (Rejected, Reason.DUPLICATE)
    assert box.counted(BLOCK_ID + b"A") == tuple(sorted((first, second), key=lambda b: b.tag))
    assert (box.counted(BLOCK_ID + b"R"), box.evidence()) == ((), ())


def test_equivocation_is_kept_and_the_first_message_counts_9_6() -> None:
    box = BallotBox(RING, CONTEXT)
    approve = collect_ballot(ballot_of(0), RING, CONTEXT)
    reject = collect_ballot(ballot_of(0, Decision.REJECT), RING, CONTEXT)
    other = collect_ballot(ballot_of(0, block_id=OTHER_BLOCK_ID), RING, CONTEXT)
    box.add(approve)
    for ballot in (reject, other):
        with pytest.raises(Equivocation) as caught:
            box.add(ballot)
        assert caught.value.reason is Reason.EQUIVOCATION
        assert (caught.value.first, caught.value.second) == (approve, ballot)
    for ballot in (approve, reject, other):
        with pytest.raises(Rejected) as duplicate:
            box.add(ballot)
        assert duplicate.value.reason is Reason.DUPLICATE
    assert box.counted(approve.message) == (approve,)
    assert (box.counted(reject.message), box.counted(other.message)) == ((), ())
    assert box.evidence() == ((approve, reject),)


def test_a_box_takes_ballots_of_its_own_ring_and_context_only() -> None:
    other_context = BallotContext(CHAIN_ID, 6, 2)
    ballot = collect_ballot(ballot_of(0, context=other_context), RING, other_context)
    with pytest.raises(ValueError, match="collected for another ring or context"):
        BallotBox(RING, CONTEXT).add(ballot)


# Keys and rings (9.1, 9.2)


def test_possession_is_bound_to_ledger_and_bank_9_1() -> None:
    key = BallotKey.generate()
    proof = prove_possession(key, CHAIN_ID, 4)
    verify_possession(key.public, CHAIN_ID, 4, proof)
    for public, chain_id, index in (
        (KEYS[0].public, CHAIN_ID, 4),
        (key.public, bytes(32), 4),
        (key.public, CHAIN_ID, 5),
        (key.public, CHAIN_ID, 2**32 + 4),
        (key.public, CHAIN_ID, -1),
        (key.public, CHAIN_ID[:31], 4),
        (key.public[:95], CHAIN_ID, 4),
        (bytes(96), CHAIN_ID, 4),
        (ORDER_3_POINT, CHAIN_ID, 4),
    ):
        with pytest.raises(ProofOfPossessionInvalid):
            verify_possession(public, chain_id, index, proof)


def test_possession_uses_fresh_coins_12_5() -> None:
    proofs = {prove_possession(KEYS[0], CHAIN_ID, 0) for _ in range(3)}
    assert len(proofs) == 3


def test_stuck_randomness_does_not_repeat_a_coin_12_5() -> None:
    def stuck(size_bytes: int) -> bytes:
        return bytes(size_bytes)

    first = prove_possession(KEYS[0], CHAIN_ID, 0, stuck)
    second = prove_possession(KEYS[0], CHAIN_ID, 1, stuck)
    (c1, z1), (c2, z2) = (
        (int.from_bytes(proof[:32], "little"), int.from_bytes(proof[32:], "little"))
        for proof in (first, second)
    )
    extracted = (z1 - z2) * pow(int(c1 - c2), -1, int(ORDER)) % ORDER
    assert extracted != KEYS[0].secret


def test_keys_are_hidden_and_round_trip() -> None:
    key = BallotKey.generate()
    assert BallotKey.from_bytes(key.to_bytes()) == key
    assert repr(key) == "BallotKey()"
    for secret in (0, ORDER, -1):
        with pytest.raises(ValueError, match="between 1 and the group order minus 1"):
            BallotKey(int(secret))
    with pytest.raises(ValueError, match="a vote key has 32 bytes, not 31"):
        BallotKey.from_bytes(bytes(31))


def test_rings_hold_2_to_16_distinct_keys_of_the_group_9_2() -> None:
    publics = [key.public for key in KEYS]
    with pytest.raises(ValueError, match=r"1 vote keys are outside 2 \.\. 16"):
        BallotRing(OPENER.public, publics[:1])
    with pytest.raises(ValueError, match=r"17 vote keys are outside 2 \.\. 16"):
        BallotRing(OPENER.public, [*publics, OPENER.public])
    with pytest.raises(ValueError, match="a vote key occurs twice"):
        BallotRing(OPENER.public, [publics[0], publics[1], publics[0]])
    for opener, keys in ((ORDER_3_POINT, publics), (OPENER.public, [ORDER_3_POINT, *publics[:2]])):
        with pytest.raises(Rejected, match="subgroup"):
            BallotRing(opener, keys)
    assert ring_of(12) == BallotRing(OPENER.public, publics[:12])
    assert ring_of(12).digest != BallotRing(OPENER.public, publics[11::-1]).digest


@pytest.mark.parametrize(
    ("chain_id", "height", "round_number", "message"),
    [
        (bytes(31), 0, 0, "a chain id has 32 bytes, not 31"),
        (bytes(32), 2**64, 0, "is out of range"),
        (bytes(32), 0, 2**32, "is out of range"),
        (bytes(32), -1, 0, "is out of range"),
    ],
)
def test_contexts_have_fixed_widths_9_3(
    chain_id: bytes, height: int, round_number: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        BallotContext(chain_id, height, round_number)


# Openings (9.7)


def opening_refusal(data: bytes, opening: BallotOpening, context: BallotContext = CONTEXT) -> str:
    with pytest.raises(OpeningInvalid) as caught:
        verify_ballot_opening(data, opening, RING, context)
    return str(caught.value)


@pytest.mark.parametrize("index", [0, 5, 11])
def test_the_opener_names_the_signer_9_7(index: int) -> None:
    data = ballot_of(index)
    opening = open_ballot(verify_ballot(data, RING, CONTEXT), OPENER)
    assert opening.index == index
    verify_ballot_opening(data, opening, RING, CONTEXT)


def test_the_judge_refuses_every_other_opening_9_7() -> None:
    data = ballot_of(5)
    opening = open_ballot(verify_ballot(data, RING, CONTEXT), OPENER)
    proof = opening.proof
    assert opening_refusal(data, BallotOpening(6, proof)) == "the challenge is another one"
    assert opening_refusal(ballot_of(6), opening) == "the challenge is another one"
    beyond, below = BallotOpening(12, proof), BallotOpening(-1, proof)
    assert opening_refusal(data, beyond) == "index 12 is outside a ring of 12 keys"
    assert opening_refusal(data, below) == "index -1 is outside a ring of 12 keys"
    assert opening_refusal(data, BallotOpening(5, proof[:63])) == "63 bytes instead of 64"
    overflow = int(int.from_bytes(proof[32:], "little") + ORDER).to_bytes(32, "little")
    not_canonical = BallotOpening(5, proof[:32] + overflow)
    assert opening_refusal(data, not_canonical) == "scalar: not below the group order"
    broken = data[:-1] + bytes([data[-1] ^ 1])
    assert opening_refusal(broken, opening).startswith(("ballot: ", "scalar: "))
    other = BallotContext(CHAIN_ID, 6, 2)
    assert opening_refusal(data, opening, other) == "context: ballot for another height or round"


def test_nobody_else_can_open_9_7() -> None:
    ballot = verify_ballot(ballot_of(5), RING, CONTEXT)
    with pytest.raises(ProvingError, match="not the opener of the ballot's ring"):
        open_ballot(ballot, KEYS[5])
