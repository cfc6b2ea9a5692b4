"""What governance transactions have in common: kinds, heads, lengths, approvals (BFT-12 10, 18)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from node.ledger.encoding import Reader, Writer
from node.ledger.rejection import Reason, Rejection
from node.ledger.types import SIGNATURE_BYTES, BankIndex

VERSION = 0x01
PREFIX_BYTES = 2
"""Version and kind open every transaction."""
COUNT_BYTES = 4
APPROVAL_BYTES = 2 + SIGNATURE_BYTES


class GovernanceKind(IntEnum):
    """The kind byte at offset 1; disjoint from the kinds of IDX1 5.1."""

    STAKE_TOP_UP = 0x10
    STAKE_WITHDRAWAL = 0x11
    READMISSION = 0x12
    SETTLEMENT = 0x13
    POT_CARRY = 0x14


@dataclass(frozen=True, slots=True)
class Approval:
    """One bank's consent: its index and its consensus key's signature."""

    bank: BankIndex
    signature: bytes

    def write(self, writer: Writer) -> Writer:
        """Append the canonical encoding."""
        return writer.u16(self.bank).fixed(self.signature, SIGNATURE_BYTES)

    @staticmethod
    def read(reader: Reader) -> Approval:
        """Read what `write` wrote; raises `MalformedEncoding`."""
        return Approval(BankIndex(reader.u16()), reader.fixed(SIGNATURE_BYTES))


def write_approvals(approvals: Iterable[Approval]) -> bytes:
    """Return the list of approvals, given in any order, by increasing bank."""
    in_order = sorted(approvals, key=lambda approval: approval.bank)
    return Writer().many(in_order, lambda out, approval: approval.write(out)).finish()


def require_kind(raw: bytes, allowed: tuple[GovernanceKind, ...]) -> GovernanceKind:
    """Return the kind that the head names; raises `Rejection`: LENGTH, VERSION, KIND."""
    if len(raw) < PREFIX_BYTES:
        raise Rejection(Reason.LENGTH, f"{len(raw)} bytes hold no head")
    if raw[0] != VERSION:
        raise Rejection(Reason.VERSION, f"version {raw[0]}")
    if raw[1] not in allowed:
        raise Rejection(Reason.KIND, f"kind {raw[1]} cannot stand here")
    return GovernanceKind(raw[1])


def require_length(raw: bytes, expected_bytes: int) -> None:
    """Raise `Rejection` (LENGTH or TRAILING) unless there are exactly so many bytes."""
    if len(raw) < expected_bytes:
        raise Rejection(Reason.LENGTH, f"{len(raw)} of {expected_bytes} bytes")
    if len(raw) > expected_bytes:
        raise Rejection(Reason.TRAILING, f"{len(raw) - expected_bytes} bytes after the end")


def read_count(raw: bytes, offset: int, limit: int, what: str) -> int:
    """Return the u32 at `offset`; raises `Rejection`: LENGTH, COUNT above the limit."""
    if len(raw) < offset + COUNT_BYTES:
        raise Rejection(Reason.LENGTH, f"{len(raw)} bytes end before the {what}")
    count = int.from_bytes(raw[offset : offset + COUNT_BYTES], "big")
    if count > limit:
        raise Rejection(Reason.COUNT, f"{count} {what}, at most {limit}")
    return count
