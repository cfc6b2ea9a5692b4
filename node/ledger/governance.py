"""Transactions about the banks themselves: stakes, return to the active set (BFT-12 10, 18).

They travel, are pooled, proposed and sealed like any other transaction, carry no fee and touch no
note. Canonical bytes, integers big-endian:

    field          STAKE_TOP_UP 0x10, STAKE_WITHDRAWAL 0x11     READMISSION 0x12
    version        u8, 0x01                                     the same
    kind           u8                                           u8
    chain id       32                                           32
    bank           u16, whose stake moves                       u16, who returns
                   amount u64, at least 1                       set hash 32, of the approvers' set
    nonce          u64, of the bank                             u64, of the ledger's governance
    expiry         u64, last height at which it is valid        u64
    authority      issuer signature 64                          list (u32 count) of: approver u16,
                                                                consensus signature 64

A stake movement is signed with the bank's issuer key over blob "consortium/stake/1" and all bytes
before the signature. An approval is signed with the approver's consensus key over blob
"consortium/readmission/1" and all bytes before the list, so a collected approval serves one bank,
one active set and one nonce, and not for longer than its expiry. A nonce must be the next one,
which makes every replay invalid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum

from crypto.errors import SignatureInvalid
from crypto.signature import sign, verify_signature
from crypto.transaction import Mint, Output, Transfer, TransferInput, transaction_id
from node.ledger.definitions import AMOUNT_LIMIT, MAX_BANKS
from node.ledger.encoding import Reader, Writer
from node.ledger.genesis import Genesis
from node.ledger.rejection import Reason, Rejection
from node.ledger.types import HASH_BYTES, SIGNATURE_BYTES, Amount, BankIndex, Height

__all__ = [
    "Approval",
    "GovernanceKind",
    "GovernanceTransaction",
    "LedgerTransaction",
    "Readmission",
    "ReadmissionTerms",
    "StakeMovement",
    "approve_readmission",
    "assemble_readmission",
    "decode_governance",
    "is_governance",
    "sign_stake_movement",
    "verify_signatures",
]

VERSION = 0x01
STAKE_DOMAIN = b"consortium/stake/1"
READMISSION_DOMAIN = b"consortium/readmission/1"

_PREFIX_BYTES = 2
_STAKE_UNSIGNED_BYTES = _PREFIX_BYTES + HASH_BYTES + 2 + 3 * 8
STAKE_MOVEMENT_BYTES = _STAKE_UNSIGNED_BYTES + SIGNATURE_BYTES
_TERMS_BYTES = _PREFIX_BYTES + HASH_BYTES + 2 + HASH_BYTES + 2 * 8
_APPROVAL_BYTES = 2 + SIGNATURE_BYTES


class GovernanceKind(IntEnum):
    """The kind byte at offset 1; disjoint from the kinds of IDX1 5.1."""

    STAKE_TOP_UP = 0x10
    STAKE_WITHDRAWAL = 0x11
    READMISSION = 0x12


@dataclass(frozen=True, slots=True)
class StakeMovement:
    """A decoded STAKE_TOP_UP or STAKE_WITHDRAWAL; amounts in minor units of the base asset."""

    raw: bytes
    transaction_id: bytes
    """Hash of all bytes, by the rule of IDX1 5.5."""
    kind: GovernanceKind
    chain_id: bytes
    bank: BankIndex
    amount: Amount
    nonce: int
    expiry: int
    signature: bytes

    @property
    def inputs(self) -> tuple[TransferInput, ...]:
        """Spends no note."""
        return ()

    @property
    def outputs(self) -> tuple[Output, ...]:
        """Creates no note."""
        return ()


@dataclass(frozen=True, slots=True)
class Approval:
    """One bank's consent to a readmission: its index and its consensus key's signature."""

    bank: BankIndex
    signature: bytes

    def write(self, writer: Writer) -> Writer:
        """Append the canonical encoding."""
        return writer.u16(self.bank).fixed(self.signature, SIGNATURE_BYTES)

    @staticmethod
    def read(reader: Reader) -> Approval:
        """Read what `write` wrote; raises `MalformedEncoding`."""
        return Approval(BankIndex(reader.u16()), reader.fixed(SIGNATURE_BYTES))


@dataclass(frozen=True, slots=True)
class ReadmissionTerms:
    """What the banks approve: this bank, under this set, once, before the expiry."""

    chain_id: bytes
    bank: BankIndex
    set_hash: bytes
    """Of the active set whose members approve."""
    nonce: int
    """The state's `governance_nonce`."""
    expiry: int
    """Last height at which the readmission is valid."""

    def encode(self) -> bytes:
        """Return the bytes before the approvals; also how the request for approvals travels."""
        return (
            Writer()
            .u8(VERSION)
            .u8(GovernanceKind.READMISSION)
            .fixed(self.chain_id, HASH_BYTES)
            .u16(self.bank)
            .fixed(self.set_hash, HASH_BYTES)
            .u64(self.nonce)
            .u64(self.expiry)
            .finish()
        )

    @staticmethod
    def decode(data: bytes) -> ReadmissionTerms:
        """Decode what `encode` gave; raises `Rejection`."""
        _require_kind(data, (GovernanceKind.READMISSION,))
        _require_length(data, _TERMS_BYTES)
        return _read_terms(data)

    @property
    def statement(self) -> bytes:
        """The bytes under every approval."""
        return Writer().blob(READMISSION_DOMAIN).finish() + self.encode()


