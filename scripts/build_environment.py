"""Build the virtual environment of this repository from requirements.lock.

Called by scripts/bootstrap with any Python 3.11 to 3.14; uses the standard library alone.

An environment is finished when it holds the four files that `_finish` writes last. An interrupted
build leaves only the marker of the beginning and is started again from scratch; builds at the same
time wait for one another on a lock that the system releases with the process that held it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

MARKER = "consortium-building"
"""Present while a build of ours is under way or was interrupted."""

ROOT_STAMP = "consortium-root"
LOCK_STAMP = "consortium-requirements.lock"
BUILDER_STAMP = "consortium-build-environment.py"
"""What a finished environment was built for; scripts/bootstrap compares these with the present."""

LOG_TAIL_LINES = 30

PROGRESS_INTERVAL_S = 2.0
"""Time between two lines of progress where the terminal cannot rewrite one line."""


class BuildFailed(Exception):
    """The environment could not be built; the message says why and what to do."""


def main() -> int:
    root, venv = Path(sys.argv[1]), Path(sys.argv[2])
    try:
        with _exclusive(venv):
            if _finished(root, venv):
                return 0
            _build(root, venv)
    except BuildFailed as error:
        _say(str(error))
        return 1
    except KeyboardInterrupt:
        _say("interrupted; the next run starts over")
        return 130
    return 0


@contextlib.contextmanager
def _exclusive(venv: Path) -> Iterator[None]:
    venv.parent.mkdir(parents=True, exist_ok=True)
    path = venv.with_name(venv.name + ".lock")
    try:
        lock = path.open("w")
    except OSError as error:
        raise BuildFailed(
            f"cannot write {path}: {error.strerror}; set CONSORTIUM_VENV to a place that "
            f"{_user_name()} may write"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say(f"waiting for another build of {venv}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _finished(root: Path, venv: Path) -> bool:
    """Whether another process finished the same build while this one waited."""
    stamps = {
        ROOT_STAMP: str(root).encode(),
        LOCK_STAMP: _lock_file(root).read_bytes(),
        BUILDER_STAMP: Path(__file__).read_bytes(),
    }
    return (venv / "bin" / "python").exists() and all(
        (venv / name).is_file() and (venv / name).read_bytes().rstrip(b"\n") == want.rstrip(b"\n")
        for name, want in stamps.items()
    )


def _build(root: Path, venv: Path) -> None:
    started = time.monotonic()
    version = ".".join(map(str, sys.version_info[:3]))
    _say(f"building the environment in {venv} with Python {version} (once; about half a minute)")
    uv = shutil.which("uv")
    ours = any((venv / name).exists() for name in (MARKER, ROOT_STAMP))
    if ours or not _usable(venv):
        _remove(venv)
        _create(venv, uv)
    (venv / MARKER).touch()
    (venv / ROOT_STAMP).unlink(missing_ok=True)
    _install(root, venv, uv)
    _finish(root, venv)
    _say(f"environment ready after {time.monotonic() - started:.0f} s")


def _usable(venv: Path) -> bool:
    """Whether somebody else's environment stands here that we can install into."""
    test = "import sys, pip; sys.exit(not ((3, 11) <= sys.version_info < (3, 15)))"
    python = venv / "bin" / "python"
    return (
        python.exists()
        and subprocess.run([python, "-I", "-c", test], capture_output=True, check=False).returncode
        == 0
    )


def _remove(venv: Path) -> None:
    if venv.is_symlink() or venv.is_file():
        venv.unlink()
    elif venv.exists():
        if any(venv.iterdir()) and not (venv / "pyvenv.cfg").exists():
            ours = (venv / MARKER).exists() or (venv / ROOT_STAMP).exists()
            if not ours:
                raise BuildFailed(f"{venv} is not a Python environment; move it away")
        shutil.rmtree(venv)


