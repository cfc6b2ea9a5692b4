"""The bytes of SETTLEMENT and POT_CARRY, and what is refused for its form (BFT-12 18)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.transaction import transaction_id
from node.ledger.governance import GovernanceKind, decode_governance, is_governance
from node.ledger.governance_form import Approval, assemble_approved
from node.ledger.rejection import Reason, Rejection
from node.ledger.settlement import (
    BankCount,
    PotCarry,
    PotCarryTerms,
    Settlement,
    SettlementClaim,
    decode_pot_carry,
    decode_settlement,
)
from node.ledger.types import BankIndex, FiscalYear, Height

CHAIN_ID, SEED, SET_HASH = bytes(range(32)), bytes([5]) * 32, bytes([7]) * 32
CLAIM = SettlementClaim(
    CHAIN_ID,
    FiscalYear(2026),
    (BankCount(BankIndex(0), 0x0102), BankCount(BankIndex(1), 3)),
    SEED,
    Height(9),
)
PROOF = b"\x01" + bytes([8]) * 257
SETTLEMENT = CLAIM.encode() + len(PROOF).to_bytes(4, "big") + PROOF
TERMS = PotCarryTerms(CHAIN_ID, FiscalYear(2026), SET_HASH, 3, 9)
APPROVALS = (
    Approval(BankIndex(1), bytes([1]) * 64),
    Approval(BankIndex(4), bytes([4]) * 64),
)
CARRY = assemble_approved(TERMS, APPROVALS[::-1])

hashes = st.binary(min_size=32, max_size=32)
u16, u64 = st.integers(0, 2**16 - 1), st.integers(0, 2**64 - 1)
claims = st.builds(
    SettlementClaim,
    hashes,
    u64,
    st.lists(st.builds(BankCount, u16, u64), max_size=16).map(tuple),
    hashes,
    u64,
)
terms = st.builds(PotCarryTerms, hashes, u64, hashes, u64, u64)
approvals = st.lists(
    st.builds(Approval, u16, st.binary(min_size=64, max_size=64)),
    max_size=16,
    unique_by=lambda approval: approval.bank,
)


def u(value: int, size: int = 8) -> bytes:
    return value.to_bytes(size, "big")


def refusal(act: Callable[[], object]) -> tuple[Reason, str]:
    with pytest.raises(Rejection) as caught:
        act()
    return caught.value.reason, caught.value.message


def test_section_18_the_bytes_of_a_settlement() -> None:
    """The table of the module; the proof binds everything before itself."""
    claim = (
        b"\x01\x13" + CHAIN_ID + u(2026) + u(2, 4)
        + u(0, 2) + u(0x0102) + u(1, 2) + u(3) + SEED + u(9)
    )  # fmt: skip
    assert claim == CLAIM.encode()
    assert CLAIM.statement == u(23, 4) + b"consortium/settlement/1" + claim
    assert claim + u(258, 4) + PROOF == SETTLEMENT
    settlement = Settlement(SETTLEMENT, transaction_id(SETTLEMENT), CLAIM, PROOF)
    assert decode_governance(SETTLEMENT) == decode_settlement(SETTLEMENT) == settlement
    assert (
        settlement.kind,
        settlement.chain_id,
        settlement.year,
        settlement.expiry,
        settlement.inputs,
        settlement.outputs,
    ) == (GovernanceKind.SETTLEMENT, CHAIN_ID, 2026, 9, (), ())
    assert is_governance(SETTLEMENT)


def test_section_18_the_bytes_of_a_carry() -> None:
    """The table of the module, and what the banks' consensus keys sign."""
    encoded = b"\x01\x14" + CHAIN_ID + u(2026) + SET_HASH + u(3) + u(9)
    assert encoded == TERMS.encode()
    assert TERMS.statement == u(22, 4) + b"consortium/pot-carry/1" + encoded
    listed = u(1, 2) + bytes([1]) * 64 + u(4, 2) + bytes([4]) * 64
    assert encoded + u(2, 4) + listed == CARRY
    carry = PotCarry(CARRY, transaction_id(CARRY), TERMS, APPROVALS)
    assert decode_governance(CARRY) == decode_pot_carry(CARRY) == carry
    assert (
        carry.kind,
        carry.chain_id,
        carry.year,
        carry.expiry,
        carry.inputs,
        carry.outputs,
    ) == (GovernanceKind.POT_CARRY, CHAIN_ID, 2026, 9, (), ())
    assert is_governance(CARRY)


