"""Many seeds: the same outcomes here, in processes, and on a Dask cluster."""

from __future__ import annotations

import sys

import pytest
from distributed import LocalCluster

from node.simulation import campaign
from node.simulation.campaign import (
    Campaign,
    DaskMissing,
    Totals,
    run_here,
    run_in_processes,
    run_on_dask,
)
from node.simulation.checker import Violation
from node.simulation.run import Outcome

SMALL = Campaign("live", first_seed=3, seeds=7, bank_count=4)


def in_order(outcomes: object) -> list[Outcome]:
    return sorted(outcomes, key=lambda outcome: outcome.seed)  # type: ignore[call-overload]


def test_processes_and_a_dask_cluster_give_the_outcomes_of_this_process() -> None:
    here = in_order(run_here(SMALL))
    assert [outcome.seed for outcome in here] == list(SMALL.numbers)
    assert in_order(run_in_processes(SMALL, 2)) == here
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        assert in_order(run_on_dask(SMALL, cluster.scheduler_address)) == here


def test_a_broken_rule_is_broken_in_the_process_that_runs_the_seed() -> None:
    """Mutants are applied by name where the run is, so they work in processes too."""
    broken = Campaign("live", 0, 5, bank_count=4, mutant="not-persisting")
    for outcomes in (run_here(broken), run_in_processes(broken, 1)):
        violations = [outcome.violation for outcome in outcomes]
        assert all(violation is not None for violation in violations)
        assert violations[0] is not None
        assert violations[0].checker == "write-ahead"


def test_without_dask_the_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(DaskMissing, match="`distributed` is not installed"):
        list(run_on_dask(SMALL, "tcp://127.0.0.1:1"))


def test_a_scheduler_that_does_not_answer_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign, "SCHEDULER_TIMEOUT_S", 0.2)
    with pytest.raises((OSError, TimeoutError)):
        list(run_on_dask(SMALL, "tcp://127.0.0.1:1"))


def test_totals_are_sums_and_keep_the_violations() -> None:
    totals = Totals()
    bad = Outcome(2, heights=3, messages=5, recovery_ms=70, violation=Violation("a", "b"))
    for outcome in (Outcome(1, heights=4, messages=6, recovery_ms=90), bad):
        totals.add(outcome)
    assert totals == Totals(
        seeds=2, heights=7, messages=11, slowest_recovery_ms=90, violations=[bad]
    )
