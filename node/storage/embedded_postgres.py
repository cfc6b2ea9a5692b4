"""A PostgreSQL server of our own for a consortium on one machine.

One server serves all local banks: one database and one role each, closed to one another. It is
one fault domain, which a consortium on several machines does not have.

Below the data directory:

    superuser_password   mode 0600; the server itself holds only the SCRAM verifier
    port                 the TCP port on 127.0.0.1 used last, chosen again if it is taken
    server.log           what the server says; one older file is kept as server.log.1
    manager.lock         held while a process starts or stops the server
    server               what the server's user owns: the cluster, and copied programs if need be

As root, PostgreSQL runs as an unprivileged user (`postgres_binaries`). Where that user cannot
reach the data directory, as below /root, `server` is a symbolic link into SHARED_HOME; nothing
else is opened up. The server runs in a session of its own, so that Ctrl-C in a terminal does not
reach it, and outlives the process that started it; the next manager of the same directory adopts
it.

All methods block; asynchronous callers run them in a thread.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import signal
import subprocess
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import psycopg

from node.storage import postgres_roles, postmaster, tcp_port
from node.storage.postgres_binaries import PostgresBinaries, server_environment
from node.storage.postgres_cluster import HOST, SUPERUSER, PostgresCluster
from node.storage.postgres_errors import (
    PostgresBusy,
    PostgresDirectoryRefused,
    PostgresError,
    PostgresNotRunning,
    PostgresStartFailed,
    PostgresStopFailed,
)
from node.storage.postgres_settings import SETTINGS
from node.storage.postmaster import POLL_INTERVAL_S, Postmaster

MAINTENANCE_DATABASE = "postgres"

CONNECT_TIMEOUT_S = 5
STATEMENT_TIMEOUT_MS = 30_000
"""Default of every bank's role; a session may set another."""

LOG_LIMIT_BYTES = 16 * 1024 * 1024
LOG_TAIL_LINES = 20

START_ATTEMPTS = 20
"""A port may be taken between choosing and binding it, and the shared memory of a killed server
is released only when its last process is gone; both are tried again."""

RETRY_INTERVAL_S = 0.25

PORT_TAKEN = "Address already in use"
OLD_PROCESSES = "Terminate any old server processes"


