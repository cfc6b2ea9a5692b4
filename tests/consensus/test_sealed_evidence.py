"""BFT-12 section 9, E5 by the seal: an invalid block that a quorum sealed convicts its creator.

With the real ballots of IDX1 section 9. What no seal proves convicts nobody.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.consensus.accusations import approved_invalid, invalid_proposal
from node.consensus.evidence_items import (
    EvidenceItem,
    SealedInvalid,
    decode_item,
    encode_item,
    key_of,
)
from node.consensus.evidence_verification import verify_evidence
from node.consensus.signatures import RingBallotSigner
from node.ledger.active_set import ActiveSet
from node.ledger.ballots import BallotCertificate, ballot_tag
from node.ledger.blocks import Block, Header
from node.ledger.execution_proof import ExecutionProof
from node.ledger.invalidity import encode_proof_of_sealed
from node.ledger.offences import OffenceClass
from node.ledger.rejection import Reason, Rejection
from node.ledger.state_records import PunishedOffence
from node.ledger.types import BankIndex, Height, View
from node.simulation.ballot_oracle import ballot_key
from tests.consensus import toy_ledger
from tests.consensus.oracle import public_key
from tests.consensus.test_ballot_attacks import RealConsortium, sorted_by_tag

C = RealConsortium(12)
POISON, OTHER = C.block(2, ids=[1], invalid=True), C.block(2, ids=[2])
CREATOR = POISON.header.proposer
SEALED_IN = View(3)
"""One view after that of its creation: whoever proposed it again answers for nothing."""


def proof_against(header: Header) -> bytes:
    return hashlib.sha256(b"invalid" + header.block_id).digest()


def disprove(header: Header, proof: bytes) -> Reason:
    if proof != proof_against(POISON.header) or header != POISON.header:
        raise Rejection(Reason.EVIDENCE, "nothing is wrong with what the proof shows")
    return Reason.SPEND


def ballot(
    bank: int,
    block: Block = POISON,
    view: int = SEALED_IN,
    *,
    height: int = 1,
    approve: bool = True,
    active_set: ActiveSet = C.active_set,
    chain_id: bytes = toy_ledger.CHAIN_ID,
) -> bytes:
    signer = RingBallotSigner(ballot_key(bank), chain_id)
    return signer.sign_ballot(
        active_set, Height(height), View(view), block.block_id, approve=approve
    )


@cache
def ballots() -> tuple[bytes, ...]:
    """Those of all twelve banks, in the order of the banks."""
    return tuple([ballot(bank) for bank in range(12)])


@cache
def item() -> SealedInvalid:
    return sealed(*ballots()[:10])


def sealed(*cast: bytes, block: Block = POISON, view: int = SEALED_IN) -> SealedInvalid:
    header = block.header
    certificate = BallotCertificate(
        header.height, View(view), header.block_id, sorted_by_tag(*cast)
    )
    made = SealedInvalid.of(header, certificate, proof_against(header))
    assert made is not None
    return made


def judge(found: EvidenceItem | bytes, active_set: ActiveSet = C.active_set) -> str:
    raw = found if isinstance(found, bytes) else encode_item(found)
    try:
        verified = verify_evidence(
            raw,
            chain_id=toy_ledger.CHAIN_ID,
            active_set_at=lambda height: active_set if height <= 2 else None,
            verifier=C.verifier,
            disprove=disprove,
        )
    except Rejection as rejection:
        return str(rejection)
    return f"{verified.offence} {verified.bank}"


def test_section_9_the_seal_of_an_invalid_block_convicts_its_creator() -> None:
    assert judge(item()) == f"E5 {CREATOR}"
    assert judge(sealed(*ballots()[2:])) == f"E5 {CREATOR}"
    assert C.leader(SEALED_IN) != CREATOR
    assert key_of(item()) == PunishedOffence(Height(1), CREATOR, OffenceClass.INVALID_PROPOSAL)
    assert decode_item(encode_item(item())) == item()


def test_section_9_it_shows_an_invalid_block_to_whom_an_approval_is_held_against() -> None:
    """E7 holds by the approver's own signature."""
    approval = approved_invalid(C.approve(7, POISON, 2), item())
    assert approval is not None
    assert judge(approval) == "E7 7"
    assert judge(replace(approval, bank=BankIndex(8))).startswith("evidence: a signature of bank 8")


def without(bank: int) -> ActiveSet:
    return toy_ledger.active_set_of(
        {other: public_key(other) for other in C.banks if other != bank}
    )


