"""The operators' page as a further process of a local consortium: started, watched, stopped.

The banks do without it, and whatever becomes of it never stops them. One that ends unasked is
started again at the same address, a bounded number of times.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from node.rpc.private_files import PrivateFileUnusable, read_private, write_private
from node.runtime.child_process import ChildProcess, processes_running
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.notice import Notice, NoticeKind

ANSWERS_WITHIN_S = 30.0
BACK_OFF_FIRST_S = 0.5
BACK_OFF_LONGEST_S = 15.0
RESTARTS = 10
STEADY_S = 30.0
"""One that ran this long begins a new row of restarts."""
ALLOCATOR = {"MALLOC_ARENA_MAX": "1", "MALLOC_TRIM_THRESHOLD_": str(1 << 20)}
"""A page is not about throughput: what it needed for one large answer it gives back."""


@dataclass(frozen=True, slots=True)
class DashboardAddress:
    """Where the page is served."""

    url: str
    login_url: str
    """With the login token in its fragment."""


class DashboardChild:
    """Runs `consortium dashboard` for one directory."""

    def __init__(
        self,
        directory: ConsortiumDirectory,
        listen: str,
        token_file: Path,
        notify: Callable[[Notice], None],
    ) -> None:
        """`listen` is `host:port`; if the port is taken, the page finds another one."""
        self._directory = directory
        self._listen = listen
        self._token_file = token_file
        self._notify = notify
        self._process = ChildProcess(directory.dashboard / "dashboard.log")
        self._watcher: asyncio.Task[None] | None = None
        self.address: DashboardAddress | None = None
        """None until it serves."""

    @property
    def pid(self) -> int | None:
        """Process id, None if it does not run."""
        return self._process.pid

    async def start(self) -> None:
        """Start it; the banks need not be ready. Raises OSError if that is not possible."""
        await self._launch()
        self._watcher = asyncio.create_task(self._watch())

    async def wait_serving(self) -> DashboardAddress | None:
        """Wait until it serves; None if it does not come to that."""
        deadline_s = time.monotonic() + ANSWERS_WITHIN_S
        while self.address is None and time.monotonic() < deadline_s:
            if self._watcher is None or self._watcher.done():
                return None
            await asyncio.sleep(0.05)
        return self.address

    async def _launch(self) -> None:
        await self._process.launch(
            "dashboard",
            "--supervised",
            "--any-port",
            "--json",
            "--listen",
            self._listen,
            "--token-file",
            str(self._token_file.resolve()),
            "--data",
            str(self._directory.root.resolve()),
            piped=True,
            further_environment=ALLOCATOR,
        )

    async def _read_address(self) -> None:
        line = await self._process.read_line()
        with contextlib.suppress(ValueError, KeyError):
            told = json.loads(line)
            self.address = DashboardAddress(told["url"], told["login_url"])
            # Started again, it must be where the browsers look for it.
            self._listen = self.address.url.partition("://")[2]
            write_private(_address_file(self._directory), line)

    async def _watch(self) -> None:
        attempt = 0
        while True:
            begun_s = time.monotonic()
            await self._read_address()
            why = self._process.why_ended(await self._process.wait())
            if time.monotonic() - begun_s > STEADY_S:
                attempt = 0
            if attempt >= RESTARTS:
                self._tell(
                    f"the page is down ({why}); the banks do without it, "
                    f"`consortium dashboard --data {self._directory.root}` serves it again"
                )
                return
            attempt += 1
            delay_s = min(BACK_OFF_FIRST_S * 2 ** (attempt - 1), BACK_OFF_LONGEST_S)
            self._tell(
                f"the page ended ({why}); it is started again in {delay_s:g} s"
            )
            await asyncio.sleep(delay_s)
            await self._launch()

    def _tell(self, text: str) -> None:
        self._notify(Notice(NoticeKind.DASHBOARD, text))

    async def stop(self) -> None:
        """Stop it, by force if it takes too long."""
        _address_file(self._directory).unlink(missing_ok=True)
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        await self._process.stop()


def served_address(directory: ConsortiumDirectory) -> DashboardAddress | None:
    """Return where a launcher serves the page of this consortium, None if none does.

    For its operator: the address carries the login token.
    """
    if not dashboard_processes(directory):
        return None
    with contextlib.suppress(OSError, ValueError, KeyError, PrivateFileUnusable):
        told = json.loads(read_private(_address_file(directory)))
        return DashboardAddress(told["url"], told["login_url"])
    return None


def _address_file(directory: ConsortiumDirectory) -> Path:
    return directory.dashboard / "address.json"


def dashboard_processes(directory: ConsortiumDirectory) -> list[psutil.Process]:
    """Every process that a launcher started to serve the page of this consortium."""
    return processes_running("dashboard", "--supervised", str(directory.root.resolve()))
