"""BFT-12 section 15: the simulator notices every broken rule, and only broken ones.

The short version: a mutant that random schedules find soon is left to them; for one that takes a
rare coincidence the schedule is written down. `consortium simulate --mutant NAME` is the long one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from node.consensus import view_change
from node.ledger.types import BankIndex
from node.simulation import run
from node.simulation.mutants import MUTANTS
from node.simulation.profiles import schedule_of
from node.simulation.run import play
from node.simulation.schedule import (
    Blackout,
    ByzantineBank,
    Departure,
    Partition,
    Schedule,
    Weather,
)

pytestmark = pytest.mark.long

LIMIT = 60
"""Schedules within which every mutant below is killed; most need a few."""
CALM = Weather(0, loss=0, duplication=0, max_delay_ms=20)


def _banks(*indices: int) -> frozenset[BankIndex]:
    return frozenset(BankIndex(index) for index in indices)


def _power_lost_in_a_stall(seed: int) -> Schedule:
    """n-q banks are gone, all others have given up one view, nobody heard anybody: all restart."""
    return replace(
        schedule_of("live", seed),
        byzantine=(),
        gone=_banks(0, 1),
        trouble_ms=8_000,
        load_period_ms=200,
        disturbances=(
            CALM,
            Departure(0, BankIndex(0)),
            Departure(0, BankIndex(1)),
            Partition(1_500, 5_500, _banks(2, 3, 4, 5, 6), one_way=False),
            Blackout(5_000, 1),
        ),
    )


def _power_lost_before_the_evidence_is_recorded(seed: int) -> Schedule:
    """A bank votes twice as the network parts; what proves it outlives the restart of all."""
    return replace(
        schedule_of("live", seed),
        byzantine=(ByzantineBank(BankIndex(3), "double-voter"),),
        gone=frozenset(),
        trouble_ms=5_000,
        load_period_ms=200,
        slash_floor_percent=30,
        disturbances=(
            CALM,
            Partition(600, 4_500, _banks(0, 1, 2, 3, 4), one_way=False),
            Blackout(3_500, 1),
        ),
    )


def _colluding(count: int) -> Callable[[int], Schedule]:
    """So many banks of one coalition, and a network that does not stand in their way."""

    def schedule(seed: int) -> Schedule:
        drawn = schedule_of("safe", seed, byzantine=count)
        united = tuple(replace(bank, style=None) for bank in drawn.byzantine)
        return replace(drawn, byzantine=united, load_period_ms=200, disturbances=(CALM,))

    return schedule


def _in(style: str, bank: int = 1) -> Callable[[int], Schedule]:
    """One bank of this style in a calm network; it leads first at the height of its number."""

    def schedule(seed: int) -> Schedule:
        return replace(
            schedule_of("live", seed),
            byzantine=(ByzantineBank(BankIndex(bank), style),),
            gone=frozenset(),
            trouble_ms=4_000,
            load_period_ms=700,
            slash_floor_percent=30,
            disturbances=(CALM,),
        )

    return schedule


def _power_lost_before_the_seal(seed: int) -> Schedule:
    """The first leader is not heard any more at about the time of its certificate; whoever
    committed restarts. The moment moves with the seed."""
    cut_ms = 270 + 5 * seed
    return replace(
        schedule_of("live", seed),
        byzantine=(),
        gone=frozenset(),
        trouble_ms=8_000,
        load_period_ms=200,
        disturbances=(
            CALM,
            Partition(cut_ms, 6_000, _banks(1), one_way=True),
            Blackout(1_000, 1),
        ),
    )


def _live(seed: int) -> Schedule:
    return schedule_of("live", seed)


SCHEDULES: dict[str, Callable[[int], Schedule]] = {
    "not-persisting": _live,
    "sending-before-persisting": _live,
    "block-not-durable": _live,
    "no-self-delivery": _power_lost_in_a_stall,
    "commit-after-timeout": _live,
    "timeout-without-lock": _live,
    "timeout-certificate-of-three": _colluding(5),
    "reject-certificate-as-justification": _colluding(5),
    "sealing-after-one-phase": _colluding(6),
    "quorum-of-eight": _colluding(6),
    "no-rollback-guard": _live,
    "lock-forgotten-at-restart": _power_lost_before_the_seal,
    "duplicate-signers": _colluding(5),
    "evidence-not-rechecked": _in("evidence-spammer"),
    "evidence-never-recorded": _in("equivocating-leader"),
    "evidence-not-durable": _power_lost_before_the_evidence_is_recorded,
    "punished-twice": _in("equivocating-leader"),
    "state-root-unchecked": _in("invalid-proposer"),
    "tags-not-counted": _in("tag-repeater"),
    "ballot-view-unchecked": _in("ballot-replayer"),
    "ballots-unverified": _in("ballot-forger"),
    "parent-ballots-unchecked": _in("record-forger", 3),
    "double-ballots-ignored": _in("double-balloter"),
    "tally-proof-unchecked": _live,
    "settled-too-early": _live,
}


FIRST_SEED = {
    "commit-after-timeout": 14,
    "evidence-not-durable": 24,
    "no-rollback-guard": 15,
    "parent-ballots-unchecked": 12,
    "tally-proof-unchecked": 1,
}
"""Where the search begins, for those that take long from 0."""


def test_every_mutant_is_played() -> None:
    assert SCHEDULES.keys() == MUTANTS.keys()
    assert all(mutant.profile in ("live", "safe") for mutant in MUTANTS.values())


@pytest.mark.parametrize("name", SCHEDULES)
def test_section_15_the_mutant_is_killed_where_the_unbroken_code_passes(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "CONVICTION_LIMIT_MS", 8_000)
    schedule, seeds = SCHEDULES[name], range(FIRST_SEED.get(name, 0), LIMIT)
    with MUTANTS[name].applied():
        seed = next(
            (seed for seed in seeds if play(schedule(seed)).violation is not None), None
        )
    assert seed is not None, f"{name} survives {LIMIT} schedules"
    assert play(schedule(seed)).violation is None


def test_a_mutant_leaves_nothing_behind() -> None:
    before = view_change.claimed_view
    with MUTANTS["timeout-without-lock"].applied():
        assert view_change.claimed_view is not before
    assert view_change.claimed_view is before
