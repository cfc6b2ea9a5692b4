"""How a command in another terminal asks the supervisor to start a bank: one small file each."""

from __future__ import annotations

import contextlib
from pathlib import Path

from node.runtime.consortium_directory import ConsortiumDirectory

PREFIX = "start-"


def request_start(directory: ConsortiumDirectory, bank: int) -> None:
    """Ask the supervisor of this consortium to start a bank's process."""
    (directory.run / f"{PREFIX}{bank}").touch()


def take_requests(directory: ConsortiumDirectory) -> list[int]:
    """Return the banks that somebody asked to start, and forget the requests."""
    banks = []
    for path in sorted(directory.run.glob(f"{PREFIX}*")):
        number = path.name.removeprefix(PREFIX)
        _forget(path)
        if number.isdecimal():
            banks.append(int(number))
    return banks


def _forget(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
