"""A chaos campaign is drawn by its seed and stays within its rules."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from node.cli.chaos_plan import Act, ActKind, ChaosPlan, Counts, Profile
from node.ledger.types import BankIndex
from node.wire.operator_records import ByzantineFault, LinkFault

BANKS = tuple(BankIndex(bank) for bank in range(12))
STYLES = ("silent", "double-voter")
NETWORK = {ActKind.DISCONNECT, ActKind.SLOW}
CRASHES = {
    ActKind.KILL,
    ActKind.PAUSE,
    ActKind.SESSIONS,
    ActKind.DATABASE,
    ActKind.BLACKOUT,
}


def drawn(seed: int, profile: Profile = Profile.ALL, count: int = 200) -> list[Act]:
    plan = ChaosPlan(seed, BANKS, profile, STYLES, liars=2)
    acts = [plan.draw(BANKS) for _ in range(count)]
    return [act for act in acts if act is not None]


@settings(deadline=None)
@given(st.integers(0, 1 << 32))
def test_the_seed_fixes_everything_while_the_same_banks_are_free(seed: int) -> None:
    assert drawn(seed, count=20) == drawn(seed, count=20)


def test_each_profile_does_all_of_its_acts_and_no_others() -> None:
    assert {act.kind for act in drawn(1, Profile.CRASH)} == CRASHES
    assert {act.kind for act in drawn(1, Profile.NETWORK)} == NETWORK
    assert {act.kind for act in drawn(1)} == CRASHES | NETWORK | {ActKind.BYZANTINE}


def test_only_banks_that_are_free_are_hit_and_only_liars_lie() -> None:
    plan = ChaosPlan(3, BANKS, Profile.ALL, STYLES, liars=2)
    free = [BankIndex(1), BankIndex(5), *plan.liars]
    for _ in range(300):
        act = plan.draw(free)
        assert act is not None
        assert (act.bank is None) == act.kind.strikes_all
        if act.bank is not None:
            assert act.bank in free
        if act.kind is ActKind.BYZANTINE:
            assert act.bank in plan.liars
    assert len(plan.liars) == 2


def test_acts_carry_the_fault_of_their_kind() -> None:
    for act in drawn(4):
        if act.kind is ActKind.BYZANTINE:
            assert isinstance(act.fault, ByzantineFault)
            assert act.fault.style in STYLES
        elif act.kind in NETWORK:
            assert isinstance(act.fault, LinkFault)
            assert act.fault.cut == (act.kind is ActKind.DISCONNECT)
        else:
            assert act.fault is None


def test_a_campaign_by_number_does_exactly_that() -> None:
    counts = Counts(kills=7, database_kills=3, blackouts=2)
    plan = ChaosPlan(5, BANKS, Profile.ALL, STYLES, counts=counts)
    kinds = Counter[ActKind]()
    while (act := plan.draw(BANKS)) is not None:
        kinds[act.kind] += 1
    assert kinds == {ActKind.KILL: 7, ActKind.DATABASE: 3, ActKind.BLACKOUT: 2}
    assert counts.total == 12
