"""From a failed gRPC call to a typed error.

The reason and the retry delay travel as google.rpc details (`proto/node/wire/types.proto`); a
bank that sends none, or nonsense, still yields the error of its gRPC status.
"""

from __future__ import annotations

from typing import TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from node.client.errors import (
    AccessDenied,
    BeforeSnapshot,
    LedgerError,
    LedgerFault,
    LedgerOverloaded,
    LedgerTimeout,
    LedgerUnavailable,
    NotYet,
    RecordNotFound,
    RequestInvalid,
    TransactionRefused,
)
from node.ledger.rejection import Reason
from node.wire.records import Refusal

M = TypeVar("M", bound=Message)

ERROR_DOMAIN = "consortium.v1"
DETAILS_KEY = "grpc-status-details-bin"
MAX_DETAILS_BYTES = 16 << 10
MAX_RETRY_DELAY_MS = 3_600_000

_ERRORS: dict[grpc.StatusCode, type[LedgerError]] = {
    grpc.StatusCode.UNAVAILABLE: LedgerUnavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: LedgerTimeout,
    grpc.StatusCode.NOT_FOUND: RecordNotFound,
    grpc.StatusCode.RESOURCE_EXHAUSTED: LedgerOverloaded,
    grpc.StatusCode.UNAUTHENTICATED: AccessDenied,
    grpc.StatusCode.PERMISSION_DENIED: AccessDenied,
    grpc.StatusCode.INVALID_ARGUMENT: RequestInvalid,
    grpc.StatusCode.ALREADY_EXISTS: RequestInvalid,
    grpc.StatusCode.OUT_OF_RANGE: RequestInvalid,
    grpc.StatusCode.UNIMPLEMENTED: RequestInvalid,
}
"""What is not listed is a fault of the bank."""

BEFORE_SNAPSHOT = "before-snapshot"
MAX_HEIGHT_DIGITS = 20
"""Of a u64."""

_VERDICTS = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.FAILED_PRECONDITION,
    }
)
"""Statuses under which a reason of the ledger is a verdict on a submitted transaction."""


def error_of_call(
    error: grpc.aio.AioRpcError, endpoint: str, *, submission: bool = False
) -> LedgerError:
    """Return the typed error; `submission` marks calls that hand in a transaction."""
    details = _details(error)
    info = _unpack(details, error_details_pb2.ErrorInfo)
    reason_code = info.reason if info is not None and info.domain == ERROR_DOMAIN else ""
    retry_delay_ms = _retry_delay_ms(_unpack(details, error_details_pb2.RetryInfo))
    code = error.code()
    message = error.details() or code.name
    if submission and code in _VERDICTS:
        reason = _reason(reason_code)
        if reason is not None:
            return TransactionRefused(
                reason,
                message,
                status=code.name,
                endpoint=endpoint,
                retry_delay_ms=retry_delay_ms,
            )
    kind = _ERRORS.get(code, LedgerFault)
    if code is grpc.StatusCode.FAILED_PRECONDITION:
        kind = RequestInvalid if retry_delay_ms is None else NotYet
    first_height = info.metadata.get("first_height", "") if info is not None else ""
    if reason_code == BEFORE_SNAPSHOT and first_height.isdecimal():
        kind = BeforeSnapshot
    typed = kind(
        message,
        status=code.name,
        reason_code=reason_code,
        endpoint=endpoint,
        retry_delay_ms=retry_delay_ms,
    )
    if isinstance(typed, BeforeSnapshot):
        typed.first_height = int(first_height[:MAX_HEIGHT_DIGITS])
    return typed


def error_of_refusal(refusal: Refusal, endpoint: str) -> LedgerError:
    """Return the typed error of a refused item of a submission stream or a rejected status."""
    retry_delay_ms = min(refusal.retry_delay_ms, MAX_RETRY_DELAY_MS) or None
    reason = _reason(refusal.reason)
    if reason is None:
        return LedgerFault(
            refusal.message,
            reason_code=refusal.reason,
            endpoint=endpoint,
            retry_delay_ms=retry_delay_ms,
        )
    if reason is Reason.MEMPOOL_FULL:
        return LedgerOverloaded(
            refusal.message,
            status=grpc.StatusCode.RESOURCE_EXHAUSTED.name,
            reason_code=refusal.reason,
            endpoint=endpoint,
            retry_delay_ms=retry_delay_ms,
        )
    return TransactionRefused(
        reason, refusal.message, endpoint=endpoint, retry_delay_ms=retry_delay_ms
    )


def _reason(code: str) -> Reason | None:
    try:
        return Reason(code)
    except ValueError:
        return None


def _details(error: grpc.aio.AioRpcError) -> status_pb2.Status:
    status = status_pb2.Status()
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS_KEY and len(value) <= MAX_DETAILS_BYTES:
            try:
                status.ParseFromString(value)
            except DecodeError:
                return status_pb2.Status()
    return status


def _unpack(status: status_pb2.Status, kind: type[M]) -> M | None:
    for detail in status.details:
        message = kind()
        if detail.Is(message.DESCRIPTOR):
            try:
                detail.Unpack(message)
            except DecodeError:
                return None
            return message
    return None


def _retry_delay_ms(info: error_details_pb2.RetryInfo | None) -> int | None:
    if info is None:
        return None
    delay_ms: int = info.retry_delay.ToMilliseconds()
    return max(0, min(delay_ms, MAX_RETRY_DELAY_MS))
