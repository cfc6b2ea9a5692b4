"""Offences and the key under which each can be punished once (BFT-12 9)."""

from __future__ import annotations

import hashlib

from crypto.merkle import merkle_root
from node.ledger.offences import Offence, VerifiedEvidence
from node.ledger.state import PunishedOffence
from node.ledger.types import BankIndex, Height


def test_section_9_every_offence_has_the_class_of_the_specification() -> None:
    """Vote {E1, E8}, proposal {E2}, invalid proposal {E5, E6}, commit {E3}, lock {E4},
    approval {E7}; the numbers are part of the state's encoding."""
    classes = {offence.value: int(offence.offence_class) for offence in Offence}
    assert classes == {
        "E1": 1, "E2": 2, "E3": 4, "E4": 5, "E5": 3, "E6": 3, "E7": 6, "E8": 1
    }  # fmt: skip


def test_section_9_the_key_is_height_bank_and_class() -> None:
    evidence = VerifiedEvidence(
        b"bytes", Offence.REJECTED_PROPOSAL, BankIndex(3), Height(9), bytes(32)
    )
    assert evidence.key == PunishedOffence(Height(9), BankIndex(3), 3)
    assert evidence.evidence_id == hashlib.sha256(b"bytes").digest()
    assert evidence.leaf_hash == merkle_root([b"bytes"])


def test_keys_stand_in_order_of_height_then_bank_then_class() -> None:
    keys = [
        PunishedOffence(Height(height), BankIndex(bank), offence_class)
        for height in (1, 2)
        for bank in (0, 1)
        for offence_class in (1, 6)
    ]
    assert sorted(set(keys)) == keys
