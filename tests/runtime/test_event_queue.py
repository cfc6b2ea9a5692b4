"""BFT-12 12: a flooding peer fills its own share of the queue and delays nobody else."""

from __future__ import annotations

import asyncio

import pytest

from node.consensus.events import Event, MessageReceived, TransactionsAvailable
from node.consensus.messages import SyncRequest, SyncResponse
from node.ledger.types import BankIndex, Height
from node.runtime.event_queue import BULK_WEIGHT, ROOM_PER_PEER, EventQueue


def message(sender: int, number: int) -> MessageReceived:
    return MessageReceived(BankIndex(sender), SyncRequest(Height(number)))


def bulk(sender: int) -> MessageReceived:
    return MessageReceived(BankIndex(sender), SyncResponse((), Height(0)))


def taken(queue: EventQueue) -> list[Event]:
    events = []
    while (event := queue.take()) is not None:
        events.append(event)
    return events


async def test_section_12_peers_take_turns_and_each_keeps_its_order() -> None:
    queue = EventQueue()
    for number in range(3):
        await queue.put_message(message(1, number))
    await queue.put_message(message(2, 10))
    queue.put(TransactionsAvailable(1))
    queue.put(TransactionsAvailable(2))
    assert taken(queue) == [
        TransactionsAvailable(1),
        message(1, 0),
        TransactionsAvailable(2),
        message(2, 10),
        message(1, 1),
        message(1, 2),
    ]
    assert len(queue) == 0


async def test_section_12_a_full_share_holds_its_sender_back_and_no_other() -> None:
    queue = EventQueue()
    for number in range(ROOM_PER_PEER):
        await queue.put_message(message(1, number))
    flood = asyncio.create_task(queue.put_message(message(1, ROOM_PER_PEER)))
    await asyncio.sleep(0)
    await queue.put_message(message(2, 0))
    assert not flood.done()
    assert (queue.waiting_of(BankIndex(1)), queue.waiting_of(BankIndex(2))) == (ROOM_PER_PEER, 1)
    assert [queue.take(), queue.take()] == [message(1, 0), message(2, 0)]
    await flood
    assert queue.waiting_of(BankIndex(1)) == ROOM_PER_PEER


async def test_section_12_messages_with_blocks_weigh_more() -> None:
    queue = EventQueue()
    for _ in range(ROOM_PER_PEER // BULK_WEIGHT):
        await queue.put_message(bulk(1))
    waiting = asyncio.create_task(queue.put_message(bulk(1)))
    await asyncio.sleep(0)
    assert queue.waiting_of(BankIndex(1)) == 4
    assert not waiting.done()
    queue.close()
    await waiting
    assert len(queue) == 0


async def test_get_waits_and_the_end_lets_everybody_go() -> None:
    queue = EventQueue()
    getting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    await queue.put_message(message(3, 1))
    assert await getting == message(3, 1)
    queue.close()
    await queue.put_message(message(3, 2))
    assert queue.take() is None


@pytest.mark.parametrize("peers", [1, 11])
async def test_section_12_nobody_waits_for_more_than_one_message_of_each_peer(peers: int) -> None:
    queue = EventQueue()
    for sender in range(1, peers + 1):
        for number in range(ROOM_PER_PEER):
            await queue.put_message(message(sender, number))
    await queue.put_message(message(12, 99))
    waited = taken(queue).index(message(12, 99))
    assert waited == peers
