"""Offences against the protocol, and evidence of them that has been verified (BFT-12 section 9).

What proves an offence is checked in `node.consensus.evidence_verification`, which knows the signed
statements. The ledger takes the verdict, a `VerifiedEvidence`, and adds the rules that read the
state: the bank was active, the offence is recent, and its key was not punished before.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from functools import cached_property

from crypto.merkle import leaf_hash
from node.ledger.state_records import PunishedOffence
from node.ledger.types import BankIndex, Height


class OffenceClass(IntEnum):
    """Offences that are one misdeed, however they are proven; part of the evidence key."""

    VOTE = 1
    PROPOSAL = 2
    INVALID_PROPOSAL = 3
    COMMIT = 4
    LOCK = 5
    APPROVAL = 6


class Offence(StrEnum):
    """The offences of BFT-12 section 9, by how they are proven."""

    DOUBLE_VOTE = "E1"
    DOUBLE_PROPOSAL = "E2"
    DOUBLE_COMMIT = "E3"
    LOCK_VIOLATION = "E4"
    INVALID_PROPOSAL = "E5"
    """Invalid for reasons that the evidence and the genesis alone show."""
    REJECTED_PROPOSAL = "E6"
    """Invalid for a reason that reads the state: a quorum rejected it."""
    APPROVED_INVALID = "E7"
    DOUBLE_BALLOT = "E8"

    @property
    def offence_class(self) -> OffenceClass:
        """The class in the evidence key."""
        return _CLASSES[self]


_CLASSES = {
    Offence.DOUBLE_VOTE: OffenceClass.VOTE,
    Offence.DOUBLE_BALLOT: OffenceClass.VOTE,
    Offence.DOUBLE_PROPOSAL: OffenceClass.PROPOSAL,
    Offence.INVALID_PROPOSAL: OffenceClass.INVALID_PROPOSAL,
    Offence.REJECTED_PROPOSAL: OffenceClass.INVALID_PROPOSAL,
    Offence.DOUBLE_COMMIT: OffenceClass.COMMIT,
    Offence.LOCK_VIOLATION: OffenceClass.LOCK,
    Offence.APPROVED_INVALID: OffenceClass.APPROVAL,
}


@dataclass(frozen=True)
class VerifiedEvidence:
    """An evidence item whose every signature and proof was checked by this process."""

    raw: bytes
    """Canonical bytes (`node.consensus.evidence_items`)."""
    offence: Offence
    bank: BankIndex
    """The accused."""
    height: Height
    """At which the offence was committed."""
    set_hash: bytes
    """Of the active set under which the signatures were checked."""

    @cached_property
    def evidence_id(self) -> bytes:
        """SHA-256 of the canonical bytes."""
        return hashlib.sha256(self.raw).digest()

    @cached_property
    def leaf_hash(self) -> bytes:
        """The leaf of the block's evidence tree (IDX1 11.1)."""
        return leaf_hash(self.raw)

    @property
    def key(self) -> PunishedOffence:
        """(height, bank, class): what can be punished once."""
        return PunishedOffence(self.height, self.bank, self.offence.offence_class)