@given(claims, st.binary(max_size=300))
def test_every_settlement_has_one_encoding(claim: SettlementClaim, proof: bytes) -> None:
    assert SettlementClaim.decode(claim.encode()) == claim
    raw = claim.encode() + u(len(proof), 4) + proof
    decoded = decode_settlement(raw)
    assert (decoded.raw, decoded.claim, decoded.proof) == (raw, claim, proof)


@given(terms, approvals)
def test_every_carry_has_one_encoding(terms: PotCarryTerms, approvals: list[Approval]) -> None:
    assert PotCarryTerms.decode(terms.encode()) == terms
    raw = assemble_approved(terms, approvals)
    decoded = decode_pot_carry(raw)
    in_order = tuple(sorted(approvals, key=lambda approval: approval.bank))
    assert (decoded.raw, decoded.terms, decoded.approvals) == (raw, terms, in_order)


@pytest.mark.parametrize("raw", [SETTLEMENT, CARRY], ids=["settlement", "carry"])
def test_every_other_length_is_refused(raw: bytes) -> None:
    for size in range(len(raw)):
        reason, _ = refusal(lambda size=size: decode_governance(raw[:size]))
        assert reason is Reason.LENGTH, size
    expected = (Reason.TRAILING, "1 bytes after the end")
    assert refusal(lambda: decode_governance(raw + b"\x00")) == expected


@pytest.mark.parametrize(
    ("raw", "reason", "message"),
    [
        (b"\x02" + SETTLEMENT[1:], Reason.VERSION, "version 2"),
        (b"\x01\x15" + SETTLEMENT[2:], Reason.KIND, "kind 21 cannot stand here"),
        (
            SETTLEMENT[:42] + u(17, 4) + SETTLEMENT[46:],
            Reason.COUNT,
            "17 counts, at most 16",
        ),
        (
            CLAIM.encode() + u(4_114, 4) + bytes(4_114),
            Reason.COUNT,
            "4114 bytes of the proof, at most 4113",
        ),
        (TERMS.encode() + u(17, 4), Reason.COUNT, "17 approvals, at most 16"),
    ],
)
def test_malformed_bytes_are_refused_with_the_reason(
    raw: bytes, reason: Reason, message: str
) -> None:
    assert refusal(lambda: decode_governance(raw)) == (reason, message)


@given(st.sampled_from((b"\x01\x13", b"\x01\x14")), st.binary(max_size=400))
def test_any_bytes_are_refused_or_mean_themselves(head: bytes, rest: bytes) -> None:
    """Whatever a client sends, nothing but a `Rejection` comes of it."""
    try:
        decoded = decode_governance(head + rest)
    except Rejection:
        return
    assert decoded.raw == head + rest


def test_requests_decode_as_themselves_alone() -> None:
    """A claim is no carry, terms are no claim, and neither has anything behind it."""
    for decode, own, other in (
        (SettlementClaim.decode, CLAIM.encode(), TERMS.encode()),
        (PotCarryTerms.decode, TERMS.encode(), CLAIM.encode()),
    ):
        assert refusal(lambda d=decode, o=other: d(o))[0] is Reason.KIND
        assert refusal(lambda d=decode, o=own: d(o + b"\x00"))[0] is Reason.TRAILING
        assert refusal(lambda d=decode, o=own: d(o[:-1]))[0] is Reason.LENGTH
