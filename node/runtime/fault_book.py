"""What was corrupted on disk and not repaired: nobody else could tell an operator afterwards.

`run/corrupted.json` maps a bank's index to what was done to its rows. A repaired bank is struck
out by `forget`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from node.runtime.consortium_directory import ConsortiumDirectory


def corrupted_rows(directory: ConsortiumDirectory) -> Mapping[int, tuple[str, ...]]:
    """Return what was corrupted at each bank, oldest first."""
    try:
        document = json.loads((directory.run / "corrupted.json").read_text(encoding="utf-8"))
        return {int(bank): tuple(map(str, rows)) for bank, rows in document.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def note_corruption(directory: ConsortiumDirectory, bank: int, text: str) -> None:
    """Remember what was done to a row of a bank."""
    rows = dict(corrupted_rows(directory))
    rows[bank] = (*rows.get(bank, ()), text)
    _write(directory, rows)


def forget_corruption(directory: ConsortiumDirectory, bank: int) -> None:
    """The bank's database was made anew or repaired."""
    rows = {key: value for key, value in corrupted_rows(directory).items() if key != bank}
    _write(directory, rows)


def _write(directory: ConsortiumDirectory, rows: Mapping[int, tuple[str, ...]]) -> None:
    directory.run.mkdir(exist_ok=True)
    path = directory.run / "corrupted.json"
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(rows) + "\n", encoding="utf-8")
    os.replace(temporary, path)
