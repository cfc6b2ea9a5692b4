"""A further process beside the banks of a local consortium: launched, waited for, stopped.

What to do when one ends is its owner's business.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil

from node.runtime.bank_process import environment, how_ended, rotate_log
from node.runtime.running_consortium import NODE_MODULE

TERMINATE_PATIENCE_S = 3.0


class ChildProcess:
    """One `consortium` command in a session of its own; may be launched again when it has ended."""

    def __init__(self, log_file: Path) -> None:
        self._log_file = log_file
        self._log_start = 0
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """Process id, None if it does not run."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def launch(
        self,
        *arguments: str,
        piped: bool = False,
        further_environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start it; standard output goes to the log too, unless it is `piped` to `read_line`.

        Raises OSError.
        """
        rotate_log(self._log_file)
        with self._log_file.open("ab") as log:
            os.fchmod(log.fileno(), 0o600)
            self._log_start = log.tell()
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", NODE_MODULE, *arguments),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE if piped else log,
                stderr=log,
                env={**environment(), **(further_environment or {})},
                start_new_session=True,
            )

    async def read_line(self) -> bytes:
        """Return the next line of a piped standard output, empty at its end."""
        assert self._process is not None and self._process.stdout is not None, "it is piped"
        return await self._process.stdout.readline()

    async def wait(self) -> int:
        """Wait until it ends; return its exit code, minus the signal's number if it was killed."""
        assert self._process is not None, "it was launched"
        return await self._process.wait()

    def why_ended(self, exit_code: int) -> str:
        """Say in words how it ended, with the last line of its log."""
        return how_ended(exit_code, self._log_file, self._log_start)

    async def stop(self) -> None:
        """Stop it, by force if it takes too long; nothing happens if it does not run."""
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


def processes_running(*words: str) -> list[psutil.Process]:
    """Every process of this machine whose command line has all these words and is one of ours."""
    wanted = {NODE_MODULE, *words}
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if wanted <= set(process.info["cmdline"] or [])
    ]
