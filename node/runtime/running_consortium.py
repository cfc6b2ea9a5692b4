"""What is known of a running consortium from outside: who holds it, its processes, its addresses.

`run/lock` is held by the process that supervises the consortium, and released by the system with
it, however it ends. `run/consortium.json` says who that is and which processes belong to it; a
process id counts only together with the time its process was created.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from node.runtime.consortium_directory import ConsortiumDirectory

NODE_MODULE = "node.cli.main"


class ConsortiumRunning(Exception):
    """Another process supervises the consortium of this directory."""


@dataclass(frozen=True, slots=True)
class ProcessReference:
    """One process, told apart from a later one that got its number."""

    pid: int
    created_s: float

    @staticmethod
    def of(pid: int) -> ProcessReference:
        """Raises `psutil.NoSuchProcess`."""
        return ProcessReference(pid, psutil.Process(pid).create_time())

    def find(self) -> psutil.Process | None:
        """Return the process if it still runs."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created_s) < 1
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


@dataclass(frozen=True, slots=True)
class RunningBank:
    """One bank's process; `process` is None while it is down."""

    bank: int
    short_name: str
    address: str
    process: ProcessReference | None


@dataclass(frozen=True, slots=True)
class RunningConsortium:
    """Contents of `run/consortium.json`."""

    supervisor: ProcessReference
    started_ms: int
    chain_id: str
    banks: tuple[RunningBank, ...]

    def save(self, directory: ConsortiumDirectory) -> None:
        """Replace the file whole."""
        temporary = directory.state_file.with_suffix(".new")
        temporary.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        os.replace(temporary, directory.state_file)

    @staticmethod
    def load(directory: ConsortiumDirectory) -> RunningConsortium | None:
        """Read the file; None if there is none or it is of no use."""
        try:
            document = json.loads(directory.state_file.read_text(encoding="utf-8"))
            return RunningConsortium(
                supervisor=ProcessReference(**document["supervisor"]),
                started_ms=int(document["started_ms"]),
                chain_id=str(document["chain_id"]),
                banks=tuple(
                    RunningBank(
                        bank["bank"],
                        bank["short_name"],
                        bank["address"],
                        ProcessReference(**bank["process"]) if bank["process"] else None,
                    )
                    for bank in document["banks"]
                ),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None


@contextlib.contextmanager
def supervisor_lock(directory: ConsortiumDirectory) -> Iterator[None]:
    """Be the one process that supervises this consortium; raises `ConsortiumRunning`."""
    descriptor = os.open(_lock_file(directory), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            running = RunningConsortium.load(directory)
            who = f"process {running.supervisor.pid}" if running else "another process"
            raise ConsortiumRunning(
                f"the consortium in {directory.root} runs already, under {who}; "
                f"`consortium down --data {directory.root}` stops it"
            ) from None
        yield
    finally:
        os.close(descriptor)


def is_supervised(directory: ConsortiumDirectory) -> bool:
    """Whether a process supervises this consortium now."""
    try:
        with supervisor_lock(directory):
            return False
    except ConsortiumRunning:
        return True
    except OSError:
        return False


def node_processes(directory: ConsortiumDirectory) -> list[psutil.Process]:
    """Every process that runs a bank of this consortium, whoever started it."""
    banks = str(directory.banks.resolve())
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if NODE_MODULE in command and any(_is_below(word, banks) for word in command):
            found.append(process)
    return found


def end_processes(processes: list[psutil.Process], *, patience_s: float) -> list[psutil.Process]:
    """Ask processes to stop, kill those that do not in time; return those that had to be killed."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=patience_s)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=patience_s)
    return alive


def now_ms() -> int:
    """Return the wall clock in milliseconds since 1970."""
    return int(time.time() * 1000)


def _is_below(word: str, banks: str) -> bool:
    return word.startswith(banks + os.sep)


def _lock_file(directory: ConsortiumDirectory) -> Path:
    return directory.run / "lock"
