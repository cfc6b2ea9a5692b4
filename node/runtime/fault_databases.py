"""Breaking the databases of a local consortium: a bank's sessions, the server of all banks."""

from __future__ import annotations

import contextlib
import time

import psutil
import psycopg

from node.runtime.bank_databases import EmbeddedServer, database_server
from node.runtime.consortium_directory import ConsortiumDirectory, short_name
from node.runtime.fault_processes import ENDED_WITHIN_S, FaultRefused
from node.runtime.secrets_directory import read_private

CONNECT_TIMEOUT_S = 5
POLL_S = 0.02


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
