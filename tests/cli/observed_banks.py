"""What running banks tell of themselves: their metrics, and the traces of what they sealed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from click.testing import Result
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from node.client import tracing
from node.ledger.types import TransactionId
from node.runtime.consortium_directory import short_name
from node.runtime.metrics_collector import families
from node.wire.span_export import SpanExport
from node.wire.spans import trace_id
from tests.runtime.metrics_samples import make_snapshot

EVERYWHERE = {"transaction", "consensus", "apply"}
"""Spans of a sealed transaction at every bank."""
AT_HOME = {*EVERYWHERE, "admission", "check proofs", "check conflicts", "gossip", "mempool"}
"""Spans at the bank whose client submitted it."""


class Traces:
    """Spans of everybody in this process, kept in memory."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()

    def export(self, service: str, instance: str) -> SpanExport:
        return SpanExport(SimpleSpanProcessor(self._exporter), service, instance)

    def of(self, transaction_id: TransactionId) -> list[ReadableSpan]:
        return [
            span
            for span in self._exporter.get_finished_spans()
            if span.context is not None and span.context.trace_id == trace_id(transaction_id)
        ]

    @property
    def submitted(self) -> set[TransactionId]:
        """What clients submitted and banks took."""
        return {
            TransactionId(bytes.fromhex(str((span.attributes or {})["consortium.transaction_id"])))
            for span in self._exporter.get_finished_spans()
            if span.name == "submit" and span.status.status_code is StatusCode.UNSET
        }

    def assert_sealed(self, transaction_id: TransactionId, banks: int) -> None:
        """A client's submission is the root, and under it hangs what every bank did."""
        spans = self.of(transaction_id)
        (root,) = [span for span in spans if span.parent is None]
        assert (root.name, root.resource.attributes["service.name"]) == (
            "submit",
            "consortium-client",
        )
        known = {span.context.span_id: span for span in spans if span.context is not None}
        assert len(known) == len(spans)
        for span in spans:
            assert span.parent is None or span.parent.span_id in known, span.name
            assert span.status.status_code is StatusCode.UNSET, span.status.description
        tops = {
            str(span.resource.attributes["service.instance.id"]): span.attributes or {}
            for span in spans
            if span.name == "transaction"
        }
        assert set(tops) == {short_name(bank) for bank in range(banks)}
        assert len({attributes["consortium.height"] for attributes in tops.values()}) == 1
        at_home = [
            name for name, attributes in tops.items() if attributes["consortium.source"] == "client"
        ]
        assert len(at_home) == 1
        for name in tops:
            own = {
                span.name
                for span in spans
                if span.resource.attributes["service.instance.id"] == name
            }
            assert own >= (AT_HOME if name in at_home else EVERYWHERE)

    def assert_refused(self, transaction_id: TransactionId, reason: str) -> None:
        """Some bank has refused it, and the trace says why."""
        errors = {
            span.status.description
            for span in self.of(transaction_id)
            if span.name == "transaction" and span.status.status_code is StatusCode.ERROR
        }
        assert errors == {reason}


@contextmanager
def traced() -> Iterator[Traces]:
    """Have every bank and client that is made meanwhile trace into memory."""
    traces = Traces()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SpanExport, "otlp", staticmethod(traces.export))
        patch.setattr(tracing, "_of_process", None)
        patch.setattr(tracing.atexit, "register", lambda function: function)
        patch.setenv("CONSORTIUM_TRACING", "otlp")
        yield traces


def assert_metrics_tell(result: Result, transactions: int) -> None:
    """Every bank serves every metric, and its counters know what was sealed."""
    assert result.exit_code == 0, result.output
    expected = {family.name for family in families(make_snapshot())}
    for bank in json.loads(result.stdout)["banks"]:
        assert bank["error"] is None
        values = {_title(series): series["value"] for series in bank["series"]}
        served = {series["name"] for series in bank["series"]}
        assert {name for name in expected if not _is_served(name, served)} <= MAY_BE_EMPTY
        for name in ("sealed_transactions_total", "verify_seconds_count", "apply_seconds_count"):
            assert values[f"consortium_{name}"] > 0, name
        assert values["consortium_sealed_transactions_total"] == transactions
        assert values["consortium_block_transactions_sum"] == transactions
        assert values["consortium_ready"] == 1
        assert values["consortium_quorum_margin"] == 0
        assert values["consortium_process_cpu_seconds_total"] > 0
        assert values["consortium_database_size_bytes"] > 0


MAY_BE_EMPTY = {
    "consortium_alarms",
    "consortium_injected_faults",
    "consortium_peer_refused_messages",
    "consortium_pot_minor_units",
    "consortium_refusals",
}
"""Metrics without a series while nothing of the kind has happened."""


def _is_served(name: str, served: set[str]) -> bool:
    return any(f"{name}{suffix}" in served for suffix in ("", "_total", "_info", "_count"))


def _title(series: dict[str, Any]) -> str:
    labels = ",".join(f"{name}={value}" for name, value in sorted(series["labels"].items()))
    return f"{series['name']}{{{labels}}}" if labels else str(series["name"])
