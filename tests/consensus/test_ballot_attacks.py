"""BFT-12 section 17 under attack, with the real ballots of IDX1 section 9 and real openings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.ballot import BallotContext, BallotOpening, verify_ballot
from crypto.ballot_opening import open_ballot
from node.consensus.certificates import CertificateInvalid, SignatureEntry, verify_seal
from node.consensus.effects import (
    Alarm,
    AlarmKind,
    Apply,
    BuildBlock,
    ExamineEvidence,
    KeepBallots,
)
from node.consensus.events import EvidenceExamined, WorkDue, WorkKind
from node.consensus.evidence_items import DoubleBallot, EvidenceItem, encode_item
from node.consensus.evidence_verification import (
    BallotJudge,
    RingBallotJudge,
    verify_evidence,
)
from node.consensus.messages import Evidence, Seal
from node.consensus.signatures import RingBallotSigner
from node.ledger import ballots
from node.ledger.active_set import ActiveSet
from node.ledger.ballots import (
    VerifiedBallot,
    ballot_tag,
    verify_ballot_certificate,
    verify_ballots,
)
from node.ledger.blocks import Block
from node.ledger.offences import Offence, OffenceClass
from node.ledger.rejection import Reason, Rejection
from node.ledger.state_records import PunishedOffence
from node.ledger.types import BankIndex, Height, View
from node.simulation.ballot_oracle import BallotOracle, ballot_key, opener_key
from tests.consensus.consortium import Consortium, Desk
from tests.consensus.toy_ledger import CHAIN_ID


@cache
def signer_of(bank: int) -> RingBallotSigner:
    return RingBallotSigner(ballot_key(bank), CHAIN_ID)


class RealConsortium(Consortium):
    """Its ballots are the real ones."""

    def __init__(self, bank_count: int = 12, *, height: int = 1) -> None:
        super().__init__(bank_count, height=height)
        self.ballot_judge = RingBallotJudge(CHAIN_ID)

    def ballot_signer(self, bank: int) -> RingBallotSigner:
        return signer_of(bank)


C = RealConsortium(12)
BLOCK, OTHER = C.block(ids=[1]), C.block(ids=[2])
BALLOTS = [C.ballot(bank, BLOCK) for bank in C.banks]
SEAL = replace(C.seal(BLOCK), ballots=tuple(sorted(BALLOTS[:10], key=ballot_tag)))
ME = 11


def sorted_by_tag(*ballots: bytes) -> tuple[bytes, ...]:
    return tuple(sorted(ballots, key=ballot_tag))


def outcome(cast: tuple[bytes, ...]) -> str:
    """What a bank makes of a seal with good signatures and these ballots."""
    desk = Desk(C, ME)
    desk.receive(C.proposal(BLOCK), replace(SEAL, ballots=cast))
    if desk.all(Apply):
        assert not desk.core.status().last_refusal
        return "applied"
    return desk.core.status().last_refusal.removeprefix("bank 2: ")


def with_first(raw: bytes) -> tuple[bytes, ...]:
    """The ballots of a seal with another one in the place of the first bank's."""
    return sorted_by_tag(raw, *BALLOTS[1:10])


def cast_elsewhere(
    *,
    bank: int = 0,
    chain_id: bytes = CHAIN_ID,
    height: int = 1,
    view: int = 0,
    block: Block = BLOCK,
    approve: bool = True,
    active_set: ActiveSet = C.active_set,
) -> bytes:
    signer = RingBallotSigner(ballot_key(bank), chain_id)
    return signer.sign_ballot(
        active_set, Height(height), View(view), block.block_id, approve=approve
    )


def readdressed(raw: bytes) -> bytes:
    """A ballot of elsewhere under the head of one of here."""
    return BALLOTS[0][:79] + raw[79:]


OTHER_PLACE = "Seal: a ballot is of another chain, height, view or ring size"
OTHER_MESSAGE = "Seal: ballots: a ballot is not an approval of this block"
FALSE = "a seal with ballots that do not hold"


def test_ten_real_ballots_are_applied_and_prove_the_seal_to_anybody() -> None:
    assert outcome(SEAL.ballots) == "applied"
    verified = verify_ballot_certificate(SEAL.published(), CHAIN_ID, C.active_set)
    assert [ballot.raw for ballot in verified] == list(SEAL.ballots)


