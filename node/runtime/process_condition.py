"""How a bank's process is, seen from outside: who is paused or gone says nothing of itself."""

from __future__ import annotations

import time
from collections.abc import Mapping
from enum import StrEnum

import psutil

from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.running_consortium import ProcessReference, RunningConsortium

STARTS_WITHIN_S = 15.0
"""A process so young that does not answer is starting."""


class ProcessCondition(StrEnum):
    """How the process of a bank is, seen from outside."""

    RUNNING = "running"
    PAUSED = "paused"
    """Stopped by a signal; it goes on when it is resumed."""
    STARTING = "starting"
    """It runs, and may not serve yet."""
    EXITED = "exited"
    UNKNOWN = "unknown"
    """No launcher on this machine started it."""


def process_conditions(directory: ConsortiumDirectory) -> Mapping[int, ProcessCondition]:
    """Return the condition of every bank's process that the launcher of a directory started."""
    running = RunningConsortium.load(directory)
    if running is None:
        return {}
    return {bank.bank: condition_of(bank.process) for bank in running.banks}


def condition_of(reference: ProcessReference | None) -> ProcessCondition:
    """Return the condition of one process; None stands for one that has ended."""
    process = reference.find() if reference is not None else None
    if process is None:
        return ProcessCondition.EXITED
    try:
        if process.status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP):
            return ProcessCondition.PAUSED
        young = time.time() - process.create_time() < STARTS_WITHIN_S
    except psutil.NoSuchProcess:
        return ProcessCondition.EXITED
    return ProcessCondition.STARTING if young else ProcessCondition.RUNNING
