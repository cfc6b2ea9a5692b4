"""Short campaigns of both profiles, and that a seed is one run for ever (BFT-12 section 15)."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from node.ledger.active_set import quorum_size
from node.ledger.types import BankIndex
from node.simulation.profiles import schedule_of
from node.simulation.run import Run, play
from node.simulation.schedule import ByzantineBank, PoisonedBlock, Schedule

REPOSITORY = Path(__file__).parents[2]


def assert_clean(schedule: Schedule) -> Run:
    run = Run(schedule)
    violation = run.play().violation
    assert violation is None, f"{violation}\n" + "\n".join(schedule.script())
    return run


@pytest.mark.parametrize("seed", range(40))
def test_section_14_live_everything_holds_with_up_to_two_faulty_banks(seed: int) -> None:
    run = assert_clean(schedule_of("live", seed))
    assert run.outcome.heights >= 4
    assert run.outcome.acknowledged > 0


@pytest.mark.parametrize("bank_count", [4, 7])
@pytest.mark.parametrize("seed", range(8))
def test_section_14_live_in_other_sizes(bank_count: int, seed: int) -> None:
    assert_clean(schedule_of("live", seed, bank_count=bank_count))


@pytest.mark.parametrize("seed", range(20))
def test_section_1_safe_nothing_forks_with_up_to_seven_byzantine_banks(seed: int) -> None:
    assert_clean(schedule_of("safe", seed))


def test_section_1_the_profiles_stay_within_what_is_promised() -> None:
    for bank_count in (4, 7, 12, 16):
        quorum = quorum_size(bank_count)
        for seed in range(50):
            live = schedule_of("live", seed, bank_count=bank_count)
            assert len(live.byzantine) + len(live.gone) <= bank_count - quorum
            safe = schedule_of("safe", seed, bank_count=bank_count)
            assert len(safe.byzantine) <= 2 * quorum - bank_count - 1


def test_sections_9_and_10_a_cheat_is_slashed_removed_and_let_in_again() -> None:
    """One seed in which all of it happens; the promises are checked in every one."""
    schedules = (schedule_of("live", seed) for seed in range(400))
    wanted = next(
        schedule
        for schedule in schedules
        if schedule.readmission
        and schedule.slash_floor_percent > 90
        and any(bank.style == "double-voter" for bank in schedule.byzantine)
    )
    outcome = assert_clean(wanted).outcome
    assert (outcome.convictions > 0, outcome.removals > 0) == (True, True)
    assert outcome.readmissions > 0


def test_section_15_who_lies_as_a_leader_leads_when_the_banks_hear_each_other() -> None:
    """A calm height of its own, which a run of a few heights rarely gives to one of twelve."""
    schedule = schedule_of("live", 66)
    assert [bank.style for bank in schedule.byzantine] == ["record-forger"]
    assert assert_clean(schedule).outcome.convictions == 1


def test_section_9_an_invalid_transaction_convicts_its_proposer() -> None:
    bank = BankIndex(4)
    poisoned = replace(
        schedule_of("live", 1),
        byzantine=(ByzantineBank(bank, "false-claimant"),),
        gone=frozenset(),
        disturbances=(PoisonedBlock(100, bank),),
        load_period_ms=150,
        trouble_ms=6_000,
    )
    run = assert_clean(poisoned)
    assert any(
        offence.bank == bank and offence.offence_class == 3 for offence in run.convictions.punished
    )


def test_shared_results_and_own_results_give_the_same_run() -> None:
    """Pure functions are remembered across banks; every bank computing for itself agrees."""
    schedule = replace(schedule_of("live", 5), memoise=True)
    shared, own = play(schedule), play(replace(schedule, memoise=False))
    assert shared == own


def test_a_seed_is_one_run_in_every_process() -> None:
    """No decision depends on the order of a set or on the hash of a string."""
    program = (
        "import json\n"
        "from dataclasses import asdict\n"
        "from node.simulation.profiles import schedule_of\n"
        "from node.simulation.run import play\n"
        "print(json.dumps([asdict(play(schedule_of(*item)))"
        " for item in (('live', 3), ('live', 11), ('safe', 2))]))\n"
    )
    outputs = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1]
    assert [item["violation"] for item in json.loads(outputs[0])] == [None] * 3
