"""Verified ballots and the certificate that is published about a block (BFT-12 17, IDX1 9)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.ballot_proof import CONTEXT_BYTES, HEAD_BYTES
from node.ledger.active_set import ActiveSet
from node.ledger.ballots import (
    BallotCertificate,
    Decision,
    VerifiedBallot,
    ballot_height,
    ballot_message,
    ballot_tag,
    ballot_view,
    verify_ballot_certificate,
    verify_ballots,
    verify_parent_ballots,
)
from node.ledger.blocks import MAX_BALLOT_BYTES
from node.ledger.encoding import MalformedEncoding
from node.ledger.rejection import Reason, Rejection
from node.ledger.types import BlockId, Height, View
from tests.ledger import booth
from tests.ledger.chain import Chain, make_genesis, refusal


@pytest.fixture(scope="module")
def tip() -> Chain:
    """Six banks, a quorum of five, one block; do not change."""
    chain = Chain(make_genesis(banks=6))
    chain.seal()
    return chain


def ballot(tip: Chain, bank: int, view: int = 3, decision: Decision = Decision.APPROVE) -> bytes:
    return booth.cast(tip.parent_set, tip.header, bank, view, decision)


def judged(tip: Chain, *raws: bytes, view: int = 3) -> tuple[VerifiedBallot | Rejection, ...]:
    return verify_ballots(
        raws,
        chain_id=tip.genesis.chain_id,
        height=tip.height,
        view=View(view),
        active_set=tip.parent_set,
    )


def reasons(verdicts: tuple[VerifiedBallot | Rejection, ...]) -> list[Reason | None]:
    return [item.reason if isinstance(item, Rejection) else None for item in verdicts]


def forged(raw: bytes) -> bytes:
    return raw[:-1] + bytes([raw[-1] ^ 1])


def test_a_verified_ballot_says_what_was_signed(tip: Chain) -> None:
    raw = ballot(tip, 2, decision=Decision.REJECT)
    (verdict,) = judged(tip, raw)
    assert isinstance(verdict, VerifiedBallot)
    assert (verdict.raw, verdict.set_hash) == (raw, tip.parent_set.set_hash)
    assert (verdict.height, verdict.view, verdict.block_id) == (1, 3, tip.header.block_id)
    assert verdict.decision is Decision.REJECT
    assert verdict.tag + verdict.ciphertext == raw[HEAD_BYTES : HEAD_BYTES + 3 * 96]
    assert verdict.leaf_hash == hashlib.sha256(b"\x00" + raw).digest()
    assert (ballot_height(raw), ballot_view(raw), ballot_tag(raw)) == (1, 3, verdict.tag)
    assert ballot_message(raw) == tip.header.block_id + b"R"


def test_nobody_else_makes_a_verified_ballot(tip: Chain) -> None:
    with pytest.raises(TypeError):
        VerifiedBallot(ballot(tip, 0), tip.parent_set.set_hash, object())


@pytest.mark.parametrize("read", [ballot_height, ballot_view, ballot_tag, ballot_message])
def test_bytes_that_are_too_short_say_nothing(read: Callable[[bytes], object]) -> None:
    with pytest.raises(Rejection) as error:
        read(bytes(CONTEXT_BYTES - 5))
    assert error.value.reason is Reason.LENGTH


def test_section_17_bad_ballots_are_named_and_spoil_no_other(tip: Chain) -> None:
    raws = [ballot(tip, 0), forged(ballot(tip, 1)), b"", ballot(tip, 2, view=4), ballot(tip, 3)]
    raws += [forged(ballot(tip, 4)), ballot(tip, 3, decision=Decision.REJECT)]
    verdicts = judged(tip, *raws)
    assert reasons(verdicts) == [
        None, Reason.BALLOT, Reason.LENGTH, Reason.CONTEXT, None, Reason.BALLOT, None,
    ]  # fmt: skip
    assert [item.raw for item in verdicts if isinstance(item, VerifiedBallot)] == [
        raws[0],
        raws[4],
        raws[6],
    ]
    assert judged(tip) == ()


@settings(max_examples=25)
@given(order=st.permutations(range(6)), bad=st.sets(st.integers(0, 5)))
def test_a_verdict_does_not_depend_on_its_neighbours(
    tip: Chain, order: list[int], bad: set[int]
) -> None:
    raws = [forged(ballot(tip, bank)) if bank in bad else ballot(tip, bank) for bank in order]
    assert reasons(judged(tip, *raws)) == [Reason.BALLOT if bank in bad else None for bank in order]


def test_section_17_judging_is_a_function_of_the_bytes(tip: Chain) -> None:
    """No randomness: weights are a hash of the batch."""
    raws = [ballot(tip, bank) for bank in range(4)]
    assert judged(tip, *raws) == judged(tip, *raws)


def test_a_parents_ballots_are_judged_in_the_views_they_name(tip: Chain) -> None:
    """That it is one view is the voting record's rule; a proof holds or not."""
    raws = [ballot(tip, 0, view=1), b"\x01", forged(ballot(tip, 1)), ballot(tip, 2, view=9)]
    verdicts = verify_parent_ballots(raws, tip.header, tip.parent_set)
    assert reasons(verdicts) == [None, Reason.LENGTH, Reason.BALLOT, None]
    elsewhere = replace(tip.header, height=Height(2))
    assert reasons(verify_parent_ballots(raws[:1], elsewhere, tip.parent_set)) == [Reason.CONTEXT]
    other_chain = replace(tip.header, chain_id=bytes(32))
    assert reasons(verify_parent_ballots(raws[:1], other_chain, tip.parent_set)) == [Reason.CHAIN]


