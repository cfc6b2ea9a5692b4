"""A bank's node in a process of its own that kills itself at one step of becoming durable.

    python -m tests.runtime.crashing_node NODE.TOML [STEP COUNT]

It dies by SIGKILL, as in a power failure of the process, the COUNT-th time it comes to STEP.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

from node.runtime.config import load_node_config
from node.runtime.consensus_host import ConsensusHost
from node.runtime.guard_file import GuardFile
from node.runtime.node_process import run_node
from node.runtime.structured_log import configure_logging


class Step(StrEnum):
    """The order in which a statement becomes durable and leaves (BFT-12 D1, D4)."""

    SIGNED = "signed"
    """In memory only."""
    COMMITTED = "committed"
    """In the database, not in the guard file."""
    GUARDED = "guarded"
    """In both, not sent."""
    SENT = "sent"
    """Handed to the links."""


class CrashPoint:
    """Counts how often a step was reached since the last statement was signed."""

    def __init__(self, step: Step, count: int) -> None:
        self._step = step
        self._left = count
        self._armed = False

    def signed(self) -> None:
        self._left -= 1
        self._armed = self._left == 0
        self.reached(Step.SIGNED)

    def reached(self, step: Step) -> None:
        if self._armed and step is self._step:
            os.kill(os.getpid(), signal.SIGKILL)


def inject(point: CrashPoint) -> None:
    """Patch the host of consensus and the guard file, for this process."""
    persist: Callable[..., Awaitable[None]] = ConsensusHost.persist
    advance = GuardFile.advance
    send, broadcast = ConsensusHost.send, ConsensusHost.broadcast

    async def crashing_persist(self: ConsensusHost, effect: Any) -> None:
        point.signed()
        await persist(self, effect)

    def crashing_advance(self: GuardFile, at: Any) -> None:
        point.reached(Step.COMMITTED)
        advance(self, at)
        point.reached(Step.GUARDED)

    def crashing_send(self: ConsensusHost, effect: Any) -> None:
        send(self, effect)
        point.reached(Step.SENT)

    def crashing_broadcast(self: ConsensusHost, message: Any) -> None:
        broadcast(self, message)
        point.reached(Step.SENT)

    ConsensusHost.persist = crashing_persist  # type: ignore[method-assign]
    GuardFile.advance = crashing_advance  # type: ignore[method-assign]
    ConsensusHost.send = crashing_send  # type: ignore[method-assign]
    ConsensusHost.broadcast = crashing_broadcast  # type: ignore[method-assign]


def main(arguments: list[str]) -> int:
    config = load_node_config(Path(arguments[0]))
    configure_logging(config.short_name, config.log_level)
    if len(arguments) > 1:
        inject(CrashPoint(Step(arguments[1]), int(arguments[2])))
    return int(asyncio.run(run_node(config)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
