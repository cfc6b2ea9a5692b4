"""The outgoing half of a link, against real servers over mutual TLS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from node.consensus.messages import SyncRequest, encode_message
from node.ledger.types import BankIndex, BlockId, Height, TransactionId
from node.rpc.credentials import TlsFiles
from node.rpc.gate import Admittance
from node.rpc.link_conditions import UNDISTURBED, LinkConditions
from node.rpc.outgoing_queue import QueueCounters, QueueLimits
from node.rpc.peer_link import LinkStatus, LinkTiming, PeerLink, PeerUnavailable
from node.rpc.server import Backends, NodeServer, serve
from node.storage.tcp_port import free_port
from node.wire import peer_codec
from node.wire.identity import Identity
from node.wire.records import BlockRange, Hello
from tests.rpc.conftest import CONSORTIUM, ServedNode
from tests.rpc.doubles import (
    CHAIN,
    LedgerDouble,
    OperatorDouble,
    PeerDouble,
    block_at,
    header_at,
    stored_block,
)
from tests.rpc.statements import signed_statements
from tests.rpc.waiting import eventually

QUICK = LinkTiming(first_pause_s=0.02, longest_pause_s=0.05)
HELLO = Hello(CHAIN, BankIndex(3), "0.1.0", Height(17))
MESSAGE = SyncRequest(Height(9))
MESSAGE_ITEM = peer_codec.message_item(encode_message(MESSAGE))

MakeLink = Callable[..., PeerLink]


@pytest_asyncio.fixture
async def make_link(tls_files: Callable[[str], TlsFiles]) -> AsyncIterator[MakeLink]:
    """Links of bank 3, closed at the end."""
    links: list[PeerLink] = []

    def make(address: str, peer: int = 0, hello: Hello = HELLO, **options: Any) -> PeerLink:
        link = PeerLink(
            Identity.of_bank(CONSORTIUM, peer),
            address,
            tls_files("bank/3"),
            lambda: hello,
            **{"timing": QUICK, **options},
        )
        links.append(link)
        return link

    yield make
    for link in links:
        await link.close()


def transactions(count: int, size: int = 10) -> list[bytes]:
    return [index.to_bytes(4, "big").ljust(size, b"t") for index in range(count)]


async def serve_bank_0(
    tls_files: Callable[[str], TlsFiles], peer: PeerDouble, port: int = 0
) -> NodeServer:
    backends = Backends(LedgerDouble(), peer, OperatorDouble())
    return await serve(
        backends, tls_files("bank/0"), f"127.0.0.1:{port}", Admittance(CONSORTIUM)
    )


async def test_a_link_comes_up_and_tells_both_sides(
    node: ServedNode, make_link: MakeLink
) -> None:
    up: list[BankIndex] = []
    link = make_link(node.address, on_linked=up.append)
    assert link.status().last_error == "not started"
    link.start()
    await eventually(lambda: up)
    assert link.status() == LinkStatus(
        bank=BankIndex(0),
        address=node.address,
        linked=True,
        peer_height=Height(5),
        queued_items=0,
        queued_bytes=0,
        counters=QueueCounters(),
        connections=1,
        last_error="",
    )
    assert (up, node.peer.events) == ([0], [("linked", 3, 17)])
    await link.close()
    await node.peer.until(lambda: len(node.peer.events) == 2)
    assert node.peer.events[1] == ("unlinked", 3)
    assert (link.linked, link.status().last_error) == (False, "closed")


async def test_everything_due_in_one_tick_shares_a_frame(
    node: ServedNode, make_link: MakeLink
) -> None:
    link = make_link(node.address)
    sent = transactions(500)
    for raw in sent:
        link.send_transaction(peer_codec.transaction_item(raw))
    link.send_message(MESSAGE_ITEM)
    link.start()
    await node.peer.until(lambda: node.peer.frames)
    assert node.peer.frames == [(3, tuple(sent), (MESSAGE,))]
    counters = link.status().counters
    assert (counters.sent_frames, counters.sent_items) == (1, 501)


async def test_a_frame_stays_below_its_limit(node: ServedNode, make_link: MakeLink) -> None:
    link = make_link(node.address, limits=QueueLimits(frame_bytes=100_000))
    sent = transactions(20, size=15_000)
    for raw in sent:
        link.send_transaction(peer_codec.transaction_item(raw))
    link.start()
    await node.peer.until(lambda: len(node.peer.received()) == 20)
    assert node.peer.received() == sent
    assert [len(frame[1]) for frame in node.peer.frames] == [6, 6, 6, 2]


async def test_items_sent_one_by_one_keep_their_order(
    node: ServedNode, make_link: MakeLink
) -> None:
    link = make_link(node.address)
    link.start()
    sent = transactions(200)
    for raw in sent:
        link.send_transaction(peer_codec.transaction_item(raw))
        await asyncio.sleep(0)
    await node.peer.until(lambda: len(node.peer.received()) == len(sent))
    assert node.peer.received() == sent
    assert len(node.peer.frames) < len(sent)


async def test_a_link_returns_when_its_peer_does(
    tls_files: Callable[[str], TlsFiles], make_link: MakeLink
) -> None:
    before, after = PeerDouble(), PeerDouble()
    server = await serve_bank_0(tls_files, before)
    up: list[BankIndex] = []
    link = make_link(f"127.0.0.1:{server.port}", on_linked=up.append)
    link.start()
    await eventually(lambda: link.linked)
    await server.stop(0)
    await eventually(lambda: not link.linked)
    assert link.status().last_error != ""
    (kept,) = transactions(1)
    link.send_transaction(peer_codec.transaction_item(kept))
    server = await serve_bank_0(tls_files, after, server.port)
    try:
        await after.until(lambda: after.received() == [kept])
        assert (link.status().connections, up) == (2, [0, 0])
        assert link.status().last_error == ""
    finally:
        await link.close()
        await server.stop(0)


async def test_old_messages_are_not_sent_on_a_new_link(
    tls_files: Callable[[str], TlsFiles], make_link: MakeLink
) -> None:
    """The core repeats what still matters (BFT-12 section 7)."""
    peer = PeerDouble()
    port = free_port()
    link = make_link(
        f"127.0.0.1:{port}",
        timing=LinkTiming(first_pause_s=0.02, longest_pause_s=0.05, stale_after_s=0.0),
    )
    link.send_message(MESSAGE_ITEM)
    link.send_transaction(peer_codec.transaction_item(b"t"))
    link.start()
    server = await serve_bank_0(tls_files, peer, port)
    try:
        await peer.until(lambda: peer.frames)
        assert peer.frames == [(3, (b"t",), ())]
        assert link.status().counters.dropped_messages == 1
    finally:
        await link.close()
        await server.stop(0)


async def test_while_the_peer_is_away_the_queue_stays_bounded(make_link: MakeLink) -> None:
    link = make_link(f"127.0.0.1:{free_port()}", limits=QueueLimits(queued_items=10))
    link.start()
    for raw in transactions(25):
        link.send_transaction(peer_codec.transaction_item(raw))
    await eventually(lambda: link.status().last_error.startswith("UNAVAILABLE: "))
    status = link.status()
    assert (status.queued_items, status.counters.dropped_transactions) == (10, 15)


async def test_a_pause_can_be_cut_short(
    tls_files: Callable[[str], TlsFiles], make_link: MakeLink
) -> None:
    port = free_port()
    link = make_link(
        f"127.0.0.1:{port}", timing=LinkTiming(first_pause_s=3_600.0, longest_pause_s=3_600.0)
    )
    link.start()
    await eventually(lambda: link.status().last_error.startswith("UNAVAILABLE: "))
    server = await serve_bank_0(tls_files, PeerDouble(), port)
    try:
        link.connect_now()
        await eventually(lambda: link.linked)
    finally:
        await link.close()
        await server.stop(0)


async def test_another_genesis_is_not_linked(node: ServedNode, make_link: MakeLink) -> None:
    link = make_link(node.address, hello=Hello(bytes(32), BankIndex(3), "0.1.0", Height(0)))
    link.start()
    await eventually(lambda: link.status().last_error not in ("", "not started"))
    assert link.status().last_error == (
        "FAILED_PRECONDITION: this bank belongs to another genesis"
    )
    assert not link.linked


@pytest.mark.parametrize(
    "answer", [PeerDouble(bank=5), PeerDouble(bank=0, chain_id=CHAIN)], ids=["bank", "own"]
)
async def test_a_peer_that_calls_itself_another_bank_is_not_linked(
    tls_files: Callable[[str], TlsFiles], make_link: MakeLink, answer: PeerDouble
) -> None:
    server = await serve_bank_0(tls_files, answer)
    link = make_link(f"127.0.0.1:{server.port}")
    try:
        link.start()
        await eventually(lambda: link.status().last_error != "not started")
        assert (link.linked, link.status().last_error) == (
            (True, "")
            if answer.bank == 0
            else (False, "expected bank 0 of this genesis, found 5")
        )
    finally:
        await link.close()
        await server.stop(0)


async def test_a_bank_at_another_banks_address_is_not_linked(
    node: ServedNode, make_link: MakeLink
) -> None:
    """Bank 0 answers where bank 1 is expected: TLS asks for bank 1's certificate."""
    link = make_link(node.address, peer=1)
    link.start()
    await eventually(lambda: link.status().last_error.startswith("UNAVAILABLE: "))
    assert node.peer.events == []


