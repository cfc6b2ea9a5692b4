"""`GET /metrics`: what is answered, to whom, and that the event loop goes on meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import http.client
import socket
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import pytest
import pytest_asyncio

from node.rpc.server import AddressUnusable
from node.runtime import metrics_endpoint
from node.runtime.metrics_collector import MetricsSnapshot, OwnUse
from node.runtime.metrics_endpoint import MAX_REQUESTS, MetricsEndpoint
from tests.runtime.metrics_samples import make_snapshot

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@dataclass
class Served:
    """An endpoint, and the threads in which snapshots were taken."""

    endpoint: MetricsEndpoint
    threads: set[int] = field(default_factory=set)
    uses: list[OwnUse] = field(default_factory=list)

    async def get(
        self, path: str = "/metrics", method: str = "GET", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        return await asyncio.to_thread(get, self.endpoint.port, path, method, headers)


def get(
    port: int,
    path: str = "/metrics",
    method: str = "GET",
    headers: Mapping[str, str] = MappingProxyType({}),
    on_answer: Callable[[], None] = lambda: None,
) -> tuple[int, dict[str, str], bytes]:
    """Ask and return status, headers and body; `_` stands for `-` in names of headers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, headers=named)
        answer = connection.getresponse()
        on_answer()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


@pytest_asyncio.fixture
async def served() -> AsyncIterator[Served]:
    made: list[Served] = []

    def take(own_use: OwnUse) -> MetricsSnapshot:
        made[0].threads.add(threading.get_ident())
        made[0].uses.append(own_use)
        return make_snapshot()

    endpoint = MetricsEndpoint("127.0.0.1:0", take)
    made.append(Served(endpoint))
    endpoint.start()
    yield made[0]
    endpoint.close()


async def test_a_scrape_is_answered_in_the_text_format(served: Served) -> None:
    status, headers, body = await served.get()
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=")
    assert b"# TYPE consortium_ledger_height gauge\nconsortium_ledger_height 7.0\n" in body


async def test_openmetrics_is_negotiated(served: Served) -> None:
    status, headers, body = await served.get(Accept=OPENMETRICS, Accept_Encoding="gzip")
    assert status == 200
    assert headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert "Content-Encoding" not in headers
    assert body.endswith(b"# EOF\n")


async def test_beyond_loopback_every_host_is_answered_and_compression_negotiated() -> None:
    endpoint = MetricsEndpoint("0.0.0.0:0", lambda _: make_snapshot())
    endpoint.start()
    try:
        status, headers, body = await Served(endpoint).get(
            Host="metrics.bank.example", Accept_Encoding="gzip"
        )
    finally:
        endpoint.close()
    assert (status, headers["Content-Encoding"]) == (200, "gzip")
    assert b"consortium_ledger_height 7.0\n" in gzip.decompress(body)


async def test_one_metric_may_be_asked_for(served: Served) -> None:
    _, _, body = await served.get("/metrics?name[]=consortium_quorum_margin")
    assert body.decode().splitlines()[2:] == ["consortium_quorum_margin 2.0"]


async def test_other_paths_methods_and_hosts_are_refused(served: Served) -> None:
    assert (await served.get("/"))[::2] == (404, b"metrics are at /metrics\n")
    assert (await served.get(method="POST"))[0] == 405
    # A name of elsewhere that points to this machine, as DNS rebinding makes one.
    assert (await served.get(Host="attacker.example"))[0] == 421
    assert (await served.get(Host=f"attacker.example:{served.endpoint.port}"))[0] == 421
    assert (await served.get(Host="localhost"))[0] == 200
    assert (await served.get(Host="localhost:1"))[0] == 200


async def test_numbers_are_read_in_the_event_loop_alone(served: Served) -> None:
    await asyncio.gather(*(served.get() for _ in range(MAX_REQUESTS)))
    assert served.threads == {threading.get_ident()}


async def test_a_scrape_tells_what_the_earlier_ones_cost(served: Served) -> None:
    await served.get()
    await served.get()
    assert [use.scrapes for use in served.uses] == [0, 1]
    assert served.uses[0].cpu_s == 0 < served.uses[1].cpu_s
    assert served.endpoint.own_use.scrapes == 2


async def test_whoever_says_nothing_holds_up_neither_the_loop_nor_others(served: Served) -> None:
    address = ("127.0.0.1", served.endpoint.port)
    silent = [socket.create_connection(address) for _ in range(MAX_REQUESTS - 1)]
    try:
        assert (await served.get())[0] == 200
    finally:
        for connection in silent:
            connection.close()


async def test_too_many_at_once_are_closed(served: Served) -> None:
    address = ("127.0.0.1", served.endpoint.port)
    silent = [socket.create_connection(address) for _ in range(MAX_REQUESTS)]
    try:
        await asyncio.sleep(0.05)
        with pytest.raises((ConnectionError, http.client.BadStatusLine)):
            await served.get()
    finally:
        for connection in silent:
            connection.close()


async def test_a_loop_that_is_too_busy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_endpoint, "SNAPSHOT_TIMEOUT_S", 0.05)
    answered = threading.Event()

    def take(own_use: OwnUse) -> MetricsSnapshot:
        answered.wait(30)
        return make_snapshot()

    endpoint = MetricsEndpoint("127.0.0.1:0", take)
    endpoint.start()
    try:
        answer = await asyncio.to_thread(get, endpoint.port, on_answer=answered.set)
    finally:
        endpoint.close()
    assert answer[::2] == (503, b"this bank is too busy\n")


async def test_a_defect_is_no_traceback_outside(caplog: pytest.LogCaptureFixture) -> None:
    def take(own_use: OwnUse) -> MetricsSnapshot:
        raise LookupError("a secret of the inside")

    endpoint = MetricsEndpoint("127.0.0.1:0", take)
    endpoint.start()
    try:
        assert (await Served(endpoint).get())[::2] == (500, b"see this bank's log\n")
    finally:
        endpoint.close()
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == [
        "metrics could not be taken"
    ]


async def test_a_port_that_is_taken_is_named_with_what_to_do() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        endpoint = MetricsEndpoint(f"127.0.0.1:{port}", lambda _: make_snapshot())
        with pytest.raises(
            AddressUnusable,
            match=rf"metrics cannot be served at 127.0.0.1:{port}: .*; give `metrics_listen`",
        ):
            endpoint.start()


async def test_after_closing_nobody_is_answered() -> None:
    endpoint = MetricsEndpoint("127.0.0.1:0", lambda _: make_snapshot())
    endpoint.start()
    served, port = Served(endpoint), endpoint.port
    assert (await served.get())[0] == 200
    endpoint.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00\xff\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /" + b"a" * 70_000,
        b"GET /metrics HTTP/9.9\r\n\r\n",
    ],
    ids=["bytes", "no path", "no end", "no such version"],
)
async def test_nonsense_is_refused_and_the_next_scrape_answered(
    served: Served, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.endpoint.port)
    writer.write(sent)
    with contextlib.suppress(ConnectionError):
        writer.write_eof()
        assert b"consortium_" not in await reader.read()
    writer.close()
    assert (await served.get())[0] == 200
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
