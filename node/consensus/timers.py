"""Timers as effects: the core counts generations, so that a stale firing is never obeyed."""

from __future__ import annotations

from collections.abc import Callable

from node.consensus.effects import CancelTimer, Effect, SetTimer
from node.consensus.events import TimerKind


class Timers:
    """At most one running timer of each kind."""

    def __init__(self, emit: Callable[[Effect], None]) -> None:
        self._emit = emit
        self._generation: dict[TimerKind, int] = {}
        self._running: dict[TimerKind, bool] = {}

    def running(self, kind: TimerKind) -> bool:
        return self._running.get(kind, False)

    def set(self, kind: TimerKind, delay_ms: int) -> None:
        """Start the timer, or start it again from now."""
        generation = self._generation.get(kind, 0) + 1
        self._generation[kind] = generation
        self._running[kind] = True
        self._emit(SetTimer(kind, generation, delay_ms))

    def ensure(self, kind: TimerKind, delay_ms: int) -> None:
        """Start the timer unless it runs."""
        if not self.running(kind):
            self.set(kind, delay_ms)

    def cancel(self, kind: TimerKind) -> None:
        if self.running(kind):
            self._running[kind] = False
            self._emit(CancelTimer(kind))

    def fired(self, kind: TimerKind, generation: int) -> bool:
        """Return whether this firing counts, and mark the timer as no longer running."""
        if not self.running(kind) or self._generation[kind] != generation:
            return False
        self._running[kind] = False
        return True
