"""Stake movements and readmissions: their bytes and signatures (BFT-12 10, 18)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.signature import sign
from crypto.transaction import transaction_id
from node.ledger.facts import FactsNeeded, facts_needed
from node.ledger.governance import (
    Approval,
    GovernanceKind,
    Readmission,
    ReadmissionTerms,
    StakeMovement,
    assemble_approved,
    decode_governance,
    is_governance,
)
from node.ledger.rejection import Reason, Rejection
from node.ledger.types import Amount, BankIndex
from tests.ledger.chain import (
    Chain,
    approve,
    consensus_secret,
    issuer_secret,
    refusal,
)

TOP_UP, WITHDRAWAL = GovernanceKind.STAKE_TOP_UP, GovernanceKind.STAKE_WITHDRAWAL
CHAIN_ID, SET_HASH, SIGNATURE = bytes(range(32)), bytes([7]) * 32, bytes([9]) * 64

hashes = st.binary(min_size=32, max_size=32)
u16, u64 = st.integers(0, 2**16 - 1), st.integers(0, 2**64 - 1)
all_terms = st.builds(ReadmissionTerms, hashes, u16, hashes, u64, u64)
all_approvals = st.lists(st.builds(Approval, u16, st.binary(min_size=64, max_size=64)), max_size=16)


def encode_readmission(terms: ReadmissionTerms, approvals: Sequence[Approval]) -> bytes:
    """Without putting the approvals in order."""
    parts = [approval.bank.to_bytes(2, "big") + approval.signature for approval in approvals]
    return terms.encode() + len(parts).to_bytes(4, "big") + b"".join(parts)


# Bytes


def test_section_18_the_bytes_of_a_stake_movement(chain: Chain) -> None:
    """The table of the module, and what the issuer's key signs."""
    raw = chain.move_stake(WITHDRAWAL, 0x0102, bank=2, nonce=3, expiry=4, chain_id=CHAIN_ID)
    unsigned = (
        b"\x01\x11" + CHAIN_ID + b"\x00\x02"
        + (0x0102).to_bytes(8, "big") + (3).to_bytes(8, "big") + (4).to_bytes(8, "big")
    )  # fmt: skip
    statement = (18).to_bytes(4, "big") + b"consortium/stake/1" + unsigned
    signature = sign(issuer_secret(2), statement)
    assert raw == unsigned + signature
    assert decode_governance(raw) == StakeMovement(
        raw=raw,
        transaction_id=transaction_id(raw),
        kind=WITHDRAWAL,
        chain_id=CHAIN_ID,
        bank=BankIndex(2),
        amount=Amount(0x0102),
        nonce=3,
        expiry=4,
        signature=signature,
    )


def test_section_18_the_bytes_of_a_readmission() -> None:
    """Approvals stand in increasing bank index, whoever came first."""
    terms = ReadmissionTerms(CHAIN_ID, BankIndex(5), SET_HASH, 6, 7)
    encoded = (
        b"\x01\x12" + CHAIN_ID + b"\x00\x05" + SET_HASH
        + (6).to_bytes(8, "big") + (7).to_bytes(8, "big")
    )  # fmt: skip
    assert terms.encode() == encoded
    assert terms.statement == (24).to_bytes(4, "big") + b"consortium/readmission/1" + encoded
    first, second = approve(terms, 1), approve(terms, 3)
    assert first == Approval(BankIndex(1), sign(consensus_secret(1), terms.statement))
    raw = assemble_approved(terms, [second, first])
    assert raw == (
        encoded + b"\x00\x00\x00\x02" + b"\x00\x01" + first.signature
        + b"\x00\x03" + second.signature
    )  # fmt: skip
    assert decode_governance(raw) == Readmission(raw, transaction_id(raw), terms, (first, second))


@given(all_terms, all_approvals)
def test_readmissions_round_trip(terms: ReadmissionTerms, approvals: list[Approval]) -> None:
    raw = encode_readmission(terms, approvals)
    decoded = decode_governance(raw)
    assert decoded == Readmission(raw, transaction_id(raw), terms, tuple(approvals))
    assert (decoded.chain_id, decoded.expiry) == (terms.chain_id, terms.expiry)
    assert ReadmissionTerms.decode(terms.encode()) == terms


