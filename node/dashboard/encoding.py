"""JSON as the page gets it: compact, in bytes, serialised once for all viewers."""

from __future__ import annotations

import json


def to_json(value: object) -> bytes:
    """Serialise a value of plain types."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def to_event(name: str, data: bytes) -> bytes:
    """Frame serialised JSON, which holds no line break, as a server-sent event."""
    return b"event: " + name.encode("ascii") + b"\ndata: " + data + b"\n\n"
