"""From a violation to the few things that it takes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.consensus import journal
from node.ledger.types import BankIndex
from node.simulation import run as simulation_run
from node.simulation.checker import Violation
from node.simulation.profiles import schedule_of
from node.simulation.run import Outcome, play
from node.simulation.schedule import Blackout, ByzantineBank, ClockSkew, Crash, Schedule, Weather
from node.simulation.shrink import shrink

GUILTY = Crash(700, 900, BankIndex(3))
ACCOMPLICE = ByzantineBank(BankIndex(2), "silent")
BASE = replace(
    schedule_of("live", 1),
    byzantine=(ACCOMPLICE, ByzantineBank(BankIndex(5), "silent")),
    gone=frozenset({BankIndex(7)}),
    disturbances=(
        Weather(0, 0.1, 0.2, 50),
        *[ClockSkew(0, BankIndex(bank), 5) for bank in range(8)],
        Blackout(500, 1),
        GUILTY,
    ),
)


def test_only_what_the_violation_needs_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def fake(schedule: Schedule) -> Outcome:
        guilty = GUILTY in schedule.disturbances and ACCOMPLICE in schedule.byzantine
        violation = Violation("agreement", "both were there") if guilty else None
        return Outcome(schedule.seed, violation=violation)

    monkeypatch.setattr("node.simulation.shrink.play", fake)
    shrunk = shrink(BASE, Violation("agreement", "first seen"))
    assert shrunk == replace(
        BASE, byzantine=(ACCOMPLICE,), disturbances=(GUILTY,), gone=frozenset()
    )


def test_another_checkers_objection_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    other = Outcome(1, violation=Violation("liveness", "something else"))
    monkeypatch.setattr("node.simulation.shrink.play", lambda schedule: other)
    assert shrink(BASE, Violation("agreement", "first seen")) == BASE


def test_the_runs_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[int] = []
    monkeypatch.setattr("node.simulation.shrink.play", lambda schedule: Outcome(1))
    shrink(BASE, Violation("a", "b"), max_runs=7, on_run=lambda done, total: runs.append(done))
    assert runs == list(range(1, 8))


def test_a_real_violation_shrinks_to_nothing_if_nothing_is_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A core that does not write ahead is caught by the first statement of a calm run."""
    monkeypatch.setattr(journal, "persist", lambda state, *blocks: None)
    violation = play(BASE).violation
    assert violation is not None
    assert violation.checker == "write-ahead"
    shrunk = shrink(BASE, violation)
    assert (shrunk.parts, shrunk.gone) == ((), frozenset())


def test_what_breaks_inside_is_a_finding_with_a_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*arguments: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(journal, "persist", breaks)
    violation = play(BASE).violation
    assert violation is not None
    assert violation.checker == simulation_run.INTERNAL
    assert violation.message.startswith("KeyError: 'a bug'")
