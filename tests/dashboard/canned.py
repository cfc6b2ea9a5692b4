"""Canned answers for the operator's page: layouts of any size and condition, without banks.

For looking at pages and for browser tests of layouts:

    python -m tests.dashboard.canned --banks 16 --scenario trouble --port 8123

Scenarios: `healthy`, `trouble` (banks down, one that lies, links lost), `halted` (no quorum),
`idle` (nothing sealed yet), `visitor` (healthy, but nobody is logged in). Nothing here is the
product; the page's real server is `node.dashboard`. Answers of more pages are registered in
`ANSWERS`: a pattern of the path, and a function of the canned consortium and the match.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.dashboard.canned_consortium import SCENARIOS, CannedConsortium
from tests.dashboard.canned_explorer import (
    block_answer,
    blocks_answer,
    search_answer,
    transaction_answer,
)
from tests.dashboard.canned_treasury import treasury_answer

STATIC = Path(__file__).parents[2] / "node" / "dashboard" / "static"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
POLICY = "default-src 'self'"
TOKEN = "canned-token"

Answer = Callable[[CannedConsortium, "re.Match[str]"], Any]
ANSWERS: list[tuple[str, Answer]] = [
    (r"/api/overview", lambda page, _: {**page.hello(), **page.overview()}),
    (r"/api/session", lambda page, _: page.session()),
    (r"/api/faults", lambda page, _: page.faults()),
    (r"/api/banks/(\d+)", lambda page, found: page.bank(int(found[1]))),
    (r"/api/blocks\?(.*)", lambda page, found: blocks_answer(page, found[1])),
    (r"/api/blocks/(\d+)", lambda page, found: block_answer(page, int(found[1]))),
    (r"/api/transactions/(\w+)", lambda page, found: transaction_answer(page, found[1])),
    (r"/api/treasury", lambda page, _: treasury_answer(page)),
    (r"/api/search\?(.*)", lambda page, found: search_answer(page, found[1])),
]


class CannedHandler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: CannedServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Serve the stream, an answer, a static file or the shell."""
        path = self.path.partition("?")[0]
        if path == "/api/events":
            self._stream()
        elif path.startswith("/api/"):
            self._answer(self.path)
        elif path.startswith("/static/"):
            self._file(STATIC / path.removeprefix("/static/"))
        else:
            self._file(STATIC / "index.html")

    def do_POST(self) -> None:
        """Take a login, a logout or a fault."""
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        page = self.server.page
        path = self.path.partition("?")[0]
        if path == "/api/login" and body.get("token") != TOKEN:
            self._refuse(HTTPStatus.UNAUTHORIZED, "wrong-token", "That is not the token")
        elif path == "/api/login":
            page.operator = True
            self._json(page.session())
        elif path == "/api/logout":
            page.operator = False
            self._json(page.session())
        elif path == "/api/faults":
            self._json(page.inject(body))
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "unknown", f"There is no {path}")

    def _answer(self, path: str) -> None:
        for pattern, answer in ANSWERS:
            if found := re.fullmatch(pattern, path):
                try:
                    self._json(answer(self.server.page, found))
                except LookupError as missing:
                    self._refuse(HTTPStatus.NOT_FOUND, "unknown", str(missing))
                return
        self._refuse(HTTPStatus.NOT_FOUND, "unknown", f"There is no {path}")

    def _stream(self) -> None:
        page, shown = self.server.page, 0
        self.send_response(HTTPStatus.OK)
        self._headers("text/event-stream; charset=utf-8", None)
        try:
            self._event("hello", {**page.hello(), "samples": page.samples(), "csrf": "canned"})
            shown = page.height()
            while not self.server.ending.is_set():
                self._event("overview", page.overview())
                self._event("sample", page.sample(time.time()))
                for height in range(shown + 1, page.height() + 1):
                    self._event("block", page.block(height))
                shown = page.height()
                self.server.ending.wait(1)
        except OSError:
            return

    def _event(self, kind: str, data: Any) -> None:
        self.wfile.write(f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode())
        self.wfile.flush()

    def _file(self, path: Path) -> None:
        kind = TYPES.get(path.suffix)
        if kind is None or not path.is_file():
            self._refuse(HTTPStatus.NOT_FOUND, "unknown", f"There is no {self.path}")
            return
        self._send(HTTPStatus.OK, kind, path.read_bytes())

    def _json(self, data: Any, status: HTTPStatus = HTTPStatus.OK) -> None:
        self._send(status, "application/json", json.dumps(data).encode())

    def _refuse(self, status: HTTPStatus, code: str, message: str) -> None:
        error = {"code": code, "message": message, "next": "Ask for something else."}
        self._json({"error": error}, status)

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self._headers(kind, len(body))
        self.wfile.write(body)

    def _headers(self, kind: str, length: int | None) -> None:
        self.send_header("Content-Type", kind)
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("Cache-Control", "no-store")
        if length is None:
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class CannedServer(ThreadingHTTPServer):
    """Serves the page over canned data; a context manager that ends its threads."""

    daemon_threads = True

    def __init__(self, page: CannedConsortium, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), CannedHandler)
        self.page = page
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.serve_forever, daemon=True)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that left has nothing to be told; anything else is our mistake."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def __enter__(self) -> CannedServer:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ending.set()
        self.shutdown()
        self.server_close()
        self.thread.join()


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--banks", type=int, default=12)
    parser.add_argument("--scenario", choices=SCENARIOS, default="healthy")
    parser.add_argument("--port", type=int, default=8123)
    chosen = parser.parse_args()
    with CannedServer(CannedConsortium(chosen.banks, chosen.scenario), chosen.port) as server:
        server.thread.join()


if __name__ == "__main__":
    main()
