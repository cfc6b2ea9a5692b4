"""What every request passes first, and what every answer carries.

A name that resolves to this machine must not open the page to a foreign site (DNS rebinding), so
the Host header has to be one of ours; a request that changes something must come from our own
origin. Answers forbid everything that is not of this server.
"""

from __future__ import annotations

import logging
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from node.dashboard.encoding import to_json
from node.dashboard.errors import PageError

MAX_TARGET_BYTES = 1_024
"""Of path and query."""
SAFE_METHODS = ("GET", "HEAD")
METHODS = (*SAFE_METHODS, "POST")

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}

_log = logging.getLogger(__name__)


def error_response(error: PageError) -> Response:
    """Return the answer that a failure becomes."""
    headers = {"Cache-Control": "no-store"}
    if error.status == 429:
        headers["Retry-After"] = "60"
    return Response(to_json(error.to_json_object()), error.status, headers, "application/json")


class Gate:
    """Middleware around the whole application."""

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        """`hosts` are the values of the Host header that are ours, in lower case."""
        self._app = app
        self._hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def send_guarded(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                if scope["scheme"] == "https":
                    headers["Strict-Transport-Security"] = "max-age=31536000"
            await send(message)

        try:
            self._check(scope)
            await self._app(scope, receive, send_guarded)
        except PageError as error:
            await error_response(error)(scope, receive, send_guarded)
        except Exception:  # edge: the browser gets a sentence, the log the traceback
            _log.exception("%s %s failed", scope["method"], scope["path"])
            if not begun:
                failure = PageError(
                    500, "page-failed", "the page's server failed", "see its log, and try again"
                )
                await error_response(failure)(scope, receive, send_guarded)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host = headers.get("host", "").lower()
        if host not in self._hosts:
            raise PageError(
                421,
                "wrong-host",
                "this server is not known by that name",
                "use the address that was printed, or name the host with --host",
            )
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > MAX_TARGET_BYTES:
            raise PageError(414, "too-long", "the address is too long")
        if scope["method"] not in METHODS:
            raise PageError(405, "method", "only GET and POST are served")
        if scope["method"] in SAFE_METHODS:
            return
        origin = headers.get("origin")
        site = headers.get("sec-fetch-site")
        foreign = origin is not None and origin.lower() != f"{scope['scheme']}://{host}"
        if foreign or site not in (None, "same-origin", "none"):
            raise PageError(403, "foreign-origin", "the request comes from another site")
