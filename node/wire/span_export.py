"""Giving spans to OpenTelemetry, which sends them on; needs the extra `tracing`.

`node.wire.spans` makes no use of it; import this module only when spans are wanted.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from opentelemetry.trace import SpanKind as Kind

from node.wire.spans import Span, SpanKind, trace_id

TIMEOUT_VARIABLE = "OTEL_EXPORTER_OTLP_TIMEOUT"
TIMEOUT_S = 2.0
"""Of one export, unless the environment says otherwise: a collector that is away must not hold up
the end of a process."""
US = 1_000
"""Nanoseconds."""

_KINDS = {
    SpanKind.INTERNAL: Kind.INTERNAL,
    SpanKind.CLIENT: Kind.CLIENT,
    SpanKind.SERVER: Kind.SERVER,
    SpanKind.CONSUMER: Kind.CONSUMER,
}


class _GivenIds(IdGenerator):
    """Ids that were decided before the span was begun."""

    def __init__(self) -> None:
        self.trace_id = 0
        self.span_id = 0

    def generate_trace_id(self) -> int:
        return self.trace_id

    def generate_span_id(self) -> int:
        return self.span_id


class SpanExport:
    """Takes finished spans of one party; may be used from any thread."""

    def __init__(self, processor: SpanProcessor, service: str, instance: str) -> None:
        """`service` and `instance` are the resource's `service.name` and `service.instance.id`."""
        self._ids = _GivenIds()
        self._lock = threading.Lock()
        resource = Resource.create({"service.name": service, "service.instance.id": instance})
        self._provider = TracerProvider(
            sampler=ALWAYS_ON, resource=resource, id_generator=self._ids, shutdown_on_exit=False
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("consortium")

    @staticmethod
    def otlp(service: str, instance: str) -> SpanExport:
        """Return one that sends by OTLP over HTTP, in batches, from a thread of its own.

        Where to is said by OpenTelemetry's environment: `OTEL_EXPORTER_OTLP_ENDPOINT` and others.
        """
        timeout_s = None if TIMEOUT_VARIABLE in os.environ else TIMEOUT_S
        exporter = OTLPSpanExporter(timeout=timeout_s)
        return SpanExport(BatchSpanProcessor(exporter), service, instance)

    def take(self, span: Span) -> None:
        """Hand over one span; what there is no room for is dropped."""
        traced = trace_id(span.transaction_id)
        context = None
        if span.parent_id is not None:
            parent = SpanContext(
                traced, span.parent_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED)
            )
            context = set_span_in_context(NonRecordingSpan(parent))
        with self._lock:
            self._ids.trace_id, self._ids.span_id = traced, span.span_id
            made = self._tracer.start_span(
                span.name,
                context=context,
                kind=_KINDS[span.kind],
                attributes=_attributes(span),
                start_time=span.begin_us * US,
                record_exception=False,
            )
        for event in span.events:
            made.add_event(event.name, timestamp=event.at_us * US)
        if span.error:
            made.set_status(Status(StatusCode.ERROR, span.error))
        made.end(end_time=max(span.begin_us, span.end_us) * US)

    def close(self) -> None:
        """Send what waits, as long as an export may take; blocks meanwhile."""
        self._provider.shutdown()


def _attributes(span: Span) -> Mapping[str, str | int | bool]:
    return {"consortium.transaction_id": span.transaction_id.hex(), **span.attributes}