FORGED: dict[str, tuple[SealedInvalid, str]] = {
    "too few": (sealed(*ballots()[:9]), "9 ballots, exactly 10 are required"),
    "too many": (sealed(*ballots()[:11]), "11 ballots, exactly 10 are required"),
    "none": (sealed(), "0 ballots, exactly 10 are required"),
    "one twice": (
        sealed(*ballots()[:9], ballots()[0]),
        "the tags are not in strictly increasing order",
    ),
    "one bank twice": (
        sealed(*ballots()[:9], ballot(0, approve=False)),
        "the tags are not in strictly increasing order",
    ),
    "one rejects": (
        sealed(*ballots()[:9], ballot(9, approve=False)),
        "a ballot is not an approval of this block",
    ),
    "of another block": (
        sealed(*[ballot(bank, OTHER) for bank in range(10)]),
        "a ballot is not an approval of this block",
    ),
    "one of another block": (
        sealed(*ballots()[:9], ballot(9, OTHER)),
        "a ballot is not an approval of this block",
    ),
    "one of another view": (sealed(*ballots()[:9], ballot(9, view=4)), "a ballot does not verify"),
    "one of another height": (
        sealed(*ballots()[:9], ballot(9, height=2)),
        "a ballot does not verify",
    ),
    "one of another ledger": (
        sealed(*ballots()[:9], ballot(9, chain_id=bytes(32))),
        "a ballot does not verify",
    ),
    "one with a false proof": (
        sealed(*ballots()[:9], ballots()[9][:-1] + b"\0"),
        "a ballot does not verify",
    ),
    "one that is none": (sealed(*ballots()[:9], ballots()[9][:-1]), "a ballot does not verify"),
    "before the block was made": (
        sealed(*[ballot(bank, view=1) for bank in range(10)], view=1),
        "the block was sealed before the view of its creation",
    ),
    "of a valid block": (
        sealed(*[ballot(bank, OTHER) for bank in range(10)], block=OTHER),
        "nothing is wrong with what the proof shows",
    ),
    "with the proof against another block": (
        replace(item(), proof=proof_against(OTHER.header)),
        "nothing is wrong with what the proof shows",
    ),
    "about another creator": (
        replace(item(), header=replace(POISON.header, proposer=BankIndex(0))),
        "a ballot is not an approval of this block",
    ),
    "of another ledger": (
        replace(item(), header=replace(POISON.header, chain_id=bytes(32))),
        "a header is of another chain",
    ),
}


@pytest.mark.parametrize("name", FORGED)
def test_section_9_what_no_quorum_sealed_convicts_nobody(name: str) -> None:
    forged, why = FORGED[name]
    verdict = judge(forged)
    assert verdict.startswith("evidence: ")
    assert why in verdict


def test_section_10_ballots_of_a_removed_bank_seal_nothing() -> None:
    """Neither those cast under the set before its removal, nor its own under the set after it."""
    removed = CREATOR - 1
    after = without(removed)
    members = [bank for bank in range(12) if bank != removed]
    theirs = [ballot(bank, active_set=after) for bank in members]
    assert judge(sealed(*theirs[:10]), after) == f"E5 {CREATOR}"
    assert "a ballot does not verify" in judge(item(), after)
    assert "a ballot does not verify" in judge(sealed(*theirs[:9], ballots()[removed]), after)
    gone = without(CREATOR)
    theirs = [ballot(bank, active_set=gone) for bank in range(12) if bank != CREATOR]
    assert judge(sealed(*theirs[:10]), gone).startswith("evidence-inactive: ")


def test_section_9_a_height_out_of_the_window_has_no_set() -> None:
    late = replace(item(), header=replace(POISON.header, height=Height(3)))
    assert judge(late) == "evidence-window: no active set is known of height 3"


@settings(max_examples=40, deadline=None)
@given(st.integers(min_value=0), st.integers(1, 255))
def test_every_change_of_a_byte_convicts_nobody(position: int, difference: int) -> None:
    changed = bytearray(encode_item(item()))
    changed[position % len(changed)] ^= difference
    assert judge(bytes(changed)).startswith(
        ("evidence: ", "evidence-window: ", "evidence-inactive: ")
    )


def test_tags_are_what_is_counted() -> None:
    assert len({ballot_tag(raw) for raw in item().ballots}) == 10


def test_section_9_one_banks_signature_does_not_stand_for_a_state_that_is_executed() -> None:
    """A bank signs what it likes: only of a sealed header the parent and its state are known."""
    signed = C.proposal(POISON, 2)
    by_execution = encode_proof_of_sealed(ExecutionProof(C.genesis, b"made up", (), ()))
    accused = invalid_proposal(signed, by_execution)
    assert accused is not None
    assert judge(accused) == "evidence: this shows something of a sealed block alone"
    approval = approved_invalid(C.approve(7, POISON, 2), accused)
    assert approval is not None
    assert judge(approval) == "evidence: this shows something of a sealed block alone"
