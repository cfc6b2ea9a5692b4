"""Starting and stopping one bank from another terminal, when there is nothing to talk to."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from node.cli.main import main
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.initialise import create_consortium


@pytest.fixture
def directory(tmp_path: Path) -> ConsortiumDirectory:
    place = ConsortiumDirectory(tmp_path / "consortium")
    create_consortium(place, bank_count=4)
    return place


def node(directory: ConsortiumDirectory, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["node", *arguments, "--data", str(directory.root)])


def test_a_bank_is_only_started_in_a_consortium_that_is_up(
    directory: ConsortiumDirectory,
) -> None:
    result = node(directory, "start", "dunmere")
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr == (
        f"Error: no consortium is up in {directory.root}.\n"
        f"Next: start it with `consortium up --data {directory.root}`, or this bank alone with "
        f"`consortium node run --config {directory.bank(3).config_file}`.\n"
    )
    assert list(directory.run.iterdir()) == [directory.run / "lock"]


def test_a_bank_that_does_not_answer_cannot_be_asked_to_stop(
    directory: ConsortiumDirectory,
) -> None:
    result = node(directory, "stop", "3")
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.startswith("Error: dunmere does not answer: ")
    assert result.stderr.endswith("Next: see `consortium status`: it may be down already.\n")


@pytest.mark.parametrize("command", ["start", "stop"])
def test_a_bank_must_be_one_of_the_consortium(directory: ConsortiumDirectory, command: str) -> None:
    result = node(directory, command, "atlantis")
    assert (result.exit_code, result.stderr) == (
        2,
        "Error: there is no bank 'atlantis'.\n"
        "Next: the banks are amberfield, birchmoor, cedarholm, dunmere.\n",
    )
