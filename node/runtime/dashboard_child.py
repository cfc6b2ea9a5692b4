"""The operators' page as a further process of a local consortium: started, watched, stopped.

The banks do without it, and whatever becomes of it never stops them. One that ends unasked is
started again at the same address, a bounded number of times.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from node.rpc.private_files import PrivateFileUnusable, read_private, write_private
from node.runtime.bank_process import environment, last_event, rotate_log
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.notice import Notice, NoticeKind
from node.runtime.running_consortium import NODE_MODULE

TERMINATE_PATIENCE_S = 3.0
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
        self._process: asyncio.subprocess.Process | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._log_start = 0
        self.address: DashboardAddress | None = None
        """None until it serves."""

    @property
    def pid(self) -> int | None:
        """Process id, None if it does not run."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    @property
    def _log_file(self) -> Path:
        return self._directory.dashboard / "dashboard.log"

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
        rotate_log(self._log_file)
        with self._log_file.open("ab") as log:
            os.fchmod(log.fileno(), 0o600)
            self._log_start = log.tell()
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                "-m",
                NODE_MODULE,
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
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env={**environment(), **ALLOCATOR},
                start_new_session=True,
            )

    async def _read_address(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None, "it was started with a pipe"
        line = await process.stdout.readline()
        with contextlib.suppress(ValueError, KeyError):
            told = json.loads(line)
            self.address = DashboardAddress(told["url"], told["login_url"])
            # Started again, it must be where the browsers look for it.
            self._listen = self.address.url.partition("://")[2]
            write_private(_address_file(self._directory), line)

    async def _watch(self) -> None:
        attempt = 0
        while True:
            process = self._process
            assert process is not None, "it was started"
            begun_s = time.monotonic()
            await self._read_address(process)
            exit_code = await process.wait()
            if time.monotonic() - begun_s > STEADY_S:
                attempt = 0
            if attempt >= RESTARTS:
                self._tell(
                    f"the page is down ({self._why(exit_code)}); the banks do without it, "
                    f"`consortium dashboard --data {self._directory.root}` serves it again"
                )
                return
            attempt += 1
            delay_s = min(BACK_OFF_FIRST_S * 2 ** (attempt - 1), BACK_OFF_LONGEST_S)
            self._tell(
                f"the page ended ({self._why(exit_code)}); it is started again in {delay_s:g} s"
            )
            await asyncio.sleep(delay_s)
            await self._launch()

    def _why(self, exit_code: int) -> str:
        if exit_code < 0:
            return f"killed by {signal.Signals(-exit_code).name}"
        return f"exit code {exit_code}: {last_event(self._log_file, self._log_start)}"

    def _tell(self, text: str) -> None:
        self._notify(Notice(NoticeKind.DASHBOARD, text))

    async def stop(self) -> None:
        """Stop it, by force if it takes too long."""
        _address_file(self._directory).unlink(missing_ok=True)
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), TERMINATE_PATIENCE_S)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


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
    root = str(directory.root.resolve())
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if {NODE_MODULE, "dashboard", "--supervised", root} <= set(process.info["cmdline"] or [])
    ]
