"""Transactions of clients in good standing are told before they are verified, and no others."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
import pytest_asyncio

from node.ledger.proofs import AdmissionView
from node.ledger.rejection import Reason, Rejection
from node.runtime.early_gossip import (
    CLIENTS_REMEMBERED,
    EARNED_AFTER,
    REST_S,
    UNDER_WAY_LIMIT,
    EarlyGossip,
)
from node.runtime.mempool import MempoolLimits
from node.runtime.transaction_pool import UNVERIFIED
from node.runtime.verification_workers import Judgement, ThreadVerification
from node.wire.records import TransactionState
from tests.ledger.chain import Chain
from tests.runtime.bank_parts import Bank, forged, funded, identity, open_bank

SOURCE, PEER = "client/alice", "bank/2"
SPEND = Rejection(Reason.SPEND, "an equation does not hold")


def trusted(*clients: str) -> EarlyGossip:
    early = EarlyGossip()
    for client in clients:
        for _ in range(EARNED_AFTER):
            early.admitted(client)
    return early


def test_it_is_earned_with_admitted_transactions() -> None:
    early = EarlyGossip()
    for _ in range(EARNED_AFTER):
        assert not early.begin(SOURCE, 0.0)
        early.admitted(SOURCE)
    assert early.begin(SOURCE, 0.0)
    assert not early.begin("client/bob", 0.0)


@pytest.mark.parametrize("reason", [Reason.SPEND, Reason.NULLIFIER, Reason.LENGTH])
def test_any_refusal_forfeits_it(reason: Reason) -> None:
    early = trusted(SOURCE, "client/bob")
    assert not early.refused(SOURCE, Rejection(reason, ""), was_told=False, now_s=0.0)
    assert not early.begin(SOURCE, 0.0)
    assert early.begin("client/bob", 0.0)


@pytest.mark.parametrize(
    "reason",
    [Reason.MEMPOOL_FULL, Reason.DUPLICATE_TRANSACTION, Reason.BIN_OPEN, Reason.BIN_UNKNOWN],
)
def test_a_refusal_that_says_nothing_about_the_client_costs_nothing(reason: Reason) -> None:
    early = trusted(SOURCE)
    assert not early.refused(SOURCE, Rejection(reason, ""), was_told=True, now_s=0.0)
    assert early.begin(SOURCE, 0.0)


def test_a_bad_proof_that_was_told_ends_it_for_all_clients_for_a_while() -> None:
    early = trusted(SOURCE, "client/bob")
    assert early.refused(SOURCE, SPEND, was_told=True, now_s=5.0)
    assert not early.begin("client/bob", 5.0 + REST_S - 0.1)
    assert early.begin("client/bob", 5.0 + REST_S)


def test_only_so_many_are_under_way() -> None:
    early = trusted(SOURCE)
    assert all(early.begin(SOURCE, 0.0) for _ in range(UNDER_WAY_LIMIT))
    assert not early.begin(SOURCE, 0.0)
    early.end()
    assert early.begin(SOURCE, 0.0)


def test_clients_that_nobody_hears_of_are_forgotten() -> None:
    early = trusted(SOURCE)
    for number in range(CLIENTS_REMEMBERED):
        early.admitted(f"client/{number}")
    assert not early.begin(SOURCE, 0.0)


# --- in the pool --------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def bank(make_database_url: Callable[[], str]) -> AsyncIterator[Bank]:
    async with open_bank(Chain(seed="early"), make_database_url) as opened:
        await funded(opened)
        yield opened


async def earn(bank: Bank, source: str = SOURCE) -> None:
    """Have enough of the client's transactions admitted, and then sealed."""
    raws = [bank.ledger.mint([value]) for value in range(1, EARNED_AFTER + 1)]
    await asyncio.gather(*(bank.pool.submit(raw, source) for raw in raws))
    await bank.seal(*raws)
    assert bank.others.unverified == [], "not before it was earned"
    bank.others.gossiped.clear()


@pytest.mark.postgres
async def test_a_client_in_good_standing_is_told_of_at_once(bank: Bank) -> None:
    await earn(bank)
    raw = bank.ledger.transfer(bank.ledger.mature()[:1])
    submitting = asyncio.create_task(bank.pool.submit(raw, SOURCE))
    await asyncio.sleep(0)
    assert bank.others.unverified == bank.others.gossiped == [raw]
    assert raw not in [item.raw for item in bank.mempool], "still being verified"
    await submitting
    assert bank.others.gossiped == [raw], "told once"
    assert [item.raw for item in bank.mempool] == [raw]
    bank.clock.now_s += 2.0
    assert bank.pool.gossip_again(2.0) == 1, "like any other of its clients"
    assert (bank.others.gossiped, bank.others.unverified) == ([raw, raw], [raw])


