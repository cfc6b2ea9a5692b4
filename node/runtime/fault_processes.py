"""Breaking the processes of a local consortium: kill -9, and a pause.

What a bank's process does is seen from outside here; a process that was ended belongs to nobody,
and the supervisor's file says which one ran a bank last.
"""

from __future__ import annotations

import contextlib
import signal

import psutil

from node.runtime.consortium_directory import ConsortiumDirectory, short_name
from node.runtime.running_consortium import RunningConsortium, is_supervised

ENDED_WITHIN_S = 10.0


class FaultRefused(Exception):
    """A fault cannot be injected here; the message says why, and what to do."""


def bank_process(directory: ConsortiumDirectory, bank: int) -> psutil.Process:
    """Return the process that runs a bank; raises `FaultRefused` if none does."""
    running = RunningConsortium.load(directory)
    if running is None or not is_supervised(directory):
        raise FaultRefused(
            f"no consortium is up in {directory.root}; "
            f"`consortium up --data {directory.root}` starts it"
        )
    reference = running.banks[bank].process
    process = reference.find() if reference is not None else None
    if process is None:
        name = short_name(bank)
        raise FaultRefused(f"{name} does not run; `consortium node start {name}` starts it")
    return process


def crash(directory: ConsortiumDirectory, bank: int) -> int:
    """Kill a bank's process (`kill -9`); return its id. Raises `FaultRefused`."""
    process = bank_process(directory, bank)
    with contextlib.suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
        process.kill()
        process.wait(ENDED_WITHIN_S)
    return int(process.pid)


def pause(directory: ConsortiumDirectory, bank: int) -> int:
    """Stop a bank's process in its tracks (SIGSTOP); return its id. Raises `FaultRefused`."""
    process = bank_process(directory, bank)
    process.send_signal(signal.SIGSTOP)
    return int(process.pid)


def resume(directory: ConsortiumDirectory, bank: int) -> int:
    """Let a paused process go on (SIGCONT); return its id. Raises `FaultRefused`."""
    process = bank_process(directory, bank)
    process.send_signal(signal.SIGCONT)
    return int(process.pid)
