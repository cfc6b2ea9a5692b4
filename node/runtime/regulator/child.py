"""The regulator as the thirteenth process of a local consortium: started, watched, stopped.

The consortium does without it: what it has missed it follows when it is back. One that ends because
its database went away is started again, a bounded number of times.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

import psutil

from node.runtime.bank_databases import DatabaseServer
from node.runtime.child_process import ChildProcess, processes_running
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.exit_code import ExitCode
from node.runtime.notice import Notice, NoticeKind
from node.runtime.regulator.place import RegulatorPlace
from node.storage.postgres_errors import PostgresError

BACK_OFF_FIRST_S = 1.0
BACK_OFF_LONGEST_S = 15.0
RESTARTS = 10
STEADY_S = 30.0
"""One that ran this long begins a new row of restarts."""


class RegulatorChild:
    """Runs `consortium regulator run` for one directory."""

    def __init__(
        self,
        directory: ConsortiumDirectory,
        databases: DatabaseServer,
        notify: Callable[[Notice], None],
    ) -> None:
        self._directory = directory
        self._place = RegulatorPlace(directory)
        self._databases = databases
        self._notify = notify
        self._process = ChildProcess(self._place.log_file)
        self._watcher: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Process id, None if it does not run."""
        return self._process.pid

    async def start(self) -> None:
        """Start it; the banks need not be ready. Raises `PostgresError`, `ConfigurationError`."""
        await asyncio.to_thread(self._databases.provide_regulator, self._place)
        await self._launch()
        self._watcher = asyncio.create_task(self._watch())

    async def _launch(self) -> None:
        self._place.forget_address()
        await self._process.launch(
            "regulator", "run", "--supervised", "--data", str(self._directory.root.resolve())
        )

    async def _watch(self) -> None:
        attempt = 0
        while True:
            begun_s = time.monotonic()
            exit_code = await self._process.wait()
            if time.monotonic() - begun_s > STEADY_S:
                attempt = 0
            if exit_code == ExitCode.DATABASE and attempt < RESTARTS:
                attempt += 1
                delay_s = min(BACK_OFF_FIRST_S * 2 ** (attempt - 1), BACK_OFF_LONGEST_S)
                self._tell(f"the regulator lost its database; it is started again in {delay_s:g} s")
                await asyncio.sleep(delay_s)
                # The server's port may be another one than before; one that is not back yet
                # costs an attempt.
                with contextlib.suppress(PostgresError):
                    await asyncio.to_thread(self._databases.provide_regulator, self._place)
                await self._launch()
                continue
            self._place.forget_address()
            why = self._process.why_ended(exit_code)
            self._tell(
                f"the regulator is down ({why}); the banks do without it, "
                f"`consortium regulator run --data {self._directory.root}` runs it again"
            )
            return

    def _tell(self, text: str) -> None:
        self._notify(Notice(NoticeKind.BANK_DOWN, text))

    async def stop(self) -> None:
        """Stop it, by force if it takes too long."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        if self._process.pid is None:
            return
        await self._process.stop()
        self._place.forget_address()


def regulator_processes(directory: ConsortiumDirectory) -> list[psutil.Process]:
    """Every process that runs the regulator of this consortium, whoever started it."""
    return processes_running("regulator", "run", str(directory.root.resolve()))