@pytest.mark.parametrize(
    ("replay", "refusal"),
    [
        (lambda: cast_elsewhere(height=2), OTHER_PLACE),
        (lambda: cast_elsewhere(view=1), OTHER_PLACE),
        (lambda: cast_elsewhere(chain_id=bytes(32)), OTHER_PLACE),
        (lambda: cast_elsewhere(approve=False), OTHER_MESSAGE),
        (lambda: cast_elsewhere(block=OTHER), OTHER_MESSAGE),
    ],
    ids=["height", "view", "chain", "decision", "block"],
)
def test_a_ballot_replayed_from_elsewhere_is_refused(
    replay: Callable[[], bytes], refusal: str
) -> None:
    assert outcome(with_first(replay())) == refusal
    assert outcome(with_first(readdressed(replay()))) == FALSE, "the proof binds the head"


def test_eleven_ballots_of_ten_banks_are_refused() -> None:
    """A bank's second ballot in a context has its tag, whatever it says."""
    again = readdressed(cast_elsewhere(block=OTHER))
    assert ballot_tag(again) == ballot_tag(BALLOTS[0])
    eleven = sorted_by_tag(*BALLOTS[:10], again)
    assert outcome(eleven) == "Seal: ballots: 11 ballots, exactly 10 are required"
    ten_of_nine = sorted_by_tag(*BALLOTS[:9], again)
    assert outcome(ten_of_nine) == ("Seal: ballots: the tags are not in strictly increasing order")
    other_tag = again[:79] + BALLOTS[10][79 : 79 + 96] + again[79 + 96 :]
    assert outcome(sorted_by_tag(*BALLOTS[:9], other_tag)) == FALSE


def test_a_seal_with_a_repeated_tag_is_refused() -> None:
    for cast in (
        (SEAL.ballots[0], *SEAL.ballots[:9]),
        (SEAL.ballots[0],) * 10,
        (*SEAL.ballots[:9], SEAL.ballots[8][:-1] + b"\0"),
    ):
        assert outcome(cast) == "Seal: ballots: the tags are not in strictly increasing order"


def test_ballots_of_two_views_are_not_counted_together() -> None:
    """The tag of a bank differs from view to view: five banks would be ten tags."""
    later = [C.ballot(bank, BLOCK, 1) for bank in range(5)]
    assert len({ballot_tag(raw) for raw in (*BALLOTS[:5], *later)}) == 10
    assert outcome(sorted_by_tag(*BALLOTS[:5], *later)) == OTHER_PLACE
    desk = Desk(C, ME)
    desk.receive(C.proposal(BLOCK), *[C.commit(bank, BLOCK) for bank in range(9)])
    desk.receive(*[replace(C.commit(9, BLOCK), ballot=later[0])])
    assert desk.broadcast() == []
    desk.receive(C.commit(10, BLOCK))
    (seal,) = desk.broadcast()
    assert isinstance(seal, Seal)
    assert seal.ballots == sorted_by_tag(*BALLOTS[:9], BALLOTS[10])


def test_the_ballot_of_a_deactivated_bank_is_none() -> None:
    """Revocation is a ring without the key: not even the right length is left."""
    smaller = ActiveSet(C.active_set.members[:11], C.active_set.opener_key)
    cast = [cast_elsewhere(bank=bank, active_set=smaller) for bank in range(10)]
    removed = cast_elsewhere(bank=11)
    inside = cast[0][:79] + removed[79 : len(cast[0])]
    certificate = replace(SEAL.published(), ballots=sorted_by_tag(*cast))
    assert len(verify_ballot_certificate(certificate, CHAIN_ID, smaller)) == 10
    for raw in (removed, inside):
        swapped = replace(certificate, ballots=sorted_by_tag(raw, *cast[1:]))
        with pytest.raises(Rejection) as caught:
            verify_ballot_certificate(swapped, CHAIN_ID, smaller)
        assert caught.value.reason is not Reason.BALLOTS
    assert outcome(with_first(cast[0])) == OTHER_PLACE, "nor is one of another ring's size"
    other_banks = ActiveSet((*C.active_set.members[:11],), BALLOTS[0][79 : 79 + 96])
    (verdict,) = verify_ballots(
        cast[:1], chain_id=CHAIN_ID, height=Height(1), view=View(0), active_set=other_banks
    )
    assert isinstance(verdict, Rejection), "nor of the same banks for another opener"


