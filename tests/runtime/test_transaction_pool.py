"""The pool: gossip, deferral, eviction, and the bodies that blocks name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest
import pytest_asyncio

from crypto.transaction import Kind
from node.ledger.parameters import Parameters
from node.ledger.rejection import Reason, Rejection
from node.ledger.types import Amount, BankIndex
from node.runtime.mempool import MempoolLimits
from node.runtime.transaction_pool import BodiesUnavailable
from node.wire.records import Refusal, TransactionState, TransactionStatus
from tests.ledger.chain import Chain, make_genesis, refusal
from tests.runtime.bank_parts import Bank, forged, funded, identity, open_bank

pytestmark = pytest.mark.postgres

SOURCE, PEER = "client/alice", "bank/2"


@pytest_asyncio.fixture
async def bank(make_database_url: Callable[[], str]) -> AsyncIterator[Bank]:
    async with open_bank(Chain(seed="pool"), make_database_url) as opened:
        await funded(opened)
        yield opened


def state(bank: Bank, raw: bytes) -> TransactionState | None:
    status = bank.tracker.status(identity(raw))
    return None if status is None else status.state


async def refused(bank: Bank, raw: bytes) -> Reason:
    with pytest.raises(Rejection) as caught:
        await bank.pool.submit(raw, SOURCE)
    return caught.value.reason


async def settled() -> None:
    """Let gossip that was taken up again come to its end."""
    for _ in range(100):
        await asyncio.sleep(0.01)
        if len(asyncio.all_tasks()) <= 3:
            return


async def test_a_clients_transaction_is_admitted_gossiped_and_sealed(bank: Bank) -> None:
    raw = bank.ledger.mint([7])
    verified = await bank.pool.submit(raw, SOURCE)
    assert (verified.raw, state(bank, raw)) == (raw, TransactionState.ADMITTED)
    assert (bank.others.gossiped, bank.available) == ([raw], [1])
    assert await bank.pool.submit(raw, "client/bob") is verified
    assert bank.others.gossiped == [raw], "told once"
    built = await bank.seal(raw)
    bank.pool.mark_proposed(built.block)
    assert (state(bank, raw), len(bank.mempool)) == (TransactionState.SEALED, 0)
    assert await refused(bank, raw) is Reason.DUPLICATE_TRANSACTION


async def test_what_a_peer_admitted_is_not_passed_on(bank: Bank) -> None:
    raw = bank.ledger.mint([8])
    await bank.pool.take_gossip([raw], PEER)
    await bank.pool.take_gossip([raw], PEER)
    assert (len(bank.mempool), bank.others.gossiped) == (1, [])
    await bank.seal(raw)
    await bank.pool.take_gossip([raw], PEER)
    assert (len(bank.mempool), state(bank, raw)) == (0, TransactionState.SEALED)


async def test_a_refusal_is_remembered_with_its_reason(bank: Bank) -> None:
    raw = forged(bank.ledger.transfer(bank.ledger.mature()[:1]))
    assert await refused(bank, raw) is Reason.SPEND
    assert bank.tracker.status(identity(raw)) == TransactionStatus(
        identity(raw),
        TransactionState.REJECTED,
        refusal=Refusal("spend", "an equation does not hold"),
    )
    assert (len(bank.mempool), bank.others.gossiped) == (0, [])


async def test_gossip_about_a_bin_that_is_not_closed_here_waits_for_the_block(bank: Bank) -> None:
    """BFT-12 8: "not yet" is retried after the next block and never cached."""
    first = bank.ledger.seal(bank.ledger.mint([900]))
    second = bank.ledger.seal(after_ms=bank.ledger.genesis.parameters.bin_age_ms)
    young = [note for note in bank.ledger.mature() if note.value == 900]
    raw = bank.ledger.transfer(young)
    await bank.pool.take_gossip([raw], PEER)
    assert (len(bank.mempool), state(bank, raw)) == (0, None), "bin unknown here"
    await bank.apply(first)
    await settled()
    assert (len(bank.mempool), state(bank, raw)) == (0, None), "bin still open here"
    await bank.apply(second)
    await settled()
    assert (len(bank.mempool), state(bank, raw)) == (1, TransactionState.ADMITTED)


async def test_a_client_is_told_not_yet_and_nothing_is_remembered(bank: Bank) -> None:
    bank.ledger.seal(bank.ledger.mint([900]))
    bank.ledger.seal(after_ms=bank.ledger.genesis.parameters.bin_age_ms)
    raw = bank.ledger.transfer([note for note in bank.ledger.mature() if note.value == 900])
    assert await refused(bank, raw) is Reason.BIN_UNKNOWN
    assert state(bank, raw) is None


async def test_a_sealed_rival_evicts_with_the_ledgers_reason(bank: Bank) -> None:
    note, other = bank.ledger.mature()
    loser, winner = bank.ledger.transfer([note]), bank.ledger.transfer([note], split=1)
    bystander = bank.ledger.transfer([other])
    for raw in (loser, bystander):
        await bank.pool.submit(raw, SOURCE)
    await bank.seal(winner)
    assert bank.tracker.status(identity(loser)) == TransactionStatus(
        identity(loser),
        TransactionState.REJECTED,
        refusal=Refusal("nullifier", "a note was spent at height 3"),
    )
    assert [item.raw for item in bank.mempool] == [bystander]
    assert bank.pool.known(identity(loser)) is None


async def test_what_expires_is_evicted(bank: Bank) -> None:
    raw = bank.ledger.mint([9], expiry=bank.ledger.height + 1)
    await bank.pool.submit(raw, SOURCE)
    await bank.seal()
    assert (len(bank.mempool), state(bank, raw)) == (0, TransactionState.EXPIRED)


async def test_what_limits_and_accounts_forbid_is_refused_at_once(bank: Bank) -> None:
    """BFT-12 7: what no leader could propose is no work."""
    too_much = bank.ledger.mint([1_000_001], bank=1)
    no_account = bank.ledger.mint([1], bank=1, kind=Kind.PAYOUT)
    assert await refused(bank, too_much) is Reason.ISSUANCE_LIMIT
    assert await refused(bank, no_account) is Reason.INSUFFICIENT_ACCOUNT
    assert (len(bank.mempool), bank.available, bank.others.gossiped) == (0, [], [])


async def test_what_a_block_has_made_unaffordable_is_evicted(bank: Bank) -> None:
    waiting, sealed = bank.ledger.mint([600_000], bank=3), bank.ledger.mint([500_000], bank=3)
    await bank.pool.submit(waiting, SOURCE)
    await bank.seal(sealed)
    status = bank.tracker.status(identity(waiting))
    assert status is not None and status.refusal is not None
    assert (len(bank.mempool), status.refusal.reason) == (0, "issuance-limit")


async def test_what_was_proposed_and_not_sealed_waits_again(bank: Bank) -> None:
    proposed, sealed = bank.ledger.mint([10]), bank.ledger.mint([11])
    await bank.pool.submit(proposed, SOURCE)
    verified = bank.ledger.verify(proposed)
    bank.pool.mark_proposed(bank.ledger.build(verified).block)
    assert state(bank, proposed) is TransactionState.PROPOSED
    await bank.seal(sealed)
    assert state(bank, proposed) is TransactionState.ADMITTED


async def test_own_transactions_that_wait_are_told_again_and_others_not(bank: Bank) -> None:
    own, gossiped = bank.ledger.mint([12]), bank.ledger.mint([13])
    await bank.pool.submit(own, SOURCE)
    await bank.pool.take_gossip([gossiped], PEER)
    assert bank.pool.gossip_again(2.0) == 0
    bank.clock.now_s += 2.0
    assert (bank.pool.gossip_again(2.0), bank.others.gossiped) == (1, [own, own])
    assert bank.pool.gossip_again(2.0) == 0
    for elapsed_s, repeated in ((2.0, 0), (2.0, 1), (6.0, 0), (2.0, 1)):
        bank.clock.now_s += elapsed_s
        assert bank.pool.gossip_again(2.0) == repeated, "less and less often"
    await bank.seal(own)
    bank.clock.now_s += 2.0
    assert bank.pool.gossip_again(2.0) == 0


async def test_gossip_is_repeated_for_what_a_roomy_block_passed_over_and_not_in_a_queue(
    make_database_url: Callable[[], str],
) -> None:
    """Under load, repeating what only waits its turn would be most of the traffic."""
    parameters = Parameters(ring_base=4, transfer_fee=Amount(0), batch_limit=2)
    ledger = Chain(make_genesis(parameters=parameters), seed="queue")
    async with open_bank(ledger, make_database_url) as bank:
        own = ledger.mint([12])
        crowd = [ledger.mint([value]) for value in range(20, 25)]
        await bank.pool.submit(own, SOURCE)
        for first in (0, 2):
            bank.clock.now_s += 1.9
            await bank.seal(*crowd[first : first + 2])
        assert bank.pool.gossip_again(2.0) == 0, "both blocks were full"
        await bank.seal(crowd[4])
        assert (bank.pool.gossip_again(2.0), bank.others.gossiped) == (1, [own, own])
        assert bank.pool.gossip_again(2.0) == 0
        bank.clock.now_s += 4.0
        assert bank.pool.gossip_again(2.0) == 1, "nothing is sealed at all"


async def test_where_many_wait_a_bank_proposes_its_own_news_last(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else has had time to verify them: the proposal would cost a view."""
    own, gossiped = bank.ledger.mint([41]), bank.ledger.mint([42])
    await bank.pool.submit(own, SOURCE)
    assert [item.raw for item in bank.pool.candidates(1)] == [own]
    monkeypatch.setattr(type(bank.admission), "waiting", 2)
    assert [item.raw for item in bank.pool.candidates(2)] == [own], "better than nothing"
    await bank.pool.take_gossip([gossiped], PEER)
    assert [item.raw for item in bank.pool.candidates(2)] == [gossiped]
    assert [item.raw for item in bank.pool.candidates(3)] == [own, gossiped], "few wait"
    bank.clock.now_s += 1.0
    assert [item.raw for item in bank.pool.candidates(2)] == [own, gossiped]