@dataclass(frozen=True, slots=True)
class Readmission:
    """A decoded READMISSION."""

    raw: bytes
    transaction_id: bytes
    """Hash of all bytes, by the rule of IDX1 5.5."""
    terms: ReadmissionTerms
    approvals: tuple[Approval, ...]

    @property
    def kind(self) -> GovernanceKind:
        """READMISSION."""
        return GovernanceKind.READMISSION

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


GovernanceTransaction = StakeMovement | Readmission
LedgerTransaction = Transfer | Mint | StakeMovement | Readmission
"""Whatever a block may carry."""


def is_governance(raw: bytes) -> bool:
    """Whether the first two bytes name a governance transaction."""
    return len(raw) >= _PREFIX_BYTES and raw[0] == VERSION and raw[1] in tuple(GovernanceKind)


def decode_governance(raw: bytes) -> GovernanceTransaction:
    """Decode canonical bytes; raises `Rejection` with the reasons of IDX1 8.1.

    LENGTH and TRAILING for a wrong size, VERSION, KIND, COUNT for more approvals than banks, FIELD
    for an amount of zero. Nothing is verified.
    """
    kind = _require_kind(raw, tuple(GovernanceKind))
    if kind is GovernanceKind.READMISSION:
        return _decode_readmission(raw)
    _require_length(raw, STAKE_MOVEMENT_BYTES)
    reader = Reader(raw[_PREFIX_BYTES:])
    movement = StakeMovement(
        raw=raw,
        transaction_id=transaction_id(raw),
        kind=kind,
        chain_id=reader.fixed(HASH_BYTES),
        bank=BankIndex(reader.u16()),
        amount=Amount(reader.u64()),
        nonce=reader.u64(),
        expiry=reader.u64(),
        signature=reader.fixed(SIGNATURE_BYTES),
    )
    if movement.amount == 0:
        raise Rejection(Reason.FIELD, "an amount of zero")
    return movement


def _decode_readmission(raw: bytes) -> Readmission:
    if len(raw) < _TERMS_BYTES + 4:
        raise Rejection(Reason.LENGTH, f"{len(raw)} bytes end before the approvals")
    reader = Reader(raw[_TERMS_BYTES:])
    count = Reader(raw[_TERMS_BYTES : _TERMS_BYTES + 4]).u32()
    if count > MAX_BANKS:
        raise Rejection(Reason.COUNT, f"{count} approvals, at most {MAX_BANKS}")
    _require_length(raw, _TERMS_BYTES + 4 + count * _APPROVAL_BYTES)
    return Readmission(
        raw=raw,
        transaction_id=transaction_id(raw),
        terms=_read_terms(raw),
        approvals=reader.many(MAX_BANKS, Approval.read),
    )


def _read_terms(data: bytes) -> ReadmissionTerms:
    reader = Reader(data[_PREFIX_BYTES:])
    return ReadmissionTerms(
        chain_id=reader.fixed(HASH_BYTES),
        bank=BankIndex(reader.u16()),
        set_hash=reader.fixed(HASH_BYTES),
        nonce=reader.u64(),
        expiry=reader.u64(),
    )


