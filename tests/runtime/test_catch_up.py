"""What a bank that is far behind does besides: heights believed, gossip dropped, bodies ahead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache

import pytest

from node.consensus.certificates import Seal
from node.consensus.messages import SealedBlock, Status, SyncRequest, SyncResponse
from node.ledger.genesis import Genesis
from node.ledger.types import BankIndex, Height, TransactionId, View
from node.runtime.catch_up import AHEAD, FAR_BEHIND, CatchUp
from tests.ledger.chain import Chain, make_genesis
from tests.runtime.bank_parts import Bank, forged, identity, open_bank
from tests.snapshots.long_chain import Sealed, long_chain

pytestmark = pytest.mark.postgres

BANKS = 7
"""q = 6, so that two banks must speak of a height before it is believed."""


@dataclass
class Source:
    """A bank that serves bodies when it is told to."""

    bodies: dict[TransactionId, bytes]
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[tuple[BankIndex, tuple[TransactionId, ...]]] = field(default_factory=list)

    async def fetch_transactions(
        self, source: BankIndex, transaction_ids: Sequence[TransactionId]
    ) -> Sequence[bytes]:
        self.asked.append((source, tuple(transaction_ids)))
        await self.gate.wait()
        return [self.bodies[item] for item in transaction_ids if item in self.bodies]


@dataclass
class Behind:
    """A bank at genesis, and the ledger that its peers are at."""

    bank: Bank
    blocks: tuple[Sealed, ...]
    source: Source
    catch_up: CatchUp

    def response(self, first: int, last: int) -> SyncResponse:
        sealed = self.blocks[first - 1 : last]
        return SyncResponse(
            tuple([SealedBlock(item.built.block, Seal.decode(item.seal)) for item in sealed]),
            Height(len(self.blocks)),
        )

    def ids(self, first: int, last: int) -> list[TransactionId]:
        return [
            item
            for sealed in self.blocks[first - 1 : last]
            for item in sealed.built.block.transaction_ids
        ]


HEIGHTS = AHEAD + 6


@cache
def sealed_ledger() -> tuple[Genesis, tuple[Sealed, ...]]:
    """Made once: proving takes longest."""
    ahead = Chain(make_genesis(banks=BANKS), seed="catch-up")
    return ahead.genesis, tuple(long_chain(ahead, HEIGHTS, every=4))


@asynccontextmanager
async def bank_behind(make_database_url: Callable[[], str]) -> AsyncIterator[Behind]:
    genesis, blocks = sealed_ledger()
    async with open_bank(Chain(genesis), make_database_url) as bank:
        source = Source(
            {
                item.transaction_id: item.raw
                for sealed in blocks
                for item in sealed.built.transactions
            }
        )
        catch_up = CatchUp(bank.chain, bank.admission, bank.database, source)
        yield Behind(bank, blocks, source, catch_up)
        await catch_up.close()


def status(height: int) -> Status:
    return Status(Height(height), View(0), None, None)


async def settled(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)


async def test_one_bank_alone_is_not_believed(make_database_url: Callable[[], str]) -> None:
    async with bank_behind(make_database_url) as behind:
        catch_up = behind.catch_up
        catch_up.heard(BankIndex(4), status(1_000_000))
        assert (catch_up.heights_behind, catch_up.far_behind) == (0, False)
        catch_up.heard(BankIndex(5), status(FAR_BEHIND + 1))
        assert (catch_up.heights_behind, catch_up.far_behind) == (FAR_BEHIND, False)
        catch_up.heard(BankIndex(5), SyncRequest(Height(FAR_BEHIND + 2)))
        assert (catch_up.heights_behind, catch_up.far_behind) == (FAR_BEHIND + 1, True)
        catch_up.heard(BankIndex(5), SyncRequest(Height(3)))
        assert catch_up.heights_behind == FAR_BEHIND + 1, "a late message is no news"
        catch_up.heard(BankIndex(5), status(3))
        assert catch_up.heights_behind == 2, "who once lied may say the truth"


async def test_bodies_of_all_blocks_of_an_answer_are_fetched_once_and_verified_together(
    make_database_url: Callable[[], str],
) -> None:
    async with bank_behind(make_database_url) as behind:
        catch_up, source = behind.catch_up, behind.source
        for bank in (2, 3):
            catch_up.heard(BankIndex(bank), status(HEIGHTS))
        catch_up.heard(BankIndex(3), behind.response(1, 20))
        catch_up.heard(BankIndex(3), behind.response(1, 20))
        ids = behind.ids(1, 20)
        assert len(ids) == 5
        waiting = asyncio.create_task(catch_up.transaction_bodies(ids[:3]))
        await settled(lambda: bool(source.asked))
        assert not waiting.done()
        source.gate.set()
        assert await waiting == {item: source.bodies[item] for item in ids[:3]}
        assert source.asked == [(3, tuple(ids))]

        # Issues are verified already, in few batches; payments wait for bins that will close.
        issues = [
            item.transaction_id
            for sealed in behind.blocks[:20]
            for item in sealed.built.transactions
            if not item.nullifiers
        ]
        await settled(lambda: all(behind.bank.admission.known(item) for item in issues))
        assert behind.bank.admission.counters.batches <= 3


async def test_blocks_are_applied_with_what_was_fetched_ahead(
    make_database_url: Callable[[], str],
) -> None:
    async with bank_behind(make_database_url) as behind:
        behind.source.gate.set()
        for bank in (2, 3):
            behind.catch_up.heard(BankIndex(bank), status(HEIGHTS))
        behind.catch_up.heard(BankIndex(3), behind.response(1, 20))
        behind.bank.pool._stored = behind.catch_up
        for sealed in behind.blocks[:20]:
            block = sealed.built.block
            bodies = await behind.bank.pool.bodies(block, BankIndex(3))
            transition = await behind.bank.chain.apply(block, sealed.seal, bodies.verified)
            behind.bank.pool.applied(block, bodies.verified, transition)
        assert behind.bank.chain.header == behind.blocks[19].built.block.header
        assert len(behind.source.asked) == 1
        assert behind.bank.others.asked == []


async def test_lies_about_bodies_cost_the_liar_alone(
    make_database_url: Callable[[], str],
) -> None:
    """A body under another id is not the body; a bad proof is judged, and blamed on its source."""
    async with bank_behind(make_database_url) as behind:
        first, second, *_ = ids = behind.ids(1, 20)
        raws = behind.source.bodies
        behind.source.bodies = {first: forged(raws[first]), second: raws[second]}
        behind.source.gate.set()
        for bank in (2, 3):
            behind.catch_up.heard(BankIndex(bank), status(HEIGHTS))
        behind.catch_up.heard(BankIndex(3), behind.response(1, 20))
        await settled(lambda: bool(behind.source.asked))
        assert identity(behind.source.bodies[first]) != first
        assert await behind.catch_up.transaction_bodies(ids) == {second: raws[second]}


async def test_nothing_is_fetched_ahead_by_a_bank_that_is_level_or_for_distant_heights(
    make_database_url: Callable[[], str],
) -> None:
    async with bank_behind(make_database_url) as behind:
        behind.catch_up.heard(BankIndex(3), behind.response(1, 20))
        for bank in (2, 3):
            behind.catch_up.heard(BankIndex(bank), status(HEIGHTS))
        behind.catch_up.heard(BankIndex(3), behind.response(AHEAD + 1, HEIGHTS))
        await asyncio.sleep(0)
        assert behind.source.asked == []
