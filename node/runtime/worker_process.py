"""A process that computes for another one: no interrupts of its own, and no life after the other's.

A parent that is killed cannot tell its workers, and a worker that waits for its next task would
wait for ever.
"""

from __future__ import annotations

import os
import signal
import threading
import time

PARENT_CHECK_S = 2.0


def work_for(parent: int) -> None:
    """Leave interrupts to the parent, and end when it has ended; for the start of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK_S)
    os._exit(0)