def _create(venv: Path, uv: str | None) -> None:
    venv.mkdir(parents=True)
    (venv / MARKER).touch()
    if uv is not None:
        # --allow-existing: the directory already holds our marker.
        made = subprocess.run(
            [uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, venv],
            check=False,
        )
        if made.returncode == 0:
            return
    made = subprocess.run(
        [sys.executable, "-I", "-m", "venv", venv], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        raise BuildFailed(
            f"{sys.executable} could not make an environment in {venv}:\n"
            f"{(made.stdout + made.stderr).strip()}\n"
            "On Debian and Ubuntu, install the package python3-venv."
        )


def _install(root: Path, venv: Path, uv: str | None) -> None:
    python, lock = venv / "bin" / "python", _lock_file(root)
    required = ["--require-hashes", "--only-binary", ":all:", "-r", str(lock)]
    if uv is not None:
        command = [uv, "pip", "install", "--quiet", "--python", str(python), *required]
        if subprocess.run(command, check=False).returncode == 0:
            return
        _say("uv could not install the dependencies; trying pip")
        if not _usable(venv):
            _remove(venv)
            _create(venv, None)
    command = [
        str(python), "-I", "-m", "pip", "install", "--no-input", "--disable-pip-version-check",
        "--progress-bar", "off", *required,
    ]  # fmt: skip
    _run_pip(command, venv / "consortium-install.log", _package_count(lock))


def _run_pip(command: list[str], log_path: Path, total: int) -> None:
    """Run pip with its output in a log and its progress on standard error."""
    with log_path.open("w") as log:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        )
        assert process.stdout is not None
        with Progress(total) as progress:
            for line in process.stdout:
                log.write(line)
                if line.startswith("Collecting "):
                    progress.step()
                elif line.startswith("Installing collected packages"):
                    progress.say("writing the packages to disk")
        status = process.wait()
    if status != 0:
        tail = "".join(log_path.read_text().splitlines(keepends=True)[-LOG_TAIL_LINES:])
        raise BuildFailed(
            f"installing the dependencies failed (full log: {log_path}):\n{tail.rstrip()}\n"
            "Check the network or the package index that pip is configured to use; "
            "then run the same command again."
        )


class Progress:
    """One rewritten line on a terminal, a line now and then elsewhere."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._rewrites = sys.stderr.isatty()
        self._said_at = 0.0

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._rewrites:
            print(file=sys.stderr)

    def step(self) -> None:
        self._done = min(self._done + 1, self._total)
        self.say(f"fetching dependency {self._done} of {self._total}", urgent=False)

    def say(self, text: str, *, urgent: bool = True) -> None:
        if self._rewrites:
            print(f"\r\x1b[Kconsortium: {text}", end="", file=sys.stderr, flush=True)
        elif urgent or time.monotonic() - self._said_at >= PROGRESS_INTERVAL_S:
            self._said_at = time.monotonic()
            _say(text)


def _finish(root: Path, venv: Path) -> None:
    """Put the repository on the environment's path, add the launcher, and stamp the whole."""
    question = "import sysconfig; print(sysconfig.get_path('purelib'))"
    asked = subprocess.run(
        [venv / "bin" / "python", "-I", "-c", question],
        capture_output=True,
        text=True,
        check=True,
    )
    site_packages = Path(asked.stdout.strip())
    (site_packages / "consortium.pth").write_text(f"{root}\n")
    launcher = venv / "bin" / "consortium"
    # A shell launcher, because an interpreter line allows neither blanks nor long paths.
    launcher.write_text(
        f'#!/bin/sh\nexec {shlex.quote(str(venv / "bin" / "python"))} -P -m node.cli.main "$@"\n'
    )
    launcher.chmod(0o755)
    shutil.copyfile(__file__, venv / BUILDER_STAMP)
    shutil.copyfile(_lock_file(root), venv / LOCK_STAMP)
    (venv / ROOT_STAMP).write_text(f"{root}\n")
    (venv / MARKER).unlink()


def _lock_file(root: Path) -> Path:
    return root / "requirements.lock"


def _package_count(lock: Path) -> int:
    """Upper bound of what pip will fetch: names that the lock pins, whatever their markers."""
    names = {line.split("==")[0] for line in lock.read_text().splitlines() if "==" in line}
    return len(names)


def _user_name() -> str:
    return os.environ.get("USER") or f"user {os.getuid()}"


def _say(text: str) -> None:
    print(f"consortium: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
