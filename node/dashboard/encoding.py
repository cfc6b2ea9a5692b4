"""JSON as the page gets and sends it: compact, in bytes, within limits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from node.dashboard.errors import PageError, invalid

NO_STORE: Mapping[str, str] = {"Cache-Control": "no-store"}
MAX_BODY_BYTES = 4_096
BODY_WITHIN_S = 10.0


def to_json(value: object) -> bytes:
    """Serialise a value of plain types."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def to_event(name: str, data: bytes) -> bytes:
    """Frame serialised JSON, which holds no line break, as a server-sent event."""
    return b"event: " + name.encode("ascii") + b"\ndata: " + data + b"\n\n"


def json_response(value: object, status: int = 200) -> Response:
    """Return a value as an answer that no cache keeps."""
    return Response(to_json(value), status, NO_STORE, "application/json")


async def read_body(request: Request) -> Mapping[str, Any]:
    """Read a small JSON object; raises `PageError`."""
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
        raise PageError(415, "media-type", "the body must be JSON", "send application/json")
    body = b""
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            async for part in request.stream():
                body += part
                if len(body) > MAX_BODY_BYTES:
                    raise PageError(
                        413, "too-large", f"the body is larger than {MAX_BODY_BYTES} bytes"
                    )
    except TimeoutError:
        raise PageError(408, "too-slow", "the body did not arrive", "try again") from None
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise invalid("the body is not JSON") from None
    if not isinstance(value, dict):
        raise invalid("the body is not a JSON object")
    return value