async def test_a_frame_of_gossip_is_judged_item_by_item(bank: Bank) -> None:
    note, other = bank.ledger.mature()
    good, rival = bank.ledger.transfer([note]), bank.ledger.transfer([note], split=1)
    bad, last = forged(bank.ledger.transfer([other])), bank.ledger.mint([14])
    await bank.pool.take_gossip([good, rival, bad, good, last], PEER)
    assert [item.raw for item in bank.mempool] == [good, last]
    refusals = [bank.tracker.status(identity(raw)) for raw in (rival, bad)]
    assert [item.refusal.reason for item in refusals if item and item.refusal] == [
        "nullifier",
        "spend",
    ]
    assert bank.available == [2], "told once"


async def test_a_full_mempool_refuses_before_any_proof_is_looked_at(
    make_database_url: Callable[[], str],
) -> None:
    limits = MempoolLimits(transactions_per_source=1)
    async with open_bank(Chain(seed="full"), make_database_url, limits) as bank:
        first, second = bank.ledger.mint([1]), bank.ledger.mint([2])
        await bank.pool.submit(first, SOURCE)
        assert await refused(bank, second) is Reason.MEMPOOL_FULL
        assert (bank.admission.counters.verified, state(bank, second)) == (1, None)
        await bank.pool.submit(second, "client/bob")


