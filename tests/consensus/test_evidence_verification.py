"""BFT-12 section 9: every offence convicts, no correct bank can be convicted, no byte is loose."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.consensus.accusations import (
    approved_invalid,
    invalid_proposal,
    pair_of,
    rejected_proposal,
)
from node.consensus.evidence_items import (
    DoubleCommit,
    DoubleProposal,
    DoubleVote,
    EvidenceItem,
    InvalidProposal,
    LockViolation,
    RejectedProposal,
    SealedInvalid,
    SignedAnswer,
    SignedBlockId,
    SignedHeader,
    encode_item,
    in_order,
    key_of,
)
from node.consensus.evidence_verification import verify_evidence
from node.consensus.signatures import Ed25519Verifier, Verifier
from node.consensus.statements import Commit, Proposal, SignedStatement, Timeout, Vote
from node.ledger.active_set import ActiveSet
from node.ledger.blocks import Header
from node.ledger.offences import Offence, VerifiedEvidence
from node.ledger.rejection import Reason, Rejection
from node.ledger.types import Height
from tests.consensus import samples, toy_ledger
from tests.consensus.consortium import Consortium

C = Consortium(12)
BLOCK, OTHER, POISON = C.block(ids=[1]), C.block(ids=[2]), C.block(ids=[3], invalid=True)
ME = 3


def proof_against(header: Header) -> bytes:
    return hashlib.sha256(b"invalid" + header.block_id).digest()


def disprove(header: Header, proof: bytes) -> Reason:
    if proof != proof_against(header):
        raise Rejection(Reason.EVIDENCE, "the proof shows nothing")
    return Reason.SPEND


def verify(
    item: EvidenceItem | bytes,
    *,
    chain_id: bytes = toy_ledger.CHAIN_ID,
    active_set: ActiveSet | None = C.active_set,
    verifier: Verifier = C.verifier,
) -> VerifiedEvidence:
    def active_set_at(height: Height) -> ActiveSet | None:
        return active_set if height == (5 if active_set is samples.ACTIVE_SET else 1) else None

    raw = item if isinstance(item, bytes) else encode_item(item)
    return verify_evidence(
        raw,
        chain_id=chain_id,
        active_set_at=active_set_at,
        verifier=verifier,
        disprove=disprove,
        ballot_judge=C.ballot_judge,
    )


def present(item: EvidenceItem | None) -> EvidenceItem:
    assert item is not None
    return item


def shown(header: Header = POISON.header) -> InvalidProposal:
    item = invalid_proposal(C.proposal(POISON), proof_against(header))
    assert item is not None
    return item


def sealed() -> SealedInvalid:
    certificate = C.seal(POISON, 1).published()
    item = SealedInvalid.of(POISON.header, certificate, proof_against(POISON.header))
    assert item is not None
    return item


def voted_down(**vote: Any) -> RejectedProposal:
    votes = [C.reject(bank, POISON, **vote) for bank in range(10)]
    item = rejected_proposal(C.proposal(POISON), votes, 10)
    assert item is not None
    return item


GUILTY: dict[str, EvidenceItem] = {
    "E1 two blocks": present(pair_of(C.approve(ME, BLOCK), C.approve(ME, OTHER))),
    "E1 both answers": present(pair_of(C.approve(ME, BLOCK), C.reject(ME, BLOCK))),
    "E1 two rejections": present(pair_of(C.reject(ME, BLOCK), C.reject(ME, OTHER))),
    "E2": present(pair_of(C.proposal(BLOCK), C.proposal(OTHER))),
    "E2 proposed again": present(pair_of(C.proposal(BLOCK, 3), C.proposal(C.block(3), 3))),
    "E3": present(pair_of(C.commit(ME, BLOCK), C.commit(ME, OTHER))),
    "E4 same view": present(pair_of(C.commit(ME, BLOCK, 2), C.timeout(ME, 2, claim=1))),
    "E4 later view": present(pair_of(C.timeout(ME, 9), C.commit(ME, BLOCK, 2))),
    "E5": shown(),
    "E5 by the seal": sealed(),
    "E6": voted_down(),
    "E7 on E5": present(approved_invalid(C.approve(ME, POISON), shown())),
    "E7 on E5 by the seal": present(approved_invalid(C.approve(ME, POISON), sealed())),
    "E7 on E6": present(approved_invalid(C.approve(11, POISON), voted_down())),
    "E7 in a later view": present(approved_invalid(C.approve(ME, POISON, 4), shown())),
}


@pytest.mark.parametrize("name", GUILTY)
def test_section_9_every_offence_convicts(name: str) -> None:
    item = GUILTY[name]
    verified = verify(item)
    assert verified == VerifiedEvidence(
        encode_item(item), Offence(name[:2]), item.bank, Height(1), C.active_set.set_hash
    )
    assert verified.key == key_of(item)


@given(st.sampled_from(list(GUILTY)), st.integers(min_value=0), st.integers(1, 255))
def test_every_change_of_a_byte_is_refused_with_a_reason(
    name: str, position: int, difference: int
) -> None:
    changed = bytearray(encode_item(GUILTY[name]))
    changed[position % len(changed)] ^= difference
    with pytest.raises(Rejection) as caught:
        verify(bytes(changed))
    assert caught.value.reason in (
        Reason.EVIDENCE,
        Reason.EVIDENCE_WINDOW,
        Reason.EVIDENCE_INACTIVE,
    )


IDENTIFIED = [name for name in samples.evidence() if "E8" not in name and "seal" not in name]


@pytest.mark.parametrize("name", IDENTIFIED)
def test_real_signatures(name: str) -> None:
    """The items of the vectors, under Ed25519; their proof of E5 is a stand-in.

    Their ballots are stand-ins too; `test_ballot_attacks` and `test_sealed_evidence` judge real
    ones.
    """
    item = samples.evidence()[name]
    if "E5" in name:
        with pytest.raises(Rejection, match="the proof shows nothing"):
            verify_samples(item)
        return
    assert verify_samples(item).offence == name[:2]
    changed = bytearray(encode_item(item))
    changed[-1] ^= 1
    with pytest.raises(Rejection, match="does not verify"):
        verify_samples(bytes(changed))


def verify_samples(item: EvidenceItem | bytes) -> VerifiedEvidence:
    return verify(
        item,
        chain_id=samples.CHAIN_ID,
        active_set=samples.ACTIVE_SET,
        verifier=Ed25519Verifier(),
    )


# Nobody is framed.


def forge(first: SignedStatement, second: SignedStatement) -> EvidenceItem | None:
    """Make an item of two statements as if whatever it takes to convict were given."""
    match first, second:
        case Vote(), Vote():
            answers = [
                SignedAnswer(v.block_id, v.decision, v.reason, v.transaction_index, v.signature)
                for v in (first, second)
            ]
            pair = in_order(*answers)
            return DoubleVote(first.bank, first.height, first.view, *pair)
        case Proposal(), Proposal():
            headers = [SignedHeader(p.block.header, p.signature) for p in (first, second)]
            return DoubleProposal(first.bank, first.height, first.view, *in_order(*headers))
        case Commit(), Commit():
            ids = [SignedBlockId(c.block_id, c.signature) for c in (first, second)]
            return DoubleCommit(first.bank, first.height, first.view, *in_order(*ids))
        case Commit(), Timeout():
            return LockViolation(
                first.bank,
                first.height,
                first.view,
                SignedBlockId(first.block_id, first.signature),
                second.view,
                second.highest_view,
                second.signature,
            )
        case _:
            return None


@st.composite
def histories(draw: st.DrawFn) -> list[SignedStatement]:
    """All that a correct bank signs at one height, over some views (P2, P3, P5, V1)."""
    signed: list[SignedStatement] = []
    lock = -1
    for view in range(draw(st.integers(1, 6))):
        if draw(st.booleans()):
            continue  # It entered a later view at once.
        block = draw(st.sampled_from([BLOCK, OTHER, POISON]))
        if C.leader(view) == ME:
            signed.append(C.proposal(block, view))
        answer = draw(st.sampled_from(["approve", "spend", "clock", "silence"]))
        if answer == "approve":
            signed.append(C.approve(ME, block, view))
        elif answer != "silence":
            signed.append(C.reject(ME, block, view, reason=answer))
        if answer in ("approve", "silence") and draw(st.booleans()):
            lock = view
            signed.append(C.commit(ME, draw(st.sampled_from([block, BLOCK])), view))
        if draw(st.booleans()):
            claim = draw(st.integers(lock, view))
            signed.append(C.timeout(ME, view, claim=claim))
            signed.append(C.timeout(ME, view, claim=draw(st.integers(claim, view))))
            lock = max(lock, claim)
    return signed


@given(histories())
def test_section_9_what_a_correct_bank_signs_never_convicts_it(
    signed: list[SignedStatement],
) -> None:
    for first, second in permutations(signed, 2):
        assert pair_of(first, second) is None
        forged = forge(first, second)
        if forged is not None:
            with pytest.raises(Rejection):
                verify(forged)


INNOCENT: list[tuple[SignedStatement, SignedStatement, str]] = [
    (C.timeout(ME, 1, claim=-1), C.timeout(ME, 1, claim=0), ""),
    (C.approve(ME, BLOCK, 0), C.approve(ME, OTHER, 1), "does not verify"),
    (C.reject(ME, BLOCK, reason="fee"), C.reject(ME, BLOCK, reason="spend"), "say the same"),
    (C.reject(ME, BLOCK, reason="clock"), C.reject(ME, BLOCK, reason="spend"), "say the same"),
    (C.reject(ME, BLOCK), C.commit(ME, BLOCK, 1), ""),
    (C.commit(ME, BLOCK, 0), C.commit(ME, OTHER, 1), "does not verify"),
    (C.commit(ME, BLOCK), C.commit(ME, BLOCK), "not in increasing order"),
    (C.commit(ME, BLOCK, 2), C.timeout(ME, 2, claim=2), "claims the lock"),
    (C.commit(ME, BLOCK, 2), C.timeout(ME, 7, claim=3), "claims the lock"),
    (C.commit(ME, BLOCK, 2), C.timeout(ME, 1, claim=-1), "before that of the commit"),
    (C.proposal(BLOCK, 0), C.proposal(BLOCK, 12), "not in increasing order|of one block"),
    (C.proposal(BLOCK, 0), C.proposal(OTHER, 12), "does not verify"),
]


@pytest.mark.parametrize(("first", "second", "why"), INNOCENT)
def test_section_9_what_is_no_offence(
    first: SignedStatement, second: SignedStatement, why: str
) -> None:
    assert pair_of(first, second) is None
    assert pair_of(second, first) is None
    forged = forge(first, second)
    if forged is not None:
        with pytest.raises(Rejection, match=why):
            verify(forged)


def test_two_halves_of_different_banks_convict_neither() -> None:
    answers = [
        SignedAnswer(v.block_id, v.decision, v.reason, v.transaction_index, v.signature)
        for v in (C.approve(3, BLOCK), C.approve(4, OTHER))
    ]
    for bank in (3, 4):
        item = DoubleVote(C.banks[bank], Height(1), C.approve(3, BLOCK).view, *in_order(*answers))
        with pytest.raises(Rejection, match=f"a signature of bank {bank} does not verify"):
            verify(item)


def test_section_9_e6_needs_a_quorum_and_reasons_that_all_share() -> None:
    """Nine rejections, or one because of the clock among ten, rob nobody of his stake."""
    item = voted_down()
    for entries in (item.rejections[:9], item.rejections[:3]):
        with pytest.raises(Rejection, match=f"{len(entries)} rejections where 10 are required"):
            verify(replace(item, rejections=entries))
    eleven = [C.reject(bank, POISON) for bank in range(11)]
    assert rejected_proposal(C.proposal(POISON), eleven, 10) == item
    with pytest.raises(Rejection, match="11 rejections where 10 are required"):
        verify(present(rejected_proposal(C.proposal(POISON), eleven, 11)))
    for reason in ("clock", "mempool-full", "no-such-reason"):
        votes = [C.reject(0, POISON, reason=reason), *eleven[1:10]]
        assert rejected_proposal(C.proposal(POISON), votes, 10) is None
        subjective = replace(item.rejections[0], reason=reason, signature=votes[0].signature)
        with pytest.raises(Rejection, match="not a reason that all banks share"):
            verify(replace(item, rejections=(subjective, *item.rejections[1:])))


def test_section_9_e6_counts_rejections_of_that_view_and_block_only() -> None:
    for votes in (
        [C.reject(bank, POISON, 1) for bank in range(10)],
        [C.reject(bank, BLOCK) for bank in range(10)],
        [C.approve(bank, POISON) for bank in range(10)],
    ):
        assert rejected_proposal(C.proposal(POISON), votes, 10) is None
    later = [
        replace(entry, signature=C.reject(entry.bank, POISON, 1).signature)
        for entry in voted_down().rejections
    ]
    with pytest.raises(Rejection, match="does not verify"):
        verify(replace(voted_down(), rejections=tuple(later)))


def test_only_the_creator_in_its_view_answers_for_a_block() -> None:
    """Whoever proposes it again is bound by a quorum certificate."""
    again = C.proposal(POISON, 4)
    assert invalid_proposal(again, proof_against(POISON.header)) is None
    assert rejected_proposal(again, [C.reject(b, POISON, 4) for b in range(10)], 10) is None
    by_another = SignedHeader(POISON.header, again.signature)
    with pytest.raises(Rejection, match="a signature of bank 1 does not verify"):
        verify(InvalidProposal(by_another, proof_against(POISON.header)))


def test_an_approval_of_another_block_is_none() -> None:
    assert approved_invalid(C.approve(ME, BLOCK), shown()) is None
    assert approved_invalid(C.reject(ME, POISON), shown()) is None


def test_a_block_that_the_proof_does_not_show_invalid_convicts_nobody() -> None:
    with pytest.raises(Rejection, match="the proof shows nothing"):
        verify(shown(BLOCK.header))
    unshown = approved_invalid(C.approve(ME, POISON), shown(BLOCK.header))
    with pytest.raises(Rejection, match="the proof shows nothing"):
        verify(present(unshown))


def test_section_2_signatures_hold_under_the_set_of_their_height_only() -> None:
    other_set = Consortium(11).active_set
    with pytest.raises(Rejection, match="does not verify"):
        verify(GUILTY["E1 two blocks"], active_set=other_set)
    with pytest.raises(Rejection, match="does not verify"):
        verify(GUILTY["E1 two blocks"], chain_id=bytes(32))
    with pytest.raises(Rejection, match="of another chain"):
        verify(GUILTY["E2"], chain_id=bytes(32))


@pytest.mark.parametrize(
    ("item", "active_set", "reason"),
    [
        (GUILTY["E3"], None, Reason.EVIDENCE_WINDOW),
        (
            present(pair_of(C.commit(11, BLOCK), C.commit(11, OTHER))),
            Consortium(11).active_set,
            Reason.EVIDENCE_INACTIVE,
        ),
        (b"", C.active_set, Reason.EVIDENCE),
        (b"\x08", C.active_set, Reason.EVIDENCE),
    ],
)
def test_reasons(item: EvidenceItem | bytes, active_set: ActiveSet | None, reason: Reason) -> None:
    with pytest.raises(Rejection) as caught:
        verify(item, active_set=active_set)
    assert caught.value.reason is reason


@given(st.binary(max_size=300))
def test_garbage_is_refused_with_a_reason(data: bytes) -> None:
    with pytest.raises(Rejection):
        verify(data)
