"""The routes of the page."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from node.client.errors import ClientError
from node.dashboard.encoding import NO_STORE, json_response, read_body
from node.dashboard.errors import PageError, invalid, not_found, of_client_error
from node.dashboard.explorer_routes import ExplorerRoutes
from node.dashboard.fault_routes import FaultRoutes
from node.dashboard.gate import Gate, error_response
from node.dashboard.sessions import SESSION_S, Session, Sessions, key_of
from node.dashboard.static_files import SHELL, StaticFiles
from node.dashboard.watch import Watch

STATIC = Path(__file__).parent / "static"
PAGES = (
    "/",
    "/blocks",
    "/blocks/{height}",
    "/transactions/{id}",
    "/banks/{index}",
    "/treasury",
    "/faults",
    "/login",
)
"""Answered by one shell, which looks at its own path."""

CERTIFICATE_HOLDER = "certificate_holder"
"""In the connection's state: the operator that a verified certificate names."""

_log = logging.getLogger(__name__)


class Page:
    """The application over one `Watch`."""

    def __init__(
        self,
        watch: Watch,
        sessions: Sessions,
        *,
        cookie: str,
        needs_session: bool,
        is_revoked: Callable[[bytes], bool] | None = None,
    ) -> None:
        """`needs_session`: nothing is free, because other machines reach the server.

        `is_revoked` tells whether an operator's certificate in PEM does not count any more.
        """
        self.watch = watch
        self.sessions = sessions
        self._cookie = cookie
        self._needs_session = needs_session
        self._is_revoked = is_revoked
        self._explorer = ExplorerRoutes(watch, lambda request: self.session_of(request) is not None)
        self._faults = FaultRoutes(watch)
        self._files = StaticFiles(STATIC)

    def application(self, hosts: Collection[str]) -> ASGIApp:
        """Return the ASGI application that answers to these Host headers."""
        routes = [
            *[Route(path, self._route(self._shell, free=True), methods=["GET"]) for path in PAGES],
            Route("/api/session", self._route(self.session, free=True), methods=["GET"]),
            Route("/api/login", self._route(self.login, free=True), methods=["POST"]),
            Route("/api/logout", self._route(self.logout, free=True), methods=["POST"]),
            Route("/api/events", self._route(self.events), methods=["GET"]),
            Route("/api/overview", self._route(self.overview), methods=["GET"]),
            Route("/api/faults", self._route(self.faults), methods=["GET", "POST"]),
            *self._explorer.routes(self._route),
            Route("/static/{name:path}", self._route(self._static, free=True), methods=["GET"]),
        ]
        return Starlette(
            routes=routes,
            middleware=[Middleware(Gate, hosts=hosts)],
            exception_handlers={404: _no_such_page, 405: _wrong_method},
        )

    # Who asks

    def session_of(self, request: Request) -> Session | None:
        """Return the operator's session of a request, None for somebody else."""
        holder = request.scope.get("state", {}).get(CERTIFICATE_HOLDER)
        if holder is not None and self._is_revoked is not None:
            certificate, name = holder
            if not self._is_revoked(certificate.encode("ascii")):
                return Session(key_of(certificate), name, float("inf"))
        return self.sessions.find(request.cookies.get(self._cookie, ""))

    def require_operator(self, request: Request) -> Session:
        """Raise `PageError` unless an operator asks."""
        session = self.session_of(request)
        if session is None:
            raise PageError(
                401,
                "login-needed",
                "banks tell this to their operators alone",
                "open the address that `consortium dashboard` prints, with its login token",
            )
        return session

    def _route(
        self, answer: Callable[[Request], Awaitable[Response]], *, free: bool = False
    ) -> Callable[[Request], Awaitable[Response]]:
        async def answered(request: Request) -> Response:
            try:
                if self._needs_session and not free:
                    self.require_operator(request)
                return await answer(request)
            except PageError as error:
                return error_response(error)
            except ClientError as error:
                return error_response(of_client_error(error))

        return answered

    # Shell and session

    async def _shell(self, request: Request) -> Response:
        return self._files.answer(request, SHELL)

    async def _static(self, request: Request) -> Response:
        return self._files.answer(request, request.path_params["name"])

    async def session(self, request: Request) -> Response:
        """Return who asks."""
        return json_response(self._session_object(self.session_of(request)))

    def _session_object(self, session: Session | None) -> dict[str, object]:
        return {
            **session_fields(self.sessions, None if session is None else session.key),
            "name": None if session is None else session.name,
        }

    async def login(self, request: Request) -> Response:
        """Open a session for whoever has the token."""
        token = (await read_body(request)).get("token")
        if not isinstance(token, str):
            raise invalid("the body names no token", 'send {"token": "..."}')
        caller = "" if request.client is None else request.client.host
        try:
            cookie, session = self.sessions.login(token)
        except PageError as error:
            _log.warning("a login failed", extra={"caller": caller, "why": error.code})
            raise
        _log.info("an operator logged in", extra={"caller": caller})
        response = json_response(self._session_object(session))
        response.set_cookie(
            self._cookie,
            cookie,
            max_age=int(SESSION_S),
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )
        return response

    async def logout(self, request: Request) -> Response:
        """End the session, and its streams."""
        session = self.session_of(request)
        if session is not None:
            self.sessions.require_csrf(session, request.headers.get("x-csrf-token", ""))
            self.sessions.logout(session)
            self.watch.broadcast.close_session(session.key)
        response = json_response(self._session_object(None))
        response.delete_cookie(self._cookie, httponly=True, samesite="strict")
        return response

    async def faults(self, request: Request) -> Response:
        """List or inject faults, for operators alone."""
        session = self.require_operator(request)
        if request.method == "GET":
            return await self._faults.listed(request)
        self.sessions.require_csrf(session, request.headers.get("x-csrf-token", ""))
        return await self._faults.inject(request, session.name)

    # What is now

    async def events(self, request: Request) -> Response:
        """Stream events until the browser leaves."""
        session = self.session_of(request)
        broadcast = self.watch.broadcast
        broadcast.require_room()
        if request.method == "HEAD":
            return Response(media_type="text/event-stream", headers=NO_STORE)
        return StreamingResponse(
            broadcast.events(None if session is None else session.key),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    async def overview(self, request: Request) -> Response:
        """Return the newest of everything at once."""
        session = self.session_of(request)
        await self.watch.fresh()
        shown = self.watch.snapshot_object(None if session is None else session.key)
        return Response(shown, media_type="application/json", headers=NO_STORE)


def session_fields(sessions: Sessions, key: str | None) -> dict[str, object]:
    """Return what the page must know of its session."""
    return {"operator": key is not None, "csrf": None if key is None else sessions.csrf(key)}


async def _no_such_page(request: Request, error: Exception) -> Response:
    return error_response(not_found("there is no such page", "begin at /"))


async def _wrong_method(request: Request, error: Exception) -> Response:
    return error_response(PageError(405, "method", "this address is not served that way"))
