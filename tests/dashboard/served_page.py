"""The page's server in the event loop of a test, on a real socket, and a browser's part of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from node.cli.access import Consortium
from node.cli.page_faults import DirectoryFaults
from node.client.connection import ClientCredentials
from node.dashboard.place import Place
from node.dashboard.server import DashboardServer, ServerSettings, TlsSettings
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.fault_book import corrupted_rows
from node.runtime.process_condition import process_conditions

TOKEN = "a-login-token-of-the-tests"
WITHIN_S = 20.0


def place_of(directory: ConsortiumDirectory, *, with_faults: bool = True) -> Place:
    """What `consortium dashboard` hands to the server."""
    return Place(
        genesis=directory.genesis(),
        credentials=ClientCredentials.load(directory.operator),
        endpoints=lambda: Consortium.load(directory).endpoints,
        processes=lambda: process_conditions(directory),
        corrupted=lambda: corrupted_rows(directory),
        metrics=Consortium.load(directory).metrics_addresses,
        faults=DirectoryFaults(directory) if with_faults else None,
    )


@dataclass
class EventReader:
    """One open stream."""

    lines: AsyncIterator[str]
    taken: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    async def next(self) -> tuple[str, dict[str, Any]]:
        name = ""
        async with asyncio.timeout(WITHIN_S):
            async for line in self.lines:
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    self.taken.append((name, json.loads(line.removeprefix("data: "))))
                    return self.taken[-1]
        raise AssertionError("the stream ended")

    async def until(self, name: str, **fields: object) -> dict[str, Any]:
        """Read on to the next event of a name with these fields."""
        while True:
            found, data = await self.next()
            if found == name and all(data[key] == value for key, value in fields.items()):
                return data


@dataclass
class ServedPage:
    """A server, a client without a session, and one of an operator."""

    server: DashboardServer
    anybody: httpx.AsyncClient
    operator: httpx.AsyncClient

    async def json(self, path: str) -> Any:
        """What an operator gets, which must be an answer."""
        answer = await self.operator.get(path)
        assert answer.status_code == 200, f"{path}: {answer.text}"
        return answer.json()

    async def csrf(self) -> dict[str, str]:
        """Headers of a request that changes something."""
        return {"X-CSRF-Token": (await self.json("/api/session"))["csrf"]}

    @contextlib.asynccontextmanager
    async def events(self, client: httpx.AsyncClient | None = None) -> AsyncIterator[EventReader]:
        """An open stream of an operator, or of another client."""
        async with (client or self.operator).stream("GET", "/api/events", timeout=None) as answer:
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/event-stream")
            yield EventReader(answer.aiter_lines())


@contextlib.asynccontextmanager
async def served_page(
    place: Place, *, host: str = "127.0.0.1", tls: TlsSettings | None = None, verify: Any = True
) -> AsyncIterator[ServedPage]:
    names = () if tls is None else ("localhost",)
    server = DashboardServer(place, ServerSettings(host, 0, TOKEN, names, tls))
    stopping = asyncio.Event()
    serving = asyncio.create_task(server.serve(stopping))
    try:
        async with (
            httpx.AsyncClient(base_url=server.url, verify=verify) as anybody,
            httpx.AsyncClient(base_url=server.url, verify=verify) as operator,
        ):
            answer = await operator.post("/api/login", json={"token": TOKEN})
            assert answer.status_code == 200, answer.text
            yield ServedPage(server, anybody, operator)
    finally:
        stopping.set()
        async with asyncio.timeout(WITHIN_S):
            await serving
