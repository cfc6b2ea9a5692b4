"""What governance transactions have in common: kinds, heads, lengths, approvals (BFT-12 10, 18)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar, Generic, Self, TypeVar, cast

from crypto.transaction import Output, TransferInput, transaction_id
from node.ledger.definitions import MAX_BANKS
from node.ledger.encoding import Reader, Writer
from node.ledger.rejection import Reason, Rejection
from node.ledger.types import HASH_BYTES, SIGNATURE_BYTES, BankIndex

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


Subject = TypeVar("Subject", bound=int)


@dataclass(frozen=True, slots=True)
class ApprovedTerms(Generic[Subject]):
    """What a quorum of the banks approves: something done to one subject, under one set, once.

    Canonical bytes: version, kind, chain id 32, subject, set hash 32, nonce u64, expiry u64.
    """

    KIND: ClassVar[GovernanceKind]
    DOMAIN: ClassVar[bytes]
    """Opens the statement that is signed."""
    SUBJECT_BYTES: ClassVar[int]

    chain_id: bytes
    subject: Subject
    """The bank or the fiscal year that it is about."""
    set_hash: bytes
    """Of the active set whose members approve."""
    nonce: int
    """The state's `governance_nonce`."""
    expiry: int
    """Last height at which the transaction is valid."""

    @classmethod
    def encoded_bytes(cls) -> int:
        """Return the length of the encoding."""
        return PREFIX_BYTES + HASH_BYTES + cls.SUBJECT_BYTES + HASH_BYTES + 2 * 8

    def encode(self) -> bytes:
        """Return the bytes before the approvals; also how the request for approvals travels."""
        return (
            Writer()
            .u8(VERSION)
            .u8(self.KIND)
            .fixed(self.chain_id, HASH_BYTES)
            .fixed(self.subject.to_bytes(self.SUBJECT_BYTES, "big"), self.SUBJECT_BYTES)
            .fixed(self.set_hash, HASH_BYTES)
            .u64(self.nonce)
            .u64(self.expiry)
            .finish()
        )

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode what `encode` gave; raises `Rejection`: LENGTH, TRAILING, VERSION, KIND."""
        require_kind(data, (cls.KIND,))
        require_length(data, cls.encoded_bytes())
        reader = Reader(data[PREFIX_BYTES:])
        return cls(
            chain_id=reader.fixed(HASH_BYTES),
            subject=cast(Subject, int.from_bytes(reader.fixed(cls.SUBJECT_BYTES), "big")),
            set_hash=reader.fixed(HASH_BYTES),
            nonce=reader.u64(),
            expiry=reader.u64(),
        )

    @property
    def statement(self) -> bytes:
        """The bytes under every approval."""
        return Writer().blob(self.DOMAIN).finish() + self.encode()


Terms = TypeVar("Terms", bound=ApprovedTerms[Any])


@dataclass(frozen=True, slots=True)
class ApprovedTransaction(Generic[Terms]):
    """A decoded transaction of terms and the approvals of them."""

    raw: bytes
    transaction_id: bytes
    """Hash of all bytes, by the rule of IDX1 5.5."""
    terms: Terms
    approvals: tuple[Approval, ...]

    @property
    def kind(self) -> GovernanceKind:
        """That of the terms."""
        return self.terms.KIND

    @property
    def chain_id(self) -> bytes:
        """The ledger's id, 32 bytes."""
        return self.terms.chain_id

    @property
    def expiry(self) -> int:
        """Last height at which it is valid."""
        return self.terms.expiry

    @property
    def inputs(self) -> tuple[TransferInput, ...]:
        """Spends no note."""
        return ()

    @property
    def outputs(self) -> tuple[Output, ...]:
        """Creates no note."""
        return ()

    @classmethod
    def of_terms(cls, raw: bytes, kind: type[Terms]) -> Self:
        """Decode canonical bytes; raises `Rejection`: LENGTH, TRAILING, VERSION, KIND, COUNT."""
        require_kind(raw, (kind.KIND,))
        end = kind.encoded_bytes()
        count = read_count(raw, end, MAX_BANKS, "approvals")
        require_length(raw, end + COUNT_BYTES + count * APPROVAL_BYTES)
        return cls(
            raw=raw,
            transaction_id=transaction_id(raw),
            terms=kind.decode(raw[:end]),
            approvals=Reader(raw[end:]).many(MAX_BANKS, Approval.read),
        )


def approve_terms(
    terms: ApprovedTerms[Subject], approver: BankIndex, sign_statement: Callable[[bytes], bytes]
) -> Approval:
    """Return a bank's approval; `sign_statement` signs with its consensus key (Ed25519)."""
    return Approval(approver, sign_statement(terms.statement))


def assemble_approved(terms: ApprovedTerms[Subject], approvals: Iterable[Approval]) -> bytes:
    """Return the transaction's bytes from approvals in any order, one per bank."""
    return terms.encode() + write_approvals(approvals)


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
