"""The table of attacks in README.md names every flaw, and only tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
TABLE = (HERE / "README.md").read_text(encoding="utf-8")
TESTS = HERE.parent


def test_every_flaw_has_a_row() -> None:
    numbers = [
        number
        for row in re.findall(r"^\| ([0-9, ]+) \|", TABLE, re.MULTILINE)
        for number in row.split(", ")
    ]
    assert sorted(numbers) == [f"{number:02d}" for number in range(1, 25)]


def test_whatever_the_table_names_exists() -> None:
    named = re.findall(r"`((?:tests/)?[a-z_/]+(?:\.py)?)`", TABLE)
    paths = [
        TESTS.parent / name if name.startswith("tests/") else HERE / name
        for name in named
        if name.startswith("tests/") or name.endswith(".py")
    ]
    assert len(paths) > 15
    assert [path.name for path in paths if not path.exists()] == []


def test_every_flaw_that_a_test_names_is_in_a_file_of_its_row() -> None:
    for number in range(1, 25):
        files = {
            path.name
            for path in HERE.glob("test_*.py")
            if re.search(rf"def test_flaw_(?:[0-9_]*_)?{number:02d}_", path.read_text())
        }
        (row,) = [
            line for line in TABLE.splitlines() if re.match(rf"\| [0-9, ]*\b{number:02d}\b", line)
        ]
        assert all(name in row for name in files), (number, files, row)
