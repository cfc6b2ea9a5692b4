"""Breaking the processes of a local consortium: kill -9, a pause, PostgreSQL's end.

What a bank's process does is seen from outside here; a process that was ended belongs to nobody,
and the supervisor's file says which one ran a bank last.
"""

from __future__ import annotations

import contextlib
import signal
import time

import psutil
import psycopg

from node.runtime.bank_databases import EmbeddedServer, database_server
from node.runtime.consortium_directory import ConsortiumDirectory, short_name
from node.runtime.running_consortium import RunningConsortium, is_supervised
from node.runtime.secrets_directory import read_private

CONNECT_TIMEOUT_S = 5
ENDED_WITHIN_S = 10.0
POLL_S = 0.02


class FaultRefused(Exception):
    """A fault cannot be injected here; the message says why, and what to do."""


def bank_process(directory: ConsortiumDirectory, bank: int) -> psutil.Process:
    """Return the process that runs a bank; raises `FaultRefused` if none does."""
    running = RunningConsortium.load(directory)
    if running is None or not is_supervised(directory):
        raise FaultRefused(
            f"no consortium is up in {directory.root}; "
            f"`consortium up --data {directory.root}` starts it"
        )
    reference = running.banks[bank].process
    process = reference.find() if reference is not None else None
    if process is None:
        name = short_name(bank)
        raise FaultRefused(f"{name} does not run; `consortium node start {name}` starts it")
    return process


def crash(directory: ConsortiumDirectory, bank: int) -> int:
    """Kill a bank's process (`kill -9`); return its id. Raises `FaultRefused`."""
    process = bank_process(directory, bank)
    with contextlib.suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
        process.kill()
        process.wait(ENDED_WITHIN_S)
    return int(process.pid)


def pause(directory: ConsortiumDirectory, bank: int) -> int:
    """Stop a bank's process in its tracks (SIGSTOP); return its id. Raises `FaultRefused`."""
    process = bank_process(directory, bank)
    process.send_signal(signal.SIGSTOP)
    return int(process.pid)


def resume(directory: ConsortiumDirectory, bank: int) -> int:
    """Let a paused process go on (SIGCONT); return its id. Raises `FaultRefused`."""
    process = bank_process(directory, bank)
    process.send_signal(signal.SIGCONT)
    return int(process.pid)


def end_sessions(directory: ConsortiumDirectory, bank: int) -> int:
    """End a bank's database sessions; return how many there were. Raises `FaultRefused`."""
    url = read_private(directory.bank(bank).database_url_file).decode("utf-8").strip()
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S) as connection:
            rows = connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            ).fetchall()
    except psycopg.Error as error:
        raise FaultRefused(
            f"the database of {short_name(bank)} does not answer ({type(error).__name__}); "
            "`consortium status` shows what runs"
        ) from None
    return sum(bool(ended) for (ended,) in rows)


def kill_server(directory: ConsortiumDirectory) -> int:
    """Kill the consortium's PostgreSQL server (`kill -9`); return its id. Raises `FaultRefused`.

    All banks of a local consortium have their databases in it: it is one fault domain.
    """
    server = database_server(directory)
    if not isinstance(server, EmbeddedServer):
        raise FaultRefused(
            "the databases are in a PostgreSQL server that is not the consortium's own; "
            "stop it by its own means"
        )
    pid = server.pid
    if pid is None:
        raise FaultRefused("PostgreSQL does not run; the launcher starts it when a bank misses it")
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(pid).kill()
    # The launcher is its parent and may not ask for its end: a zombie is gone, too.
    deadline_s = time.monotonic() + ENDED_WITHIN_S
    while server.pid == pid and time.monotonic() < deadline_s:
        time.sleep(POLL_S)
    return pid
