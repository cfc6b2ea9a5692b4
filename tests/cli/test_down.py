"""`consortium down`: stopping what runs, and what a killed supervisor left."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from node.cli.main import main
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.initialise import create_consortium
from node.runtime.running_consortium import (
    ProcessReference,
    RunningConsortium,
    node_processes,
    supervisor_lock,
)

SUPERVISOR = """
import sys, time
from pathlib import Path
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.running_consortium import supervisor_lock
with supervisor_lock(ConsortiumDirectory(Path(sys.argv[1]))):
    print("locked", flush=True)
    time.sleep(60)
"""
"""Holds the lock of a consortium as `consortium up` does, until it is told to stop."""


@pytest.fixture
def directory(tmp_path: Path) -> ConsortiumDirectory:
    place = ConsortiumDirectory(tmp_path / "consortium")
    create_consortium(place, bank_count=4)
    return place


def down(directory: ConsortiumDirectory) -> object:
    result = CliRunner().invoke(main, ["down", "--json", "--data", str(directory.root)])
    assert (result.exit_code, result.stderr) == (0, "")
    return json.loads(result.stdout)["stopped"]


def started(script: str, *arguments: str) -> subprocess.Popen[str]:
    """A process that has said its first line."""
    child = subprocess.Popen(
        [sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None, "it was asked for"
    child.stdout.readline()
    return child


def test_nothing_to_stop_is_no_error(directory: ConsortiumDirectory) -> None:
    assert down(directory) == []


def test_the_supervisor_is_asked_to_stop(directory: ConsortiumDirectory) -> None:
    with started(SUPERVISOR, str(directory.root)) as child:
        RunningConsortium(ProcessReference.of(child.pid), 0, "", ()).save(directory)
        assert down(directory) == [f"the consortium of process {child.pid}"]
        assert child.wait() == -15
    assert RunningConsortium.load(directory) is None


def test_one_that_is_not_known_yet_is_left_alone(directory: ConsortiumDirectory) -> None:
    with supervisor_lock(directory):
        result = CliRunner().invoke(main, ["down", "--data", str(directory.root)])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"Error: a process holds {directory.root} that is not known yet.\n"
        "Next: it is just starting: try again in a few seconds.\n"
    )


def test_nodes_without_a_supervisor_are_stopped(directory: ConsortiumDirectory) -> None:
    config = directory.bank(0).config_file.resolve()
    # A stand-in for a node: what counts is the configuration in its command line.
    waiting = "import time; print(flush=True); time.sleep(60)"
    with started(waiting, "node.cli.main", str(config)) as child:
        assert down(directory) == ["1 bank"]
        child.wait()
    assert node_processes(directory) == []
