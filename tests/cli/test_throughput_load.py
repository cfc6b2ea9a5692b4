"""Who submits what when, and what becomes of it: against banks that answer over real links."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from itertools import pairwise

import pytest
import pytest_asyncio

from crypto.transaction import transaction_id
from node.cli.access import Consortium
from node.cli.throughput_load import Load, WorkloadUsedUp, find_unused, rejections
from node.ledger.types import BankIndex
from node.rpc.backend import Overloaded
from node.wire.records import Refusal
from tests.cli.served_consortium import BANKS, ServedConsortium

COUNT = 8
SOON_S = 20.0


def silent(done: int, total: int) -> None:
    pass


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(int(SOON_S / 0.01)):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


def answered(load: Load) -> bool:
    return all(item.answered_s is not None for item in load.submissions)


def in_seconds(seconds: float) -> float:
    return time.monotonic() + seconds


@pytest.fixture
def transactions(consortium: ServedConsortium) -> list[bytes]:
    return [consortium.ledger.chain.mint([1]) for _ in range(COUNT)]


@pytest_asyncio.fixture
async def load(consortium: ServedConsortium, transactions: list[bytes]) -> AsyncIterator[Load]:
    async with Load(Consortium.load(consortium.directory), transactions) as running:
        yield running


async def test_arrivals_do_not_wait_for_answers(load: Load, consortium: ServedConsortium) -> None:
    """While no bank seals anything, transactions are due at their times, at every bank in turn."""
    consortium.hold_back()
    with pytest.raises(WorkloadUsedUp):
        await load.at_rate(40, in_seconds(SOON_S))
    assert [item.bank for item in load.submissions] == [index % BANKS for index in range(COUNT)]
    due_s = [item.due_s for item in load.submissions]
    assert [later - due for due, later in pairwise(due_s)] == pytest.approx([1 / 40] * (COUNT - 1))
    await until(lambda: answered(load))
    assert load.under_way == COUNT
    for bank in consortium.banks:
        consortium.in_loop(bank.seal_waiting)
    await load.drain(SOON_S, silent)
    assert (load.under_way, load.duplicates, load.overloaded) == (0, 0, 0)
    assert all(item.sealed_s is not None for item in load.submissions)
    assert sum(block.transactions for block in load.blocks) == COUNT


async def test_at_saturation_so_many_are_under_way_and_no_more(
    load: Load, consortium: ServedConsortium
) -> None:
    consortium.hold_back()
    running = asyncio.create_task(load.saturating(3, in_seconds(SOON_S)))
    await until(lambda: load.used == 3 and answered(load))
    assert (load.used, load.under_way, load.left) == (3, 3, COUNT - 3)
    consortium.in_loop(consortium.banks[0].seal_waiting)
    await until(lambda: load.used == 4)
    assert load.under_way == 3
    consortium.hold_back(held=False)
    for bank in consortium.banks:
        consortium.in_loop(bank.seal_waiting)
    with pytest.raises(WorkloadUsedUp):
        await running
    await load.drain(SOON_S, silent)
    assert all(item.sealed_s is not None for item in load.submissions)


async def test_what_a_bank_has_no_room_for_is_handed_in_again(
    load: Load, consortium: ServedConsortium
) -> None:
    full = [Overloaded("mempool-full", "come back", 20) for _ in range(2)]
    consortium.banks[1].submit_errors += full
    with pytest.raises(WorkloadUsedUp):
        await load.saturating(COUNT + 1, in_seconds(SOON_S))
    await load.drain(SOON_S, silent)
    assert (load.overloaded, load.under_way) == (2, 0)
    assert rejections(load.submissions) == {}


async def test_a_final_refusal_is_counted_by_its_reason(
    consortium: ServedConsortium, transactions: list[bytes]
) -> None:
    transactions[2] = transactions[2][:-1] + bytes([transactions[2][-1] ^ 1])
    async with Load(Consortium.load(consortium.directory), transactions) as load:
        with pytest.raises(WorkloadUsedUp):
            await load.saturating(COUNT + 1, in_seconds(SOON_S))
        await load.drain(SOON_S, silent)
    refused = load.submissions[2]
    assert refused.answered_s is None and refused.sealed_s is None and not refused.open
    assert rejections(load.submissions) == {refused.rejection: 1}
    assert sum(item.sealed_s is not None for item in load.submissions) == COUNT - 1


async def test_a_transaction_that_was_evicted_later_is_looked_up(
    load: Load, consortium: ServedConsortium, transactions: list[bytes]
) -> None:
    """Acknowledged, then rejected by name: that is not lost."""
    consortium.hold_back()
    with pytest.raises(WorkloadUsedUp):
        await load.saturating(COUNT + 1, in_seconds(SOON_S))
    await until(lambda: answered(load))

    def evict() -> None:
        bank = consortium.banks[0]
        identity = transaction_id(transactions[0])
        del bank.waiting[identity]
        bank.rejected[identity] = Refusal("expired", "too late")
        for other in consortium.banks:
            other.seal_waiting()

    consortium.in_loop(evict)
    await load.drain(1.0, silent)
    assert rejections(load.submissions) == {"expired": 1}
    assert load.under_way == 0


async def test_a_bank_that_does_not_answer_is_tried_again_and_named(
    load: Load, consortium: ServedConsortium
) -> None:
    consortium.loop.run(consortium.servers[3].stop(0))
    with pytest.raises(WorkloadUsedUp):
        await load.saturating(COUNT + 1, in_seconds(SOON_S))
    await until(lambda: load.reconnected >= 2 and load.under_way == 2)
    await load.drain(0.5, silent)
    unanswered = [item for item in load.submissions if item.open]
    assert [item.bank for item in unanswered] == [3, 3]
    assert all(item.answered_s is None for item in unanswered)


@pytest.mark.parametrize("used", [0, 3, COUNT])
async def test_a_later_measurement_goes_on_where_the_last_one_ended(
    consortium: ServedConsortium, transactions: list[bytes], used: int
) -> None:
    consortium.in_loop(lambda: consortium.ledger.seal(*transactions[:used]))
    async with Consortium.load(consortium.directory).ledger(BankIndex(0)) as ledger:
        unused = await find_unused(ledger, transactions)
    assert (unused.first, len(unused)) == (used, COUNT - used)
    assert [unused[index] for index in range(len(unused))] == transactions[used:]


async def test_a_transaction_in_two_blocks_is_noticed(load: Load) -> None:
    with pytest.raises(WorkloadUsedUp):
        await load.saturating(COUNT + 1, in_seconds(SOON_S))
    await load.drain(SOON_S, silent)
    assert load.duplicates == 0
    load._seal(0, time.monotonic())
    assert load.duplicates == 1
