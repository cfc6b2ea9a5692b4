"""Settlements: in the order of years, once, with the counts that every bank verifies."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from node.client.errors import RecordNotFound
from node.ledger.rejection import Reason, Rejection
from node.ledger.settlement import decode_settlement
from node.ledger.types import BankIndex, FiscalYear
from node.runtime.regulator.settling import HAND_IN_AGAIN_MS
from tests.ledger.settling import FIRST, YEAR_S
from tests.regulator.conftest import SEEDS, MakeWorld, World


async def test_section_18_a_year_is_settled_after_the_first_block_of_a_later_one(
    world: World,
) -> None:
    world.seal()
    world.seal()
    await world.follow()
    await world.settling.settle_next()
    assert world.banks[0].submissions == []

    world.end_year()
    await world.settling.settle_next()
    assert world.banks[0].submissions == [], "the last vote of the year was not followed yet"
    await world.follow()
    await world.settling.settle_next()

    (raw,) = world.banks[0].submissions
    claim = decode_settlement(raw).claim
    assert (claim.year, claim.draw_seed) == (
        FIRST,
        SEEDS.seed(world.ledger.chain.genesis, FiscalYear(FIRST)),
    )
    assert [(item.bank, item.count) for item in claim.counts] == [(bank, 2) for bank in range(4)]
    assert await world.database.year_counts(FiscalYear(FIRST)) == dict.fromkeys(range(4), 2)

    world.banks[0].seal_waiting()
    await world.follow()
    await world.settling.settle_next()
    (settled,) = world.ledger.settlements
    assert (settled.fiscal_year, settled.carried) == (FIRST, 0)
    (record,) = await world.database.settlements()
    assert (record.year, record.sealed_height, record.attempts) == (FIRST, settled.height, 1)
    assert world.ledger.chain.state.settled_through == FIRST


async def test_years_are_settled_in_their_order_and_a_late_one_too(world: World) -> None:
    world.seal()
    world.end_year()
    world.end_year()
    await world.follow()
    world.banks[0].seals_at_once = world.banks[1].seals_at_once = True
    for _ in range(4):
        await world.settling.settle_next()
        await world.follow()

    assert [item.fiscal_year for item in world.ledger.settlements] == [FIRST, FIRST + 1]
    records = await world.database.settlements()
    assert [(item.year, item.sealed_height is not None) for item in records] == [
        (FIRST, True),
        (FIRST + 1, True),
    ]


async def test_a_settlement_that_gets_lost_is_handed_in_again_elsewhere(world: World) -> None:
    world.seal()
    world.end_year()
    await world.follow()
    world.banks[0].swallows = True
    await world.settling.settle_next()
    await world.settling.settle_next()
    assert (len(world.banks[0].submissions), len(world.banks[1].submissions)) == (1, 0)

    world.clock.now += HAND_IN_AGAIN_MS
    await world.settling.settle_next()
    assert world.banks[1].submissions == world.banks[0].submissions
    world.banks[1].seal_waiting()
    await world.follow()
    await world.settling.settle_next()
    (record,) = await world.database.settlements()
    assert (record.attempts, record.sealed_height) == (2, 3)


async def test_a_second_settlement_is_refused_by_the_banks(world: World) -> None:
    world.seal()
    world.end_year()
    await world.follow()
    world.banks[0].seals_at_once = True
    await world.settling.settle_next()
    (raw,) = world.banks[0].submissions

    with pytest.raises(Rejection) as refused:
        world.ledger.chain.seal(raw)
    assert refused.value.reason in (Reason.DUPLICATE_TRANSACTION, Reason.SETTLED)


async def test_without_the_whole_key_the_officers_are_waited_for(make_world: MakeWorld) -> None:
    world = await make_world(None)
    world.seal()
    world.end_year()
    await world.follow()
    await world.settling.settle_next()

    assert world.banks[0].submissions == []
    assert world.settling.waiting_for == (
        "the officers: the year FY2026 can be settled with their parts "
        "(`consortium regulator partial`)"
    )
    assert await world.database.year_counts(FiscalYear(FIRST)) == {}


async def test_counts_that_do_not_hold_are_never_handed_in(world: World) -> None:
    world.seal()
    world.end_year()
    await world.follow()
    await world.database.put_year_counts(FiscalYear(FIRST), {BankIndex(0): 4})
    await world.settling.settle_next()

    assert world.banks[0].submissions == []
    assert world.settling.waiting_for.startswith("an operator: the counts of FY2026 do not hold")
    with pytest.raises(RecordNotFound):
        await world.client.transaction(bytes(32))  # type: ignore[arg-type]


async def test_section_18_a_year_of_settlements_alone_is_settled_with_one_behind_it(
    world: World,
) -> None:
    """In years so short each settlement would begin a year to settle, on an idle ledger too."""
    year_ms = YEAR_S * 1_000

    async def look(*, seals: bool) -> list[int]:
        await world.follow()
        await world.settling.settle_next()
        bank = world.banks[0]
        if seals:
            (raw,) = bank.waiting.values()
            bank.waiting.clear()
            world.seal(raw, after_ms=year_ms)
        return [decode_settlement(raw).claim.year - FIRST for raw in bank.submissions]

    world.seal()
    world.end_year()
    assert await look(seals=True) == [0]
    assert await look(seals=True) == [0, 1]
    tallies = [tally.year - FIRST for tally in world.ledger.chain.state.tallies]
    assert tallies == [2], "of the block that settled the first year, and nothing else"
    for _ in range(3):
        assert await look(seals=False) == [0, 1]
    assert world.settling.waiting_for == ""

    world.seal(after_ms=year_ms)
    world.end_year()
    assert await look(seals=False) == [0, 1, 2]


async def test_a_bank_that_lies_about_the_state_is_passed_over(world: World) -> None:
    world.seal()
    world.end_year()
    await world.follow()
    world.banks[0].forge["sealed_state"] = lambda told: replace(told, state=told.state + b"!")
    settling = asyncio.create_task(world.settling.run())
    try:
        async with asyncio.timeout(30):
            while True:
                if world.banks[1].submissions:
                    break
                await asyncio.sleep(0.05)
    finally:
        settling.cancel()
        await asyncio.gather(settling, return_exceptions=True)
    assert world.banks[0].submissions == []