async def test_a_link_survives_being_refused_for_what_it_sent(
    node: ServedNode, make_link: MakeLink
) -> None:
    link = make_link(node.address)
    link.start()
    await eventually(lambda: link.linked)
    foreign_vote = signed_statements(4)[1]
    link.send_message(peer_codec.message_item(encode_message(foreign_vote)))
    await node.peer.until(lambda: ("misbehaved", 3, "impersonation") in node.peer.events)
    await eventually(lambda: link.status().connections == 2)
    link.send_message(MESSAGE_ITEM)
    await node.peer.until(lambda: node.peer.frames)
    assert node.peer.frames == [(3, (), (MESSAGE,))]


async def test_fetching_over_a_link(node: ServedNode, make_link: MakeLink) -> None:
    link = make_link(node.address)
    link.start()
    await eventually(lambda: link.linked)
    known = TransactionId(bytes([1]) * 32)
    assert await link.fetch_transactions([known, TransactionId(bytes(32))]) == (
        b"body of " + known,
    )
    assert await link.fetch_blocks(Height(5)) == BlockRange((stored_block(5),), Height(5))
    assert await link.fetch_block(header_at(5).block_id) == block_at(5).encode()
    with pytest.raises(PeerUnavailable) as caught:
        await link.fetch_block(BlockId(bytes(32)))
    assert str(caught.value) == "bank 0: NOT_FOUND: no such block"


