"""A small consortium inside one process: real nodes, real TLS, real databases, loopback links.

Each `Node` has its own database, keys, guard file and server, exactly as in its own process; only
the event loop is shared. Whole-process behaviour (kill -9, supervision) is tested in
`tests/scenarios`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from node.client.connection import ClientCredentials, Endpoint
from node.client.ledger_client import LedgerClient
from node.client.operator_client import OperatorClient
from node.client.regulator_client import SupervisionClient
from node.ledger.genesis import Genesis, Parameters
from node.ledger.types import Amount, BankIndex, TimeMs
from node.rpc.certificates import CertificateAuthority, utc_now
from node.rpc.credentials import TlsFiles
from node.runtime.clock import SystemClock
from node.runtime.config import DatabaseSettings, NodeConfig, PeerAddress
from node.runtime.exit_code import ExitCode
from node.runtime.node_process import run_node_until
from node.runtime.ports import choose_ports
from node.runtime.secrets_directory import write_private
from node.wire.identity import Identity, Role, consortium_slug
from tests.ledger.chain import ballot_key, make_genesis

FAST = Parameters(
    ring_base=4,
    transfer_fee=Amount(100),
    bin_age_ms=200,
    batch_wait_ms=20,
    view_timeout_ms=1_500,
    view_timeout_max_ms=6_000,
    heartbeat_ms=60_000,
)


@dataclass
class RunningBank:
    """One bank and the task that runs it."""

    config: NodeConfig
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[ExitCode] | None = None

    def start(self) -> None:
        self.stopping = asyncio.Event()
        self.task = asyncio.create_task(run_node_until(self.config, self.stopping))

    async def stop(self) -> ExitCode:
        assert self.task is not None, "only a started bank is stopped"
        self.stopping.set()
        return await self.task


@dataclass
class Cluster:
    """Banks on loopback, with a client's credentials."""

    genesis: Genesis
    banks: list[RunningBank]
    credentials: ClientCredentials
    operator_credentials: ClientCredentials
    regulator_credentials: ClientCredentials

    def start(self) -> None:
        for bank in self.banks:
            bank.start()

    async def stop(self) -> list[ExitCode]:
        return list(await asyncio.gather(*(bank.stop() for bank in self.banks)))

    def endpoint(self, bank: int) -> Endpoint:
        return Endpoint(BankIndex(bank), self.banks[bank].config.listen)

    def client(self, *banks: int) -> LedgerClient:
        return LedgerClient.connect(
            [self.endpoint(bank) for bank in banks or range(len(self.banks))], self.credentials
        )


    def supervision(self, bank: int) -> SupervisionClient:
        return SupervisionClient(self.endpoint(bank), self.regulator_credentials)

    def operator(self, bank: int) -> OperatorClient:
        return OperatorClient(self.endpoint(bank), self.operator_credentials)


def make_cluster(
    directory: Path,
    make_database_url: Callable[[], str],
    banks: int = 4,
    parameters: Parameters = FAST,
    *,
    age_ms: int = 1,
    allow_faults: bool = False,
) -> Cluster:
    """Write keys, certificates and databases of a consortium; nothing runs yet.

    Its genesis is `age_ms` old.
    """
    genesis = make_genesis(banks=banks, parameters=parameters)
    genesis = replace(genesis, time_ms=TimeMs(SystemClock().wall_ms() - age_ms))
    genesis = _with_possessions(genesis)
    genesis_file = directory / "genesis.json"
    genesis_file.write_text(json.dumps(genesis.to_json_object()))
    slug = consortium_slug(genesis.name)
    authority = CertificateAuthority.create(slug, utc_now())
    ports = choose_ports(banks)
    addresses = [f"127.0.0.1:{port}" for port in ports]
    running = []
    for bank in range(banks):
        keys = directory / f"bank-{bank}"
        keys.mkdir()
        consensus = hashlib.sha256(b"consensus %d" % bank).digest()
        write_private(keys / "consensus.key", consensus.hex().encode())
        write_private(keys / "ballot.key", ballot_key(bank).to_bytes().hex().encode())
        TlsFiles(keys).write(authority.issue(Identity.of_bank(slug, bank), utc_now()))
        write_private(keys / "database.url", make_database_url().encode())
        running.append(
            RunningBank(
                NodeConfig(
                    bank=BankIndex(bank),
                    short_name=f"bank-{bank}",
                    listen=addresses[bank],
                    peers=_peers(addresses, bank),
                    genesis_file=genesis_file,
                    key_directory=keys,
                    guard_file=keys / "signing.guard",
                    database=DatabaseSettings(keys / "database.url", pool_size=2, max_overflow=2),
                    allow_faults=allow_faults,
                )
            )
        )
    credentials = []
    for role in (Role.CLIENT, Role.OPERATOR, Role.REGULATOR):
        files = directory / role.value
        files.mkdir()
        TlsFiles(files).write(authority.issue(Identity(slug, role, "tester"), utc_now()))
        credentials.append(ClientCredentials.load(files))
    return Cluster(genesis, running, *credentials)


def _peers(addresses: Sequence[str], bank: int) -> tuple[PeerAddress, ...]:
    return tuple(
        PeerAddress(BankIndex(peer), address)
        for peer, address in enumerate(addresses)
        if peer != bank
    )


def _with_possessions(genesis: Genesis) -> Genesis:
    from crypto.ballot import prove_possession

    return genesis.with_possessions(
        [
            prove_possession(ballot_key(bank.index), genesis.chain_id, bank.index)
            for bank in genesis.banks
        ]
    )