class EmbeddedPostgres:
    """The server of one data directory: initialise, start or adopt, hand out databases, stop.

    Several managers of one directory may exist, also in different processes: starting and
    stopping is serialised between them, and whoever starts second adopts the running server.
    """

    def __init__(
        self,
        data_directory: Path,
        *,
        settings: Mapping[str, str] | None = None,
        start_timeout_s: float = 120.0,
        stop_timeout_s: float = 15.0,
        lock_timeout_s: float = 180.0,
    ) -> None:
        """Nothing is touched yet.

        `settings` are server parameters that replace or extend SETTINGS at the next start.
        `start_timeout_s` includes crash recovery. Raises `PostgresBinariesMissing`.
        """
        self._directory = data_directory.absolute()
        self._settings = {**SETTINGS, **(settings or {})}
        self._start_timeout_s = start_timeout_s
        self._stop_timeout_s = stop_timeout_s
        self._lock_timeout_s = lock_timeout_s
        self._cluster = PostgresCluster(self._directory)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def cluster(self) -> Path:
        """PostgreSQL's own data directory, where PG_VERSION stands."""
        return self._cluster.path

    @property
    def log_path(self) -> Path:
        """The server's log."""
        return self._directory / "server.log"

    @property
    def server_version(self) -> str:
        """Version of the installed programs, for example "18.4"."""
        return self._cluster.version

    @property
    def pid(self) -> int | None:
        """Process id of the running postmaster, or None."""
        running = postmaster.find_postmaster(self.cluster)
        return None if running is None else running.pid

    @property
    def port(self) -> int:
        """TCP port of the running server. Raises `PostgresNotRunning`."""
        running = postmaster.find_postmaster(self.cluster)
        if running is None or running.port is None:
            raise PostgresNotRunning(f"no PostgreSQL server runs on {self._directory}")
        return running.port

    def is_running(self) -> bool:
        """Whether the server accepts connections."""
        running = postmaster.find_postmaster(self.cluster)
        return running is not None and running.ready

    def binaries(self) -> PostgresBinaries:
        """The programs as the server's user runs them, for backups and the like.

        Raises `PostgresBinariesMissing` or `PostgresDirectoryRefused`.
        """
        return self._cluster.programs()

    def ensure_initialised(self) -> None:
        """Make the cluster if there is none; an interrupted attempt leaves no half of one.

        Raises `PostgresDirectoryRefused`, `PostgresVersionMismatch`,
        `PostgresInitialisationFailed` or `PostgresBinariesMissing`.
        """
        with self._exclusive():
            self._cluster.ensure_initialised()

    def start(self) -> None:
        """Initialise if need be, then start the server, or adopt it if it runs already.

        Returns when it accepts connections; a server that was killed recovers first. Raises
        `PostgresStartFailed` with the end of the log, what `ensure_initialised` raises, or
        `PostgresBusy`.
        """
        with self._exclusive():
            self._cluster.ensure_initialised()
            deadline_s = time.monotonic() + self._start_timeout_s
            if not self._adopt(deadline_s):
                self._launch(deadline_s)
                self._check_access()

    def stop(self) -> None:
        """Stop the server, ending its connections; committed work is kept. Stopped is no error.

        Raises `PostgresStopFailed` if a process outlives every signal, or `PostgresBusy`.
        """
        if not self._directory.exists():
            return
        with self._exclusive():
            self._stop()

    def create_database(
        self,
        name: str,
        role: str,
        password: str,
        *,
        statement_timeout_ms: int = STATEMENT_TIMEOUT_MS,
    ) -> None:
        """Create a database and the one role that may use it; existing ones are kept.

        An existing role gets this password. Raises `ValueError` if a name is not plain lower-case
        or the database belongs to another role, `PostgresNotRunning`, or `PostgresError`.
        """
        with self._superuser() as connection:
            postgres_roles.create_role(
                connection, role, password, statement_timeout_ms=statement_timeout_ms
            )
            postgres_roles.create_database(connection, name, role)

    def rename_database(self, name: str, new_name: str) -> bool:
        """Rename a database, ending its connections; False if there is none of that name.

        Raises `ValueError`, `PostgresNotRunning` or `PostgresError`.
        """
        with self._superuser() as connection:
            return postgres_roles.rename_database(connection, name, new_name)

    def drop_database(self, name: str, role: str | None = None) -> None:
        """Drop a database, and the role that owned it if one is given; none is no error.

        Raises `ValueError`, `PostgresNotRunning` or `PostgresError`.
        """
        with self._superuser() as connection:
            postgres_roles.drop_database(connection, name)
            if role is not None:
                postgres_roles.drop_role(connection, role)

    def checkpoint(self) -> None:
        """Write everything to the data files now, so that stopping soon takes no time.

        Raises `PostgresNotRunning` or `PostgresError`.
        """
        with self._superuser() as connection:
            connection.execute("CHECKPOINT")

    def url(self, database: str, role: str, password: str) -> str:
        """Connection URL of a database, valid until the server next starts: the port may change.

        Raises `PostgresNotRunning`.
        """
        user, secret = urllib.parse.quote(role, safe=""), urllib.parse.quote(password, safe="")
        return f"postgresql://{user}:{secret}@{HOST}:{self.port}/{database}"

    def destroy(self) -> None:
        """Stop the server and delete its data, also where it lives outside the data directory."""
        self.stop()
        self._cluster.delete()
        for name in ("port", "server.log", "server.log.1", "manager.lock"):
            (self._directory / name).unlink(missing_ok=True)

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Hold the directory's lock; the system releases it with the process, however it ends."""
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            lock = (self._directory / "manager.lock").open("a")
        except OSError as error:
            raise PostgresDirectoryRefused(
                f"{self._directory} cannot be used for PostgreSQL: {error.strerror}"
            ) from error
        deadline_s = time.monotonic() + self._lock_timeout_s
        with lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= deadline_s:
                        raise PostgresBusy(
                            f"another process has been starting or stopping PostgreSQL on "
                            f"{self._directory} for {self._lock_timeout_s:.0f} s"
                        ) from None
                    time.sleep(POLL_INTERVAL_S)
            yield

    # Starting

    def _adopt(self, deadline_s: float) -> bool:
        """Wait until a server that runs already answers; False if there is none, or it ends.

        What its pid file says is not enough: a server that is just being killed still says ready.
        """
        refused_until_s = math.inf
        while (running := postmaster.find_postmaster(self.cluster)) is not None:
            if running.ready:
                try:
                    self._check_access()
                    return True
                except PostgresError:
                    now_s = time.monotonic()
                    refused_until_s = min(refused_until_s, now_s + CONNECT_TIMEOUT_S)
                    if now_s >= refused_until_s:
                        raise
            self._check_deadline(deadline_s)
            time.sleep(POLL_INTERVAL_S)
        return False

    def _launch(self, deadline_s: float) -> None:
        programs = self._cluster.programs()
        self._rotate_log()
        port = self._remembered_port()
        for _ in range(START_ATTEMPTS):
            if not postmaster.end_orphans(self.cluster, timeout_s=deadline_s - time.monotonic()):
                raise PostgresStartFailed("processes of a killed server do not end", "")
            postmaster.remove_stale_pid_file(self.cluster)
            if port is None or not tcp_port.is_free(port):
                port = tcp_port.free_port()
            said = self._run_until_ready(programs, port, deadline_s)
            if said is None:
                _write_text(self._directory / "port", f"{port}\n")
                return
            if PORT_TAKEN in said:
                port = None
            elif OLD_PROCESSES not in said:
                raise PostgresStartFailed(f"it ended while starting; log: {self.log_path}", said)
            time.sleep(RETRY_INTERVAL_S)
        raise PostgresStartFailed(f"{START_ATTEMPTS} attempts failed", self._log_tail(0))

    def _run_until_ready(
        self, programs: PostgresBinaries, port: int, deadline_s: float
    ) -> str | None:
        """Start the postmaster; None once it is ready, what it said if it ended instead."""
        log_start = self.log_path.stat().st_size if self.log_path.exists() else 0
        process = self._process = self._spawn(programs, port)
        while process.poll() is None:
            running = postmaster.find_postmaster(self.cluster)
            if running is not None and running.pid == process.pid and running.ready:
                return None
            self._check_deadline(deadline_s)
            time.sleep(POLL_INTERVAL_S)
        self._process = None
        return self._log_tail(log_start)

    def _spawn(self, programs: PostgresBinaries, port: int) -> subprocess.Popen[bytes]:
        cluster, user = self.cluster, self._cluster.user
        settings = {
            **self._settings,
            "port": str(port),
            "cluster_name": postmaster.cluster_name(cluster),
        }
        command = [str(programs.program("postgres")), "-D", str(cluster)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with self.log_path.open("ab") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=server_environment(),
                start_new_session=True,
                umask=0o077,
                user=None if user.is_current else user.uid,
                group=None if user.is_current else user.gid,
                extra_groups=None if user.is_current else [],
            )

    def _check_deadline(self, deadline_s: float) -> None:
        """A server that is slow to start is left to go on: it may be recovering much."""
        if time.monotonic() >= deadline_s:
            raise PostgresStartFailed(
                f"not ready within {self._start_timeout_s:.0f} s; it goes on starting, so start "
                "again to wait for it, or stop it",
                self._log_tail(0),
            )

    def _check_access(self) -> None:
        """Make sure that this is our server, and keep ordinary roles out of its own databases."""
        with self._superuser() as connection:
            shown = connection.execute("SHOW data_directory").fetchone()
            if shown != (str(self.cluster),):
                raise PostgresStartFailed(f"port {self.port} serves another directory", "")
            postgres_roles.close_to_public(connection)

    # Stopping

    def _stop(self) -> None:
        """End the server: politely, at once, by force; each stage only if the one before failed."""
        stages = (
            (signal.SIGINT, self._stop_timeout_s),
            (signal.SIGQUIT, 5.0),
            (signal.SIGKILL, 5.0),
        )
        for number, timeout_s in stages:
            running = postmaster.find_postmaster(self.cluster)
            if running is not None:
                self._signal(running, number)
                gone = self._wait_until_gone(timeout_s)
            else:
                gone = postmaster.end_orphans(self.cluster, timeout_s=timeout_s)
            if gone:
                return
        left = [process.pid for process in postmaster.server_processes(self.cluster)]
        raise PostgresStopFailed(f"PostgreSQL processes {left} do not end")

    def _signal(self, running: Postmaster, number: signal.Signals) -> None:
        try:
            postmaster.send_signal(running.pid, number, self.cluster)
        except psutil.AccessDenied as error:
            raise PostgresStopFailed(
                f"PostgreSQL (process {running.pid}) belongs to another user"
            ) from error

    def _wait_until_gone(self, timeout_s: float) -> bool:
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            if self._process is not None and self._process.poll() is not None:
                self._process = None
            if not postmaster.server_processes(self.cluster):
                return True
            time.sleep(POLL_INTERVAL_S)
        return False

    # Small parts

    @contextlib.contextmanager
    def _superuser(self) -> Iterator[postgres_roles.Connection]:
        """A superuser's connection in autocommit. Errors of the server become `PostgresError`."""
        try:
            with psycopg.connect(
                host=HOST,
                port=self.port,
                user=SUPERUSER,
                password=self._cluster.read_password(),
                dbname=MAINTENANCE_DATABASE,
                connect_timeout=CONNECT_TIMEOUT_S,
                autocommit=True,
            ) as connection:
                yield connection
        except psycopg.Error as error:
            raise PostgresError(f"PostgreSQL on {self._directory}: {error}") from error

    def _remembered_port(self) -> int | None:
        try:
            text = (self._directory / "port").read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            return None
        return int(text) if text.isdecimal() and 0 < int(text) < 65536 else None

    def _rotate_log(self) -> None:
        if self.log_path.exists() and self.log_path.stat().st_size > LOG_LIMIT_BYTES:
            self.log_path.replace(self.log_path.with_name("server.log.1"))

    def _log_tail(self, start: int) -> str:
        """The last lines that the log holds beyond byte `start`."""
        if not self.log_path.exists():
            return ""
        with self.log_path.open("rb") as log:
            log.seek(max(start, self.log_path.stat().st_size - 65536))
            lines = log.read().decode("utf-8", errors="replace").splitlines()
        return "\n".join(lines[-LOG_TAIL_LINES:])


def _write_text(path: Path, text: str) -> None:
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text, encoding="ascii")
    fresh.replace(path)