async def test_without_a_link_nothing_is_fetched(make_link: MakeLink) -> None:
    link = make_link("127.0.0.1:1")
    with pytest.raises(PeerUnavailable) as caught:
        await link.fetch_blocks(Height(1))
    assert str(caught.value) == "bank 0 is not linked: not started"


async def test_a_cut_link_goes_down_and_comes_up_again_when_it_is_healed(
    node: ServedNode, make_link: MakeLink
) -> None:
    link = make_link(node.address)
    link.start()
    await eventually(lambda: link.linked)
    link.set_conditions(LinkConditions(cut=True))
    await eventually(lambda: not link.linked)
    await eventually(lambda: link.status().last_error == "cut by fault injection")
    link.send_message(MESSAGE_ITEM)
    with pytest.raises(PeerUnavailable, match="cut by fault injection"):
        await link.fetch_block(BlockId(bytes(32)))
    assert link.status().connections == 1
    link.set_conditions(UNDISTURBED)
    await eventually(lambda: link.linked)
    assert (link.status().connections, link.status().last_error) == (2, "")
    assert node.peer.frames == []


async def test_a_link_that_is_cut_before_it_starts_does_not_connect(
    node: ServedNode, make_link: MakeLink
) -> None:
    link = make_link(node.address)
    link.set_conditions(LinkConditions(cut=True))
    link.start()
    await eventually(lambda: link.status().last_error == "cut by fault injection")
    assert node.peer.events == []
    link.set_conditions(UNDISTURBED)
    await eventually(lambda: link.linked)


async def test_a_lossy_link_loses_and_a_slow_one_keeps_the_order(
    node: ServedNode, make_link: MakeLink
) -> None:
    link = make_link(node.address)
    link.start()
    await eventually(lambda: link.linked)
    sent = transactions(50)
    link.set_conditions(LinkConditions(loss_per_mille=1_000))
    for raw in sent:
        link.send_transaction(peer_codec.transaction_item(raw))
    link.set_conditions(LinkConditions(delay_ms=20, jitter_ms=20))
    for raw in reversed(sent):
        link.send_transaction(peer_codec.transaction_item(raw))
    await node.peer.until(lambda: len(node.peer.received()) == len(sent))
    assert node.peer.received() == sent[::-1]
