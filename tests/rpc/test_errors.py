"""The one table from reasons to gRPC status codes and details."""

from __future__ import annotations

import grpc
import pytest
from google.rpc import error_details_pb2

from node.ledger.rejection import Reason, Rejection
from node.ledger.types import Height
from node.rpc.backend import NotFound, NotReady, NotYet, Overloaded
from node.rpc.errors import (
    STATUS_OF_REASON,
    CallReason,
    Fault,
    fault_of,
    fault_of_rejection,
    refusal_of,
    refuse,
    retry_delay_ms,
)
from node.storage.errors import IntegrityViolation
from node.wire.fields import MalformedMessage
from node.wire.identity import IdentityInvalid
from node.wire.records import Refusal

Code = grpc.StatusCode


def test_every_reason_has_its_status() -> None:
    assert set(STATUS_OF_REASON) == set(Reason)


@pytest.mark.parametrize(
    ("reason", "code", "delay_ms"),
    [
        (Reason.LENGTH, Code.INVALID_ARGUMENT, 0),
        (Reason.CHAIN, Code.INVALID_ARGUMENT, 0),
        (Reason.RANGE, Code.INVALID_ARGUMENT, 0),
        (Reason.NULLIFIER, Code.ALREADY_EXISTS, 0),
        (Reason.NOTE, Code.ALREADY_EXISTS, 0),
        (Reason.DUPLICATE_TRANSACTION, Code.ALREADY_EXISTS, 0),
        (Reason.EXPIRED, Code.FAILED_PRECONDITION, 0),
        (Reason.BIN_OPEN, Code.FAILED_PRECONDITION, 1_000),
        (Reason.BIN_UNKNOWN, Code.FAILED_PRECONDITION, 1_000),
        (Reason.ISSUANCE_LIMIT, Code.FAILED_PRECONDITION, 0),
        (Reason.YEAR_OPEN, Code.FAILED_PRECONDITION, 0),
        (Reason.SETTLED, Code.ALREADY_EXISTS, 0),
        (Reason.COUNTS, Code.INVALID_ARGUMENT, 0),
        (Reason.MEMPOOL_FULL, Code.RESOURCE_EXHAUSTED, 500),
        (Reason.STATE_ROOT, Code.INTERNAL, 0),
    ],
)
def test_a_rejection_keeps_its_reason_and_says_when_to_retry(
    reason: Reason, code: grpc.StatusCode, delay_ms: int
) -> None:
    assert fault_of(Rejection(reason, "why")) == Fault(code, reason.value, "why", delay_ms)


def test_waiting_helps_exactly_for_what_is_not_yet_or_full() -> None:
    assert {reason for reason in Reason if retry_delay_ms(reason)} == {
        Reason.BIN_OPEN,
        Reason.BIN_UNKNOWN,
        Reason.MEMPOOL_FULL,
    }


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (NotFound("no block"), Fault(Code.NOT_FOUND, "not-found", "no block")),
        (NotReady("halted"), Fault(Code.UNAVAILABLE, "not-ready", "halted", 1_000)),
        (
            NotYet("not-sealed", "wait", 700),
            Fault(Code.FAILED_PRECONDITION, "not-sealed", "wait", 700),
        ),
        (
            Overloaded("mempool-full", "full", 300),
            Fault(Code.RESOURCE_EXHAUSTED, "mempool-full", "full", 300),
        ),
        (
            MalformedMessage("seed", "too long"),
            Fault(Code.INVALID_ARGUMENT, "malformed", "too long", request_field="seed"),
        ),
        (IdentityInvalid("who?"), Fault(Code.UNAUTHENTICATED, "identity", "who?")),
        (
            refuse(Code.ABORTED, CallReason.REPLACED, "newer"),
            Fault(Code.ABORTED, "replaced", "newer"),
        ),
        (
            IntegrityViolation("blocks", Height(5), "does not decode"),
            Fault(
                Code.DATA_LOSS,
                "damaged",
                "what this bank has stored of it is damaged; ask another bank",
            ),
        ),
    ],
)
def test_errors_raised_on_purpose_have_their_fault(error: Exception, fault: Fault) -> None:
    assert fault_of(error) == fault


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), TimeoutError(), OSError()])
def test_other_errors_have_none(error: Exception) -> None:
    assert fault_of(error) is None


def test_the_details_are_those_of_google_rpc() -> None:
    fault = Fault(
        Code.FAILED_PRECONDITION, "bin-open", "bin 7 is open", 1_500, "bin_ids"
    ).with_metadata(transaction_id="ab")
    status = fault.to_status()
    info, retry, request = (
        error_details_pb2.ErrorInfo(),
        error_details_pb2.RetryInfo(),
        error_details_pb2.BadRequest(),
    )
    for packed, message in zip(status.details, (info, retry, request), strict=True):
        assert packed.Unpack(message)
    assert (status.code, status.message) == (9, "bin 7 is open")
    assert (info.reason, info.domain, dict(info.metadata)) == (
        "bin-open",
        "consortium.v1",
        {"transaction_id": "ab"},
    )
    assert (retry.retry_delay.seconds, retry.retry_delay.nanos) == (1, 500_000_000)
    assert [(v.field, v.description) for v in request.field_violations] == [
        ("bin_ids", "bin 7 is open")
    ]


def test_a_long_message_cannot_push_the_details_out_of_the_trailers() -> None:
    fault = Fault(Code.INVALID_ARGUMENT, "malformed", "x" * 100_000, request_field="f")
    assert len(fault.to_status().SerializeToString()) < 2_000


def test_one_item_of_a_stream_carries_the_same_reason() -> None:
    fault = fault_of_rejection(Rejection(Reason.BIN_OPEN, "bin 7 is open"))
    assert refusal_of(fault) == Refusal("bin-open", "bin 7 is open", 1_000)
