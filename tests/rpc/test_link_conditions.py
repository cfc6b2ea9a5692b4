"""A line that holds back, loses and delivers in order."""

from __future__ import annotations

import asyncio

from node.rpc.link_conditions import HELD_ITEMS, UNDISTURBED, DelayLine, LinkConditions
from tests.rpc.waiting import eventually


async def test_an_undisturbed_line_delivers_at_once() -> None:
    got: list[int] = []
    line = DelayLine(got.append)
    line.put(1)
    assert (got, line.lost, line.conditions.undisturbed) == ([1], 0, True)


async def test_late_items_keep_their_order_also_behind_a_healed_line() -> None:
    got: list[int] = []
    line = DelayLine(got.append)
    line.conditions = LinkConditions(delay_ms=10, jitter_ms=30)
    for number in range(50):
        line.put(number)
    assert got == []
    line.conditions = UNDISTURBED
    line.put(50)
    assert got == []
    await eventually(lambda: len(got) == 51)
    assert (got, line.lost) == (list(range(51)), 0)


async def test_a_cut_line_and_one_that_loses_everything_deliver_nothing() -> None:
    got: list[int] = []
    line = DelayLine(got.append)
    for conditions in (LinkConditions(cut=True), LinkConditions(loss_per_mille=1_000)):
        line.conditions = conditions
        line.put(1)
    assert (got, line.lost) == ([], 2)


async def test_a_part_of_the_items_is_lost() -> None:
    got: list[int] = []
    line = DelayLine(got.append)
    line.conditions = LinkConditions(loss_per_mille=500)
    for number in range(1_000):
        line.put(number)
    await eventually(lambda: len(got) + line.lost == 1_000)
    assert 300 < len(got) < 700
    assert got == sorted(got)


async def test_what_is_held_back_is_bounded_and_can_be_let_go() -> None:
    got: list[int] = []
    line = DelayLine(got.append)
    line.conditions = LinkConditions(delay_ms=30)
    for number in range(HELD_ITEMS + 5):
        line.put(number)
    assert line.lost == 5
    line.close()
    await asyncio.sleep(0.05)
    assert got == []