# --- bodies that a block names -----------------------------------------------------------------


async def test_bodies_that_are_being_verified_are_not_fetched(bank: Bank) -> None:
    raws = [bank.ledger.mint([value]) for value in (31, 32)]
    block = bank.ledger.build(bank.ledger.verify(*raws)).block
    arriving = asyncio.create_task(bank.pool.take_gossip(raws, PEER))
    await asyncio.sleep(0)
    bodies = await bank.pool.bodies(block, BankIndex(1))
    assert tuple(item.raw for item in bodies.verified) == tuple(raws)
    assert (bank.others.asked, bank.admission.counters.verified) == ([], 2)
    await arriving


async def test_bodies_come_from_memory_database_and_peers_in_that_order(bank: Bank) -> None:
    raws = [bank.ledger.mint([value]) for value in (21, 22, 23)]
    block = bank.ledger.build(bank.ledger.verify(*raws)).block
    await bank.pool.submit(raws[0], SOURCE)
    await store(bank, raws[1])
    bank.others.served = {BankIndex(1): [], BankIndex(3): [raws[2], bank.ledger.mint([99])]}
    bodies = await bank.pool.bodies(block, BankIndex(1))
    assert tuple(item.raw for item in bodies.verified) == tuple(raws)
    assert bank.others.asked == [
        (BankIndex(1), (identity(raws[2]),)),
        (BankIndex(3), (identity(raws[2]),)),
    ]
    assert bank.pool.raw_bodies([block]) == {identity(raw): raw for raw in raws}


async def store(bank: Bank, raw: bytes) -> None:
    """As a vote of an earlier run has left it (BFT-12 D2)."""
    block = bank.ledger.build(bank.ledger.verify(raw)).block
    await bank.database.persist_consensus(
        b"record", block.height, block.header.original_view, 1, [block], {identity(raw): raw}
    )


async def test_a_fetched_body_is_verified_like_any_other(bank: Bank) -> None:
    """Nothing that another bank sends is believed."""
    good = bank.ledger.mint([31])
    bad = forged(bank.ledger.transfer(bank.ledger.mature()[:1]))
    honest = bank.ledger.build(bank.ledger.verify(good)).block
    block = replace(honest, transaction_ids=(identity(good), identity(bad)))
    bank.others.served = {BankIndex(1): [good, bad]}
    bodies = await bank.pool.bodies(block, BankIndex(1))
    accepted, rejected = bodies.verdicts
    assert accepted == bodies.verified[0] and isinstance(rejected, Rejection)
    assert refusal(rejected) == (Reason.SPEND, "an equation does not hold", None)
    assert bank.blamed == [("bank/1", "spend")]


async def test_bodies_that_nobody_has_are_unavailable(bank: Bank) -> None:
    raw = bank.ledger.mint([41])
    block = bank.ledger.build(bank.ledger.verify(raw)).block
    bank.others.served = {BankIndex(2): [bank.ledger.mint([42])]}
    with pytest.raises(
        BodiesUnavailable,
        match=rf"^1 of 1 transactions of block {block.block_id.hex()} could not be fetched$",
    ):
        await bank.pool.bodies(block, BankIndex(1))
