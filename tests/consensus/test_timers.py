"""A stale firing is never obeyed."""

from __future__ import annotations

from node.consensus.effects import CancelTimer, Effect, SetTimer
from node.consensus.events import TimerKind
from node.consensus.timers import Timers

VIEW = TimerKind.VIEW


def test_generations() -> None:
    effects: list[Effect] = []
    timers = Timers(effects.append)
    timers.set(VIEW, 100)
    timers.ensure(VIEW, 999)
    timers.set(VIEW, 200)
    assert effects == [SetTimer(VIEW, 1, 100), SetTimer(VIEW, 2, 200)]
    assert not timers.fired(VIEW, 1)
    assert timers.fired(VIEW, 2)
    assert not timers.fired(VIEW, 2)
    assert not timers.running(VIEW)
    timers.cancel(VIEW)
    assert len(effects) == 2


def test_a_cancelled_timer_that_fires_anyway_is_ignored() -> None:
    effects: list[Effect] = []
    timers = Timers(effects.append)
    timers.set(VIEW, 100)
    timers.cancel(VIEW)
    assert effects[-1] == CancelTimer(VIEW)
    assert not timers.fired(VIEW, 1)
    timers.set(VIEW, 100)
    assert not timers.fired(VIEW, 1)
    assert timers.fired(VIEW, 2)
