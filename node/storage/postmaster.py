"""The processes of a PostgreSQL server, seen from outside: its pid file, its children, its end.

PostgreSQL's main process is called the postmaster. It notes its pid, port and state in
`postmaster.pid` in its data directory. After `kill -9` the note stays behind, and its pid may since
belong to any process, so a pid counts only if that process serves this very directory.

A process is recognised by its command line, which anybody may read: the postmaster's names the
data directory, its children's carry the cluster's name. The working directory would say the same,
but in a container root may not read it of another user's process.
"""

from __future__ import annotations

import hashlib
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from node.storage.postgres_errors import PostgresDirectoryRefused

PID_FILE = "postmaster.pid"
PROCESS_NAME = "postgres"

POLL_INTERVAL_S = 0.02


def cluster_name(cluster: Path) -> str:
    """The name under which the processes of a data directory show in process lists."""
    return "consortium_" + hashlib.sha256(bytes(cluster.resolve())).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Postmaster:
    """What a live postmaster says of itself in its pid file."""

    pid: int
    port: int | None
    """None while it has not got so far."""
    ready: bool
    """Whether it accepts connections."""


def find_postmaster(cluster: Path) -> Postmaster | None:
    """The live postmaster of a data directory, or None; a stale or torn pid file counts as none."""
    try:
        lines = (cluster / PID_FILE).read_text(encoding="utf-8", errors="replace").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        raise PostgresDirectoryRefused(f"{cluster} belongs to another user") from error
    pid_text = lines[0].strip() if lines else ""
    if not pid_text.isdecimal() or not _serves(int(pid_text), cluster):
        return None
    port_text = lines[3].strip() if len(lines) > 3 else ""
    state = lines[7].strip() if len(lines) > 7 else ""
    port = int(port_text) if port_text.isdecimal() else None
    return Postmaster(int(pid_text), port, ready=state == "ready")


def server_processes(cluster: Path) -> list[psutil.Process]:
    """Every process that serves a data directory: postmaster, workers, backends, and orphans."""
    return [
        process
        for process in psutil.process_iter(["name"])
        if process.info["name"] == PROCESS_NAME and _serves(process.pid, cluster)
    ]


def remove_stale_pid_file(cluster: Path) -> None:
    """Remove the note of a postmaster that is gone; the caller has made sure that it is.

    PostgreSQL itself refuses to start while the noted pid is in use by anybody, even by a process
    that got the number of a postmaster that was killed.
    """
    (cluster / PID_FILE).unlink(missing_ok=True)


def end_orphans(cluster: Path, *, timeout_s: float) -> bool:
    """End what a killed postmaster left behind; returns whether nothing is left.

    Backends notice the postmaster's death by themselves; those that do not in half the time are
    told to quit at once. Committed work is in the write-ahead log by then.
    """
    deadline_s = time.monotonic() + timeout_s
    patience_s = time.monotonic() + timeout_s / 2
    while orphans := server_processes(cluster):
        now_s = time.monotonic()
        if now_s >= deadline_s:
            return False
        if now_s >= patience_s:
            for process in orphans:
                send_signal(process.pid, signal.SIGKILL, cluster)
        time.sleep(POLL_INTERVAL_S)
    return True


def send_signal(pid: int, number: signal.Signals, cluster: Path) -> None:
    """Signal a process of this server; nothing happens if it is gone meanwhile.

    Raises `psutil.AccessDenied` if it belongs to another user.
    """
    if not _serves(pid, cluster):
        return
    try:
        psutil.Process(pid).send_signal(number)
    except psutil.NoSuchProcess:
        return


def _serves(pid: int, cluster: Path) -> bool:
    try:
        process = psutil.Process(pid)
        if process.name() != PROCESS_NAME or process.status() == psutil.STATUS_ZOMBIE:
            return False
        command_line = process.cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
    is_child = " ".join(command_line).startswith(f"postgres: {cluster_name(cluster)}: ")
    return is_child or command_line[1:3] == ["-D", str(cluster.resolve())]
