"""Operator stubs to values and back."""

from __future__ import annotations

from typing import Any

import pytest

from node.ledger.types import Height
from node.wire import operator_codec, operator_pb2
from node.wire.fields import MalformedMessage
from node.wire.operator_records import AuditExtent
from tests.rpc.doubles import AUDIT, DIGESTS, REPORT
from tests.rpc.observed_samples import ROUND, TRACE


@pytest.mark.parametrize(
    ("to_stub", "from_stub", "value"),
    [
        (operator_codec.report_to_stub, operator_codec.report_from_stub, REPORT),
        (operator_codec.digests_to_stub, operator_codec.digests_from_stub, DIGESTS),
        (operator_codec.audit_to_stub, operator_codec.audit_from_stub, AUDIT[0]),
        (operator_codec.audit_to_stub, operator_codec.audit_from_stub, AUDIT[1]),
        (operator_codec.round_to_stub, operator_codec.round_from_stub, ROUND),
        (operator_codec.trace_to_stub, operator_codec.trace_from_stub, TRACE),
    ],
)
def test_values_survive_the_wire(to_stub: Any, from_stub: Any, value: Any) -> None:
    stub = to_stub(value)
    assert from_stub(type(stub).FromString(stub.SerializeToString())) == value


def test_block_ids_have_32_bytes_each() -> None:
    stub = operator_codec.digests_to_stub(DIGESTS)
    stub.block_ids.append(b"short")
    with pytest.raises(MalformedMessage) as caught:
        operator_codec.digests_from_stub(stub)
    assert str(caught.value) == "block_ids: must have 32 bytes, not 5"


@pytest.mark.parametrize(
    ("request_fields", "extent"),
    [
        ({"seed": b"s", "sample_size": 10}, AuditExtent(b"s", 10)),
        ({"everything": True}, AuditExtent(b"", None)),
    ],
)
def test_an_audit_takes_a_sample_or_everything(
    request_fields: dict[str, Any], extent: AuditExtent
) -> None:
    request = operator_pb2.AuditTransactionsRequest(**request_fields)
    assert operator_codec.audit_extent(request) == extent


@pytest.mark.parametrize(
    ("request_fields", "message"),
    [
        ({}, "extent: give a sample size above 0 or everything = true"),
        ({"sample_size": 0}, "extent: give a sample size above 0 or everything = true"),
        ({"everything": False}, "extent: give a sample size above 0 or everything = true"),
        ({"seed": bytes(65), "everything": True}, "seed: must have 0 to 64 bytes, not 65"),
    ],
)
def test_an_audit_of_nothing_is_refused(request_fields: dict[str, Any], message: str) -> None:
    with pytest.raises(MalformedMessage) as caught:
        operator_codec.audit_extent(operator_pb2.AuditTransactionsRequest(**request_fields))
    assert str(caught.value) == message


def test_log_levels_are_named_exactly() -> None:
    assert operator_codec.log_level(operator_pb2.SetLogLevelRequest(level="DEBUG")) == "DEBUG"
    with pytest.raises(MalformedMessage) as caught:
        operator_codec.log_level(operator_pb2.SetLogLevelRequest(level="debug"))
    assert str(caught.value) == "level: must be one of DEBUG, INFO, WARNING, ERROR"


def test_height_zero_is_the_tip() -> None:
    assert (operator_codec.optional_height(0), operator_codec.optional_height(5)) == (
        None,
        Height(5),
    )


@pytest.mark.parametrize(
    ("from_stub", "stub"),
    [
        (
            operator_codec.round_from_stub,
            operator_pb2.RoundReport(events=[operator_pb2.RoundEvent(kind="rejected")]),
        ),
        (
            operator_codec.trace_from_stub,
            operator_pb2.TransactionTrace(
                transaction_id=bytes(32), events=[operator_pb2.TransactionEvent(kind="lost")]
            ),
        ),
    ],
)
def test_an_event_of_an_unknown_kind_names_its_field(from_stub: Any, stub: Any) -> None:
    with pytest.raises(MalformedMessage) as caught:
        from_stub(stub)
    assert caught.value.field == "kind"


def test_no_bank_can_hand_an_operator_endless_events() -> None:
    events = [operator_pb2.RoundEvent(kind="voted")] * 513
    with pytest.raises(MalformedMessage) as caught:
        operator_codec.round_from_stub(operator_pb2.RoundReport(events=events))
    assert str(caught.value) == "events: must list 0 to 512 items, not 513"
