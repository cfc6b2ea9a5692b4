"""Signals to the processes of a consortium, and how they look afterwards."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.runtime import fault_databases, fault_processes, process_condition
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.fault_processes import FaultRefused
from node.runtime.process_condition import ProcessCondition, process_conditions
from node.runtime.running_consortium import (
    ProcessReference,
    RunningBank,
    RunningConsortium,
    supervisor_lock,
)


@pytest.fixture
def directory(tmp_path: Path) -> ConsortiumDirectory:
    place = ConsortiumDirectory(tmp_path)
    place.run.mkdir()
    return place


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A stand-in for a bank's node."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as running:
        try:
            yield running
        finally:
            running.kill()


@pytest.fixture
def state(directory: ConsortiumDirectory, process: subprocess.Popen[bytes]) -> RunningConsortium:
    """What the launcher writes down: bank 0 runs, bank 1 has ended."""
    found = RunningConsortium(
        supervisor=ProcessReference.of(process.pid),
        started_ms=1,
        chain_id="ab" * 32,
        banks=(
            RunningBank(0, "amberfield", "127.0.0.1:1", ProcessReference.of(process.pid)),
            RunningBank(1, "birchmoor", "127.0.0.1:2", None),
        ),
    )
    found.save(directory)
    return found


def until(directory: ConsortiumDirectory, condition: ProcessCondition) -> None:
    deadline_s = time.monotonic() + 10
    while process_conditions(directory)[0] is not condition:
        assert time.monotonic() < deadline_s, process_conditions(directory)
        time.sleep(0.01)


def test_a_directory_that_nobody_runs_has_no_processes(directory: ConsortiumDirectory) -> None:
    assert process_conditions(directory) == {}
    with pytest.raises(FaultRefused, match="no consortium is up in"):
        fault_processes.crash(directory, 0)


def test_a_young_process_starts_and_an_old_one_runs(
    directory: ConsortiumDirectory, state: RunningConsortium, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert process_conditions(directory) == {
        0: ProcessCondition.STARTING,
        1: ProcessCondition.EXITED,
    }
    monkeypatch.setattr(process_condition, "STARTS_WITHIN_S", 0.0)
    assert process_conditions(directory)[0] is ProcessCondition.RUNNING


def test_a_process_is_paused_resumed_and_killed(
    directory: ConsortiumDirectory, state: RunningConsortium, process: subprocess.Popen[bytes]
) -> None:
    with supervisor_lock(directory):
        assert fault_processes.pause(directory, 0) == process.pid
        until(directory, ProcessCondition.PAUSED)
        assert fault_processes.resume(directory, 0) == process.pid
        until(directory, ProcessCondition.STARTING)
        assert fault_processes.crash(directory, 0) == process.pid
        process.wait(10)
        until(directory, ProcessCondition.EXITED)
        with pytest.raises(FaultRefused) as refused:
            fault_processes.pause(directory, 0)
    assert str(refused.value) == (
        "amberfield does not run; `consortium node start amberfield` starts it"
    )


def test_a_server_of_somebody_else_is_not_killed(directory: ConsortiumDirectory) -> None:
    from node.runtime.initialise import create_consortium

    place = ConsortiumDirectory(directory.root / "consortium")
    create_consortium(place, bank_count=4)
    (place.root / "databases.json").write_text('{"server": "external"}\n')
    with pytest.raises(FaultRefused, match="not the consortium's own"):
        fault_databases.kill_server(place)
