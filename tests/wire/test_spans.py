"""Ids of spans: pinned, the same for everybody, and chosen as OpenTelemetry chooses."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Decision, TraceIdRatioBased
from opentelemetry.trace import SpanKind as Kind
from opentelemetry.trace import StatusCode

from node.ledger.types import TransactionId
from node.wire.span_export import SpanExport
from node.wire.spans import (
    CLIENT,
    SUBMIT,
    TRANSACTION,
    Span,
    SpanEvent,
    SpanKind,
    bank_party,
    is_traced,
    span_id,
    trace_id,
)

PAYMENT = TransactionId(bytes(range(32)))


def test_ids_are_pinned() -> None:
    """Banks of different versions name the same parents."""
    assert trace_id(PAYMENT) == 0x000102030405060708090A0B0C0D0E0F
    assert span_id(PAYMENT, CLIENT, SUBMIT) == 0xA97E834519BBCE7A
    assert span_id(PAYMENT, bank_party(3), TRANSACTION) == 0x19CC3F272F29256C


def test_ids_of_parties_names_and_occasions_differ() -> None:
    spans = [
        Span(PAYMENT, party, name, 1, 2, None, occasion=occasion)
        for party in (CLIENT, "bank 1", "bank 11")
        for name in (SUBMIT, TRANSACTION)
        for occasion in ("", " 7")
    ]
    assert len({span.span_id for span in spans}) == len(spans)


@given(st.binary(min_size=32, max_size=32), st.floats(0, 1))
@example(b"\xff" * 32, 1.0)
@example(bytes(32), 0.0)
@example(b"\x00" * 8 + b"\x80" + b"\x00" * 23, 0.5)
def test_the_same_transactions_are_traced_as_by_the_sampler_of_opentelemetry(
    raw: bytes, ratio: float
) -> None:
    sampled = TraceIdRatioBased(ratio).should_sample(None, trace_id(TransactionId(raw)), "any")
    assert is_traced(TransactionId(raw), ratio) == (sampled.decision is Decision.RECORD_AND_SAMPLE)


def test_a_span_is_exported_with_its_own_ids_and_times() -> None:
    memory = InMemorySpanExporter()
    export = SpanExport(SimpleSpanProcessor(memory), "consortium-bank", "dunmere")
    root = Span(PAYMENT, CLIENT, SUBMIT, 1_000_001, 1_000_009, None, SpanKind.CLIENT)
    child = Span(
        PAYMENT,
        "bank 3",
        TRANSACTION,
        1_000_002,
        1_000_001,
        root.span_id,
        SpanKind.SERVER,
        {"consortium.bank": 3},
        (SpanEvent("received", 1_000_002),),
        "nullifier",
    )
    export.take(root)
    export.take(child)
    first, second = memory.get_finished_spans()
    assert first.context is not None
    assert second.context is not None
    assert second.parent is not None
    assert (first.context.trace_id, first.context.span_id) == (trace_id(PAYMENT), root.span_id)
    assert (first.parent, first.kind, first.name) == (None, Kind.CLIENT, "submit")
    assert (first.start_time, first.end_time) == (1_000_001_000, 1_000_009_000)
    assert first.status.status_code is StatusCode.UNSET
    assert first.resource.attributes["service.name"] == "consortium-bank"
    assert first.resource.attributes["service.instance.id"] == "dunmere"
    assert dict(first.attributes or {}) == {"consortium.transaction_id": PAYMENT.hex()}
    assert (second.context.trace_id, second.context.span_id) == (trace_id(PAYMENT), child.span_id)
    assert second.parent.span_id == root.span_id
    # A clock that was set back makes no span that ends before it begins.
    assert (second.start_time, second.end_time) == (1_000_002_000, 1_000_002_000)
    assert (second.status.status_code, second.status.description) == (StatusCode.ERROR, "nullifier")
    assert [(event.name, event.timestamp) for event in second.events] == [
        ("received", 1_000_002_000)
    ]
    assert (second.attributes or {})["consortium.bank"] == 3
    export.close()
