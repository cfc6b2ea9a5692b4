"""Rejection reasons (IDX1 8, 9.6; BFT-12 8)."""

from __future__ import annotations

import crypto.errors
from node.ledger.rejection import Reason, Rejection


def test_every_reason_of_the_cryptography_has_its_twin() -> None:
    own = {reason.value for reason in Reason}
    assert [reason.value for reason in crypto.errors.Reason if reason.value not in own] == []


def test_codes_are_distinct_words_in_lower_case() -> None:
    codes = [reason.value for reason in Reason]
    assert len(set(codes)) == len(codes)
    assert all(
        code == reason.name.lower().replace("_", "-")
        for code, reason in zip(codes, Reason, strict=True)
    )


def test_only_the_clock_and_a_full_mempool_are_subjective() -> None:
    """BFT-12 8: class S may be rejected but is never punished."""
    subjective = [reason for reason in Reason if not reason.is_deterministic]
    assert subjective == [Reason.CLOCK, Reason.MEMPOOL_FULL]


def test_only_missing_bins_are_not_yet() -> None:
    """BFT-12 8: an unknown or open bin is "not yet", and never cached."""
    not_yet = [reason for reason in Reason if reason.is_not_yet]
    assert not_yet == [Reason.BIN_UNKNOWN, Reason.BIN_OPEN]


def test_a_rejection_says_where_why_and_in_words() -> None:
    placed = Rejection(Reason.FEE, "the fee is 3, it must be exactly 100").at(7)
    assert str(placed) == "transaction 7: fee: the fee is 3, it must be exactly 100"
    assert (placed.reason, placed.message, placed.transaction_index) == (
        Reason.FEE,
        "the fee is 3, it must be exactly 100",
        7,
    )


def test_a_verdict_of_the_cryptography_keeps_code_and_detail() -> None:
    rejected = crypto.errors.Rejected(crypto.errors.Reason.BIN_OPEN, "bin 4")
    assert str(Rejection.of(rejected)) == "bin-open: bin 4"
    bare = crypto.errors.Rejected(crypto.errors.Reason.SIGNATURE)
    assert str(Rejection.of(bare)) == "signature: signature"
