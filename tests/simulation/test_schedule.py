"""Schedules as values and as scripts."""

from __future__ import annotations

from dataclasses import replace

from node.ledger.types import BankIndex
from node.simulation.profiles import PROFILES, schedule_of
from node.simulation.schedule import (
    Blackout,
    BlackoutAtEvidence,
    ByzantineBank,
    ClockSkew,
    Crash,
    Departure,
    Flicker,
    LateJoiner,
    Partition,
    PoisonedBlock,
    RestoredBackup,
    SlowValidation,
    Weather,
)

BANK = BankIndex(4)


def test_a_seed_gives_one_schedule_and_another_seed_another() -> None:
    for profile in PROFILES:
        assert schedule_of(profile, 7) == schedule_of(profile, 7)
        assert schedule_of(profile, 7) != schedule_of(profile, 8)


def test_every_disturbance_of_the_specification_occurs() -> None:
    """BFT-12 section 15: what must be exercised, within a few hundred seeds."""
    seen = {
        type(item)
        for profile in PROFILES
        for seed in range(200)
        for item in schedule_of(profile, seed).disturbances
    }
    assert seen == {
        Blackout,
        BlackoutAtEvidence,
        ClockSkew,
        Crash,
        Departure,
        Flicker,
        LateJoiner,
        Partition,
        PoisonedBlock,
        RestoredBackup,
        SlowValidation,
        Weather,
    }


def test_nothing_masks_the_lie_of_a_forger_of_records() -> None:
    """An invalid transaction is found before the record is looked at."""
    forgers = 0
    for seed in range(600):
        schedule = schedule_of("live", seed)
        named = {item.bank for item in schedule.byzantine if item.style == "record-forger"}
        poisoned = {item.bank for item in schedule.disturbances if isinstance(item, PoisonedBlock)}
        assert not named & poisoned
        forgers += bool(named)
    assert forgers > 5


def test_a_schedule_reads_as_a_script() -> None:
    schedule = replace(
        schedule_of("live", 0),
        load_period_ms=300,
        slash_floor_percent=30,
        fiscal_year_seconds=4,
        settlement=False,
        trouble_ms=9_000,
        byzantine=(ByzantineBank(BANK, "silent"), ByzantineBank(BankIndex(5), None)),
        gone=frozenset({BankIndex(1)}),
        disturbances=(
            Partition(800, 1_000, frozenset({BankIndex(2), BANK}), True),
            Weather(0, 0.05, 0.2, 50),
            RestoredBackup(900, 2_000, BANK),
        ),
    )
    assert schedule.script() == [
        "12 banks, a transaction every 300 ms, slash floor 30 %, fiscal years of 4 s, which nobody "
        "settles",
        "       bank 4 is Byzantine: silent",
        "       bank 5 is Byzantine: member of the coalition",
        "     0 network: 5% lost, 20% twice, up to 50 ms late",
        "   800 partition until 1000: {2, 4} is not heard outside",
        "   900 bank 4 is backed up, and at 2000 restored from it",
        "  9000 everything heals, but [1] stay down",
    ]
