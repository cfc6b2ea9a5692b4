"""The links of one bank: counted in both directions, asked in order, and honest about failure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from crypto.transaction import transaction_id
from node.consensus.messages import SyncRequest
from node.ledger.types import BankIndex, Height, TransactionId
from node.rpc.certificates import CertificateAuthority, utc_now
from node.rpc.credentials import TlsFiles
from node.rpc.gate import Admittance
from node.rpc.server import Backends, NodeServer, serve
from node.runtime.config import PeerAddress
from node.runtime.incoming_links import IncomingLinks
from node.runtime.peer_network import PeerNetwork
from node.runtime.ports import LOOPBACK, choose_ports
from node.wire.identity import Identity
from node.wire.records import Hello
from tests.rpc.doubles import CHAIN, LedgerDouble, OperatorDouble, PeerDouble
from tests.runtime.bank_parts import StoppedClock

CONSORTIUM = "demo"
OWN = BankIndex(0)
BANKS = tuple(BankIndex(bank) for bank in range(4))


class Library(PeerDouble):
    """A peer that serves these bodies, as many as it likes at a time."""

    def __init__(self, bank: int, bodies: dict[TransactionId, bytes]) -> None:
        super().__init__(bank=bank)
        self.bodies = bodies
        self.asked: list[int] = []

    async def transactions(self, transaction_ids: object) -> list[bytes]:
        wanted = list(transaction_ids)  # type: ignore[call-overload]
        self.asked.append(len(wanted))
        return [self.bodies[item] for item in wanted if item in self.bodies]


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], TlsFiles]:
    authority = CertificateAuthority.create(CONSORTIUM, utc_now())
    root: Path = tmp_path_factory.mktemp("tls")

    def files(bank: int) -> TlsFiles:
        directory = root / str(bank)
        if not directory.exists():
            directory.mkdir()
            identity = Identity.of_bank(CONSORTIUM, bank)
            TlsFiles(directory).write(authority.issue(identity, utc_now()))
        return TlsFiles(directory)

    return files


class Neighbourhood:
    """Bank 0's network; banks 1 and 2 are up, bank 3 is not."""

    def __init__(self, tls: Callable[[int], TlsFiles]) -> None:
        self.incoming = IncomingLinks(BANKS)
        self.clock = StoppedClock()
        self.linked: list[BankIndex] = []
        self.peers: dict[int, Library] = {}
        self.servers: list[NodeServer] = []
        others = BANKS[1:]
        self.addresses = {
            bank: f"{LOOPBACK}:{port}"
            for bank, port in zip(others, choose_ports(len(others)), strict=True)
        }
        self.news = asyncio.Event()
        self.network = PeerNetwork(
            CONSORTIUM,
            [PeerAddress(bank, address) for bank, address in self.addresses.items()],
            tls(OWN),
            lambda: Hello(CHAIN, OWN, "0.1.0", Height(4)),
            self.incoming,
            self.clock,
            self._on_linked,
        )
        self._tls = tls

    def _on_linked(self, bank: BankIndex) -> None:
        self.linked.append(bank)
        self.news.set()

    async def bring_up(self, bank: int, bodies: dict[TransactionId, bytes]) -> Library:
        peer = self.peers[bank] = Library(bank, bodies)
        backends = Backends(LedgerDouble(), peer, OperatorDouble())
        admittance = Admittance(CONSORTIUM)
        address = self.addresses[BankIndex(bank)]
        self.servers.append(await serve(backends, self._tls(bank), address, admittance))
        return peer

    async def until_linked(self, *banks: int) -> None:
        async with asyncio.timeout(10):
            while not set(banks) <= set(self.linked):
                self.news.clear()
                await self.news.wait()

    async def close(self) -> None:
        await self.network.close()
        for server in self.servers:
            await server.stop(0)


BODIES = {
    TransactionId(transaction_id(raw)): raw
    for raw in (b"body %03d" % index for index in range(450))
}
IDS = list(BODIES)


@pytest_asyncio.fixture
async def nearby(tls: Callable[[int], TlsFiles]) -> AsyncIterator[Neighbourhood]:
    neighbourhood = Neighbourhood(tls)
    await neighbourhood.bring_up(1, BODIES)
    await neighbourhood.bring_up(2, dict(list(BODIES.items())[::2]))
    neighbourhood.network.start()
    await neighbourhood.until_linked(1, 2)
    yield neighbourhood
    await neighbourhood.close()


