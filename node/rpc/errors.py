"""What went wrong with a call, as a gRPC status with google.rpc details: the one table.

`fault_of` turns every error that backends and services raise on purpose into a `Fault`; anything
it does not know is a defect of ours and becomes INTERNAL in `node.rpc.gate`.

A spent note, a used one-time key and a sealed transaction are ALREADY_EXISTS: the ledger holds
what the caller tries to add, and the caller must build another transaction. FAILED_PRECONDITION is
for valid bytes that the ledger's present state forbids, with RetryInfo exactly when waiting alone
can help.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from node.ledger.rejection import Reason, Rejection
from node.rpc.backend import BeforeSnapshot, NotAllowed, NotFound, NotReady, NotYet, Overloaded
from node.storage.errors import IntegrityViolation
from node.wire.fields import MalformedMessage
from node.wire.identity import IdentityInvalid
from node.wire.records import Refusal

DOMAIN = "consortium.v1"
"""`ErrorInfo.domain` of every reason."""
STATUS_DETAILS_KEY = "grpc-status-details-bin"
MAX_MESSAGE_CHARACTERS = 512
"""Trailers have a size limit of their own; a longer message would lose the details."""

NOT_YET_RETRY_MS = 1_000
"""Bins close with a block, which takes about a second."""
MEMPOOL_RETRY_MS = 500

_INVALID = grpc.StatusCode.INVALID_ARGUMENT
_EXISTS = grpc.StatusCode.ALREADY_EXISTS
_PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION
_DEFECT = grpc.StatusCode.INTERNAL
"""Reasons about blocks and ballots: a caller of ours can never cause them."""


class CallReason(StrEnum):
    """Reason codes of calls, beside those of transactions (`node.ledger.rejection.Reason`)."""

    MALFORMED = "malformed"
    """The request is not the message it should be, or a field breaks its contract."""
    TOO_LARGE = "too-large"
    """The request is longer than its method allows; it was not parsed."""
    IDENTITY = "identity"
    """The certificate names no party of this consortium."""
    REVOKED = "revoked"
    """The authority has revoked the certificate."""
    ROLE = "role"
    """This role may not call this method."""
    NOT_LOCAL = "not-local"
    """This method is served over loopback only."""
    TOO_MANY_CALLS = "too-many-calls"
    """The caller has too many calls open, or makes them too fast."""
    DEADLINE = "deadline"
    """The method's own time limit has passed."""
    NOT_FOUND = "not-found"
    """There is no such thing at this bank."""
    NOT_READY = "not-ready"
    """The bank is starting, stopping or halted."""
    BEFORE_SNAPSHOT = "before-snapshot"
    """This bank joined by a snapshot and does not hold what is older; ask another bank."""
    NOT_SEALED = "not-sealed"
    """The transaction is on its way."""
    OTHER_GENESIS = "other-genesis"
    """The peer belongs to another ledger."""
    OTHER_BANK = "other-bank"
    """The peer calls itself another bank than its certificate does."""
    IMPERSONATION = "impersonation"
    """A peer delivers a statement signed in another bank's name (BFT-12 12)."""
    REPLACED = "replaced"
    """A newer stream of the same bank took this one's place."""
    DAMAGED = "damaged"
    """A stored row is not what this bank wrote; the bank has halted, others have it whole."""
    INTERNAL = "internal"
    """A defect of ours; the bank's log has the correlation id."""


