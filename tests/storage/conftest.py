"""A migrated database, and a story of sealed blocks made once with real proofs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace

import psycopg
import pytest
import pytest_asyncio

from crypto.transaction import Kind
from node.ledger.block_validity import BuiltBlock
from node.ledger.genesis import Genesis
from node.ledger.types import BankIndex
from node.storage.configuration import DatabaseConfig
from node.storage.database import Database
from node.storage.embedded_postgres import EmbeddedPostgres
from node.storage.migrations import migrate
from node.storage.tables import Base
from tests.ledger.chain import GOLD, Chain

BANK = BankIndex(2)


@dataclass(frozen=True)
class Story:
    """A ledger's first blocks, and the chain that they led to; do not change, fork."""

    genesis: Genesis
    blocks: tuple[BuiltBlock, ...]
    chain: Chain

    def seal(self, height: int) -> bytes:
        """The storage keeps seals as they are."""
        return b"seal of block %d" % height


@pytest.fixture(scope="session")
def story() -> Story:
    """Issues of two assets, transfers, a redemption, a payout, an empty block; bins that fill and
    bins that age."""
    chain = Chain(seed="storage")
    late = chain.genesis.parameters.bin_age_ms
    blocks = [
        chain.seal(chain.mint([5_000] * 4), chain.mint([5_000] * 2, bank=2)),
        chain.seal(chain.mint([700, 700], asset=GOLD)),
        chain.seal(after_ms=late),
    ]
    first, second, third, fourth, *_ = chain.mature()
    blocks.append(
        chain.seal(
            chain.transfer([first, second]),
            chain.transfer([third], redeem=1_000),
            chain.mint([600] * 4),
            chain.mint([600] * 4),
            chain.mint([600] * 4),
        )
    )
    blocks.append(chain.seal(chain.mint([300, 400], bank=1, kind=Kind.PAYOUT), after_ms=late))
    blocks.append(chain.seal(chain.transfer([fourth])))
    return Story(chain.genesis, tuple(blocks), chain)


def make_migrated_database(server: EmbeddedPostgres, name: str) -> str:
    server.create_database(name, name, name)
    url = server.url(name, name, name)
    migrate(url)
    return url


@pytest.fixture(scope="session")
def reused_url(postgres_server: EmbeddedPostgres) -> str:
    """A migrated database, emptied for each test: that is faster than making one."""
    return make_migrated_database(postgres_server, "storage_reused")


@pytest.fixture
def migrated_url(reused_url: str) -> str:
    """A migrated database without a row."""
    with psycopg.connect(reused_url) as connection:
        tables = ", ".join(Base.metadata.tables)
        connection.execute(f"TRUNCATE {tables} RESTART IDENTITY CASCADE")
    return reused_url


def small_config(url: str) -> DatabaseConfig:
    return DatabaseConfig(url, pool_size=2, max_overflow=1, lock_wait_s=0)


@pytest_asyncio.fixture
async def database(migrated_url: str, story: Story) -> AsyncIterator[Database]:
    """The empty ledger of one bank: genesis alone."""
    opened = await Database.open(small_config(migrated_url), genesis=story.genesis, bank=BANK)
    yield opened
    await opened.close()


async def apply_story(database: Database, story: Story, through: int | None = None) -> None:
    for built in story.blocks[:through]:
        await database.apply_block(
            built.block, story.seal(built.block.height), built.transition, built.transactions
        )


@pytest_asyncio.fixture
async def full_database(database: Database, story: Story) -> Database:
    """The whole story applied; the test may change it."""
    await apply_story(database, story)
    return database


@pytest.fixture(scope="session")
def story_url(postgres_server: EmbeddedPostgres, story: Story) -> str:
    """A database with the whole story."""
    url = make_migrated_database(postgres_server, "storage_story")

    async def fill() -> None:
        filled = await Database.open(small_config(url), genesis=story.genesis, bank=BANK)
        await apply_story(filled, story)
        await filled.close()

    asyncio.run(fill())
    return url


@pytest_asyncio.fixture
async def told_story(story_url: str, story: Story) -> AsyncIterator[Database]:
    """The whole story applied, shared between tests: only read it."""
    config = replace(small_config(story_url), lock_wait_s=5)
    opened = await Database.open(config, genesis=story.genesis, bank=BANK)
    yield opened
    await opened.close()


Query = Callable[..., list[tuple[object, ...]]]


@pytest.fixture
def query(migrated_url: str) -> Query:
    """Runs one statement on a connection of its own, committing, and returns its rows."""

    def run(statement: str, *parameters: object) -> list[tuple[object, ...]]:
        with psycopg.connect(migrated_url) as connection:
            cursor = connection.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    return run


@pytest.fixture
def other_database(
    make_database_url: Callable[[], str], story: Story
) -> Callable[[BankIndex], Awaitable[Database]]:
    """Opens a further bank's empty ledger; the caller closes it."""

    async def open_other(bank: BankIndex) -> Database:
        url = make_database_url()
        migrate(url)
        return await Database.open(small_config(url), genesis=story.genesis, bank=bank)

    return open_other
