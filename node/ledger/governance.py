"""Transactions about the banks themselves: stakes, return to the active set, pots (BFT-12 10, 18).

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
which makes every replay invalid. SETTLEMENT and POT_CARRY are in `settlement`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crypto.errors import SignatureInvalid
from crypto.signature import sign, verify_signature
from crypto.transaction import Mint, Output, Transfer, TransferInput, transaction_id
from node.ledger.definitions import AMOUNT_LIMIT
from node.ledger.encoding import Reader, Writer
from node.ledger.genesis import Genesis
from node.ledger.governance_form import (
    PREFIX_BYTES,
    VERSION,
    Approval,
    ApprovedTerms,
    ApprovedTransaction,
    GovernanceKind,
    approve_terms,
    assemble_approved,
    require_kind,
    require_length,
)
from node.ledger.rejection import Reason, Rejection
from node.ledger.settlement import (
    PotCarry,
    Settlement,
    decode_pot_carry,
    decode_settlement,
)
from node.ledger.types import HASH_BYTES, SIGNATURE_BYTES, Amount, BankIndex, Height

__all__ = [
    "Approval",
    "ApprovedTerms",
    "GovernanceKind",
    "GovernanceTransaction",
    "LedgerTransaction",
    "Readmission",
    "ReadmissionTerms",
    "StakeMovement",
    "approve_terms",
    "assemble_approved",
    "decode_governance",
    "is_governance",
    "sign_stake_movement",
    "verify_signatures",
]

STAKE_DOMAIN = b"consortium/stake/1"
READMISSION_DOMAIN = b"consortium/readmission/1"
_STAKE_KINDS = (GovernanceKind.STAKE_TOP_UP, GovernanceKind.STAKE_WITHDRAWAL)

_STAKE_UNSIGNED_BYTES = PREFIX_BYTES + HASH_BYTES + 2 + 3 * 8
STAKE_MOVEMENT_BYTES = _STAKE_UNSIGNED_BYTES + SIGNATURE_BYTES


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
class ReadmissionTerms(ApprovedTerms[BankIndex]):
    """What the banks approve: this bank, under this set, once, before the expiry."""

    KIND = GovernanceKind.READMISSION
    DOMAIN = READMISSION_DOMAIN
    SUBJECT_BYTES = 2

    @property
    def bank(self) -> BankIndex:
        """Who returns."""
        return self.subject


@dataclass(frozen=True, slots=True)
class Readmission(ApprovedTransaction[ReadmissionTerms]):
    """A decoded READMISSION."""


GovernanceTransaction = StakeMovement | Readmission | Settlement | PotCarry
LedgerTransaction = Transfer | Mint | StakeMovement | Readmission | Settlement | PotCarry
"""Whatever a block may carry."""


def is_governance(raw: bytes) -> bool:
    """Whether the first two bytes name a governance transaction."""
    return len(raw) >= PREFIX_BYTES and raw[0] == VERSION and raw[1] in tuple(GovernanceKind)


def decode_governance(raw: bytes) -> GovernanceTransaction:
    """Decode canonical bytes; raises `Rejection` with the reasons of IDX1 8.1.

    LENGTH and TRAILING for a wrong size, VERSION, KIND, COUNT for more approvals than banks, FIELD
    for an amount of zero. Nothing is verified.
    """
    kind = require_kind(raw, tuple(GovernanceKind))
    match kind:
        case GovernanceKind.READMISSION:
            return Readmission.of_terms(raw, ReadmissionTerms)
        case GovernanceKind.SETTLEMENT:
            return decode_settlement(raw)
        case GovernanceKind.POT_CARRY:
            return decode_pot_carry(raw)
    require_length(raw, STAKE_MOVEMENT_BYTES)
    reader = Reader(raw[PREFIX_BYTES:])
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


def verify_signatures(transaction: GovernanceTransaction, genesis: Genesis) -> None:
    """Check every signature and the order of approvals; reads nothing but the genesis.

    Raises `Rejection`: BANK for an index outside the genesis, APPROVAL_ORDER unless the approvers
    increase strictly, SIGNATURE, COUNTS for a settlement that does not count every bank once and in
    order. Whether the approvers decide anything, and a settlement's proof, are for execution.
    """
    match transaction:
        case StakeMovement():
            _require_bank(transaction.bank, genesis)
            statement = _stake_statement(transaction.raw[:_STAKE_UNSIGNED_BYTES])
            _verify(genesis.banks[transaction.bank].issuer_key, transaction.signature, statement)
        case Readmission():
            _require_bank(transaction.terms.bank, genesis)
            _verify_approvals(transaction.approvals, transaction.terms.statement, genesis)
        case PotCarry():
            _verify_approvals(transaction.approvals, transaction.terms.statement, genesis)
        case Settlement():
            counted = [item.bank for item in transaction.claim.counts]
            if counted != list(range(len(genesis.banks))):
                raise Rejection(Reason.COUNTS, f"counts of banks {counted}, one for each is due")


def _verify_approvals(approvals: Sequence[Approval], statement: bytes, genesis: Genesis) -> None:
    approvers = [approval.bank for approval in approvals]
    if approvers != sorted(set(approvers)):
        raise Rejection(
            Reason.APPROVAL_ORDER, f"approved by banks {approvers}, not in increasing order"
        )
    for approval in approvals:
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
    assert kind in _STAKE_KINDS, "a stake movement is a top-up or a withdrawal"
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
