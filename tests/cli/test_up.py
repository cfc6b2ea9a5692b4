"""`consortium up`: what it refuses before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from node.cli.main import main
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.initialise import create_consortium
from node.runtime.running_consortium import supervisor_lock


@pytest.fixture
def directory(tmp_path: Path) -> ConsortiumDirectory:
    place = ConsortiumDirectory(tmp_path / "consortium")
    create_consortium(place, bank_count=4)
    return place


def up(directory: ConsortiumDirectory, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["up", "--data", str(directory.root), *arguments])


def test_another_number_of_banks_is_refused(directory: ConsortiumDirectory) -> None:
    result = up(directory, "--banks", "5")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        f"Error: {directory.root} holds a consortium of 4 banks, not 5; "
        "leave --banks out, or give another directory with --data.\n"
    )


def test_a_second_one_is_refused(directory: ConsortiumDirectory) -> None:
    with supervisor_lock(directory):
        result = up(directory)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"Error: the consortium in {directory.root} runs already, under another process; "
        f"`consortium down --data {directory.root}` stops it.\n"
    )


def test_a_directory_with_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letters").touch()
    result = up(ConsortiumDirectory(tmp_path))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        f"Error: {tmp_path} exists and holds no consortium; "
        "give another directory with --data, or remove it.\n"
    )


@pytest.mark.parametrize(
    "arguments", [["--banks", "3"], ["--banks", "17"], ["--demo", "0"], ["--demo", "many"]]
)
def test_numbers_out_of_range_are_usage_errors(tmp_path: Path, arguments: list[str]) -> None:
    result = up(ConsortiumDirectory(tmp_path / "consortium"), *arguments)
    assert result.exit_code == 2
    assert f"Invalid value for '{arguments[0]}'" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_broken_bank_directory_is_named(directory: ConsortiumDirectory) -> None:
    path = directory.bank(1).config_file
    path.write_text("[bank\n")
    result = up(directory, "--database-url", "postgresql://u:p@127.0.0.1:1/bank_{bank}")
    assert result.exit_code == 2
    stopped, error = result.stderr.splitlines()[:2]
    assert stopped.startswith("everything has stopped (")
    assert error.startswith(f"Error: {path}: ")
    assert "u:p" not in result.stderr