def test_ten_approvals_are_not_passed_off_as_finality() -> None:
    """The first phase has signatures and no ballots; neither makes a seal."""
    approvals = C.quorum_certificate(BLOCK).signatures
    disguised = replace(SEAL, signatures=approvals)
    with pytest.raises(CertificateInvalid, match=r"^signature of bank 0 does not verify$"):
        verify_seal(disguised, CHAIN_ID, C.active_set, C.verifier)
    votes = [C.approve(bank, BLOCK) for bank in range(10)]
    assert [vote.ballot for vote in votes] == [None] * 10
    desk = Desk(C, ME)
    desk.receive(C.proposal(BLOCK), disguised, C.quorum_certificate(BLOCK), *votes)
    assert desk.all(Apply) == []
    mixed = (*[SignatureEntry(c.bank, c.signature) for c in map(commit, range(9))], approvals[9])
    desk.receive(replace(SEAL, signatures=mixed), sender=3)
    assert desk.core.status().last_refusal == "bank 3: Seal: signature of bank 9 does not verify"


def commit(bank: int) -> SignatureEntry:
    return SignatureEntry(BankIndex(bank), C.commit(bank, BLOCK).signature)


def test_a_false_proof_under_a_true_head_costs_its_bank_nothing_but_its_tag() -> None:
    """Banks 0 and 1 send garbage, one of it under bank 2's tag; ten are correct."""
    leader = C.leader(0)
    desk = Desk(C, leader)
    desk.do(WorkDue(WorkKind.BIN))
    desk.build(BLOCK)
    desk.judge()
    others = [bank for bank in C.banks if bank != leader]
    desk.receive(*[C.approve(bank, BLOCK) for bank in others[:9]])
    copied = BALLOTS[others[2]][:-1] + b"\0"
    desk.receive(
        replace(C.commit(others[0], BLOCK), ballot=copied),
        replace(C.commit(others[1], BLOCK), ballot=bytes(1391)),
        *[replace(C.commit(bank, BLOCK), ballot=BALLOTS[bank]) for bank in others[2:]],
    )
    (seal,) = desk.broadcast()
    assert isinstance(seal, Seal)
    assert seal.ballots == sorted_by_tag(*[BALLOTS[bank] for bank in (leader, *others[2:])])
    assert sorted(entry.bank for entry in seal.signatures)[0] == 0


# E8.


@cache
def cast_twice() -> DoubleBallot:
    """Bank 3 committed to a block and rejected another one in the same view."""
    first, second = sorted((BALLOTS[3], C.ballot(3, OTHER, approve=False)))
    return DoubleBallot(BankIndex(3), Height(1), View(0), first, second, opening_of(first))


def opening_of(raw: bytes) -> BallotOpening:
    view = int.from_bytes(raw[42:46], "little")
    context = BallotContext(CHAIN_ID, int.from_bytes(raw[34:42], "little"), view)
    return open_ballot(verify_ballot(raw, C.active_set.ballot_ring, context), opener_key())


def judge(item: EvidenceItem, ballot_judge: BallotJudge | None = None) -> str:
    return judge_bytes(encode_item(item), ballot_judge)


def judge_bytes(raw: bytes, ballot_judge: BallotJudge | None = None) -> str:
    try:
        verified = verify_evidence(
            raw,
            chain_id=CHAIN_ID,
            active_set_at=lambda height: C.active_set if height <= 2 else None,
            verifier=C.verifier,
            disprove=lambda header, proof: Reason.SPEND,
            ballot_judge=ballot_judge,
        )
    except Rejection as rejection:
        return str(rejection)
    return f"{verified.offence} {verified.bank}"


def test_e8_convicts_the_bank_that_the_regulator_names() -> None:
    assert judge(cast_twice()) == f"{Offence.DOUBLE_BALLOT} 3"


@settings(max_examples=40, deadline=None)
@given(st.integers(min_value=0), st.integers(1, 255))
def test_e8_every_change_of_a_byte_convicts_nobody(position: int, difference: int) -> None:
    changed = bytearray(encode_item(cast_twice()))
    changed[position % len(changed)] ^= difference
    verdict = judge_bytes(bytes(changed))
    assert verdict.startswith(("evidence: ", "evidence-window: ", "evidence-inactive: "))


