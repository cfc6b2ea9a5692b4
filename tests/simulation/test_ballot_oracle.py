"""The oracle's ballots: laid out like real ones, unforgeable, and countable by the real opener."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crypto.ballot import Decision, ballot_bytes
from crypto.ballot_tally import EMPTY_SUM, add_ciphertexts, prove_tally, verify_tally
from crypto.errors import OpeningInvalid
from node.ledger.active_set import ActiveSet
from node.ledger.ballots import VerifiedBallot, ballot_height, ballot_message, ballot_view
from node.ledger.genesis import verify_genesis_keys
from node.ledger.rejection import Reason, Rejection
from node.ledger.types import BankIndex, BlockId, Height, View
from node.simulation.ballot_oracle import (
    BallotOracle,
    ballot_key,
    ballot_signer_of,
    opener_key,
)
from node.simulation.genesis import make_genesis

GENESIS = make_genesis(12)
BLOCK = BlockId(bytes(range(32)))
HEIGHT, VIEW = Height(7), View(2)


@pytest.fixture
def oracle() -> BallotOracle:
    return BallotOracle(GENESIS.chain_id)


def active_set(*banks: int) -> ActiveSet:
    return GENESIS.active_set([BankIndex(bank) for bank in banks or range(12)])


def cast(bank: int, *, view: View = VIEW, height: Height = HEIGHT, approve: bool = True) -> bytes:
    signer = ballot_signer_of(bank, GENESIS.chain_id)
    return signer.sign_ballot(active_set(), height, view, BLOCK, approve=approve)


def judge(oracle: BallotOracle, raw: bytes) -> VerifiedBallot | Rejection:
    return oracle.verify([raw], height=HEIGHT, view=VIEW, active_set=active_set())[0]


def reason(oracle: BallotOracle, raw: bytes) -> Reason:
    verdict = judge(oracle, raw)
    assert isinstance(verdict, Rejection)
    return verdict.reason


def test_the_simulated_keys_are_registered_as_real_ones_are() -> None:
    verify_genesis_keys(GENESIS)
    assert [bank.ballot_key for bank in GENESIS.banks] == [
        ballot_key(bank).public for bank in range(12)
    ]
    assert GENESIS.opener_key == opener_key().public


@pytest.mark.parametrize("approve", [True, False])
def test_section_9_3_a_ballot_says_what_a_real_one_says(
    oracle: BallotOracle, approve: bool
) -> None:
    raw = cast(3, approve=approve)
    decision = Decision.APPROVE if approve else Decision.REJECT
    assert len(raw) == ballot_bytes(12) == 1391
    assert (ballot_height(raw), ballot_view(raw)) == (HEIGHT, VIEW)
    assert ballot_message(raw) == BLOCK + decision.value
    verdict = judge(oracle, raw)
    assert isinstance(verdict, VerifiedBallot)
    assert (verdict.block_id, verdict.decision) == (BLOCK, decision)
    assert (verdict.raw, verdict.set_hash) == (raw, active_set().set_hash)
    assert oracle.voter(raw, active_set()) == 3


def test_section_17_a_bank_has_one_tag_in_a_view_and_repeats_the_same_bytes(
    oracle: BallotOracle,
) -> None:
    tags = set()
    for bank in range(12):
        verdict = judge(oracle, cast(bank))
        again = judge(oracle, cast(bank, approve=False))
        assert isinstance(verdict, VerifiedBallot) and isinstance(again, VerifiedBallot)
        assert verdict.tag == again.tag
        tags.add(verdict.tag)
        assert cast(bank) == ballot_signer_of(bank, GENESIS.chain_id).sign_ballot(
            active_set(), HEIGHT, VIEW, BLOCK, approve=True
        )
    assert len(tags) == 12


def test_section_9_6_what_the_oracle_did_not_make_in_this_context_is_refused(
    oracle: BallotOracle,
) -> None:
    raw = cast(0)
    assert isinstance(judge(oracle, raw), VerifiedBallot)
    assert reason(oracle, b"") is Reason.LENGTH
    assert reason(oracle, raw[:-1]) is Reason.LENGTH
    assert reason(oracle, raw + b"0") is Reason.TRAILING
    assert reason(oracle, cast(0, view=View(1))) is Reason.CONTEXT
    assert reason(oracle, cast(0, height=Height(8))) is Reason.CONTEXT
    for position in (79, 175, 271, 367, len(raw) - 1):
        changed = raw[:position] + bytes([raw[position] ^ 1]) + raw[position + 1 :]
        assert reason(oracle, changed) is Reason.BALLOT
    tag_of_another = raw[:79] + cast(1)[79:175] + raw[175:]
    assert reason(oracle, tag_of_another) is Reason.BALLOT


def test_section_9_2_a_ballot_is_of_one_ring_alone(oracle: BallotOracle) -> None:
    raw = cast(0)
    smaller = active_set(*range(11))
    other_keys = replace(active_set(), opener_key=ballot_key(0).public)
    for ring in (smaller, other_keys):
        verdict = oracle.verify([raw], height=HEIGHT, view=VIEW, active_set=ring)[0]
        assert isinstance(verdict, Rejection)
    outsider = ballot_signer_of(11, GENESIS.chain_id)
    cast_outside = outsider.sign_ballot(smaller, HEIGHT, VIEW, BLOCK, approve=True)
    verdict = oracle.verify([cast_outside], height=HEIGHT, view=VIEW, active_set=smaller)[0]
    assert isinstance(verdict, Rejection)
    assert verdict.reason is Reason.BALLOT


def test_section_18_the_real_opener_counts_the_oracles_ballots(oracle: BallotOracle) -> None:
    total, counts = EMPTY_SUM, [0] * 12
    for height in range(1, 9):
        ballots = [cast(bank, height=Height(height)) for bank in range(12) if bank != height]
        verdicts = oracle.verify(ballots, height=Height(height), view=VIEW, active_set=active_set())
        verified = [item for item in verdicts if isinstance(item, VerifiedBallot)]
        total = add_ciphertexts(total, [item.ciphertext for item in verified])
        for bank in range(12):
            counts[bank] += bank != height
    claimed = [(bank.ballot_key, counts[bank.index]) for bank in GENESIS.banks]
    proof = prove_tally(total, claimed, opener_key(), b"statement")
    verify_tally(total, claimed, GENESIS.opener_key, b"statement", proof)


def test_section_9_7_an_opening_names_the_bank_and_no_other(oracle: BallotOracle) -> None:
    raw = cast(5)
    opening = oracle.open(raw, active_set())
    assert opening.index == 5
    oracle.verify_opening(raw, opening, active_set())
    for false in (replace(opening, index=4), replace(opening, index=12)):
        with pytest.raises(OpeningInvalid):
            oracle.verify_opening(raw, false, active_set())
    with pytest.raises(OpeningInvalid, match="challenge"):
        oracle.verify_opening(raw, replace(opening, proof=bytes(64)), active_set())
    with pytest.raises(OpeningInvalid):
        oracle.verify_opening(cast(5, approve=False), opening, active_set())


def test_the_coins_are_few() -> None:
    assert len({cast(1, height=Height(h))[175:367] for h in range(1, 60)}) == 4
