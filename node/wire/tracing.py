"""Whether spans are made, and what takes them: the same words for banks and clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from node.wire.span_export import SpanExport

OTLP = "otlp"
"""The exporter there is: OTLP over HTTP, to where OpenTelemetry's environment says."""
EXPORTER_VARIABLE = "CONSORTIUM_TRACING"
RATIO_VARIABLE = "CONSORTIUM_TRACE_RATIO"
INSTALL = "install the extra `tracing`: pip install 'consortium[tracing]'"


class TracingInvalid(Exception):
    """Spans are asked for in a way that cannot be had; the message says what to do."""


def traced_share(
    environ: Mapping[str, str], exporter: str = "", ratio: float = 1.0
) -> float | None:
    """Return the share of transactions to trace, None if none is.

    The environment goes before what is configured. Raises `TracingInvalid`.
    """
    wanted = environ.get(EXPORTER_VARIABLE) or exporter
    if not wanted:
        return None
    if wanted != OTLP:
        raise TracingInvalid(f'{EXPORTER_VARIABLE} must be "{OTLP}" or empty, not {wanted!r}')
    text = environ.get(RATIO_VARIABLE)
    if not text:
        return ratio
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise TracingInvalid(f"{RATIO_VARIABLE} must be from 0 to 1, not {text!r}")
    return share


def open_export(service: str, instance: str) -> SpanExport:
    """Return what sends spans by OTLP; raises `TracingInvalid` where OpenTelemetry is missing."""
    try:
        from node.wire.span_export import SpanExport
    except ImportError as error:
        raise TracingInvalid(f"OpenTelemetry is not here ({error.name}); {INSTALL}") from error
    return SpanExport.otlp(service, instance)
