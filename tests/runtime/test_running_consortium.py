"""What is known of a running consortium from outside: lock, state file, processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.running_consortium import (
    ConsortiumRunning,
    ProcessReference,
    RunningBank,
    RunningConsortium,
    end_processes,
    is_supervised,
    node_processes,
    supervisor_lock,
)


@pytest.fixture
def directory(tmp_path: Path) -> ConsortiumDirectory:
    place = ConsortiumDirectory(tmp_path)
    place.run.mkdir()
    place.banks.mkdir()
    return place


def running(supervisor: ProcessReference) -> RunningConsortium:
    return RunningConsortium(
        supervisor=supervisor,
        started_ms=1_700_000_000_000,
        chain_id="ab" * 32,
        banks=(
            RunningBank(0, "amberfield", "127.0.0.1:20000", ProcessReference(41, 17.5)),
            RunningBank(1, "birchmoor", "127.0.0.1:20001", None),
        ),
    )


def test_the_state_file_comes_back_as_it_was(directory: ConsortiumDirectory) -> None:
    state = running(ProcessReference(40, 16.25))
    state.save(directory)
    assert RunningConsortium.load(directory) == state


@pytest.mark.parametrize("content", [None, "", "{", "{}", '{"supervisor": {"pid": 1}}', "[]"])
def test_a_state_file_of_no_use_counts_as_none(
    directory: ConsortiumDirectory, content: str | None
) -> None:
    if content is not None:
        directory.state_file.write_text(content)
    assert RunningConsortium.load(directory) is None


def test_one_process_supervises_at_a_time(directory: ConsortiumDirectory) -> None:
    assert not is_supervised(directory)
    with supervisor_lock(directory):
        running(ProcessReference(4711, 1.0)).save(directory)
        assert is_supervised(directory)
        with pytest.raises(ConsortiumRunning) as refused, supervisor_lock(directory):
            pass
    assert str(refused.value) == (
        f"the consortium in {directory.root} runs already, under process 4711; "
        f"`consortium down --data {directory.root}` stops it"
    )
    assert not is_supervised(directory)


def test_a_recycled_process_id_is_not_the_process() -> None:
    reference = ProcessReference.of(os.getpid())
    assert reference.find() == psutil.Process()
    assert ProcessReference(os.getpid(), reference.created_s - 5).find() is None


def test_nodes_are_known_by_their_configuration_and_can_be_ended(
    directory: ConsortiumDirectory,
) -> None:
    config = directory.banks.resolve() / "00-amberfield" / "node.toml"
    # Only its command line matters here: a process that names a bank's configuration.
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True)"
    child = subprocess.Popen(
        [sys.executable, "-c", f"{deaf}; time.sleep(60)", "node.cli.main", str(config)],
        stdout=subprocess.PIPE,
    )
    try:
        assert child.stdout is not None, "it was asked for"
        child.stdout.readline()
        found = node_processes(directory)
        assert [process.pid for process in found] == [child.pid]
        assert [process.pid for process in end_processes(found, patience_s=0.2)] == [child.pid]
        assert node_processes(directory) == []
    finally:
        child.kill()
        child.wait()
