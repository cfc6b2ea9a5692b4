"""Openings by t officers, and the one encoding of both forms (IDX1 9.7, BFT-12 17)."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from crypto.ballot import (
    BallotContext,
    BallotKey,
    BallotOpening,
    BallotRing,
    Decision,
    join_opening,
    open_ballot,
    open_partially,
    sign_ballot,
    verify_ballot,
    verify_ballot_opening,
)
from crypto.ballot_opening import MAX_OPENING_BYTES
from crypto.errors import OpeningInvalid, ProvingError
from crypto.opener_shares import OpenerShare, split_opener
from crypto.randomness import Coins

CONTEXT = BallotContext(bytes(range(32)), 5, 2)
KEYS = [BallotKey(1000 + index) for index in range(12)]
OPENER = BallotKey(77)
RING = BallotRing(OPENER.public, [key.public for key in KEYS])
SHARES = split_opener(OPENER, 3, 5, Coins(b"officers").take)
DATA = sign_ballot(KEYS[5], RING, CONTEXT, b"\x07" * 32, Decision.REJECT)
BALLOT = verify_ballot(DATA, RING, CONTEXT)
OTHER_DATA = sign_ballot(KEYS[6], RING, CONTEXT, b"\x07" * 32, Decision.REJECT)
PARTIALS = tuple(open_partially(BALLOT, share, Coins(b"%d" % share.index).take) for share in SHARES)
OPENING = join_opening(BALLOT, PARTIALS[:3])
WHOLE = open_ballot(BALLOT, OPENER, Coins(b"whole").take)


def refused(opening: BallotOpening, data: bytes = DATA, context: BallotContext = CONTEXT) -> str:
    with pytest.raises(OpeningInvalid) as caught:
        verify_ballot_opening(data, opening, RING, context)
    return str(caught.value)


def test_section_17_three_of_five_officers_name_the_signer_in_any_order() -> None:
    assert (OPENING.index, OPENING.proof) == (5, PARTIALS[:3])
    verify_ballot_opening(DATA, OPENING, RING, CONTEXT)
    backwards = join_opening(BALLOT, [PARTIALS[4], PARTIALS[0], PARTIALS[2]])
    assert backwards == BallotOpening(5, (PARTIALS[0], PARTIALS[2], PARTIALS[4]))
    verify_ballot_opening(DATA, backwards, RING, CONTEXT)


def test_section_17_two_officers_cannot() -> None:
    with pytest.raises(ProvingError, match=r"officers \[1, 2\] are not the opener's key"):
        join_opening(BALLOT, PARTIALS[:2])
    expected = "the share keys of officers [1, 2] are not the opener's key"
    assert refused(BallotOpening(5, PARTIALS[:2])) == expected


def test_section_17_an_opening_names_the_signer_alone() -> None:
    for index in (0, 4, 6, 11):
        assert refused(replace(OPENING, index=index)) == "the decryption names another signer"
    assert refused(replace(OPENING, index=12)) == "index 12 is outside a ring of 12 keys"
    assert refused(OPENING, OTHER_DATA) == "officer 1: the challenge is another one"
    other_view = BallotContext(CONTEXT.chain_id, 5, 3)
    assert refused(OPENING, context=other_view) == "context: ballot for another height or round"
    damaged = DATA[:-1] + bytes([DATA[-1] ^ 1])
    assert refused(OPENING, damaged).startswith(("ballot: ", "scalar: "))


def test_section_17_a_part_for_one_ballot_serves_no_other() -> None:
    other = verify_ballot(OTHER_DATA, RING, CONTEXT)
    mixed = [*PARTIALS[:2], open_partially(other, SHARES[2])]
    with pytest.raises(ProvingError, match="officer 3: the challenge is another one"):
        join_opening(BALLOT, mixed)


def test_section_17_a_single_officer_has_both_forms() -> None:
    sole = join_opening(BALLOT, [open_partially(BALLOT, OpenerShare.whole(OPENER))])
    verify_ballot_opening(DATA, sole, RING, CONTEXT)
    verify_ballot_opening(DATA, WHOLE, RING, CONTEXT)
    assert (sole.index, WHOLE.index) == (5, 5)


def test_section_17_verdicts_are_functions() -> None:
    """No random number is drawn, so every bank comes to the same verdict on a piece of evidence."""
    for _ in range(3):
        assert refused(replace(WHOLE, index=4)) == "the challenge is another one"


def test_one_encoding_for_both_forms() -> None:
    whole, by_officers = WHOLE.encode(), OPENING.encode()
    assert (len(whole), len(by_officers)) == (65, 1 + 1 + 3 * 257)
    assert MAX_OPENING_BYTES == 2 + 16 * 257
    assert BallotOpening.decode(whole) == WHOLE
    assert BallotOpening.decode(by_officers) == OPENING
    for damaged in (b"", b"\x05", whole[:-1], by_officers[:-1], by_officers + b"\x00"):
        with pytest.raises(OpeningInvalid):
            BallotOpening.decode(damaged)


def test_the_bytes_of_openings_are_pinned() -> None:
    digest = hashlib.sha256(WHOLE.encode() + OPENING.encode()).hexdigest()
    assert digest == "a7cb4c7606c8ae9c9f01676c5866158970de10de1a1134ab5b67cd77d6abb9a3"