def _require_kind(raw: bytes, allowed: tuple[GovernanceKind, ...]) -> GovernanceKind:
    if len(raw) < _PREFIX_BYTES:
        raise Rejection(Reason.LENGTH, f"{len(raw)} bytes hold no head")
    if raw[0] != VERSION:
        raise Rejection(Reason.VERSION, f"version {raw[0]}")
    if raw[1] not in allowed:
        raise Rejection(Reason.KIND, f"kind {raw[1]} cannot stand here")
    return GovernanceKind(raw[1])


def _require_length(raw: bytes, expected: int) -> None:
    if len(raw) < expected:
        raise Rejection(Reason.LENGTH, f"{len(raw)} of {expected} bytes")
    if len(raw) > expected:
        raise Rejection(Reason.TRAILING, f"{len(raw) - expected} bytes after the end")


def verify_signatures(transaction: GovernanceTransaction, genesis: Genesis) -> None:
    """Check every signature and the order of approvals; reads nothing but the genesis.

    Raises `Rejection`: BANK for an index outside the genesis, APPROVAL_ORDER unless the approvers
    increase strictly, SIGNATURE. Whether the approvers decide anything is for execution to judge.
    """
    if isinstance(transaction, StakeMovement):
        _require_bank(transaction.bank, genesis)
        statement = _stake_statement(transaction.raw[:_STAKE_UNSIGNED_BYTES])
        _verify(genesis.banks[transaction.bank].issuer_key, transaction.signature, statement)
        return
    _require_bank(transaction.terms.bank, genesis)
    approvers = [approval.bank for approval in transaction.approvals]
    if approvers != sorted(set(approvers)):
        raise Rejection(
            Reason.APPROVAL_ORDER, f"approved by banks {approvers}, not in increasing order"
        )
    statement = transaction.terms.statement
    for approval in transaction.approvals:
        _require_bank(approval.bank, genesis)
        _verify(genesis.banks[approval.bank].consensus_key, approval.signature, statement)


def _require_bank(bank: BankIndex, genesis: Genesis) -> None:
    if bank >= len(genesis.banks):
        raise Rejection(Reason.BANK, f"bank {bank} is not in the genesis")


def _verify(public_key: bytes, signature: bytes, statement: bytes) -> None:
    try:
        verify_signature(public_key, signature, statement)
    except SignatureInvalid as error:
        raise Rejection(Reason.SIGNATURE, str(error)) from error


def _stake_statement(unsigned: bytes) -> bytes:
    return Writer().blob(STAKE_DOMAIN).finish() + unsigned


def sign_stake_movement(
    *,
    kind: GovernanceKind,
    chain_id: bytes,
    bank: BankIndex,
    amount: Amount,
    nonce: int,
    expiry: Height,
    issuer_secret: bytes,
) -> bytes:
    """Return the bytes of a top-up or withdrawal, signed with the bank's issuer key.

    `nonce` is the bank's `stake_nonce` in the present state, `issuer_secret` an Ed25519 seed.
    """
    assert kind is not GovernanceKind.READMISSION, "a stake movement is a top-up or a withdrawal"
    assert 0 < amount < AMOUNT_LIMIT, "an amount is positive and fits into 64 bits"
    unsigned = (
        Writer()
        .u8(VERSION)
        .u8(kind)
        .fixed(chain_id, HASH_BYTES)
        .u16(bank)
        .u64(amount)
        .u64(nonce)
        .u64(expiry)
        .finish()
    )
    return unsigned + sign(issuer_secret, _stake_statement(unsigned))


def approve_readmission(
    terms: ReadmissionTerms, approver: BankIndex, sign_statement: Callable[[bytes], bytes]
) -> Approval:
    """Return a bank's approval; `sign_statement` signs with its consensus key (Ed25519)."""
    return Approval(approver, sign_statement(terms.statement))


def assemble_readmission(terms: ReadmissionTerms, approvals: Iterable[Approval]) -> bytes:
    """Return the bytes of a READMISSION from approvals in any order, one per bank."""
    in_order = sorted(approvals, key=lambda approval: approval.bank)
    return (
        terms.encode() + Writer().many(in_order, lambda out, approval: approval.write(out)).finish()
    )
