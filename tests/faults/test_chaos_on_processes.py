"""Four banks as four processes: a stall names its culprit, and chaos loses nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from node.runtime.consortium_directory import ConsortiumDirectory
from tests.scenarios.consortium_process import ConsortiumProcess

pytestmark = [pytest.mark.processes, pytest.mark.postgres]

DEADLINE_S = 60


@pytest.fixture
def consortium(reachable_directory: Path) -> Iterator[ConsortiumProcess]:
    process = ConsortiumProcess(ConsortiumDirectory(reachable_directory / "data"), banks=4)
    try:
        yield process
    finally:
        process.abandon()


def until_status(consortium: ConsortiumProcess, margin: int) -> Any:
    deadline_s = time.monotonic() + DEADLINE_S
    while True:
        answer = consortium.json("status", check=False)
        if answer["quorum"]["margin"] == margin:
            return answer
        assert time.monotonic() < deadline_s, answer


def until_log(consortium: ConsortiumProcess, text: str) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while text not in consortium.log.read_text():
        assert time.monotonic() < deadline_s, consortium.log.read_text()
        time.sleep(0.1)


def test_a_stall_names_its_culprit_and_chaos_loses_nothing(consortium: ConsortiumProcess) -> None:
    consortium.start()
    until_status(consortium, 0)

    # A paused bank keeps its links and says nothing: only its process tells.
    consortium.run("fault", "pause", "cedarholm")
    stalled = until_status(consortium, -1)
    assert stalled["quorum"]["conditions"]["cedarholm"] == "paused"
    assert stalled["quorum"]["verdict"] == (
        "the ledger has halted by design: 4 of 4 are needed, 3 answer; nothing can be lost; "
        "resume cedarholm: `consortium fault resume cedarholm`"
    )
    until_log(consortium, "nothing comes from cedarholm (paused); votes 3/4, margin -1")
    assert "cedarholm" in consortium.run("fault", "list").stdout
    consortium.run("fault", "resume", "cedarholm")
    until_status(consortium, 0)

    # Whatever is killed comes back, and no acknowledged payment is missing anywhere.
    done = consortium.run(
        *("chaos", "--kills", "1", "--database-kills", "1"),
        *("--seed", "6", "--pause", "0.2", "--json"),
    )
    report = json.loads(done.stdout)
    assert report["held"] is True
    assert {kind: item["count"] for kind, item in report["kinds"].items()} == {
        "kill": 1,
        "database": 1,
    }
    assert report["acknowledged"] > 0
    assert (report["lost"], report["convicted"]) == ([], [])
    until_log(consortium, "PostgreSQL had died and was started again")
    consortium.interrupt()
