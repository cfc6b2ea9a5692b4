"""The opener's key among officers: dealing, partial decryptions, combination (BFT-12 17, 18)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.ballot_keys import BallotKey, vote_key_base
from crypto.curve import encode_point, identity, multiply
from crypto.errors import (
    DecryptionInvalid,
    IdentityPoint,
    ProvingError,
    Rejected,
    ShareInvalid,
)
from crypto.opener_shares import (
    MAX_OFFICERS,
    MAX_PARTIALS_BYTES,
    PARTIAL_BYTES,
    OpenerShare,
    PartialDecryption,
    combine_partials,
    deal,
    dealt_opener_key,
    dealt_share_key,
    decode_element,
    decode_partials,
    decrypt_partially,
    encode_element,
    encode_partials,
    join_dealings,
    split_opener,
    verify_dealt,
    verify_partial,
)
from crypto.randomness import Coins
from crypto.scalar import ORDER

OPENER = BallotKey(77)
BASE = encode_point(vote_key_base().multiply(4711))
STATEMENT = b"what the decryption is for"
DECRYPTED = multiply(decode_element(BASE), 77)
ORDER_3_POINT = bytes(95) + b"\x02"
"""x = 0, y = 2: on the curve, of order 3."""


def coins(name: str = "officers") -> Coins:
    return Coins(name.encode())


SHARES = split_opener(OPENER, 3, 5, coins().take)
PARTIALS = tuple(
    decrypt_partially(BASE, share, STATEMENT, coins(f"{share.index}").take) for share in SHARES
)


def refused(act: Callable[[], object]) -> str:
    with pytest.raises(DecryptionInvalid) as caught:
        act()
    return str(caught.value)


def combined(*indices: int, statement: bytes = STATEMENT, base: bytes = BASE) -> object:
    chosen = [PARTIALS[index - 1] for index in indices]
    return combine_partials(chosen, OPENER.public, base, statement)


def test_any_three_of_five_officers_decrypt_and_no_two() -> None:
    for size in (3, 4, 5):
        for indices in combinations(range(1, 6), size):
            assert combined(*indices) == DECRYPTED
    for indices in combinations(range(1, 6), 2):
        message = f"the share keys of officers {list(indices)} are not the opener's key"
        assert refused(lambda indices=indices: combined(*indices)) == message


def test_the_whole_key_is_the_case_of_one_officer() -> None:
    whole = OpenerShare.whole(OPENER)
    assert (whole.index, whole.public) == (1, OPENER.public)
    partial = decrypt_partially(BASE, whole, STATEMENT)
    assert combine_partials([partial], OPENER.public, BASE, STATEMENT) == DECRYPTED
    assert split_opener(OPENER, 1, 1) == (whole,)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_every_threshold_of_every_number_of_officers(data: st.DataObject) -> None:
    officers = data.draw(st.integers(1, MAX_OFFICERS))
    threshold = data.draw(st.integers(1, officers))
    opener = BallotKey(data.draw(st.integers(1, int(ORDER) - 1)))
    shares = split_opener(opener, threshold, officers)
    assert [share.index for share in shares] == list(range(1, officers + 1))
    chosen = data.draw(st.sets(st.sampled_from(shares), min_size=threshold, max_size=threshold))
    partials = [
        decrypt_partially(BASE, share, STATEMENT)
        for share in sorted(chosen, key=lambda share: share.index)
    ]
    expected = multiply(decode_element(BASE), opener.secret)
    assert combine_partials(partials, opener.public, BASE, STATEMENT) == expected


def test_nobody_needs_to_hold_the_key() -> None:
    """Three dealers, each his own secret; officers add up what they were dealt."""
    dealings = [deal(BallotKey(100 + dealer), 2, 3) for dealer in range(3)]
    published = [dealing.commitments for dealing in dealings]
    for dealing in dealings:
        for index, value in enumerate(dealing.values, 1):
            verify_dealt(dealing.commitments, index, value)
    shares = [
        join_dealings(index, [dealing.values[index - 1] for dealing in dealings])
        for index in (1, 2, 3)
    ]
    opener = BallotKey(100 + 101 + 102)
    assert dealt_opener_key(published) == opener.public
    assert [dealt_share_key(published, index) for index in (1, 2, 3)] == [
        share.public for share in shares
    ]
    partials = [decrypt_partially(BASE, share, STATEMENT) for share in shares[1:]]
    expected = multiply(decode_element(BASE), opener.secret)
    assert combine_partials(partials, opener.public, BASE, STATEMENT) == expected


def test_an_officer_notices_a_dealer_who_lies() -> None:
    dealing = deal(OPENER, 2, 3)
    for index, value in ((1, dealing.values[0] + 1), (2, dealing.values[0])):
        with pytest.raises(ShareInvalid, match=f"officer {index} was dealt is not"):
            verify_dealt(dealing.commitments, index, value)
    with pytest.raises(ShareInvalid, match="officer 0 is outside"):
        verify_dealt(dealing.commitments, 0, OPENER.secret)
    with pytest.raises(ShareInvalid, match="a commitment: subgroup"):
        verify_dealt((dealing.commitments[0], ORDER_3_POINT), 1, dealing.values[0])


def test_dealings_that_cancel_out_are_no_key() -> None:
    cancelling = [deal(BallotKey(5), 1, 1), deal(BallotKey(int(ORDER) - 5), 1, 1)]
    with pytest.raises(IdentityPoint):
        dealt_opener_key([dealing.commitments for dealing in cancelling])
    with pytest.raises(ValueError, match="a vote key lies between"):
        join_dealings(1, [dealing.values[0] for dealing in cancelling])


@pytest.mark.parametrize(("threshold", "officers"), [(0, 3), (4, 3), (1, 17), (1, 0)])
def test_impossible_numbers_of_officers(threshold: int, officers: int) -> None:
    with pytest.raises(ValueError, match="officers, at most 16"):
        split_opener(OPENER, threshold, officers)


@pytest.mark.parametrize("index", [0, 17])
def test_an_officers_index_is_between_1_and_16(index: int) -> None:
    with pytest.raises(ValueError, match=r"is outside 1 \.\. 16"):
        OpenerShare(index, OPENER)


def test_a_partial_proves_one_decryption_for_one_statement() -> None:
    first, second, *_ = PARTIALS
    other_base = encode_point(vote_key_base().multiply(4712))
    elsewhere = "the challenge is another one"
    assert refused(lambda: verify_partial(first, BASE, b"other")) == f"officer 1: {elsewhere}"
    assert (
        refused(lambda: verify_partial(first, other_base, STATEMENT)) == f"officer 1: {elsewhere}"
    )
    for damaged in (
        replace(first, index=2),
        replace(first, share_key=second.share_key),
        replace(first, point=second.point),
        replace(first, point=bytes(96)),
        replace(first, proof=second.proof),
    ):
        message = refused(lambda damaged=damaged: verify_partial(damaged, BASE, STATEMENT))
        assert message == f"officer {damaged.index}: {elsewhere}"


def test_malformed_partials_are_refused_for_their_reason() -> None:
    first = PARTIALS[0]
    overflow = int(ORDER).to_bytes(32, "little")
    for damaged, message in (
        (
            replace(first, share_key=bytes(96)),
            "officer 1: identity: the identity is no valid point",
        ),
        (
            replace(first, share_key=ORDER_3_POINT),
            "officer 1: subgroup: outside the subgroup of prime order",
        ),
        (
            replace(first, point=ORDER_3_POINT),
            "officer 1: subgroup: outside the subgroup of prime order",
        ),
        (
            replace(first, proof=overflow + first.proof[32:]),
            "officer 1: scalar: not below the group order",
        ),
        (replace(first, index=0), "officer 0 is outside 1 .. 16"),
        (replace(first, index=17), "officer 17 is outside 1 .. 16"),
    ):
        assert refused(lambda it=damaged: verify_partial(it, BASE, STATEMENT)) == message


def test_an_officer_counts_once() -> None:
    assert refused(lambda: combined(1, 1, 2)).endswith("are not in strictly increasing order")
    assert refused(lambda: combined(2, 1, 3)).endswith("are not in strictly increasing order")
    assert refused(lambda: combined()) == "0 partials are outside 1 .. 16"


def test_what_is_wrong_with_the_keys_is_said_before_any_proof_is_looked_at() -> None:
    """So that who has no share cannot make a bank verify sixteen proofs."""
    first, second, third, *_ = PARTIALS
    for chosen, message in (
        ([replace(first, index=0), second], "officers [0, 2] are not all in 1 .. 16"),
        ([first, replace(second, index=17)], "officers [1, 17] are not all in 1 .. 16"),
        (
            [replace(first, share_key=ORDER_3_POINT), second],
            "a share key: subgroup: outside the subgroup of prime order",
        ),
        (
            [replace(first, proof=bytes(64)), second],
            "the share keys of officers [1, 2] are not the opener's key",
        ),
        (
            [first, replace(second, proof=bytes(64)), replace(third, proof=bytes(64))],
            "officer 2: the challenge is another one",
        ),
    ):
        found = refused(
            lambda chosen=chosen: combine_partials(chosen, OPENER.public, BASE, STATEMENT)
        )
        assert found == message


@settings(deadline=None)
@given(st.binary(max_size=600))
def test_any_bytes_are_partials_or_are_refused(data: bytes) -> None:
    try:
        partials = decode_partials(data)
    except DecryptionInvalid:
        return
    assert encode_partials(partials) == data


def test_shares_of_another_key_do_not_combine() -> None:
    """Also not those of a key whose owner chose them to lead to Y at some other place."""
    strangers = split_opener(BallotKey(78), 3, 5)
    partials = [decrypt_partially(BASE, share, STATEMENT) for share in strangers[:3]]
    message = refused(lambda: combine_partials(partials, OPENER.public, BASE, STATEMENT))
    assert message == "the share keys of officers [1, 2, 3] are not the opener's key"
    opposite = [OpenerShare(1, BallotKey(5)), OpenerShare(2, BallotKey(10))]
    vanishing = [decrypt_partially(BASE, share, STATEMENT) for share in opposite]
    message = refused(lambda: combine_partials(vanishing, OPENER.public, BASE, STATEMENT))
    assert message == "the share keys of officers [1, 2] are not the opener's key"


def test_the_identity_decrypts_to_the_identity() -> None:
    """An empty sum has one; the proof still takes the key."""
    nothing = bytes(96)
    partial = decrypt_partially(nothing, OpenerShare.whole(OPENER), STATEMENT)
    assert partial.point == nothing
    assert combine_partials([partial], OPENER.public, nothing, STATEMENT) == identity()
    stranger = decrypt_partially(nothing, OpenerShare.whole(BallotKey(78)), STATEMENT)
    forged = replace(stranger, share_key=OPENER.public)
    message = refused(lambda: combine_partials([forged], OPENER.public, nothing, STATEMENT))
    assert message == "officer 1: the challenge is another one"


def test_nothing_is_decrypted_that_is_no_element() -> None:
    for data in (ORDER_3_POINT, b"\xff" * 96):
        with pytest.raises(ProvingError):
            decrypt_partially(data, OpenerShare.whole(OPENER), STATEMENT)
        with pytest.raises(Rejected):
            decode_element(data)
    assert encode_element(decode_element(BASE)) == BASE
    assert encode_element(decode_element(bytes(96))) == bytes(96)


def test_encoding_of_partials() -> None:
    data = encode_partials(PARTIALS)
    assert len(data) == 1 + 5 * PARTIAL_BYTES == 1_286
    assert MAX_PARTIALS_BYTES == 1 + 16 * 257
    assert decode_partials(data) == PARTIALS
    assert PartialDecryption.decode(data[1:258]) == PARTIALS[0]
    for damaged in (
        b"",
        b"\x00",
        b"\x11" + data[1:],
        data[:-1],
        data + b"\x00",
        b"\x04" + data[1:],
    ):
        with pytest.raises(DecryptionInvalid):
            decode_partials(damaged)
    with pytest.raises(DecryptionInvalid, match="257 bytes, not 256"):
        PartialDecryption.decode(data[1:257])
    for count in (0, 17):
        with pytest.raises(ValueError, match=r"partials are outside 1 \.\. 16"):
            encode_partials(PARTIALS[:1] * count)


def test_the_bytes_of_partials_are_pinned() -> None:
    digest = hashlib.sha256(encode_partials(PARTIALS)).hexdigest()
    assert digest == "9d50cd821f50e5015f5b2017a70770cf5b7896c6b7f972db233130cd6198422a"


def test_nothing_secret_is_shown() -> None:
    dealing = deal(OPENER, 2, 3)
    secrets = [share.key.secret for share in SHARES] + list(dealing.values)
    shown = repr(SHARES) + repr(dealing)
    assert not any(str(secret) in shown for secret in secrets)