class HeldVerification(ThreadVerification):
    """Gives no verdict while it is held."""

    def __init__(self) -> None:
        super().__init__(ThreadPoolExecutor(2, "verify"), os.urandom)
        self.goes_on = asyncio.Event()
        self.goes_on.set()

    async def verify(self, raws: Sequence[bytes], view: AdmissionView) -> Judgement:
        judgement = await super().verify(raws, view)
        await self.goes_on.wait()
        return judgement


@pytest.mark.postgres
async def test_the_others_may_seal_it_before_this_bank_has_verified_it(
    make_database_url: Callable[[], str],
) -> None:
    verification = HeldVerification()
    chain = Chain(seed="overtaken")
    async with open_bank(chain, make_database_url, verification=verification) as bank:
        await funded(bank)
        await earn(bank)
        raw = bank.ledger.transfer(bank.ledger.mature()[:1])
        verification.goes_on.clear()
        submitting = asyncio.create_task(bank.pool.submit(raw, SOURCE))
        await asyncio.sleep(0.1)
        await bank.seal(raw)
        verification.goes_on.set()
        with pytest.raises(Rejection) as caught:
            await submitting
        assert caught.value.reason is Reason.DUPLICATE_TRANSACTION, "told as sealed"
        status = bank.tracker.status(identity(raw))
        assert status is not None and status.state is TransactionState.SEALED
        assert (len(bank.mempool), bank.others.unverified) == (0, [raw])
        following = bank.ledger.mint([93])
        await bank.pool.submit(following, SOURCE)
        assert bank.others.unverified == [raw, following], "the client keeps its good name"


@pytest.mark.postgres
async def test_attack_bad_proofs_from_behind_a_good_name(bank: Bank) -> None:
    """The first that is found ends it, for every client of the bank."""
    await earn(bank)
    note = bank.ledger.mature()[:1]
    bad = [forged(bank.ledger.transfer(note, split=split)) for split in (1, 2, 3)]
    for raw in bad:
        with pytest.raises(Rejection):
            await bank.pool.submit(raw, SOURCE)
    assert bank.others.unverified == bank.others.gossiped == bad[:1]
    assert bank.blamed == [(SOURCE, "spend")]
    good = bank.ledger.transfer(note)
    await bank.pool.submit(good, SOURCE)
    assert (bank.others.unverified, bank.others.gossiped) == (bad[:1], [bad[0], good])


@pytest.mark.postgres
async def test_nothing_is_told_early_where_room_may_run_out(
    make_database_url: Callable[[], str],
) -> None:
    """Else others would admit what this bank refuses."""
    limits = MempoolLimits(transactions_per_source=EARNED_AFTER)
    async with open_bank(Chain(seed="little room"), make_database_url, limits) as bank:
        await earn(bank)
        raws = [bank.ledger.mint([100 + value]) for value in range(EARNED_AFTER)]
        for raw in raws:
            await bank.pool.submit(raw, SOURCE)
        assert bank.others.gossiped == raws
        assert bank.others.unverified == raws[: EARNED_AFTER // 2]


@pytest.mark.postgres
async def test_what_a_peer_has_not_verified_is_charged_apart(bank: Bank) -> None:
    """BFT-12 12: a bad proof charges its source, here the clients of a bank and not the bank."""
    bad = forged(bank.ledger.transfer(bank.ledger.mature()[:1]))
    await bank.pool.take_gossip([bad], PEER + UNVERIFIED)
    assert bank.blamed == [(PEER + UNVERIFIED, "spend")]
    assert bank.admission.suspects == (PEER + UNVERIFIED,)
    good = bank.ledger.mint([91])
    await bank.pool.take_gossip([good], PEER + UNVERIFIED)
    assert [item.raw for item in bank.mempool] == [good]
    status = bank.tracker.status(identity(good))
    assert status is not None and status.state is TransactionState.ADMITTED
    trace = bank.observation.transaction_trace(identity(good))
    assert trace is not None and trace.source == PEER.replace("/", " ")


@pytest.mark.postgres
async def test_a_peers_room_in_the_mempool_is_one(
    make_database_url: Callable[[], str],
) -> None:
    limits = MempoolLimits(transactions_per_source=1)
    async with open_bank(Chain(seed="one room"), make_database_url, limits) as bank:
        first, second = bank.ledger.mint([1]), bank.ledger.mint([2])
        await bank.pool.take_gossip([first], PEER + UNVERIFIED)
        await bank.pool.take_gossip([second], PEER)
        assert [item.raw for item in bank.mempool] == [first]
