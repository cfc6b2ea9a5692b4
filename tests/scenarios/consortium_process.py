"""A consortium as an operator starts it: `consortium up`, with its banks as child processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from node.client.connection import ClientCredentials
from node.client.ledger_client import LedgerClient
from node.ledger.types import BankIndex
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.running_consortium import RunningConsortium, node_processes

REPOSITORY = Path(__file__).resolve().parents[2]
HEALTHY_WITHIN_S = 120
STOPPED_WITHIN_S = 15


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-P", "-m", "node.cli.main", *arguments]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPOSITORY), "NO_COLOR": "1"}


def start_command(log: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own; all that it says goes to a file."""
    with log.open("wb") as out:
        return subprocess.Popen(
            command(*arguments),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=environment(),
            start_new_session=True,
        )


@dataclass
class ConsortiumProcess:
    """One `consortium up` and the directory that outlives it."""

    directory: ConsortiumDirectory
    banks: int = 12
    options: tuple[str, ...] = ()
    """Of `consortium up`, besides directory and banks."""
    process: subprocess.Popen[bytes] | None = None
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.directory.root.parent / "up.log"

    def start(self) -> None:
        """Run `consortium up` and wait until it says that all banks are healthy."""
        self.process = start_command(
            self.log,
            *("up", "--data", str(self.directory.root), "--banks", str(self.banks)),
            *self.options,
        )
        deadline = time.monotonic() + HEALTHY_WITHIN_S
        while f"{self.banks} banks are healthy" not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)

    def interrupt(self) -> float:
        """Press Ctrl-C, as a terminal does; return how many seconds it took to end."""
        assert self.process is not None, "only a started consortium is stopped"
        begun = time.monotonic()
        os.killpg(self.process.pid, signal.SIGINT)
        code = self.process.wait(STOPPED_WITHIN_S)
        elapsed = time.monotonic() - begun
        assert code in (0, 130), self.log.read_text()
        assert node_processes(self.directory) == []
        self.process = None
        return elapsed

    def abandon(self) -> None:
        """Leave nothing behind, however the test ended."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
            try:
                self.process.wait(STOPPED_WITHIN_S)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
        self.run("down", check=False)

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run one command of the command line against this consortium."""
        done = subprocess.run(
            command(*arguments, "--data", str(self.directory.root)),
            capture_output=True,
            text=True,
            env=environment(),
            timeout=120,
            check=False,
        )
        assert not check or done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done

    def json(self, *arguments: str, check: bool = True) -> Any:
        return json.loads(self.run(*arguments, "--json", check=check).stdout)

    def client(self, *banks: int) -> LedgerClient:
        running = RunningConsortium.load(self.directory)
        assert running is not None, "the consortium is running"
        from node.client.connection import Endpoint

        addresses = {bank.bank: bank.address for bank in running.banks}
        return LedgerClient.connect(
            [Endpoint(BankIndex(bank), addresses[bank]) for bank in banks],
            ClientCredentials.load(self.directory.client(banks[0])),
        )

    def kill(self, bank: int) -> None:
        """`kill -9` a bank's process."""
        running = RunningConsortium.load(self.directory)
        assert running is not None, "the consortium is running"
        reference = next(item.process for item in running.banks if item.bank == bank)
        assert reference is not None, f"bank {bank} is up"
        process = psutil.Process(reference.pid)
        process.kill()
        process.wait(10)
