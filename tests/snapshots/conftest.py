"""One ledger with notes, payments and open bins, in the database of the bank that serves it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psycopg
import pytest
import pytest_asyncio

from node.ledger.types import BankIndex
from node.storage.configuration import DatabaseConfig
from node.storage.database import Database
from node.storage.embedded_postgres import EmbeddedPostgres
from node.storage.migrations import migrate
from node.storage.tables import Base
from tests.ledger.chain import Chain, make_genesis
from tests.snapshots.long_chain import Sealed, long_chain, store

HEIGHTS = 120
BANKS = 7
REMOVED = {40: 6, HEIGHTS: 5}
"""Banks that are punished out of the set: one on the way, one by the tip itself."""
SERVING = BankIndex(1)
JOINING = BankIndex(3)


@dataclass(frozen=True)
class Ledger:
    """The ledger of the bank that serves, and where it is stored."""

    chain: Chain
    """As it stands at the tip; fork it, do not change it."""
    blocks: tuple[Sealed, ...]
    url: str


@pytest.fixture(scope="session")
def ledger(postgres_server: EmbeddedPostgres) -> Iterator[Ledger]:
    chain = Chain(make_genesis(banks=BANKS), seed="snapshots")
    blocks = tuple(long_chain(chain, HEIGHTS, every=8, removed=REMOVED))
    assert [record.banks for record in chain.state.set_records] == [
        tuple(range(7)),
        tuple(range(6)),
        tuple(range(5)),
    ]
    name = "snapshots_serving"
    postgres_server.create_database(name, name, name)
    url = postgres_server.url(name, name, name)
    asyncio.run(store(url, chain, blocks, SERVING))
    yield Ledger(chain, blocks, url)
    postgres_server.drop_database(name, name)


@asynccontextmanager
async def opened(url: str, chain: Chain, bank: BankIndex) -> AsyncIterator[Database]:
    config = DatabaseConfig(url, pool_size=2, max_overflow=1, lock_wait_s=5)
    database = await Database.open(config, genesis=chain.genesis, bank=bank)
    try:
        yield database
    finally:
        await database.close()


@pytest_asyncio.fixture
async def serving(ledger: Ledger) -> AsyncIterator[Database]:
    """The database of the bank that serves."""
    async with opened(ledger.url, ledger.chain, SERVING) as database:
        yield database


@pytest.fixture(scope="session")
def reused_url(postgres_server: EmbeddedPostgres) -> str:
    """A migrated database, emptied for each test: that is faster than making one."""
    name = "snapshots_joining"
    postgres_server.create_database(name, name, name)
    url = postgres_server.url(name, name, name)
    migrate(url)
    return url


@pytest.fixture
def joining_url(reused_url: str) -> str:
    """A migrated database without a row."""
    with psycopg.connect(reused_url) as connection:
        connection.execute(f"TRUNCATE {', '.join(Base.metadata.tables)} CASCADE".encode())
    return reused_url


@pytest_asyncio.fixture
async def joining(ledger: Ledger, joining_url: str) -> AsyncIterator[Database]:
    """The empty database of the bank that joins."""
    async with opened(joining_url, ledger.chain, JOINING) as database:
        yield database