STATUS_OF_REASON: Mapping[Reason, grpc.StatusCode] = {
    Reason.LENGTH: _INVALID,
    Reason.VERSION: _INVALID,
    Reason.KIND: _INVALID,
    Reason.COUNT: _INVALID,
    Reason.RESERVED: _INVALID,
    Reason.TRAILING: _INVALID,
    Reason.FIELD: _INVALID,
    Reason.CHAIN: _INVALID,
    Reason.EXPIRED: _PRECONDITION,
    Reason.ISSUER: _PRECONDITION,
    Reason.BIN_UNKNOWN: _PRECONDITION,
    Reason.BIN_OPEN: _PRECONDITION,
    Reason.BIN_ASSET: _INVALID,
    Reason.IDENTITY: _INVALID,
    Reason.POINT: _INVALID,
    Reason.SUBGROUP: _INVALID,
    Reason.SCALAR: _INVALID,
    Reason.NULLIFIER: _EXISTS,
    Reason.NOTE: _EXISTS,
    Reason.SIGNATURE: _INVALID,
    Reason.RANGE: _INVALID,
    Reason.SPEND: _INVALID,
    Reason.ISSUE: _INVALID,
    Reason.EXPIRY_TOO_FAR: _PRECONDITION,
    Reason.ASSET: _INVALID,
    Reason.FEE: _INVALID,
    Reason.REDEEM_ASSET: _INVALID,
    Reason.PAYOUT_ASSET: _INVALID,
    Reason.ACCOUNT: _INVALID,
    Reason.ISSUANCE_LIMIT: _PRECONDITION,
    Reason.INSUFFICIENT_ACCOUNT: _PRECONDITION,
    Reason.DUPLICATE_TRANSACTION: _EXISTS,
    Reason.BANK: _INVALID,
    Reason.NONCE: _PRECONDITION,
    Reason.STAKE_EXCESS: _PRECONDITION,
    Reason.STAKE_LIMIT: _PRECONDITION,
    Reason.STAKE_BELOW_INITIAL: _PRECONDITION,
    Reason.BANK_ACTIVE: _PRECONDITION,
    Reason.APPROVED_SET: _PRECONDITION,
    Reason.APPROVAL_ORDER: _INVALID,
    Reason.APPROVAL_COUNT: _PRECONDITION,
    Reason.APPROVER_INACTIVE: _PRECONDITION,
    Reason.YEAR_OPEN: _PRECONDITION,
    Reason.YEAR_ORDER: _PRECONDITION,
    Reason.SETTLED: _EXISTS,
    Reason.NOTHING_TO_SETTLE: _PRECONDITION,
    Reason.COUNTS: _INVALID,
    Reason.TALLY_PROOF: _INVALID,
    Reason.DRAW_SEED: _INVALID,
    Reason.CARRY_EARLY: _PRECONDITION,
    Reason.SIZE: _INVALID,
    Reason.MEMPOOL_FULL: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Reason.CONTEXT: _DEFECT,
    Reason.MESSAGE: _DEFECT,
    Reason.BALLOT: _DEFECT,
    Reason.DUPLICATE: _DEFECT,
    Reason.EQUIVOCATION: _DEFECT,
    Reason.HEIGHT: _DEFECT,
    Reason.PARENT: _DEFECT,
    Reason.TIME: _DEFECT,
    Reason.PROPOSER: _DEFECT,
    Reason.TRANSACTION_COUNT: _DEFECT,
    Reason.BALLOTS: _DEFECT,
    Reason.EVIDENCE: _INVALID,
    Reason.EVIDENCE_WINDOW: _PRECONDITION,
    Reason.EVIDENCE_PUNISHED: _EXISTS,
    Reason.EVIDENCE_INACTIVE: _INVALID,
    Reason.TRANSACTIONS_ROOT: _DEFECT,
    Reason.STATE_ROOT: _DEFECT,
    Reason.NEXT_SET: _DEFECT,
    Reason.CLOCK: _DEFECT,
}
"""Status of a refused transaction, by reason."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A failed call as it leaves the bank."""

    code: grpc.StatusCode
    reason: str
    message: str
    retry_delay_ms: int = 0
    """0: trying the same call again cannot help."""
    request_field: str | None = None
    """The request field at fault."""
    metadata: Mapping[str, str] = field(default_factory=dict)

    def with_metadata(self, **metadata: str) -> Fault:
        return replace(self, metadata={**self.metadata, **metadata})

    def to_status(self) -> status_pb2.Status:
        """Return the google.rpc.Status that travels in the trailers."""
        message = self.message[:MAX_MESSAGE_CHARACTERS]
        details: list[Message] = [
            error_details_pb2.ErrorInfo(reason=self.reason, domain=DOMAIN, metadata=self.metadata)
        ]
        if self.retry_delay_ms:
            seconds, milliseconds = divmod(self.retry_delay_ms, 1_000)
            delay = duration_pb2.Duration(seconds=seconds, nanos=milliseconds * 1_000_000)
            details.append(error_details_pb2.RetryInfo(retry_delay=delay))
        if self.request_field is not None:
            violation = error_details_pb2.BadRequest.FieldViolation(
                field=self.request_field, description=message
            )
            details.append(error_details_pb2.BadRequest(field_violations=[violation]))
        status = status_pb2.Status(code=self.code.value[0], message=message)
        for detail in details:
            packed = any_pb2.Any()
            packed.Pack(detail)
            status.details.append(packed)
        return status


