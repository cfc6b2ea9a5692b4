"""BFT-12 section 2: a verifier checks order, duplicates, membership, count and every signature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from node.consensus.certificates import (
    CertificateInvalid,
    QuorumCertificate,
    RejectCertificate,
    Seal,
    SignatureEntry,
    TimeoutCertificate,
    verify_commits,
    verify_quorum_certificate,
    verify_reject_certificate,
    verify_seal,
    verify_timeout_certificate,
)
from node.ledger.active_set import ActiveSet
from node.ledger.ballots import BallotCertificate
from node.ledger.encoding import MalformedEncoding
from node.ledger.types import BankIndex, BlockId, Height, View
from tests.consensus.consortium import Consortium
from tests.consensus.toy_ledger import CHAIN_ID

C = Consortium(12)
BLOCK = C.block()
QC, SEAL = C.quorum_certificate(BLOCK), C.seal(BLOCK)
TC = C.timeout_certificate(0, claims={3: 0, 5: -1})
RC = C.reject_certificate(BLOCK)

Certificate = QuorumCertificate | Seal | TimeoutCertificate | RejectCertificate


def verify(
    certificate: Certificate, *, chain_id: bytes = CHAIN_ID, active_set: ActiveSet = C.active_set
) -> None:
    match certificate:
        case QuorumCertificate():
            verify_quorum_certificate(certificate, chain_id, active_set, C.verifier)
        case Seal():
            verify_seal(certificate, chain_id, active_set, C.verifier)
        case TimeoutCertificate():
            verify_timeout_certificate(certificate, chain_id, active_set, C.verifier)
        case RejectCertificate():
            verify_reject_certificate(certificate, chain_id, active_set, C.verifier)


def signed(certificate: Certificate) -> str:
    return "signatures" if isinstance(certificate, QuorumCertificate | Seal) else "entries"


def rearranged(
    certificate: Certificate, change: Callable[[tuple[object, ...]], tuple[object, ...]]
) -> Certificate:
    name = signed(certificate)
    changed: Certificate = replace(
        certificate,
        **{name: change(getattr(certificate, name))},  # type: ignore[arg-type]
    )
    return changed


ALL = pytest.mark.parametrize("certificate", [QC, SEAL, TC, RC], ids=lambda c: type(c).__name__)


@ALL
def test_valid(certificate: Certificate) -> None:
    verify(certificate)


@ALL
def test_one_signature_too_few(certificate: Certificate) -> None:
    required = 3 if isinstance(certificate, RejectCertificate) else 10
    with pytest.raises(CertificateInvalid) as caught:
        verify(rearranged(certificate, lambda entries: entries[:-1]))
    assert str(caught.value) == f"{required - 1} signatures where {required} are required"


@ALL
def test_duplicate_signers_are_not_counted_twice(certificate: Certificate) -> None:
    with pytest.raises(CertificateInvalid) as caught:
        verify(rearranged(certificate, lambda entries: (*entries[:-1], entries[-2])))
    assert str(caught.value) == "signers are not in strictly increasing bank index"


@ALL
def test_unsorted_signers(certificate: Certificate) -> None:
    with pytest.raises(CertificateInvalid) as caught:
        verify(rearranged(certificate, lambda entries: entries[::-1]))
    assert str(caught.value) == "signers are not in strictly increasing bank index"


@ALL
def test_inactive_signer(certificate: Certificate) -> None:
    members = tuple(member for member in C.active_set.members if member.bank != 1)
    with pytest.raises(CertificateInvalid) as caught:
        verify(certificate, active_set=ActiveSet(members, C.active_set.opener_key))
    assert str(caught.value) == "signer 1 is not active at this height"


@ALL
def test_signatures_are_bound_to_chain_and_set_and_place(certificate: Certificate) -> None:
    other_opener = ActiveSet(C.active_set.members, b"\x01" * 96)
    wrong: list[tuple[Certificate, bytes, ActiveSet]] = [
        (certificate, b"x" * 32, C.active_set),
        (certificate, CHAIN_ID, other_opener),
        (replace(certificate, height=Height(2)), CHAIN_ID, C.active_set),
        (replace(certificate, view=View(1)), CHAIN_ID, C.active_set),
    ]
    if not isinstance(certificate, TimeoutCertificate):
        wrong.append((replace(certificate, block_id=BlockId(b"x" * 32)), CHAIN_ID, C.active_set))
    for changed, chain_id, active_set in wrong:
        with pytest.raises(CertificateInvalid, match=r"^signature of bank 0 does not verify$"):
            verify(changed, chain_id=chain_id, active_set=active_set)


def test_votes_and_commits_are_not_interchangeable() -> None:
    """A quorum certificate is not a seal: the second phase cannot be skipped (section 1)."""
    disguised = Seal(QC.height, QC.view, QC.block_id, QC.signatures)
    with pytest.raises(CertificateInvalid, match=r"^signature of bank 0 does not verify$"):
        verify(disguised)


def test_timeout_certificate_claims() -> None:
    """V3: nobody can hold a certificate of a view that has not been."""
    assert TC.highest_view == 0
    assert C.timeout_certificate(4).highest_view == -1
    with pytest.raises(
        CertificateInvalid, match=r"^a timeout claims a certificate of a later view$"
    ):
        verify(C.timeout_certificate(2, claims={0: 3}))


def refused_ballots(*ballots: bytes) -> str:
    with pytest.raises(CertificateInvalid) as caught:
        verify(replace(SEAL, ballots=ballots))
    return str(caught.value)


def test_section_17_a_seal_has_q_ballots_with_distinct_tags_in_their_order() -> None:
    cast = SEAL.ballots
    assert refused_ballots() == "ballots: 0 ballots, exactly 10 are required"
    assert refused_ballots(*cast[:9]) == "ballots: 9 ballots, exactly 10 are required"
    eleven = C.ballots(BLOCK, banks=range(11))
    assert refused_ballots(*eleven) == "ballots: 11 ballots, exactly 10 are required"
    unordered = "ballots: the tags are not in strictly increasing order"
    assert refused_ballots(*cast[:9], cast[8]) == unordered
    assert refused_ballots(cast[1], cast[0], *cast[2:]) == unordered
    assert refused_ballots(*cast[:9], b"") == "length: a ballot of 0 bytes"


def test_section_17_the_ballots_of_a_seal_are_of_its_place_and_ring() -> None:
    cast = SEAL.ballots

    def instead(*, change: Callable[[bytes], bytes]) -> str:
        return refused_ballots(change(cast[0]), *cast[1:])

    other_place = "a ballot is of another chain, height, view or ring size"
    for byte in (0, 1, 2, 34, 41, 42, 45):
        at = byte
        assert instead(change=lambda raw, at=at: flipped(raw, at)) == other_place
    for byte in (46, 77, 78):
        at = byte
        message = "ballots: a ballot is not an approval of this block"
        assert instead(change=lambda raw, at=at: flipped(raw, at)) == message
    assert instead(change=lambda raw: raw[:-32]) == other_place
    assert instead(change=lambda raw: raw + bytes(32)) == other_place
    # A proof is for the host to verify.
    verify(replace(SEAL, ballots=(*cast[:9], flipped(cast[9], 1000))))


def test_section_17_what_is_published_of_a_seal_names_no_bank() -> None:
    published = SEAL.published()
    assert published == BallotCertificate(
        SEAL.height, SEAL.view, SEAL.block_id, C.ballots(BLOCK)
    )
    encoded = published.encode()
    assert not any(entry.signature in encoded for entry in SEAL.signatures)


def test_section_9_the_signatures_of_a_seal_stand_without_its_ballots() -> None:
    verify_commits(replace(SEAL, ballots=()), CHAIN_ID, C.active_set, C.verifier)
    forged = replace(SEAL, signatures=(*SEAL.signatures[:9], QC.signatures[9]))
    with pytest.raises(CertificateInvalid, match=r"^signature of bank 9 does not verify$"):
        verify_commits(forged, CHAIN_ID, C.active_set, C.verifier)


def flipped(raw: bytes, at: int) -> bytes:
    return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]


def test_seal_encoding_stands_alone() -> None:
    assert Seal.decode(SEAL.encode()) == SEAL
    with pytest.raises(MalformedEncoding, match=r"^1 bytes follow the value$"):
        Seal.decode(SEAL.encode() + b"\0")
    with pytest.raises(MalformedEncoding, match=r"^seal of 100000 bytes exceeds \d+$"):
        Seal.decode(bytes(100_000))


@pytest.mark.parametrize(("bank_count", "quorum"), [(4, 4), (7, 6), (12, 10)])
def test_quorums_of_section_10(bank_count: int, quorum: int) -> None:
    consortium = Consortium(bank_count)
    certificate = consortium.quorum_certificate(consortium.block())
    assert len(certificate.signatures) == quorum
    verify_quorum_certificate(certificate, CHAIN_ID, consortium.active_set, C.verifier)
    short = replace(certificate, signatures=certificate.signatures[:-1])
    with pytest.raises(CertificateInvalid):
        verify_quorum_certificate(short, CHAIN_ID, consortium.active_set, C.verifier)


def test_padding_with_a_stranger_does_not_help() -> None:
    stranger = SignatureEntry(BankIndex(12), bytes(64))
    with pytest.raises(CertificateInvalid, match=r"^signer 12 is not active at this height$"):
        verify(replace(QC, signatures=(*QC.signatures[:9], stranger)))
