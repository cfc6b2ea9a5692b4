"""Two banks of a small consortium on real gRPC servers, and clients to them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio

from node.client.connection import ClientCredentials, Endpoint
from node.client.ledger_client import LedgerClient
from node.client.wallet import Wallet
from node.client.wallet_file import KeyFile
from node.ledger.types import BankIndex
from node.rpc.certificates import CertificateAuthority
from node.rpc.credentials import TlsFiles
from node.rpc.gate import Admittance
from node.rpc.server import Backends, NodeServer, serve
from node.wire.identity import Identity, Role, consortium_slug
from tests.client.small_bank import SealedLedger, SmallBank
from tests.ledger.chain import Chain, make_genesis
from tests.rpc.doubles import OperatorDouble, PeerDouble

CONSORTIUM = consortium_slug("test ledger")


@pytest.fixture(scope="session")
def tls_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directories `bank-0`, `bank-1`, `alice` and `stranger` with TLS material."""
    root = tmp_path_factory.mktemp("client-tls")
    now = datetime.now(UTC)
    authority = CertificateAuthority.create(CONSORTIUM, now)
    parties = {
        "bank-0": Identity.of_bank(CONSORTIUM, 0),
        "bank-1": Identity.of_bank(CONSORTIUM, 1),
        "alice": Identity(CONSORTIUM, Role.CLIENT, "alice"),
        "regulator": Identity(CONSORTIUM, Role.REGULATOR, "rbi"),
    }
    for name, identity in parties.items():
        (root / name).mkdir()
        TlsFiles(root / name).write(authority.issue(identity, now))
    (root / "stranger").mkdir()
    foreign = CertificateAuthority.create(CONSORTIUM, now)
    TlsFiles(root / "stranger").write(foreign.issue(parties["alice"], now))
    return root


@dataclass
class ServedBank:
    """A bank and its server."""

    bank: SmallBank
    server: NodeServer

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(BankIndex(self.bank.index), f"127.0.0.1:{self.server.port}")


@pytest.fixture
def ledger() -> SealedLedger:
    return SealedLedger(Chain(make_genesis()))


@pytest_asyncio.fixture
async def serve_bank(
    ledger: SealedLedger, tls_directory: Path
) -> AsyncIterator[Callable[[int], Awaitable[ServedBank]]]:
    """Starts the server of bank 0 or 1."""
    servers: list[NodeServer] = []

    async def start(index: int) -> ServedBank:
        bank = SmallBank(ledger, index)
        server = await serve(
            Backends(bank, PeerDouble(), OperatorDouble()),
            TlsFiles(tls_directory / f"bank-{index}"),
            "127.0.0.1:0",
            Admittance(CONSORTIUM),
        )
        servers.append(server)
        return ServedBank(bank, server)

    yield start
    for server in servers:
        await server.stop(0)


@pytest_asyncio.fixture
async def home(serve_bank: Callable[[int], Awaitable[ServedBank]]) -> ServedBank:
    """Bank 0, every client's first choice."""
    return await serve_bank(0)


@pytest_asyncio.fixture
async def other(serve_bank: Callable[[int], Awaitable[ServedBank]]) -> ServedBank:
    """Bank 1, for failing over."""
    return await serve_bank(1)


@pytest.fixture
def credentials(tls_directory: Path) -> ClientCredentials:
    return ClientCredentials.load(tls_directory / "alice")


@pytest_asyncio.fixture
async def client(home: ServedBank, credentials: ClientCredentials) -> AsyncIterator[LedgerClient]:
    """A client of bank 0 alone."""
    async with LedgerClient.connect(home.endpoint, credentials) as connected:
        yield connected


@pytest_asyncio.fixture
async def client_of_two(
    home: ServedBank, other: ServedBank, credentials: ClientCredentials
) -> AsyncIterator[LedgerClient]:
    """A client of bank 0, with bank 1 to fall back on."""
    endpoints = [home.endpoint, other.endpoint]
    async with LedgerClient.connect(endpoints, credentials) as connected:
        yield connected


@pytest.fixture
def key_file(tmp_path: Path) -> KeyFile:
    return KeyFile.create(tmp_path / "wallet.key")


MakeWallet = Callable[[str, LedgerClient], Awaitable[Wallet]]


@pytest_asyncio.fixture
async def make_wallet(tmp_path: Path, key_file: KeyFile) -> AsyncIterator[MakeWallet]:
    """Creates wallets, closed at the end."""
    made: list[Wallet] = []

    async def make(name: str, client: LedgerClient) -> Wallet:
        wallet = await Wallet.create(tmp_path / "wallets", name, key_file, client)
        made.append(wallet)
        return wallet

    yield make
    for wallet in made:
        wallet.close()
