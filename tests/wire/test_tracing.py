"""Whether spans are made: environment before configuration, and clear words where they cannot."""

from __future__ import annotations

import sys

import pytest

from node.wire.tracing import OTLP, TracingInvalid, open_export, traced_share


@pytest.mark.parametrize(
    ("environ", "configured", "share"),
    [
        ({}, ("", 1.0), None),
        ({}, (OTLP, 0.25), 0.25),
        ({"CONSORTIUM_TRACING": "otlp"}, ("", 1.0), 1.0),
        ({"CONSORTIUM_TRACING": "otlp", "CONSORTIUM_TRACE_RATIO": "0.5"}, ("", 1.0), 0.5),
        ({"CONSORTIUM_TRACE_RATIO": "0.5"}, (OTLP, 0.25), 0.5),
        ({"CONSORTIUM_TRACE_RATIO": "nonsense"}, ("", 1.0), None),
        ({"CONSORTIUM_TRACING": "", "CONSORTIUM_TRACE_RATIO": ""}, (OTLP, 0.25), 0.25),
    ],
)
def test_the_environment_goes_before_the_configuration(
    environ: dict[str, str], configured: tuple[str, float], share: float | None
) -> None:
    assert traced_share(environ, *configured) == share


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"CONSORTIUM_TRACING": "yes"}, "CONSORTIUM_TRACING must be \"otlp\" or empty, not 'yes'"),
        *(
            (
                {"CONSORTIUM_TRACING": "otlp", "CONSORTIUM_TRACE_RATIO": ratio},
                f"CONSORTIUM_TRACE_RATIO must be from 0 to 1, not {ratio!r}",
            )
            for ratio in ("all", "-0.1", "1.1", "nan")
        ),
    ],
)
def test_what_cannot_be_had_is_named(environ: dict[str, str], message: str) -> None:
    with pytest.raises(TracingInvalid) as caught:
        traced_share(environ)
    assert str(caught.value) == message


def test_without_opentelemetry_the_command_that_installs_it_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    monkeypatch.delitem(sys.modules, "node.wire.span_export", raising=False)
    with pytest.raises(TracingInvalid, match=r"pip install 'consortium\[tracing\]'$"):
        open_export("consortium-bank", "dunmere")
