"""One process at a time is the regulator of a directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.regulator.place import RegulatorPlace, RegulatorRunning


def test_a_second_process_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    place = RegulatorPlace(ConsortiumDirectory(tmp_path))
    with place.lock():
        place.write_address("127.0.0.1:4711")
        with pytest.raises(RegulatorRunning, match="runs already in another process"):
            place.lock().__enter__()
        assert place.address() == "127.0.0.1:4711"
    with place.lock():
        place.forget_address()
    assert place.address() is None
