"""One bank's node as a child process: starting, watching, stopping, and why it ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import node
from node.runtime.consortium_directory import BankDirectory
from node.runtime.running_consortium import NODE_MODULE, ProcessReference

LOG_LIMIT_BYTES = 10 << 20
"""A longer log is put aside as node.log.1 when the node starts."""

LOG_TAIL_BYTES = 64 << 10

ALLOCATOR = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": str(1 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(8 << 20),
}
"""Keeps glibc from returning the memory of every message to the system: serialising a batch takes
a sixteenth of the time. What is larger than a full block is returned. Two arenas instead of one for
each thread: each of those grows until its thread has done the largest of everything once."""


class BankProcess:
    """The process of one bank; may be started again when it has ended."""

    def __init__(
        self, bank: BankDirectory, options: Sequence[str] = (), *, launcher: Sequence[str] = ()
    ) -> None:
        """`options` are those of `consortium node run` that the configuration does not have.

        `launcher` is what comes before the command, and becomes it (`exec`).
        """
        self.bank = bank
        self._launcher = tuple(launcher)
        self._options = tuple(options)
        self._process: asyncio.subprocess.Process | None = None
        self._reference: ProcessReference | None = None
        self._log_start = 0

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def exit_code(self) -> int | None:
        """How the last process ended, minus the signal's number if it was killed; None before."""
        return None if self._process is None else self._process.returncode

    @property
    def reference(self) -> ProcessReference | None:
        """The running process, None if there is none."""
        return self._reference if self.running else None

    @property
    def pid(self) -> int | None:
        """Process id, None if it does not run."""
        return self._process.pid if self._process is not None and self.running else None

    async def start(self) -> None:
        """Start the node in a process group of its own, so that Ctrl-C does not reach it.

        Not in a session: the scheduler of Linux shares processor time between sessions first, and
        would let a bank's verification compete with every other bank's consensus.
        """
        assert not self.running, "one process a bank"
        rotate_log(self.bank.log_file)
        with self.bank.log_file.open("ab") as log:
            os.fchmod(log.fileno(), 0o600)
            self._log_start = log.tell()
            self._process = await asyncio.create_subprocess_exec(
                *self._launcher,
                sys.executable,
                "-P",
                "-m",
                NODE_MODULE,
                "node",
                "run",
                "--supervised",
                "--allow-faults",
                "--config",
                str(self.bank.config_file.resolve()),
                *self._options,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(),
                process_group=0,
            )
        self._reference = ProcessReference(self._process.pid, time.time())
        with contextlib.suppress(Exception):
            self._reference = ProcessReference.of(self._process.pid)

    async def wait(self) -> int:
        """Wait until it ends; return its exit code, minus the signal's number if it was killed."""
        assert self._process is not None, "it was started"
        return await self._process.wait()

    def send(self, number: signal.Signals) -> None:
        """Signal the process; nothing happens if it has ended."""
        if self._process is not None and self.running:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    def last_words(self) -> str:
        """Return the last thing this run's log says, in one line."""
        return last_event(self.bank.log_file, self._log_start)

    def why_ended(self, exit_code: int) -> str:
        """Say in words how the process ended, with the last line of its log."""
        return how_ended(exit_code, self.bank.log_file, self._log_start)


def how_ended(exit_code: int, log_file: Path, start: int) -> str:
    """Say how a process ended whose log begins at byte `start`, with its last line."""
    if exit_code < 0:
        try:
            name = signal.Signals(-exit_code).name
        except ValueError:
            name = f"signal {-exit_code}"
        return f"killed by {name}"
    return f"exit code {exit_code}: {last_event(log_file, start)}"


def last_event(log_file: Path, start: int) -> str:
    """Return the last thing that a log says beyond byte `start`, in one line."""
    with contextlib.suppress(OSError), log_file.open("rb") as log:
        end = log.seek(0, os.SEEK_END)
        log.seek(max(start, end - LOG_TAIL_BYTES))
        lines = log.read().decode("utf-8", errors="replace").strip().splitlines()
        if lines:
            return _event_text(lines[-1])
    return "nothing in its log"


def _event_text(line: str) -> str:
    """Return a structured log line as a person would say it."""
    try:
        record = json.loads(line)
        event = str(record["event"])
        details = [str(record[key]) for key in ("detail", "why", "reason") if key in record]
    except (ValueError, KeyError, TypeError):
        return line.strip()
    return " ".join(": ".join([event, *details]).split())


def rotate_log(log: Path) -> None:
    """Put a long log aside."""
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > LOG_LIMIT_BYTES:
            log.replace(log.with_suffix(".log.1"))


def environment() -> dict[str, str]:
    """Return what a process of ours is started with."""
    root = str(Path(node.__file__).resolve().parent.parent)
    inherited = os.environ.get("PYTHONPATH")
    path = root if not inherited else os.pathsep.join([root, inherited])
    return {**ALLOCATOR, **os.environ, "PYTHONPATH": path}
