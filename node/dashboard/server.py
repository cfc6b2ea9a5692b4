"""Serving the page: the socket, TLS, and the end of it all.

On loopback plain HTTP is served, as the traffic leaves no machine. Anywhere else TLS is a must, and
a browser may show an operator's certificate of the consortium instead of logging in.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from cryptography import x509
from uvicorn.protocols.http.h11_impl import H11Protocol

from node.dashboard.application import CERTIFICATE_HOLDER, Page, session_fields
from node.dashboard.place import Place
from node.dashboard.sessions import Sessions
from node.dashboard.watch import Watch
from node.rpc.certificates import identity_of
from node.runtime.config import is_loopback
from node.runtime.freed_memory import return_freed_memory
from node.wire.identity import Identity, IdentityInvalid, Role

MAX_CONNECTIONS = 500
MAX_HEADER_BYTES = 16 << 10
KEEP_ALIVE_S = 30
REQUEST_WITHIN_S = 15.0
"""From the connection to the end of its first request's headers."""
STOP_WITHIN_S = 2
BACKLOG = 128
THREADS = 2
"""For verification and for acts that wait: each thread costs memory."""
TRIM_INTERVAL_S = 20.0
EVERYWHERE = ("0.0.0.0", "::")


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """What a server that other machines reach is given."""

    certificate_file: Path
    key_file: Path
    authority_file: Path
    """The consortium's: whose certificates of operators open a session."""
    consortium: str
    """Slug of its name."""
    is_revoked: Callable[[bytes], bool]
    """Whether a certificate in PEM does not count any more."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where and how the page is served."""

    host: str
    port: int
    """0: any free one."""
    login_token: str
    host_names: Sequence[str] = ()
    """Further names under which browsers reach it."""
    tls: TlsSettings | None = None

    @property
    def is_local(self) -> bool:
        """Whether this machine alone reaches it."""
        return is_loopback(self.host)


class SettingsUnsafe(Exception):
    """The page would be open to other machines without TLS."""


class DashboardServer:
    """The page on a socket."""

    def __init__(self, place: Place, settings: ServerSettings) -> None:
        """To be made in the event loop that serves.

        Raises `SettingsUnsafe`, and OSError if the address cannot be had.
        """
        if settings.tls is None and not settings.is_local:
            raise SettingsUnsafe(
                f"{settings.host} is reached from other machines, and there is no certificate"
            )
        self._settings = settings
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        self._socket = socket.create_server(
            (settings.host, settings.port), family=family, backlog=BACKLOG
        )
        self.port: int = self._socket.getsockname()[1]
        self.sessions = Sessions(settings.login_token)
        self.watch = Watch(place, lambda key: session_fields(self.sessions, key))
        self.page = Page(
            self.watch,
            self.sessions,
            cookie=f"consortium-{self.port}",
            needs_session=not settings.is_local,
            is_revoked=None if settings.tls is None else settings.tls.is_revoked,
        )
        self._server = _Server(self._config())

    @property
    def url(self) -> str:
        """Address of the page, without a slash at the end."""
        scheme = "http" if self._settings.tls is None else "https"
        names = self._settings.host_names
        host = names[0] if names else self._settings.host
        if host in EVERYWHERE:
            host = socket.gethostname()
        return f"{scheme}://{_bracketed(host)}:{self.port}"

    @property
    def login_url(self) -> str:
        """The same with the login token where no server and no log sees it."""
        return f"{self.url}/login#token={self._settings.login_token}"

    async def serve(self, stopping: asyncio.Event) -> None:
        """Serve until `stopping` is set."""
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
        trimming = asyncio.create_task(return_freed_memory(TRIM_INTERVAL_S))
        watching = asyncio.create_task(self.watch.run())
        serving = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        stop = asyncio.create_task(stopping.wait())
        try:
            await asyncio.wait({watching, serving, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.watch.broadcast.close()
            self._server.should_exit = True
            await asyncio.gather(serving, return_exceptions=True)
            ended = (watching, stop, trimming)
            for task in ended:
                task.cancel()
            await asyncio.gather(*ended, return_exceptions=True)
            self._socket.close()
        for task in (watching, serving):
            if not task.cancelled():
                task.result()

    def _config(self) -> uvicorn.Config:
        tls = self._settings.tls
        config = uvicorn.Config(
            self.page.application(self._hosts()),
            http=_protocol(tls),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=STOP_WITHIN_S,
            h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        )
        if tls is not None:
            config.ssl_certfile = str(tls.certificate_file)
            config.ssl_keyfile = str(tls.key_file)
            config.ssl_ca_certs = str(tls.authority_file)
            config.ssl_cert_reqs = ssl.CERT_OPTIONAL
        return config

    def _hosts(self) -> frozenset[str]:
        names = [self._settings.host, *self._settings.host_names]
        is_everywhere = self._settings.host in EVERYWHERE
        if self._settings.is_local or is_everywhere:
            names += ["localhost", "127.0.0.1", "::1"]
        if is_everywhere:
            names.append(socket.gethostname())
        return frozenset(f"{_bracketed(name.lower())}:{self.port}" for name in names)


class _Server(uvicorn.Server):
    """Leaves signals to whoever runs it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


class _ImpatientProtocol(H11Protocol):
    """Closes connections on which no whole request has come in time."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.loop.call_later(REQUEST_WITHIN_S, self._close_if_silent)

    def _close_if_silent(self) -> None:
        # Declared as always there, and None until the first request is whole.
        cycle: object | None = self.cycle
        if cycle is None and not self.transport.is_closing():
            self.transport.close()


def _protocol(tls: TlsSettings | None) -> type[H11Protocol]:
    """Return the protocol of a connection, which knows the certificate that TLS has verified."""
    if tls is None:
        return _ImpatientProtocol
    settings = tls

    class CertificateProtocol(_ImpatientProtocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            holder = certificate_holder(transport.get_extra_info("ssl_object"), settings)
            if holder is not None:
                self.app_state = {**self.app_state, CERTIFICATE_HOLDER: holder}

    return CertificateProtocol


def certificate_holder(connection: Any, tls: TlsSettings) -> tuple[str, str] | None:
    """Return key and name of the operator that a verified certificate names, None for others.

    The key is the certificate itself in PEM: whether it still counts is asked at every request.
    """
    shown = connection.getpeercert(binary_form=True) if connection is not None else None
    if not shown:
        return None
    try:
        identity: Identity = identity_of(x509.load_der_x509_certificate(shown))
    except (ValueError, IdentityInvalid):
        return None
    if identity.role is not Role.OPERATOR or identity.consortium != tls.consortium:
        return None
    return ssl.DER_cert_to_PEM_cert(shown), identity.name


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
