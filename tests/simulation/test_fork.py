"""BFT-12 sections 1, 9, 15: eight Byzantine banks fork and are convicted, seven never fork."""

from __future__ import annotations

import pytest

from node.ledger.offences import Offence
from node.simulation.fork import ForkOutcome, run_fork

SEEDS = range(4)


@pytest.fixture(scope="module")
def forks() -> list[ForkOutcome]:
    return [run_fork(seed) for seed in SEEDS]


def test_section_15_control_eight_colluding_banks_fork(forks: list[ForkOutcome]) -> None:
    forked = [outcome for outcome in forks if outcome.forked]
    assert forked
    for outcome in forked:
        first, second = outcome.branches
        assert first.block_id != second.block_id
        assert not set(first.banks) & set(second.banks)
        assert not set(outcome.byzantine) & {*first.banks, *second.banks}


def test_section_9_the_fork_convicts_its_eight_authors_and_nobody_else(
    forks: list[ForkOutcome],
) -> None:
    for outcome in forks:
        assert outcome.innocent_convicted == ()
        if outcome.forked:
            assert outcome.convicted == outcome.byzantine
            assert {item.height for item in outcome.evidence} >= {outcome.height}


def test_section_9_a_fork_in_one_view_is_proven_by_double_commits_else_by_forgotten_locks(
    forks: list[ForkOutcome],
) -> None:
    for outcome in forks:
        if not outcome.forked:
            continue
        views = {branch.view for branch in outcome.branches}
        proof = Offence.DOUBLE_COMMIT if len(views) == 1 else Offence.LOCK_VIOLATION
        culprits = {item.bank for item in outcome.evidence if item.offence is proof}
        assert culprits == set(outcome.byzantine)


def test_section_1_the_same_adversary_with_seven_banks_never_forks() -> None:
    for seed in SEEDS:
        outcome = run_fork(seed, byzantine=7, heights=6)
        assert not outcome.forked
        assert outcome.innocent_convicted == ()
        assert outcome.heights > 0


def test_section_1_nine_banks_fork_and_are_convicted_too() -> None:
    outcome = next(o for o in (run_fork(seed, byzantine=9) for seed in SEEDS) if o.forked)
    assert len(outcome.convicted) >= 8
    assert outcome.innocent_convicted == ()


def test_the_same_seed_gives_the_same_fork() -> None:
    assert run_fork(1) == run_fork(1)
