"""A snapshot of a ledger whose years were settled: what comes with it, and what does not."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace

import psycopg
import pytest
import pytest_asyncio

from node.ledger.types import BankIndex, Height
from node.runtime.integrity_scrubber import IntegrityScrubber
from node.runtime.snapshot_join import NoSnapshot, SnapshotSource, join_by_snapshot
from node.runtime.snapshot_serving import SnapshotServer
from node.storage.database import Database
from node.storage.embedded_postgres import EmbeddedPostgres
from node.storage.errors import BeforeSnapshot
from node.storage.migrations import migrate
from node.storage.records import VotingStatus
from node.storage.tables import Base
from node.wire.records import TreasuryMovement
from node.wire.snapshot_records import SnapshotPart, TreasuryPart
from tests.ledger.settling import SettlingChain, settling_genesis
from tests.snapshots.conftest import opened
from tests.snapshots.long_chain import Sealed, seal_of

pytestmark = pytest.mark.postgres

GENESIS = settling_genesis()
SERVING, JOINING = BankIndex(1), BankIndex(3)
TIP = Height(8)
"""Carries the pot of FY2027 into FY2029."""


@dataclass(frozen=True)
class Years:
    """A ledger up to `TIP`, and the blocks after it, which settle another year."""

    chain: SettlingChain
    before: Sequence[Sealed]
    after: Sequence[Sealed]


@pytest.fixture(scope="module")
def years() -> Years:
    chain = SettlingChain(GENESIS)
    sealed: list[Sealed] = []

    def seal(*raws: bytes, year: int = 0, slashed: int | None = None) -> None:
        active_set = chain.state.active_set(GENESIS)
        at_ms = chain.first_ms(year) if year else None
        evidence = [] if slashed is None else [chain.evidence(slashed)]
        built = chain.extend(*raws, at_ms=at_ms, evidence=evidence)
        sealed.append(Sealed(built, seal_of(built.block.header, active_set).encode()))

    seal()
    seal(slashed=3)
    seal()
    seal(year=2027)
    seal(chain.settlement(2026))
    seal(slashed=4)
    seal(year=2029)
    seal(chain.carry(2027))
    seal()
    seal(year=2030)
    seal(chain.settlement(2029))
    return Years(chain, sealed[:TIP], sealed[TIP:])


@pytest.fixture(scope="module")
def urls(postgres_server: EmbeddedPostgres) -> Iterator[tuple[str, str]]:
    """Two migrated databases, emptied for each test."""
    names = ("settled_serving", "settled_joining")
    for name in names:
        postgres_server.create_database(name, name, name)
        migrate(postgres_server.url(name, name, name))
    yield (
        postgres_server.url(names[0], names[0], names[0]),
        postgres_server.url(names[1], names[1], names[1]),
    )
    for name in names:
        postgres_server.drop_database(name, name)


@pytest_asyncio.fixture
async def serving(urls: tuple[str, str], years: Years) -> AsyncIterator[Database]:
    async with emptied(urls[0], years, SERVING) as database:
        await apply(database, years.before)
        yield database


@pytest_asyncio.fixture
async def joining(urls: tuple[str, str], years: Years) -> AsyncIterator[Database]:
    async with emptied(urls[1], years, JOINING) as database:
        yield database


def emptied(url: str, years: Years, bank: BankIndex) -> AbstractAsyncContextManager[Database]:
    with psycopg.connect(url) as connection:
        connection.execute(f"TRUNCATE {', '.join(Base.metadata.tables)} CASCADE".encode())
    return opened(url, years.chain, bank)


async def apply(database: Database, blocks: Sequence[Sealed]) -> None:
    for sealed in blocks:
        built = sealed.built
        await database.apply_block(built.block, sealed.seal, built.transition, built.transactions)


async def join(serving: Database, joining: Database) -> None:
    source = SnapshotSource(SERVING, SnapshotServer(GENESIS, serving).serve)
    joined = await join_by_snapshot(GENESIS, joining, [source], rounds=1, round_pause_s=0)
    assert joined.height == TIP


async def test_section_18_treasury_rows_come_with_a_snapshot_and_settlements_do_not(
    serving: Database, joining: Database
) -> None:
    await join(serving, joining)

    assert [item.fiscal_year for item in await serving.settlements()] == [2026, 2027]
    assert await joining.settlements() == ()
    assert await joining.treasury_rows(TIP) == await serving.treasury_rows(TIP)
    assert {item.kind for item in await joining.treasury_rows(TIP)} == {
        *("stake", "penalty", "reward", "carry")
    }
    assert await joining.treasury_digest(TIP) == await serving.treasury_digest(TIP)


async def test_section_17_the_voting_record_begins_with_the_snapshots_own_block(
    serving: Database, joining: Database, years: Years
) -> None:
    """And yet its digest is that of the other banks: headers hold the roots of the rest."""
    await join(serving, joining)
    assert (await joining.votes_of(TIP)).counts.status is VotingStatus.PENDING
    for height in range(1, TIP + 1):
        assert await joining.voting_records_digest(height) == (
            await serving.voting_records_digest(height)
        )
    with pytest.raises(BeforeSnapshot):
        await joining.votes_of(TIP - 1)

    for database in (serving, joining):
        await apply(database, years.after)

    assert await joining.votes(TIP, 10) == await serving.votes(TIP, 10)
    for height in range(TIP, TIP + 4):
        digest = await joining.voting_records_digest(height)
        assert digest == await serving.voting_records_digest(height)
        assert digest.count == height - 1


async def test_it_goes_on_to_settle_a_year_and_its_history_is_sound(
    serving: Database, joining: Database, years: Years
) -> None:
    """The year of the snapshot's own block is tallied by the state alone: it is not added up."""
    await join(serving, joining)
    for database in (serving, joining):
        await apply(database, years.after)

    later = (await serving.settlements())[2:]
    assert [item.fiscal_year for item in later] == [2029]
    assert await joining.settlements() == later
    tip = await joining.load_tip()
    assert tip.state == years.chain.state
    for database in (serving, joining):
        await IntegrityScrubber(GENESIS, database, lambda: tip.state.height, 100).walk()


Change = Callable[[Sequence[TreasuryMovement]], Sequence[TreasuryMovement]]


def changing(of: str, /, **fields: object) -> Change:
    """Change the first row of a kind."""

    def change(rows: Sequence[TreasuryMovement]) -> Sequence[TreasuryMovement]:
        at = next(place for place, row in enumerate(rows) if row.kind == of)
        return [*rows[:at], replace(rows[at], **fields), *rows[at + 1 :]]

    return change


@pytest.mark.parametrize(
    "change",
    [
        changing("reward", amount=376),
        changing("reward", bank=3),
        changing("reward", fiscal_year=2027),
        changing("reward", kind="penalty"),
        changing("carry", amount=-1),
        changing("carry", fiscal_year=2028),
        changing("penalty", fiscal_year=2027),
        changing("penalty", kind="gift"),
    ],
)
async def test_a_snapshot_whose_money_does_not_add_up_is_refused(
    change: Change, serving: Database, joining: Database
) -> None:
    async def lie(minimum_height: Height) -> AsyncGenerator[SnapshotPart, None]:
        async for part in SnapshotServer(GENESIS, serving).serve(minimum_height):
            if isinstance(part, TreasuryPart):
                yield TreasuryPart(tuple(change(part.rows)))
            else:
                yield part

    with pytest.raises(NoSnapshot, match="treasury: "):
        await join_by_snapshot(
            GENESIS, joining, [SnapshotSource(SERVING, lie)], rounds=1, round_pause_s=0
        )
    assert (await joining.load_tip()).header.height == 0
