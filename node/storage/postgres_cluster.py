"""The files of the embedded server: where they live, who owns them, how they come to be.

A cluster is PostgreSQL's word for the data directory of one server. It is made in a staging
directory and renamed into place, so an interrupted initialisation leaves no half of one.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path

from node.storage.postgres_binaries import PostgresBinaries, ServerUser
from node.storage.postgres_errors import (
    PostgresDirectoryRefused,
    PostgresInitialisationFailed,
    PostgresVersionMismatch,
)

HOST = "127.0.0.1"
SUPERUSER = "postgres"

SHARED_HOME = Path("/var/lib/consortium")
"""Where, as root, a cluster lives whose data directory the server's user cannot reach."""

INITIALISE_TIMEOUT_S = 120.0

STAGING_PREFIX = "initialise-"


class PostgresCluster:
    """One server's files below a data directory."""

    def __init__(self, data_directory: Path) -> None:
        """Nothing is touched yet. Raises `PostgresBinariesMissing`."""
        self._directory = data_directory
        self._home = data_directory / "server"
        self._user = ServerUser.choose(self._home / "cluster")
        self._installed = PostgresBinaries.find()

    @property
    def path(self) -> Path:
        """PostgreSQL's own data directory, free of symbolic links."""
        return self._home.resolve() / "cluster"

    @property
    def user(self) -> ServerUser:
        """Whom the server runs as."""
        return self._user

    @property
    def version(self) -> str:
        """Version of the installed programs, for example "18.4"."""
        return self._installed.version

    def programs(self) -> PostgresBinaries:
        """The programs as the server's user can run them.

        Raises `PostgresBinariesMissing` or `PostgresDirectoryRefused`.
        """
        self._prepare_home()
        return self._installed.readable_by(self._user, self._home.resolve() / "programs")

    def ensure_initialised(self) -> None:
        """Make the cluster if there is none, and check that we can serve the one there is.

        Raises `PostgresDirectoryRefused`, `PostgresVersionMismatch`,
        `PostgresInitialisationFailed` or `PostgresBinariesMissing`.
        """
        if (self.path / "PG_VERSION").exists():
            self._check_version()
            self.read_password()
            return
        if self.path.exists():
            raise PostgresDirectoryRefused(f"{self.path} exists and holds no PostgreSQL cluster")
        self._prepare_home()
        self._initialise()

    def read_password(self) -> str:
        """The superuser's password. Raises `PostgresDirectoryRefused`."""
        try:
            return self._password_path.read_text(encoding="ascii").strip()
        except OSError as error:
            raise PostgresDirectoryRefused(
                f"the password of the server in {self._directory} cannot be read: "
                f"{self._password_path}: {error.strerror}"
            ) from error

    def delete(self) -> None:
        """Delete the cluster, wherever it lives, and its password; the server is stopped."""
        home = self._home.resolve()
        if home.is_dir():
            shutil.rmtree(home)
        if self._home.is_symlink():
            self._home.unlink()
        self._password_path.unlink(missing_ok=True)

    @property
    def _password_path(self) -> Path:
        return self._directory / "superuser_password"

    def _check_version(self) -> None:
        found = (self.path / "PG_VERSION").read_text(encoding="ascii").strip()
        if found != self._installed.major_version:
            raise PostgresVersionMismatch(self.path, found, self._installed.major_version)

    def _prepare_home(self) -> None:
        """Make the directory of the server's user, here or, out of its reach, in SHARED_HOME."""
        if self._home.is_dir():
            return
        if self._home.is_symlink():
            raise PostgresDirectoryRefused(
                f"{self._home} points to {self._home.readlink()}, which is gone; restore it, or "
                f"remove {self._directory} to begin anew"
            )
        self._directory.mkdir(parents=True, exist_ok=True)
        if not self._make_home(self._home):
            relocated = SHARED_HOME / f"postgres-{secrets.token_hex(8)}"
            if not self._make_home(relocated):
                raise PostgresDirectoryRefused(
                    f"the unprivileged user that PostgreSQL runs as reaches neither "
                    f"{self._directory} nor {SHARED_HOME}; choose another data directory"
                )
            self._home.symlink_to(relocated)

    def _make_home(self, path: Path) -> bool:
        """Make a directory of the server's user; whether it can be used, else it is gone again."""
        try:
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            path.mkdir(mode=0o700)
        except OSError:
            return False
        try:
            self._user.own(path)
            usable = self._user.can_write(path)
        except OSError:
            usable = False
        if not usable:
            path.rmdir()
        return usable

    def _initialise(self) -> None:
        home = self._home.resolve()
        for interrupted in home.glob(f"{STAGING_PREFIX}*"):
            shutil.rmtree(interrupted)
        if not self._password_path.exists():
            _write_private(self._password_path, secrets.token_hex(24))
        with tempfile.TemporaryDirectory(dir=home, prefix=STAGING_PREFIX) as staging_name:
            staging = Path(staging_name)
            self._user.own(staging)
            password_copy = staging / "password"
            _write_private(password_copy, self.read_password())
            self._user.own(password_copy)
            self._run_initdb(staging / "cluster", password_copy)
            hba = staging / "cluster" / "pg_hba.conf"
            hba.write_text(f"host all all {HOST}/32 scram-sha-256\n", encoding="ascii")
            (staging / "cluster").rename(home / "cluster")

    def _run_initdb(self, cluster: Path, password_file: Path) -> None:
        command = [
            str(self.programs().program("initdb")),
            f"--pgdata={cluster}",
            f"--username={SUPERUSER}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--data-checksums",
            "--no-instructions",
        ]
        try:
            made = self._user.run(command, timeout_s=INITIALISE_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise PostgresInitialisationFailed(
                f"initdb took more than {INITIALISE_TIMEOUT_S:.0f} s", str(error.stdout or "")
            ) from error
        if made.returncode != 0:
            raise PostgresInitialisationFailed(
                f"initdb ended with status {made.returncode}", made.stdout
            )


def _write_private(path: Path, text: str) -> None:
    """Write a secret with mode 0600; whole, because it is renamed into place."""
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        os.fchmod(descriptor, 0o600)
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    fresh.replace(path)