@given(st.sampled_from(tuple(GovernanceKind)), st.binary(max_size=300))
def test_whatever_decodes_is_canonical(kind: GovernanceKind, rest: bytes) -> None:
    raw = bytes([1, kind]) + rest
    assert is_governance(raw)
    try:
        decoded = decode_governance(raw)
    except Rejection as rejection:
        assert rejection.reason in (Reason.LENGTH, Reason.TRAILING, Reason.COUNT, Reason.FIELD)
        return
    assert decoded.raw == raw
    if isinstance(decoded, Readmission):
        assert encode_readmission(decoded.terms, decoded.approvals) == raw


MOVEMENT = bytes([1, 0x10]) + bytes(32) + bytes(2) + bytes([0] * 7 + [1]) + bytes(16) + SIGNATURE
TERMS = ReadmissionTerms(CHAIN_ID, BankIndex(5), SET_HASH, 6, 7)
ONE = encode_readmission(TERMS, [Approval(BankIndex(1), SIGNATURE)])

MALFORMED = [
    (b"", Reason.LENGTH, "0 bytes hold no head"),
    (b"\x01", Reason.LENGTH, "1 bytes hold no head"),
    (b"\x02\x10" + MOVEMENT[2:], Reason.VERSION, "version 2"),
    (b"\x01\x15" + MOVEMENT[2:], Reason.KIND, "kind 21 cannot stand here"),
    (MOVEMENT[:-1], Reason.LENGTH, "123 of 124 bytes"),
    (MOVEMENT + b"\0", Reason.TRAILING, "1 bytes after the end"),
    (MOVEMENT[:36] + bytes(8) + MOVEMENT[44:], Reason.FIELD, "an amount of zero"),
    (ONE[:87], Reason.LENGTH, "87 bytes end before the approvals"),
    (ONE[:-1], Reason.LENGTH, "153 of 154 bytes"),
    (ONE + b"\0", Reason.TRAILING, "1 bytes after the end"),
    (ONE[:84] + b"\0\0\0\x11" + ONE[88:], Reason.COUNT, "17 approvals, at most 16"),
]


@pytest.mark.parametrize(("raw", "reason", "message"), MALFORMED)
def test_malformed_bytes_are_refused_with_the_reason(
    raw: bytes, reason: Reason, message: str
) -> None:
    with pytest.raises(Rejection) as error:
        decode_governance(raw)
    assert refusal(error.value) == (reason, message, None)


def test_terms_are_not_a_readmission() -> None:
    for raw, reason in ((ONE, Reason.TRAILING), (MOVEMENT, Reason.KIND), (b"", Reason.LENGTH)):
        with pytest.raises(Rejection) as error:
            ReadmissionTerms.decode(raw)
        assert error.value.reason is reason


def test_the_ledger_asks_of_them_only_whether_they_are_sealed(chain: Chain) -> None:
    items = [decode_governance(MOVEMENT), decode_governance(ONE)]
    identities = tuple(item.transaction_id for item in items)
    assert facts_needed(items) == FactsNeeded((), (), (), identities)


# Signatures


def test_section_18_no_byte_of_a_stake_movement_can_be_changed(funded: Chain) -> None:
    raw = funded.move_stake(TOP_UP, 5)
    funded.verify(raw)
    for place in range(len(raw)):
        for bit in (1, 0x80):
            changed = raw[:place] + bytes([raw[place] ^ bit]) + raw[place + 1 :]
            reason, _ = funded.refusal_at_admission(changed)
            assert reason in (
                Reason.VERSION, Reason.KIND, Reason.LENGTH, Reason.CHAIN, Reason.BANK,
                Reason.EXPIRY_TOO_FAR, Reason.EXPIRED, Reason.SIGNATURE, Reason.COUNT,
                Reason.RESERVED,
            )  # fmt: skip


