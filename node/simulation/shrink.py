"""Cutting a schedule down to what a violation needs (greedy delta debugging, bounded)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from node.simulation.checker import Violation
from node.simulation.run import play
from node.simulation.schedule import ByzantineBank, Disturbance, Schedule

MAX_RUNS = 60
"""Runs spent on one violation: about ten seconds."""


def shrink(
    schedule: Schedule,
    violation: Violation,
    *,
    max_runs: int = MAX_RUNS,
    on_run: Callable[[int, int], None] = lambda done, total: None,
) -> Schedule:
    """Return a schedule with as few parts as could be found that violates the same checker.

    Every part is left out in turn, first many at once, then one by one. `on_run` is told how many
    runs were made, of how many at most.
    """
    parts: list[Disturbance | ByzantineBank] = list(schedule.parts)
    runs = 0
    width = max(1, len(parts) // 2)
    while parts and runs < max_runs:
        smaller = None
        for start in range(0, len(parts), width):
            if runs == max_runs:
                break
            rest = parts[:start] + parts[start + width :]
            runs += 1
            on_run(runs, max_runs)
            if _violates(_with_parts(schedule, rest), violation):
                smaller = rest
                break
        if smaller is not None:
            parts = smaller
            width = min(width, max(1, len(parts) // 2))
        elif width == 1:
            break
        else:
            width = max(1, width // 2)
    shrunk = _with_parts(schedule, parts)
    everybody = replace(shrunk, gone=frozenset())
    if shrunk.gone and runs < max_runs and _violates(everybody, violation):
        return everybody
    return shrunk


def _violates(schedule: Schedule, violation: Violation) -> bool:
    found = play(schedule).violation
    return found is not None and found.checker == violation.checker


def _with_parts(schedule: Schedule, parts: list[Disturbance | ByzantineBank]) -> Schedule:
    return replace(
        schedule,
        byzantine=tuple([part for part in parts if isinstance(part, ByzantineBank)]),
        disturbances=tuple([part for part in parts if not isinstance(part, ByzantineBank)]),
    )
