"""`consortium node`: running one bank's node, and what it says if that cannot be."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from node.cli.main import main
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.exit_code import ExitCode
from node.runtime.initialise import create_consortium


@pytest.fixture
def root_logger() -> Iterator[None]:
    """A node takes the process's logging for itself; give it back."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def node(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["node", *arguments])


def test_it_needs_a_configuration_or_a_command() -> None:
    result = node()
    assert result.exit_code == 2
    advice = "give --config FILE, or one of the commands run, start, stop and rebuild"
    assert advice in result.stderr


@pytest.mark.parametrize("form", [["--config"], ["run", "--config"]], ids=" ".join)
def test_a_missing_configuration_is_named(tmp_path: Path, form: list[str]) -> None:
    path = tmp_path / "node.toml"
    result = node(*form, str(path))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"Error: {path} does not exist; `consortium up` creates it.\n"


@pytest.mark.usefixtures("root_logger")
def test_an_exit_code_says_whether_starting_again_can_help(tmp_path: Path) -> None:
    """A bank without a database URL has no configuration to run with."""
    directory = ConsortiumDirectory(tmp_path / "consortium")
    create_consortium(directory, bank_count=4)
    result = node("--config", str(directory.bank(0).config_file))
    assert result.exit_code == ExitCode.CONFIGURATION
    assert '"event":"cannot start"' in result.stderr
    assert f"{directory.bank(0).database_url_file}: No such file or directory" in result.stderr