def test_section_18_no_byte_of_a_readmission_can_be_changed(restored: Chain) -> None:
    raw = restored.readmission(restored.terms(5))
    restored.verify(raw)
    for place in range(len(raw)):
        changed = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        reason, _ = restored.refusal_at_admission(changed)
        assert reason in (
            Reason.VERSION, Reason.KIND, Reason.LENGTH, Reason.TRAILING, Reason.CHAIN,
            Reason.BANK, Reason.EXPIRY_TOO_FAR, Reason.EXPIRED, Reason.SIGNATURE,
            Reason.APPROVAL_ORDER, Reason.COUNT,
        )  # fmt: skip


REFUSED_ALONE: list[tuple[str, Callable[[Chain], bytes], Reason, str]] = [
    (
        "other chain",
        lambda chain: chain.move_stake(TOP_UP, 5, chain_id=bytes(32)),
        Reason.CHAIN,
        "made for another ledger",
    ),
    (
        "expired",
        lambda chain: chain.move_stake(TOP_UP, 5, expiry=chain.height),
        Reason.EXPIRED,
        "height 6, valid up to 5",
    ),
    (
        "expires too late",
        lambda chain: chain.move_stake(TOP_UP, 5, expiry=10_007),
        Reason.EXPIRY_TOO_FAR,
        "expires at height 10007, at most 10006 is allowed now",
    ),
    (
        "no such bank",
        lambda chain: chain.move_stake(TOP_UP, 5, bank=6, nonce=0),
        Reason.BANK,
        "bank 6 is not in the genesis",
    ),
    (
        "another bank's key",
        lambda chain: chain.move_stake(TOP_UP, 5, bank=5, secret=issuer_secret(4)),
        Reason.SIGNATURE,
        "the signature does not verify",
    ),
    (
        "the consensus key",
        lambda chain: chain.move_stake(TOP_UP, 5, bank=5, secret=consensus_secret(5)),
        Reason.SIGNATURE,
        "the signature does not verify",
    ),
    (
        "readmission of another chain",
        lambda chain: chain.readmission(replace(chain.terms(5), chain_id=bytes(32))),
        Reason.CHAIN,
        "made for another ledger",
    ),
    (
        "readmission expired",
        lambda chain: chain.readmission(chain.terms(5, expiry=5)),
        Reason.EXPIRED,
        "height 6, valid up to 5",
    ),
    (
        "readmission of nobody",
        lambda chain: chain.readmission(chain.terms(6)),
        Reason.BANK,
        "bank 6 is not in the genesis",
    ),
    (
        "approved by nobody known",
        lambda chain: chain.readmission(chain.terms(5), approvers=[0, 1, 2, 3, 6]),
        Reason.BANK,
        "bank 6 is not in the genesis",
    ),
    (
        "approved twice by one bank",
        lambda chain: chain.readmission(chain.terms(5), approvers=[0, 1, 2, 3, 3]),
        Reason.APPROVAL_ORDER,
        "approved by banks [0, 1, 2, 3, 3], not in increasing order",
    ),
    (
        "approvals out of order",
        lambda chain: encode_readmission(
            chain.terms(5), [approve(chain.terms(5), bank) for bank in (1, 0, 2, 3, 4)]
        ),
        Reason.APPROVAL_ORDER,
        "approved by banks [1, 0, 2, 3, 4], not in increasing order",
    ),
    (
        "approvals of another bank's return",
        lambda chain: assemble_approved(
            chain.terms(5), [approve(chain.terms(3), bank) for bank in range(5)]
        ),
        Reason.SIGNATURE,
        "the signature does not verify",
    ),
    (
        "approved with the issuer key",
        lambda chain: assemble_approved(
            chain.terms(5),
            [Approval(BankIndex(0), sign(issuer_secret(0), chain.terms(5).statement))],
        ),
        Reason.SIGNATURE,
        "the signature does not verify",
    ),
]


@pytest.mark.parametrize(
    ("name", "make", "reason", "message"), REFUSED_ALONE, ids=[case[0] for case in REFUSED_ALONE]
)
def test_section_18_what_the_bytes_and_the_genesis_alone_refuse(
    removed: Chain, name: str, make: Callable[[Chain], bytes], reason: Reason, message: str
) -> None:
    assert removed.height == 4
    removed.seal()
    assert removed.refusal_at_admission(make(removed)) == (reason, message)
