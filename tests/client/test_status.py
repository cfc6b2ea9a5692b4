"""Typed errors from gRPC statuses and google.rpc details."""

from __future__ import annotations

import grpc
import grpc.aio
import pytest
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from node.client.errors import (
    AccessDenied,
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
from node.client.status import MAX_RETRY_DELAY_MS, error_of_call, error_of_refusal
from node.ledger.rejection import Reason
from node.wire.records import Refusal

Code = grpc.StatusCode


def failed_call(
    code: grpc.StatusCode, message: str = "why", *details: Message, raw: bytes | None = None
) -> grpc.aio.AioRpcError:
    status = status_pb2.Status()
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    value = status.SerializeToString() if raw is None else raw
    return grpc.aio.AioRpcError(
        code,
        grpc.aio.Metadata(),
        grpc.aio.Metadata(("grpc-status-details-bin", value)),
        message,
    )


def info(reason: str, domain: str = "consortium.v1") -> error_details_pb2.ErrorInfo:
    return error_details_pb2.ErrorInfo(reason=reason, domain=domain)


def retry(delay_ms: int) -> error_details_pb2.RetryInfo:
    delay = duration_pb2.Duration()
    delay.FromMilliseconds(delay_ms)
    return error_details_pb2.RetryInfo(retry_delay=delay)


def shown(error: LedgerError) -> tuple[type, str, str, str, int | None]:
    return type(error), str(error), error.status, error.reason_code, error.retry_delay_ms


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (Code.UNAVAILABLE, LedgerUnavailable),
        (Code.DEADLINE_EXCEEDED, LedgerTimeout),
        (Code.NOT_FOUND, RecordNotFound),
        (Code.RESOURCE_EXHAUSTED, LedgerOverloaded),
        (Code.UNAUTHENTICATED, AccessDenied),
        (Code.PERMISSION_DENIED, AccessDenied),
        (Code.INVALID_ARGUMENT, RequestInvalid),
        (Code.FAILED_PRECONDITION, RequestInvalid),
        (Code.UNIMPLEMENTED, RequestInvalid),
        (Code.INTERNAL, LedgerFault),
        (Code.UNKNOWN, LedgerFault),
        (Code.DATA_LOSS, LedgerFault),
    ],
)
def test_every_status_has_its_error(code: grpc.StatusCode, kind: type[LedgerError]) -> None:
    error = error_of_call(failed_call(code), "bank-0@host:1")
    assert shown(error) == (kind, "bank-0@host:1: why", code.name, "", None)


def test_a_refused_submission_carries_the_ledgers_reason() -> None:
    call = failed_call(Code.ALREADY_EXISTS, "spent", info("nullifier"))
    error = error_of_call(call, "", submission=True)
    assert isinstance(error, TransactionRefused)
    assert error.reason is Reason.NULLIFIER
    assert shown(error) == (
        TransactionRefused,
        "nullifier: spent",
        "ALREADY_EXISTS",
        "nullifier",
        None,
    )


@pytest.mark.parametrize("reason", list(Reason))
def test_no_reason_is_lost(reason: Reason) -> None:
    call = failed_call(Code.FAILED_PRECONDITION, "why", info(reason.value), retry(70))
    error = error_of_call(call, "", submission=True)
    assert isinstance(error, TransactionRefused)
    assert (error.reason, error.retry_delay_ms) == (reason, 70)


def test_waiting_helps_where_the_bank_says_so() -> None:
    call = failed_call(Code.FAILED_PRECONDITION, "fills", info("bin-open"), retry(250))
    expected = (NotYet, "bin-open: fills", "FAILED_PRECONDITION", "bin-open", 250)
    assert shown(error_of_call(call, "")) == expected


def test_no_room_is_no_verdict() -> None:
    call = failed_call(Code.RESOURCE_EXHAUSTED, "full", info("mempool-full"), retry(500))
    error = error_of_call(call, "", submission=True)
    expected = (LedgerOverloaded, "mempool-full: full", "RESOURCE_EXHAUSTED", "mempool-full", 500)
    assert shown(error) == expected


@pytest.mark.parametrize(
    "call",
    [
        failed_call(Code.INVALID_ARGUMENT, "why", raw=b"\xff\xff"),
        failed_call(Code.INVALID_ARGUMENT, "why", raw=bytes(20_000)),
        failed_call(Code.INVALID_ARGUMENT, "why", info("nullifier", domain="elsewhere")),
        failed_call(Code.INVALID_ARGUMENT, "why", info("no-such-reason", domain="elsewhere")),
        failed_call(Code.INVALID_ARGUMENT, "why"),
    ],
)
def test_nonsense_in_the_details_is_ignored(call: grpc.aio.AioRpcError) -> None:
    error = error_of_call(call, "", submission=True)
    assert shown(error) == (RequestInvalid, "why", "INVALID_ARGUMENT", "", None)


def test_an_unknown_reason_is_passed_on_as_text() -> None:
    call = failed_call(Code.INVALID_ARGUMENT, "why", info("malformed"))
    error = error_of_call(call, "", submission=True)
    assert shown(error) == (RequestInvalid, "malformed: why", "INVALID_ARGUMENT", "malformed", None)


@pytest.mark.parametrize(("told", "kept"), [(-5, 0), (10**12, MAX_RETRY_DELAY_MS)])
def test_retry_delays_are_bounded(told: int, kept: int) -> None:
    call = failed_call(Code.UNAVAILABLE, "why", retry(told))
    assert error_of_call(call, "").retry_delay_ms == kept


@pytest.mark.parametrize(
    ("refusal", "expected"),
    [
        (
            Refusal("range", "no proof"),
            (TransactionRefused, "range: no proof", "UNKNOWN", "range", None),
        ),
        (
            Refusal("bin-open", "fills", 250),
            (TransactionRefused, "bin-open: fills", "UNKNOWN", "bin-open", 250),
        ),
        (
            Refusal("mempool-full", "full", 500),
            (
                LedgerOverloaded,
                "mempool-full: full",
                "RESOURCE_EXHAUSTED",
                "mempool-full",
                500,
            ),
        ),
        (
            Refusal("internal", "a defect"),
            (LedgerFault, "internal: a defect", "UNKNOWN", "internal", None),
        ),
    ],
)
def test_refused_items_of_a_stream_are_typed_too(
    refusal: Refusal, expected: tuple[type, str, str, str, int | None]
) -> None:
    assert shown(error_of_refusal(refusal, "")) == expected