async def test_a_bank_counts_when_both_directions_are_up(nearby: Neighbourhood) -> None:
    network = nearby.network
    assert (network.linked_banks, network.unlinked) == (0, (BankIndex(3),))
    nearby.incoming[BankIndex(1)].linked = True
    nearby.incoming[BankIndex(3)].linked = True
    assert network.linked_banks == 1


async def test_banks_are_asked_in_turn_beginning_with_the_one_that_knows(
    nearby: Neighbourhood,
) -> None:
    assert nearby.network.fetch_order(BankIndex(2)) == [2, 1]
    assert nearby.network.fetch_order(BankIndex(1)) == [1, 2]
    assert nearby.network.fetch_order(BankIndex(3)) == [1, 2]


async def test_an_item_for_everybody_reaches_everybody_and_waits_for_who_is_down(
    nearby: Neighbourhood,
) -> None:
    network = nearby.network
    network.gossip(b"a transaction")
    network.broadcast_message(SyncRequest(Height(9)))
    network.gossip_to(BankIndex(1), [b"for one", b"more"])
    network.send_message(BankIndex(2), SyncRequest(Height(10)))
    network.send_message(BankIndex(9), SyncRequest(Height(10)))
    network.gossip_to(BankIndex(9), [b"nobody"])
    first, second = nearby.peers[1], nearby.peers[2]
    await first.until(lambda: len(first.received()) == 3)
    await second.until(
        lambda: messages(second) == [SyncRequest(Height(9)), SyncRequest(Height(10))]
    )
    assert first.received() == [b"a transaction", b"for one", b"more"]
    assert messages(first) == [SyncRequest(Height(9))]
    assert second.received() == [b"a transaction"]
    queued = {report.bank: report.queued_items for report in network.reports()}
    assert queued == {1: 0, 2: 0, 3: 2}


def messages(peer: PeerDouble) -> list[object]:
    return [message for _, _, listed in peer.frames for message in listed]


async def test_many_bodies_are_fetched_in_requests_of_bounded_size(nearby: Neighbourhood) -> None:
    fetched = await nearby.network.fetch_transactions(BankIndex(1), IDS)
    assert list(fetched) == list(BODIES.values())
    assert nearby.peers[1].asked == [200, 200, 50]


async def test_a_bank_that_lacks_some_gives_what_it_has(nearby: Neighbourhood) -> None:
    fetched = await nearby.network.fetch_transactions(BankIndex(2), IDS[:10])
    assert list(fetched) == [BODIES[item] for item in IDS[:10:2]]
    assert nearby.peers[2].asked == [10]


async def test_a_bank_that_has_none_or_is_down_or_unknown_gives_nothing(
    nearby: Neighbourhood,
) -> None:
    unknown = [TransactionId(bytes(32))]
    assert await nearby.network.fetch_transactions(BankIndex(1), unknown) == []
    assert await nearby.network.fetch_transactions(BankIndex(3), IDS[:1]) == []
    assert await nearby.network.fetch_transactions(BankIndex(9), IDS[:1]) == []


async def test_a_bank_that_comes_up_is_greeted_at_once(nearby: Neighbourhood) -> None:
    nearby.network.gossip(b"kept for bank 3")
    peer = await nearby.bring_up(3, {})
    nearby.network.greet(BankIndex(3))
    nearby.network.greet(BankIndex(1))
    nearby.network.greet(BankIndex(9))
    await nearby.until_linked(3)
    await peer.until(lambda: peer.received() == [b"kept for bank 3"])
    assert nearby.linked.count(BankIndex(1)) == 1


async def test_the_report_tells_both_directions(nearby: Neighbourhood) -> None:
    incoming = nearby.incoming[BankIndex(1)]
    incoming.linked, incoming.height, incoming.heard_s = True, Height(12), nearby.clock.now_s
    nearby.clock.now_s += 1.5
    one, two, three = nearby.network.reports()
    assert (one.bank, one.linked_out, one.linked_in, one.height, one.last_heard_ms) == (
        1,
        True,
        True,
        12,
        1_500,
    )
    assert (two.linked_out, two.linked_in, two.height, two.last_heard_ms) == (True, False, 5, None)
    assert (three.linked_out, three.address) == (False, nearby.addresses[BankIndex(3)])
    assert (one.last_error, one.connections, three.connections) == ("", 1, 0)
    assert three.last_error != ""
