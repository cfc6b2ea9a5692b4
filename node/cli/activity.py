"""What a command is doing while a person waits for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator

from node.cli.terminal import errors, say

QUIET_S = 2.0
"""Where there is no terminal, nothing is said of work that takes no longer."""

Tell = Callable[[str], None]
"""Takes what begins now, for example `proving the payment`."""


@contextlib.contextmanager
def activity() -> Iterator[Tell]:
    """Show each step: on a terminal at once, elsewhere a line a step once it takes long.

    For use inside a running event loop.
    """
    if errors.is_terminal:
        with errors.status("starting") as status:
            yield status.update
        return
    lines = _LateLines()
    waiting = asyncio.get_running_loop().call_later(QUIET_S, lines.begin)
    try:
        yield lines.tell
    finally:
        waiting.cancel()


class _LateLines:
    def __init__(self) -> None:
        self._late = False
        self._step = ""

    def tell(self, step: str) -> None:
        self._step = step
        if self._late:
            say(f"{step} ...")

    def begin(self) -> None:
        self._late = True
        if self._step:
            say(f"{self._step} ...")