def certificate(tip: Chain, **changes: object) -> BallotCertificate:
    raws = sorted([ballot(tip, bank) for bank in range(5)], key=ballot_tag)
    published = BallotCertificate(tip.height, View(3), tip.header.block_id, tuple(raws))
    return replace(published, **changes)  # type: ignore[arg-type]


def test_section_17_a_certificate_proves_the_seal_to_anybody(tip: Chain) -> None:
    published = certificate(tip)
    verified = verify_ballot_certificate(published, tip.genesis.chain_id, tip.parent_set)
    assert [item.raw for item in verified] == list(published.ballots)
    assert len({item.tag for item in verified}) == tip.parent_set.quorum


def test_section_17_certificates_that_prove_nothing(tip: Chain) -> None:
    good = certificate(tip).ballots
    sixth = sorted([*good, ballot(tip, 5)], key=ballot_tag)
    rejecting = sorted(
        [*[ballot(tip, bank) for bank in range(4)], ballot(tip, 4, decision=Decision.REJECT)],
        key=ballot_tag,
    )
    mixed = sorted(
        [*[ballot(tip, bank) for bank in range(4)], ballot(tip, 4, view=4)], key=ballot_tag
    )
    cases: list[tuple[BallotCertificate, Reason, str]] = [
        (certificate(tip, ballots=good[:4]), Reason.BALLOTS, "4 ballots, exactly 5 are required"),
        (
            certificate(tip, ballots=tuple(sixth)),
            Reason.BALLOTS,
            "6 ballots, exactly 5 are required",
        ),
        (
            certificate(tip, ballots=(*good[:4], good[3])),
            Reason.BALLOTS,
            "the tags are not in strictly increasing order",
        ),
        (
            certificate(tip, ballots=good[::-1]),
            Reason.BALLOTS,
            "the tags are not in strictly increasing order",
        ),
        (
            certificate(tip, ballots=tuple(rejecting)),
            Reason.BALLOTS,
            "a ballot is not an approval of this block",
        ),
        (
            certificate(tip, block_id=BlockId(b"b" * 32)),
            Reason.BALLOTS,
            "a ballot is not an approval of this block",
        ),
        (
            certificate(tip, ballots=tuple(mixed)),
            Reason.CONTEXT,
            "ballot for another height or round",
        ),
        (certificate(tip, view=View(2)), Reason.CONTEXT, "ballot for another height or round"),
        (certificate(tip, height=Height(2)), Reason.CONTEXT, "ballot for another height or round"),
        (
            certificate(tip, ballots=(*good[:4], forged(good[4]))),
            Reason.BALLOT,
            "an equation does not hold",
        ),
    ]
    for published, reason, message in cases:
        with pytest.raises(Rejection) as error:
            verify_ballot_certificate(published, tip.genesis.chain_id, tip.parent_set)
        assert refusal(error.value) == (reason, message, None)


def test_section_17_a_certificate_counts_under_its_own_active_set(tip: Chain) -> None:
    def refused(chain_id: bytes, active_set: ActiveSet) -> Reason:
        with pytest.raises(Rejection) as error:
            verify_ballot_certificate(certificate(tip), chain_id, active_set)
        return error.value.reason

    smaller = tip.genesis.active_set(booth.without(tip.parent_set, [5]))
    assert smaller.quorum == tip.parent_set.quorum
    assert refused(tip.genesis.chain_id, smaller) is Reason.TRAILING
    assert refused(b"c" * 32, tip.parent_set) is Reason.CHAIN


certificates = st.builds(
    BallotCertificate,
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**32 - 1),
    st.binary(min_size=32, max_size=32),
    st.lists(st.binary(max_size=40), max_size=16).map(tuple),
)


@given(certificates)
def test_certificates_round_trip(published: BallotCertificate) -> None:
    assert BallotCertificate.decode(published.encode()) == published


@given(certificates, st.data())
def test_other_bytes_are_no_or_another_certificate(
    published: BallotCertificate, data: st.DataObject
) -> None:
    encoded = bytearray(published.encode())
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        decoded = BallotCertificate.decode(bytes(encoded))
    except MalformedEncoding:
        pass
    else:
        assert decoded != published
        assert decoded.encode() == bytes(encoded)
    cut = data.draw(st.integers(0, len(encoded) - 1))
    for wrong in (published.encode()[:cut], published.encode() + b"\x00"):
        with pytest.raises(MalformedEncoding):
            BallotCertificate.decode(wrong)


def test_a_certificate_is_bounded(tip: Chain) -> None:
    """At most sixteen ballots of at most the largest ring's size."""
    assert len(BallotCertificate.decode(certificate(tip).encode()).ballots) == 5
    for ballots in ((b"",) * 17, (bytes(MAX_BALLOT_BYTES + 1),)):
        with pytest.raises(MalformedEncoding):
            BallotCertificate.decode(certificate(tip, ballots=ballots).encode())
