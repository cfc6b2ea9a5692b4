"""A certificate authority, parties of a consortium, and a real server on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import grpc
import grpc.aio
import pytest
import pytest_asyncio

from node.rpc.certificates import CertificateAuthority
from node.rpc.credentials import TlsFiles, TlsMaterial, channel_credentials
from node.rpc.gate import Admittance
from node.rpc.server import Backends, NodeServer, serve
from node.rpc.transport import Options, link_options
from node.wire.identity import Identity, Role
from tests.rpc.doubles import LedgerDouble, OperatorDouble, PeerDouble
from tests.rpc.regulator_doubles import SupervisionDouble

CONSORTIUM = "demo"


@pytest.fixture(scope="session")
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(scope="session")
def authority(now: datetime) -> CertificateAuthority:
    return CertificateAuthority.create(CONSORTIUM, now)


@pytest.fixture(scope="session")
def tls_files(
    authority: CertificateAuthority, now: datetime, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], TlsFiles]:
    """Directory with the TLS material of `role/name`, made once a session."""
    root = tmp_path_factory.mktemp("tls")

    def files(party: str) -> TlsFiles:
        directory = root / party.replace("/", "-")
        if not directory.exists():
            directory.mkdir()
            role, name = party.split("/")
            identity = Identity(CONSORTIUM, Role(role), name)
            TlsFiles(directory).write(authority.issue(identity, now))
        return TlsFiles(directory)

    return files


@pytest.fixture(scope="session")
def material(tls_files: Callable[[str], TlsFiles], now: datetime) -> Callable[[str], TlsMaterial]:
    return lambda party: tls_files(party).load(now)


@dataclass
class ServedNode:
    """Bank 0 with its backends, and channels to it in any party's name."""

    server: NodeServer
    ledger: LedgerDouble
    peer: PeerDouble
    operator: OperatorDouble
    material: Callable[[str], TlsMaterial]
    channels: list[Any] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.port}"

    def channel(self, party: str = "client/alice", options: Options = ()) -> Any:
        return self.channel_with(channel_credentials(self.material(party)), options)

    def channel_with(self, credentials: grpc.ChannelCredentials, options: Options = ()) -> Any:
        channel = grpc.aio.secure_channel(
            self.address,
            credentials,
            options=(*link_options(Identity.of_bank(CONSORTIUM, 0)), *options),
        )
        self.channels.append(channel)
        return channel


@pytest_asyncio.fixture
async def node(
    tls_files: Callable[[str], TlsFiles], material: Callable[[str], TlsMaterial]
) -> AsyncIterator[ServedNode]:
    ledger, peer, operator = LedgerDouble(), PeerDouble(), OperatorDouble()
    server = await serve(
        Backends(ledger, peer, operator, SupervisionDouble()),
        tls_files("bank/0"),
        "127.0.0.1:0",
        Admittance(CONSORTIUM),
    )
    served = ServedNode(server, ledger, peer, operator, material)
    yield served
    for channel in served.channels:
        await channel.close()
    await server.stop(0)

