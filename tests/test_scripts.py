"""The scripts of a fresh clone, on a miniature repository without dependencies."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

MAIN = """
import os, sys
print("main", sys.argv[1:], os.getcwd(), os.environ.get("PYTHONPATH"))
"""

TOOLS = ("bash", "cat", "cmp", "dirname", "env", "readlink", "sh")


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Path]:
    """A repository that has our scripts and nothing to install, at a path with blanks."""
    root = tmp_path / "a clone's place"
    (root / "node" / "cli").mkdir(parents=True)
    for package in ("node", "node/cli"):
        (root / package / "__init__.py").touch()
    (root / "node" / "cli" / "main.py").write_text(MAIN)
    (root / "requirements.lock").write_text("# nothing\n")
    shutil.copytree(ROOT / "scripts", root / "scripts")
    yield root


def environment(**changes: str) -> dict[str, str]:
    """The caller's environment without what would decide where the environment is made."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CONSORTIUM_", "PYTHON", "VIRTUAL_ENV", "UV_"))
    }
    return {**kept, "CONSORTIUM_PYTHON": sys.executable, **changes}


def run(
    script: Path, *arguments: str, cwd: Path | None = None, **changes: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(script), *arguments],
        cwd=cwd,
        env=environment(**changes),
        capture_output=True,
        text=True,
        check=False,
    )


def path_with(directory: Path, **programs: str) -> str:
    """A PATH with the ordinary tools, no Python, and these shell programs."""
    directory.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found is not None
        (directory / tool).symlink_to(found)
    for name, text in programs.items():
        program = directory / name
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
    return str(directory)


def test_up_builds_once_and_leaves_standard_output_to_the_command(
    repository: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "node").mkdir(parents=True)
    (elsewhere / "node" / "__init__.py").write_text("raise SystemExit('the wrong node')")
    link = elsewhere / "start"
    link.symlink_to(repository / "scripts" / "up")
    at_once = [
        subprocess.Popen(
            [str(link), "--banks", "4", "two words"],
            cwd=elsewhere,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    answers = [process.communicate() for process in at_once]
    expected = f"main ['up', '--banks', '4', 'two words'] {elsewhere} None\n"
    assert [process.returncode for process in at_once] == [0, 0]
    assert [out for out, _ in answers] == [expected, expected]
    assert sum("environment ready" in said for _, said in answers) == 1

    again = run(link, "--banks", "4", "two words", cwd=elsewhere)
    assert (again.returncode, again.stdout, again.stderr) == (0, expected, "")

    launcher = run(repository / ".venv" / "bin" / "consortium", "status", cwd=elsewhere)
    assert launcher.stdout == f"main ['status'] {elsewhere} None\n"
    script = run(repository / "scripts" / "consortium", "status", cwd=elsewhere)
    assert (script.stdout, script.stderr) == (launcher.stdout, "")


def test_an_interrupted_and_a_moved_environment_are_built_again(repository: Path) -> None:
    interrupted = repository / ".venv"
    interrupted.mkdir()
    (interrupted / "consortium-building").touch()
    (interrupted / "half").touch()
    assert run(repository / "scripts" / "bootstrap").returncode == 0
    assert not (interrupted / "half").exists()

    moved = repository.rename(repository.with_name("moved"))
    (moved / "node" / "cli" / "main.py").write_text("import node; print(node.__file__)")
    after = run(moved / "scripts" / "consortium")
    assert after.stdout == f"{moved / 'node' / '__init__.py'}\n"
    assert run(moved / "scripts" / "bootstrap").stderr == ""


def test_a_failing_installation_says_why_and_is_not_taken_for_done(repository: Path) -> None:
    (repository / "requirements.lock").write_text(
        "no-such-package==1 --hash=sha256:" + "0" * 64 + "\n"
    )
    failed = run(repository / "scripts" / "up", PIP_NO_INDEX="1", PATH=no_uv(repository))
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "installing the dependencies failed (full log: " in failed.stderr
    assert "No matching distribution found for no-such-package==1" in failed.stderr
    assert "then run the same command again" in failed.stderr
    left = {path.name for path in (repository / ".venv").glob("consortium-*")}
    assert left == {"consortium-building", "consortium-install.log"}


def no_uv(repository: Path) -> str:
    """A PATH without uv, which would look for packages by its own configuration."""
    return path_with(repository.with_name("tools"))


def test_a_machine_without_python_is_told_what_to_install(repository: Path) -> None:
    old = 'test "$2" = -c && exit 1; exit 0'
    path = path_with(repository.with_name("bin"), python3=old)
    refused = subprocess.run(
        [str(repository / "scripts" / "up")],
        env={"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == (
        "consortium: no Python 3.11, 3.12, 3.13 or 3.14 found on the PATH.\n"
        "  Debian, Ubuntu:  apt install python3 python3-venv\n"
        "  Fedora:          dnf install python3\n"
        "  macOS:           brew install python@3.13\n"
        "  Another place:   CONSORTIUM_PYTHON=/path/to/python3 "
        f"{repository}/scripts/bootstrap\n"
    )


def test_a_python_without_venv_is_told_which_package_to_install(repository: Path) -> None:
    bare = """
case "$*" in
    *ensurepip*) exit 1 ;;
    *print*) echo 3.12 ;;
esac
"""
    path = path_with(repository.with_name("bin"), python3=bare)
    refused = subprocess.run(
        [str(repository / "scripts" / "up")],
        env={"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == (
        "consortium: Python 3.12 (python3) lacks the modules venv and ensurepip.\n"
        "  Debian, Ubuntu:  apt install python3.12-venv\n"
        "  or install uv and put it on the PATH\n"
    )


def test_an_unsuitable_python_named_by_the_caller_is_refused(repository: Path) -> None:
    refused = run(repository / "scripts" / "up", CONSORTIUM_PYTHON="/bin/false")
    assert (refused.returncode, refused.stderr) == (
        1,
        "consortium: CONSORTIUM_PYTHON=/bin/false is not a Python 3.11 to 3.14\n",
    )


def test_the_launcher_starts_what_the_project_declares() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"consortium": "node.cli.main:main"}
    assert "-P -m node.cli.main" in (ROOT / "scripts" / "build_environment.py").read_text()


def test_no_installed_distribution_owns_our_import_names() -> None:
    owners = importlib.metadata.packages_distributions()
    ours = ("crypto", "node", "proto", "migrations", "scripts", "tests", "loadtest")
    assert {name: owners[name] for name in ours if name in owners} == {}


def test_stubs_check_names_what_differs_and_the_command_to_run(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    (tmp_path / "proto" / "node" / "wire").mkdir(parents=True)
    (tmp_path / "proto" / "node" / "wire" / "example.proto").write_text(
        'syntax = "proto3";\npackage example;\nmessage Empty {}\n'
    )
    generate = [sys.executable, str(tmp_path / "scripts" / "generate_stubs.py")]

    def check() -> tuple[int, str]:
        answer = subprocess.run([*generate, "--check"], capture_output=True, text=True, check=False)
        return answer.returncode, answer.stdout + answer.stderr

    advice = "run: ./.venv/bin/python scripts/generate_stubs.py\n"
    names = "example_pb2.py, example_pb2.pyi, example_pb2_grpc.py"
    assert check() == (1, f"out of date in node/wire: {names}\n{advice}")

    subprocess.run(generate, check=True)
    assert check() == (0, "3 stubs in node/wire are up to date\n")

    (tmp_path / "node" / "wire" / "gone_pb2.py").touch()
    assert check() == (1, f"out of date in node/wire: gone_pb2.py\n{advice}")
