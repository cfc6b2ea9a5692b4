"""`GET /metrics` of one bank, for Prometheus and whoever else reads its text format.

Plain HTTP, a thread a request: the event loop accepts a connection and takes the snapshot, which is
a copy of numbers in memory; formatting them, and waiting for a slow reader, is the thread's. There
is no thread while nobody asks. The library's own application (`make_wsgi_app`) answers, so that
content negotiation (OpenMetrics), compression and `name[]` are as everywhere; an ASGI server would
cost every bank some megabytes more and format in the event loop.

Whoever reaches the address may read: numbers only, nothing of a client or a payment. On loopback
the `Host` of a request must be the machine itself, lest a web page of elsewhere reads them through
a name that it points here.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import make_wsgi_app
from prometheus_client.registry import Collector

from node.rpc.server import AddressUnusable
from node.runtime.config import is_loopback
from node.runtime.cpu_account import CpuAccount, CpuCategory
from node.runtime.metrics_collector import (
    MetricsSnapshot,
    OwnUse,
    families,
)

logger = logging.getLogger(__name__)

PATH = "/metrics"
REQUEST_TIMEOUT_S = 5.0
"""Of a read or a write on the connection."""
SNAPSHOT_TIMEOUT_S = 5.0
"""How long an event loop may be busy before a scrape is told so."""
MAX_REQUESTS = 4
"""At the same time; further ones are closed."""

NANOSECONDS = 1_000_000_000


class _Fixed(Collector):
    """The metrics of one moment."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics

    def describe(self) -> Iterable[Metric]:
        """Return what the registry learns the names from, for `name[]`."""
        return self._metrics


class _Handler(WSGIRequestHandler):
    timeout = REQUEST_TIMEOUT_S

    def log_message(self, format: str, *arguments: Any) -> None:
        """A scrape is no event."""


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = MAX_REQUESTS

    def __init__(self, host: str, port: int, family: socket.AddressFamily) -> None:
        self.address_family = family
        self._room = threading.BoundedSemaphore(MAX_REQUESTS)
        super().__init__((host, port), _Handler)
        # Accepted by the event loop, which must not wait for one that has gone away again.
        self.socket.setblocking(False)

    def server_bind(self) -> None:
        # HTTPServer asks a name server for the name of the address.
        socketserver.TCPServer.server_bind(self)
        host, port = self.server_address[:2]
        self.server_name, self.server_port = str(host), int(port)
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        logger.info("a scrape was given up", exc_info=True)


class MetricsEndpoint:
    """Serves a bank's metrics from `start` to `close`, both in the event loop's thread."""

    def __init__(
        self,
        listen: str,
        take: Callable[[OwnUse], MetricsSnapshot],
        cpu: CpuAccount | None = None,
    ) -> None:
        """`listen` is `host:port`; `take` is called in the event loop's thread."""
        self._listen = listen
        self._take = take
        self._cpu = cpu or CpuAccount()
        self._server: _Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._hosts: frozenset[str] | None = None
        self._lock = threading.Lock()
        self._scrapes = 0
        self._spent_ns = 0

    @property
    def port(self) -> int:
        """Port that was bound, also if the address asked for port 0."""
        assert self._server is not None, "it was started"
        return int(self._server.server_port)

    @property
    def own_use(self) -> OwnUse:
        """What scrapes have cost so far."""
        return OwnUse(self._scrapes, self._spent_ns / NANOSECONDS)

    def start(self) -> None:
        """Begin to serve; raises `AddressUnusable`."""
        host, _, port = self._listen.rpartition(":")
        host = host.strip("[]")
        try:
            family, _, _, _, address = socket.getaddrinfo(
                host, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            self._server = _Server(str(address[0]), int(port), family)
        except OSError as error:
            raise AddressUnusable(
                f"metrics cannot be served at {self._listen}: {error.strerror or error}; give "
                "`metrics_listen` in [network] of node.toml another port, or leave it out"
            ) from error
        if is_loopback(host):
            self._hosts = frozenset({"localhost", "127.0.0.1", "[::1]", host})
        self._server.set_app(self._answer)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._server.fileno(), self._server.handle_request)
        logger.info("metrics", extra={"listen": self._listen})

    def close(self) -> None:
        """Serve no more; what is being answered may still be."""
        if self._server is not None and self._loop is not None:
            self._loop.remove_reader(self._server.fileno())
            self._server.server_close()
            self._server = None

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        """The WSGI application, in a thread of its own."""
        host = str(environ.get("HTTP_HOST", "")).rpartition(":")[0] or environ.get("HTTP_HOST")
        if self._hosts is not None and host not in self._hosts:
            return _refuse(start_response, "421 Misdirected Request", "this is no such host")
        if environ["PATH_INFO"] != PATH:
            return _refuse(start_response, "404 Not Found", f"metrics are at {PATH}")
        begun_ns = time.thread_time_ns()
        try:
            snapshot = self._snapshot()
        except (concurrent.futures.TimeoutError, concurrent.futures.CancelledError):
            return _refuse(start_response, "503 Service Unavailable", "this bank is too busy")
        except Exception:  # edge: the reader gets a sentence, the log what went wrong
            logger.exception("metrics could not be taken")
            return _refuse(start_response, "500 Internal Server Error", "see this bank's log")
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Fixed(families(snapshot)))
        try:
            # On loopback nothing is won by compressing.
            answer = make_wsgi_app(registry, disable_compression=self._hosts is not None)
            return answer(environ, start_response)
        finally:
            spent_ns = time.thread_time_ns() - begun_ns
            self._cpu.charge(CpuCategory.OTHER, spent_ns)
            self._spend(spent_ns, scrapes=1)

    def _snapshot(self) -> MetricsSnapshot:
        assert self._loop is not None, "it was started"
        work = self._cpu.measured(CpuCategory.OTHER, self._in_loop())
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(SNAPSHOT_TIMEOUT_S)
        finally:
            future.cancel()

    async def _in_loop(self) -> MetricsSnapshot:
        begun_ns = time.thread_time_ns()
        snapshot = self._take(self.own_use)
        self._spend(time.thread_time_ns() - begun_ns)
        return snapshot

    def _spend(self, spent_ns: int, scrapes: int = 0) -> None:
        with self._lock:
            self._scrapes += scrapes
            self._spent_ns += spent_ns


def _refuse(start_response: Callable[..., Any], status: str, why: str) -> list[bytes]:
    start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [f"{why}\n".encode()]
