"""The consortium that a throughput measurement runs on: its own, or one that runs already."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from node.cli.access import Consortium
from node.cli.failure import CommandFailed
from node.client.workload_file import Workload
from node.runtime.bank_databases import database_server
from node.runtime.bank_process import environment, last_event
from node.runtime.config import DEFAULT_VERIFY_WORKERS
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.running_consortium import NODE_MODULE, is_supervised
from node.runtime.supervisor import stop_left_over
from node.wire.operator_records import NodeReport

READY_WITHIN_S = 180.0
GROWN_NOTES_PER_S = 1_000
"""At least so many notes of a past are installed at all banks a second."""
STOPPED_WITHIN_S = 30.0
POLL_S = 0.25
UP_LOG = "up.log"

Tell = Callable[[str], None]


@contextmanager
def measured_directory(chosen: Path | None) -> Generator[ConsortiumDirectory]:
    """Yield the directory that was chosen, or a new one that is deleted afterwards."""
    if chosen is not None:
        yield ConsortiumDirectory(chosen)
        return
    with tempfile.TemporaryDirectory(prefix="consortium-bench-") as name:
        # PostgreSQL runs as an unprivileged user when we are root, and must get through.
        Path(name).chmod(0o711)
        yield ConsortiumDirectory(Path(name) / "data")


@asynccontextmanager
async def running_consortium(
    directory: ConsortiumDirectory,
    workload: Workload,
    tell: Tell,
    verify_workers: int = DEFAULT_VERIFY_WORKERS,
) -> AsyncGenerator[Consortium]:
    """Yield a consortium of the workload's chain, every bank ready and linked.

    One that runs in the directory is used and goes on; otherwise `consortium up` runs meanwhile,
    with `verify_workers` processes a bank that verify.
    Raises `CommandFailed`.
    """
    if directory.exists() and is_supervised(directory):
        tell(f"measuring the consortium that runs in {directory.root}")
        yield await _ready(_checked(directory, workload), lambda: None, READY_WITHIN_S)
        return
    within_s = READY_WITHIN_S + workload.header.grown_notes / GROWN_NOTES_PER_S
    with _up(directory, workload.path, verify_workers) as process:

        def require_alive() -> None:
            if process.poll() is not None:
                raise CommandFailed(
                    f"`consortium up` ended: {last_event(_log_of(directory), 0)}",
                    f"see {_log_of(directory)}",
                )

        begun_s = time.monotonic()
        while not (directory.exists() and is_supervised(directory)):
            require_alive()
            _require_time(begun_s, READY_WITHIN_S, "the consortium was not made")
            await asyncio.sleep(POLL_S)
        yield await _ready(_checked(directory, workload), require_alive, within_s)


def _checked(directory: ConsortiumDirectory, workload: Workload) -> Consortium:
    consortium = Consortium.load(directory)
    if consortium.genesis.chain_id != workload.header.chain_id:
        raise CommandFailed(
            f"the workload is of another chain than the consortium in {directory.root}",
            "leave out --data, or name a directory in which there is none yet",
        )
    return consortium


async def _ready(
    consortium: Consortium, require_alive: Callable[[], None], within_s: float
) -> Consortium:
    begun_s = time.monotonic()
    while True:
        require_alive()
        answers = await consortium.ask_every_bank(lambda bank: bank.report())
        if all(isinstance(item, NodeReport) and _is_ready(item) for item in answers.values()):
            return consortium
        _require_time(begun_s, within_s, "not every bank was ready and linked")
        await asyncio.sleep(POLL_S)


def _is_ready(report: NodeReport) -> bool:
    return report.ready and all(peer.linked_in and peer.linked_out for peer in report.peers)


def _require_time(begun_s: float, within_s: float, what: str) -> None:
    if time.monotonic() - begun_s > within_s:
        raise CommandFailed(
            f"{what} within {within_s:.0f} s", "see `consortium status` and `consortium logs`"
        )


def _log_of(directory: ConsortiumDirectory) -> Path:
    return directory.root.with_name(f"{directory.root.name}.{UP_LOG}")


@contextmanager
def _up(
    directory: ConsortiumDirectory, workload: Path, verify_workers: int
) -> Generator[subprocess.Popen[bytes]]:
    """Run `consortium up` in a session of its own, and stop all of it afterwards."""
    log_file = _log_of(directory)
    log_file.parent.mkdir(parents=True, exist_ok=True)
    arguments = ["up", "--genesis", str(workload), "--data", str(directory.root), "--no-regulator"]
    arguments += ["--no-dashboard"]
    arguments += ["--verify-workers", str(verify_workers)]
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", NODE_MODULE, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**environment(), "NO_COLOR": "1"},
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _stop(process)
        if directory.exists():
            stop_left_over(directory, database_server(directory))


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOPPED_WITHIN_S)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(STOPPED_WITHIN_S)