def test_e8_an_opening_that_names_another_bank_convicts_nobody() -> None:
    item = cast_twice()
    assert judge(replace(item, bank=BankIndex(4))) == "evidence: the ballot is bank 3's"
    renamed = replace(item, bank=BankIndex(4), opening=replace(item.opening, index=4))
    assert judge(renamed).startswith("evidence: the opening does not hold: ")
    of_second = replace(item, opening=opening_of(item.second))
    assert judge(of_second).startswith("evidence: the opening does not hold: ")
    assert judge(replace(item, opening=BallotOpening(200, bytes(64)))).startswith(
        "evidence: the opening does not hold: "
    )


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [
        (BALLOTS[3], C.ballot(4, OTHER, approve=False), "the two ballots have different tags"),
        (BALLOTS[3], C.ballot(3, BLOCK, 1), "a ballot does not verify: context"),
        (BALLOTS[3], BALLOTS[3][:-1] + b"\0", "a ballot does not verify: "),
        (BALLOTS[3], b"", "a ballot does not verify: length"),
    ],
    ids=["two banks", "two views", "a false proof", "nothing"],
)
def test_e8_what_is_no_offence(first: bytes, second: bytes, verdict: str) -> None:
    halves = sorted((first, second))
    item = replace(cast_twice(), first=halves[0], second=halves[1])
    assert judge(item).startswith(f"evidence: {verdict}")


class CredulousJudge(BallotOracle):
    """Takes every proof for good, so that what the ballots say is all that is left to judge."""

    def verify(self, raws: Sequence[bytes], **place: Any) -> tuple[VerifiedBallot, ...]:
        return tuple(
            [VerifiedBallot(raw, C.active_set.set_hash, ballots._VERIFIED) for raw in raws]
        )


def test_e8_one_thing_said_under_two_proofs_is_no_offence() -> None:
    """IDX1 9.6: a bank may prove again what it says."""
    item, again = cast_twice(), cast_twice().first[:-1]
    again += bytes([cast_twice().first[-1] ^ 1])
    first, second = sorted((item.first, again))
    verdict = judge(replace(item, first=first, second=second), CredulousJudge(CHAIN_ID))
    assert verdict == "evidence: the two ballots say the same"


def test_e8_the_bank_that_saw_both_keeps_both() -> None:
    desk = Desk(C, ME)
    desk.receive(
        C.proposal(BLOCK),
        replace(C.reject(3, OTHER), ballot=C.ballot(3, OTHER, approve=False)),
        SEAL,
    )
    item = cast_twice()
    assert desk.all(KeepBallots) == [KeepBallots(Height(1), View(0), item.first, item.second)]
    assert [alarm.kind for alarm in desk.all(Alarm)] == [AlarmKind.CONFLICTING_BALLOTS]


def test_e8_travels_like_any_other_evidence() -> None:
    desk = Desk(C, ME)
    raw = encode_item(cast_twice())
    desk.receive(Evidence(raw), sender=5)
    assert desk.all(ExamineEvidence) == [ExamineEvidence(raw, BankIndex(5))]
    key = PunishedOffence(Height(1), BankIndex(3), OffenceClass.VOTE)
    desk.do(EvidenceExamined(raw, key))
    assert desk.broadcast() == [Evidence(raw)]
    assert desk.core.status().has_work, "it waits for a block"


def test_four_banks_seal_and_record_with_real_ballots() -> None:
    """From the proposal to the next block's record; in a small consortium everybody is needed."""
    four = RealConsortium(4)
    block = four.block(ids=[1])
    desks = {bank: Desk(four, bank) for bank in four.banks}
    leader = desks[four.leader(0)]
    leader.do(WorkDue(WorkKind.BIN))
    leader.build(block)
    leader.judge()
    proposal = four.proposal(block)
    followers = [desk for desk in desks.values() if desk is not leader]
    for desk in followers:
        desk.receive(proposal)
        desk.judge()
        leader.receive(*desk.said())
    (certificate,) = leader.broadcast()
    for desk in followers:
        desk.receive(certificate)
        leader.receive(*desk.said())
    (seal,) = leader.broadcast()
    assert isinstance(seal, Seal)
    assert len(verify_ballot_certificate(seal.published(), CHAIN_ID, four.active_set)) == 4
    for desk in followers:
        desk.receive(seal)
        desk.apply(transactions_available=100)
    builds = [order for desk in followers for order in desk.all(BuildBlock)]
    assert [order.ballots for order in builds] == [seal.ballots]
