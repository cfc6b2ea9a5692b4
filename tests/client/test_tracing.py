"""The client's spans: one root a transaction, waits below it, and nothing while tracing is off."""

from __future__ import annotations

import pytest

from crypto.transaction import transaction_id as hash_transaction
from node.client import tracing as tracing_module
from node.client.errors import LedgerTimeout, TransactionRefused
from node.client.tracing import ClientTracing, TracingUnavailable, process_tracing
from node.ledger.rejection import Reason
from node.ledger.types import TransactionId
from node.wire.spans import CLIENT, SUBMIT, Span, SpanEvent, SpanKind, span_id

RAW = b"a transaction"
PAYMENT = TransactionId(hash_transaction(RAW))
ROOT = span_id(PAYMENT, CLIENT, SUBMIT)


class Collecting:
    """An export that keeps what it is given."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def take(self, span: Span) -> None:
        self.spans.append(span)


class Clock:
    """Moments one microsecond apart."""

    def __init__(self) -> None:
        self.now_us = 0

    def __call__(self) -> int:
        self.now_us += 1
        return self.now_us


def traced(ratio: float = 1.0) -> tuple[ClientTracing, list[Span]]:
    export = Collecting()
    return ClientTracing(export, ratio, Clock()), export.spans  # type: ignore[arg-type]


def test_a_submission_is_the_root_and_waits_hang_below_it() -> None:
    tracing, spans = traced()
    with tracing.submission(RAW):
        assert spans == []
    with tracing.wait(PAYMENT) as saw:
        saw("admitted")
        saw("sealed")
    root, wait = spans
    assert root == Span(PAYMENT, CLIENT, SUBMIT, 1, 2, None, SpanKind.CLIENT)
    assert root.span_id == ROOT
    assert (wait.name, wait.parent_id, wait.begin_us, wait.end_us) == (
        "wait until final",
        ROOT,
        3,
        6,
    )
    assert wait.events == (SpanEvent("admitted", 4), SpanEvent("sealed", 5))


def test_handing_in_the_same_bytes_again_makes_no_second_root() -> None:
    tracing, spans = traced()
    for _ in range(3):
        with tracing.submission(RAW):
            pass
    tracing.answered(RAW, tracing.begin(), None)
    assert [span.parent_id for span in spans] == [None, ROOT, ROOT, ROOT]
    assert len({span.span_id for span in spans}) == 4


def test_failures_are_errors_by_their_code_and_none_of_their_words() -> None:
    tracing, spans = traced()
    refusal = TransactionRefused(Reason.NULLIFIER, "spent by alice")
    with pytest.raises(TransactionRefused), tracing.submission(RAW):
        raise refusal
    with pytest.raises(LedgerTimeout), tracing.wait(PAYMENT):
        raise LedgerTimeout("not final", status="DEADLINE_EXCEEDED")
    tracing.answered(RAW, 1, refusal)
    assert [span.error for span in spans] == ["nullifier", "deadline_exceeded", "nullifier"]
    assert "alice" not in repr(spans)


def test_what_is_not_in_the_traced_share_makes_no_spans() -> None:
    for tracing, spans in (traced(0.0), (ClientTracing(), [])):
        with tracing.submission(RAW):
            pass
        with tracing.wait(PAYMENT) as saw:
            saw("sealed")
        tracing.answered(RAW, tracing.begin(), None)
        assert spans == []


def test_the_environment_decides_for_the_whole_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing_module, "_of_process", None)
    monkeypatch.delenv("CONSORTIUM_TRACING", raising=False)
    assert process_tracing() is process_tracing()
    monkeypatch.setattr(tracing_module, "_of_process", None)
    monkeypatch.setenv("CONSORTIUM_TRACING", "jaeger")
    with pytest.raises(TracingUnavailable, match="CONSORTIUM_TRACING must be"):
        process_tracing()
