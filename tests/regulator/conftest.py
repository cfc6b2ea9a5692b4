"""A regulator over a small consortium: real ballots, real gRPC servers, a real database."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio

from crypto.ballot import BallotKey
from node.client.connection import ClientCredentials, Endpoint
from node.client.ledger_client import LedgerClient
from node.ledger.fiscal_year import fiscal_year
from node.ledger.types import BankIndex, FiscalYear, TimeMs
from node.rpc.certificates import CertificateAuthority
from node.rpc.credentials import TlsFiles
from node.rpc.gate import Admittance
from node.rpc.server import Backends, NodeServer, serve
from node.runtime.draw_seeds import DrawSeeds
from node.runtime.regulator.accusations import AccusationDesk
from node.runtime.regulator.ballot_conflicts import ConflictDesk
from node.runtime.regulator.certified_bins import CertifiedBins
from node.runtime.regulator.execution import Executor
from node.runtime.regulator.follower import Follower
from node.runtime.regulator.openings import OpeningDesk
from node.runtime.regulator.reverification import Reverifier
from node.runtime.regulator.settling import Settling
from node.storage.embedded_postgres import EmbeddedPostgres
from node.storage.regulator.database import RegulatorDatabase, migrate
from node.storage.regulator.records import Alarm
from node.storage.regulator.tables import APPEND_ONLY, METADATA
from node.wire.identity import Identity, Role, consortium_slug
from node.wire.records import BallotConflict
from tests.client.small_bank import SealedLedger, SmallBank
from tests.ledger.chain import Chain
from tests.ledger.settling import DRAW_LINKS, DRAW_ROOT, OPENER, YEAR_S, settling_genesis
from tests.rpc.doubles import OperatorDouble, PeerDouble
from tests.rpc.regulator_doubles import SupervisionDouble

CONSORTIUM = consortium_slug("test ledger")
BANKS = 4
SERVED = 2
SEEDS = DrawSeeds(DRAW_ROOT, DRAW_LINKS)


@dataclass
class WatchedBank(SmallBank):
    """A bank that may hold conflicting ballots."""

    conflicts: list[BallotConflict] = field(default_factory=list)

    async def ballot_conflicts(
        self, from_sequence: int, limit: int | None
    ) -> AsyncGenerator[Sequence[BallotConflict], None]:
        if found := self.conflicts[from_sequence:]:
            yield found


@dataclass
class Clock:
    """Time that tests move."""

    now: int = 1_000_000

    def ms(self) -> TimeMs:
        return TimeMs(self.now)


@dataclass
class World:
    """The banks, and all parts of a regulator that nothing runs yet."""

    ledger: SealedLedger
    banks: list[WatchedBank]
    supervision: list[SupervisionDouble]
    servers: list[NodeServer]
    endpoints: list[Endpoint]
    credentials: ClientCredentials
    client: LedgerClient
    database: RegulatorDatabase
    url: str
    clock: Clock
    opener: BallotKey | None = OPENER
    alarms: list[Alarm] = field(default_factory=list)

    def __post_init__(self) -> None:
        genesis, now = self.ledger.chain.genesis, self.clock.ms
        self.follower = self.new_follower()
        self.bins = CertifiedBins(genesis, self.client, self.database)
        self.settling = Settling(
            genesis, self.client, self.database, self.follower, self.opener, SEEDS, now
        )
        self.accusations = AccusationDesk(
            genesis, self.endpoints, self.credentials, self.database, self.follower
        )
        self.executor = self.new_executor()
        self.reverifier = Reverifier(
            genesis,
            self.endpoints,
            self.credentials,
            self.database,
            self.follower,
            self.bins,
            self.executor,
            self.accusations,
            self.raise_alarm,
            now,
        )
        self.desk = OpeningDesk(genesis, self.client, self.database)
        self.conflicts = ConflictDesk(
            genesis, self.endpoints, self.credentials, self.database, self.follower, self.opener
        )

    def new_follower(self) -> Follower:
        return Follower(
            self.ledger.chain.genesis,
            self.client,
            self.database,
            self.opener,
            SEEDS,
            self.raise_alarm,
            self.clock.ms,
        )

    def new_executor(self) -> Executor:
        return Executor(
            self.ledger.chain.genesis,
            self.client,
            self.database,
            self.follower,
            self.accusations,
            self.raise_alarm,
            self.clock.ms,
        )

    async def raise_alarm(self, alarm: Alarm) -> None:
        self.alarms.append(alarm)
        await self.database.raise_alarm(alarm)

    def seal(self, *raws: bytes, after_ms: int = 1_000) -> None:
        self.ledger.seal(*raws, after_ms=after_ms)

    def year(self) -> FiscalYear:
        genesis = self.ledger.chain.genesis
        return fiscal_year(genesis.parameters, genesis.time_ms, self.ledger.chain.header.time_ms)

    def end_year(self) -> None:
        """Seal a block of the next year."""
        self.seal(after_ms=YEAR_S * 1_000)

    async def follow(self) -> None:
        """Follow up to the tip of the ledger."""
        for block in self.ledger.blocks[self.follower.tip.height + 1 :]:
            await self.follower.take(block)

    async def close(self) -> None:
        await self.reverifier.close()
        await self.conflicts.close()
        await self.accusations.close()
        await self.client.close()
        await self.database.close()
        for server in self.servers:
            await server.stop(0)


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("regulator-tls")
    now = datetime.now(UTC)
    authority = CertificateAuthority.create(CONSORTIUM, now)
    parties = {f"bank-{bank}": Identity.of_bank(CONSORTIUM, bank) for bank in range(BANKS)}
    parties["regulator"] = Identity(CONSORTIUM, Role.REGULATOR, "regulator")
    parties["client"] = Identity(CONSORTIUM, Role.CLIENT, "alice")
    parties["operator"] = Identity(CONSORTIUM, Role.OPERATOR, "olivia")
    for name, identity in parties.items():
        (root / name).mkdir()
        TlsFiles(root / name).write(authority.issue(identity, now))
    return root


@pytest.fixture(scope="session")
def reused_url(postgres_server: EmbeddedPostgres) -> str:
    """A migrated database, emptied for each test: that is faster than making one."""
    name = "regulator_reused"
    postgres_server.create_database(name, name, name)
    url = postgres_server.url(name, name, name)
    migrate(url)
    return url


@pytest.fixture
def regulator_url(reused_url: str) -> str:
    """A database without a row; only its owner can take the guards off, as here."""
    tables = METADATA.sorted_tables
    with psycopg.connect(reused_url) as connection:
        for table in APPEND_ONLY:
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        names = ", ".join(table.name for table in tables)
        connection.execute(f"TRUNCATE {names} RESTART IDENTITY CASCADE")
        for table in APPEND_ONLY:
            connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
    return reused_url


@pytest_asyncio.fixture
async def database(regulator_url: str) -> AsyncIterator[RegulatorDatabase]:
    opened = await RegulatorDatabase.open(regulator_url, Clock().ms)
    yield opened
    await opened.close()


MakeWorld = Callable[..., World]


@pytest_asyncio.fixture
async def make_world(tls: Path, regulator_url: str) -> AsyncIterator[MakeWorld]:
    """Makes the world, with the opener's key or without it."""
    made: list[World] = []

    async def make(opener: BallotKey | None = OPENER, banks: int = BANKS) -> World:
        ledger = SealedLedger(Chain(settling_genesis(banks)))
        served = [WatchedBank(ledger, index) for index in range(SERVED)]
        supervision = [SupervisionDouble() for _ in served]
        servers = [
            await serve(
                Backends(bank, PeerDouble(), OperatorDouble(), double),
                TlsFiles(tls / f"bank-{bank.index}"),
                "127.0.0.1:0",
                Admittance(CONSORTIUM),
            )
            for bank, double in zip(served, supervision, strict=True)
        ]
        endpoints = [
            Endpoint(BankIndex(index), f"127.0.0.1:{server.port}")
            for index, server in enumerate(servers)
        ]
        credentials = ClientCredentials.load(tls / "regulator")
        clock = Clock()
        world = World(
            ledger=ledger,
            banks=served,
            supervision=supervision,
            servers=servers,
            endpoints=endpoints,
            credentials=credentials,
            client=LedgerClient(endpoints, credentials),
            database=await RegulatorDatabase.open(regulator_url, clock.ms),
            url=regulator_url,
            clock=clock,
            opener=opener,
        )
        await world.follower.load()
        made.append(world)
        return world

    yield make
    for world in made:
        await world.close()


@pytest_asyncio.fixture
async def world(make_world: MakeWorld) -> World:
    return await make_world()
