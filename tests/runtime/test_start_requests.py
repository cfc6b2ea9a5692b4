"""Requests to start a bank: each is seen once."""

from __future__ import annotations

from pathlib import Path

from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.start_requests import request_start, take_requests


def test_a_request_is_taken_once(tmp_path: Path) -> None:
    directory = ConsortiumDirectory(tmp_path)
    directory.run.mkdir()
    for bank in (3, 11, 3):
        request_start(directory, bank)
    (directory.run / "start-nonsense").touch()
    assert sorted(take_requests(directory)) == [3, 11]
    assert take_requests(directory) == []