class CallRefused(Exception):
    """Raised by services and the gate to end a call with a fault."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(f"{fault.reason}: {fault.message}")
        self.fault = fault


def refuse(
    code: grpc.StatusCode,
    reason: CallReason,
    message: str,
    *,
    retry_delay_ms: int = 0,
    at_field: str | None = None,
) -> CallRefused:
    """Return the exception that ends a call with this fault."""
    return CallRefused(Fault(code, reason.value, message, retry_delay_ms, at_field))


def fault_of(error: Exception) -> Fault | None:
    """Return the fault that an error stands for; None for an error nobody foresaw."""
    match error:
        case CallRefused():
            return error.fault
        case Rejection():
            return fault_of_rejection(error)
        case MalformedMessage():
            return Fault(
                _INVALID, CallReason.MALFORMED.value, error.message, request_field=error.field
            )
        case IdentityInvalid():
            return Fault(grpc.StatusCode.UNAUTHENTICATED, CallReason.IDENTITY.value, str(error))
        case NotFound():
            return Fault(grpc.StatusCode.NOT_FOUND, CallReason.NOT_FOUND.value, str(error))
        case BeforeSnapshot():
            fault = Fault(
                grpc.StatusCode.UNAVAILABLE, CallReason.BEFORE_SNAPSHOT.value, str(error)
            )
            return fault.with_metadata(first_height=str(error.first_height))
        case NotYet():
            return Fault(_PRECONDITION, error.reason, str(error), error.retry_delay_ms)
        case NotAllowed():
            return Fault(grpc.StatusCode.PERMISSION_DENIED, error.reason, str(error))
        case NotReady():
            return Fault(
                grpc.StatusCode.UNAVAILABLE,
                CallReason.NOT_READY.value,
                str(error),
                error.retry_delay_ms,
            )
        case Overloaded():
            return Fault(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                error.reason,
                str(error),
                error.retry_delay_ms,
            )
        case IntegrityViolation():
            # What is damaged stands in the bank's own log and status.
            return Fault(
                grpc.StatusCode.DATA_LOSS,
                CallReason.DAMAGED.value,
                "what this bank has stored of it is damaged; ask another bank",
            )
        case _:
            return None


def fault_of_rejection(rejection: Rejection) -> Fault:
    """Return the fault of a refused transaction."""
    return Fault(
        code=STATUS_OF_REASON[rejection.reason],
        reason=rejection.reason.value,
        message=rejection.message,
        retry_delay_ms=retry_delay_ms(rejection.reason),
    )


def retry_delay_ms(reason: Reason) -> int:
    """Return after how long the same bytes may be accepted; 0 for never."""
    if reason is Reason.MEMPOOL_FULL:
        return MEMPOOL_RETRY_MS
    return NOT_YET_RETRY_MS if reason.is_not_yet else 0


def refusal_of(fault: Fault) -> Refusal:
    """Return the fault of one item of a stream, which does not end the stream."""
    return Refusal(fault.reason, fault.message[:MAX_MESSAGE_CHARACTERS], fault.retry_delay_ms)
