"""The bank's chain: facts from the database, executions once a block, and the tip."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest
import pytest_asyncio

from crypto.merkle import merkle_root
from node.ledger.block_validity import BuiltBlock
from node.ledger.rejection import Reason, Rejection
from node.ledger.types import BankIndex, Height, TimeMs, View
from node.storage.errors import StorageConflict
from tests.ledger.chain import Chain, comparable
from tests.runtime.bank_parts import Bank, funded, identity, open_bank

pytestmark = pytest.mark.postgres


@pytest_asyncio.fixture
async def bank(make_database_url: Callable[[], str]) -> AsyncIterator[Bank]:
    async with open_bank(Chain(seed="chain of a bank"), make_database_url) as opened:
        await funded(opened)
        yield opened


async def test_facts_are_what_the_reference_ledger_knows(bank: Bank) -> None:
    """Spent and unspent notes, known and new keys, closed bins, sealed transactions."""
    ledger = bank.ledger
    spent, fresh = ledger.mature()
    sealed = ledger.transfer([spent])
    await bank.seal(sealed)
    rival = ledger.transfer([spent], split=1)
    raws = [sealed, rival, ledger.transfer([fresh]), ledger.mint([5])]
    decoded = [ledger.decode(raw) for raw in raws]
    facts, expected = await bank.chain.facts(decoded), ledger.facts(decoded)
    assert (facts.spent, facts.known_notes, facts.sealed_transactions) == (
        expected.spent,
        expected.known_notes,
        expected.sealed_transactions,
    )
    assert {key: ring.digest for key, ring in facts.closed_bins.items()} == {
        key: ring.digest for key, ring in expected.closed_bins.items()
    }
    assert (len(facts.spent), len(facts.sealed_transactions)) == (1, 1)


async def test_a_closed_bin_is_one_object_for_ever(bank: Bank) -> None:
    """It caches its decoded points; the database is asked once."""
    decoded = [bank.ledger.decode(bank.ledger.transfer(bank.ledger.mature()[:1]))]
    first, second = await bank.chain.facts(decoded), await bank.chain.facts(decoded)
    assert first.closed_bins.keys() == second.closed_bins.keys() == {0}
    assert first.closed_bins[0] is second.closed_bins[0]


async def test_undecodable_bytes_need_no_facts(bank: Bank) -> None:
    good = bank.ledger.transfer(bank.ledger.mature()[:1])
    view = await bank.chain.admission_view([b"", b"\x01" * 60, good])
    assert (view.height, view.state) == (bank.chain.height + 1, bank.chain.state)
    assert set(view.facts.closed_bins) == {0}


async def test_building_and_validating_one_block_execute_it_once(bank: Bank) -> None:
    verified = bank.ledger.verify(bank.ledger.mint([5]))
    time_ms = TimeMs(bank.chain.header.time_ms + 1_000)
    leader = bank.ledger.leader()
    built = await bank.chain.build(View(0), leader, time_ms, verified, (), bank.ballots())
    assert comparable(built.transition) == comparable(bank.ledger.build(verified).transition)
    assert await bank.chain.validate(built.block, verified, None) is built.transition
    judged_by_the_clock = await bank.chain.validate(built.block, verified, time_ms)
    assert judged_by_the_clock is not built.transition
    with pytest.raises(Rejection) as caught:
        await bank.chain.validate(built.block, verified, TimeMs(time_ms - 60_000))
    assert caught.value.reason is Reason.CLOCK


async def test_section_17_a_block_is_built_of_the_good_ballots_each_verified_once(
    bank: Bank,
) -> None:
    good = list(bank.ballots())
    bad = [*good[:1], good[0][:-1] + bytes([good[0][-1] ^ 1]), b"no ballot"]
    time_ms = TimeMs(bank.chain.header.time_ms + 1_000)
    before = bank.chain.ballots.judged_ever
    for lacking in ([], good[:-1], [*good[1:], *bad[1:]]):
        with pytest.raises(Rejection) as caught:
            await bank.chain.build(View(0), bank.ledger.leader(), time_ms, (), (), lacking)
        assert caught.value.reason is Reason.BALLOTS
    built = await bank.chain.build(View(0), bank.ledger.leader(), time_ms, (), (), [*bad, *good])
    assert built.block.parent_ballots == tuple(good)
    await bank.chain.validate(built.block, (), time_ms)
    await bank.chain.apply(built.block, b"seal", ())
    assert [vote.ballot for vote in built.transition.votes] == good
    # The two bad ones each time that they came, the good ones once.
    assert bank.chain.ballots.judged_ever == before + len(good) + 4


async def test_section_17_a_block_with_a_ballot_that_does_not_verify_is_refused(
    bank: Bank,
) -> None:
    built = bank.ledger.build()
    first, *others = built.block.parent_ballots
    forged_list = (first[:-1] + bytes([first[-1] ^ 1]), *others)
    header = replace(built.block.header, ballots_root=merkle_root(forged_list))
    block = replace(built.block, header=header, parent_ballots=forged_list)
    before = bank.chain.header
    with pytest.raises(Rejection) as caught:
        await bank.chain.apply(block, b"seal", ())
    assert caught.value.reason is Reason.BALLOT
    assert bank.chain.header == before


async def test_applying_advances_the_tip_and_the_database_together(bank: Bank) -> None:
    raw = bank.ledger.mint([6])
    built = await bank.seal(raw)
    tip = await bank.database.load_tip()
    assert (tip.header, tip.state, tip.seal) == (
        bank.chain.header,
        bank.chain.state,
        bank.chain.seal,
    )
    assert bank.chain.header == built.block.header
    assert (await bank.database.transaction(identity(raw))).height == bank.chain.height
    with pytest.raises(Rejection) as caught:
        as_of = Height(bank.chain.height - 1)
        bank.chain.recent.require_unconsumed(built.transactions[0], as_of)
    assert caught.value.reason is Reason.DUPLICATE_TRANSACTION


async def test_an_invalid_block_changes_neither_tip_nor_database(bank: Bank) -> None:
    built = bank.ledger.build(bank.ledger.verify(bank.ledger.mint([7])))
    lying = replace(built.block, header=replace(built.block.header, post_state_root=bytes(32)))
    before = (bank.chain.header, bank.chain.state)
    with pytest.raises(Rejection) as caught:
        await bank.chain.apply(lying, b"seal", built.transactions)
    assert caught.value.reason is Reason.STATE_ROOT
    assert (bank.chain.header, bank.chain.state) == before
    assert (await bank.database.load_tip()).header == before[0]


async def test_a_block_that_cannot_be_stored_changes_nothing(bank: Bank) -> None:
    """The database has moved on without this process: never continue on a stale tip."""
    built = bank.ledger.build()
    await store_behind_its_back(bank, built)
    before = bank.chain.header
    with pytest.raises(StorageConflict):
        await bank.chain.apply(built.block, b"seal", built.transactions)
    assert bank.chain.header == before


async def store_behind_its_back(bank: Bank, built: BuiltBlock) -> None:
    await bank.database.apply_block(built.block, b"seal", built.transition, built.transactions)


async def test_the_next_height_is_decided_by_the_states_active_set(bank: Bank) -> None:
    assert bank.chain.active_set == bank.ledger.state.active_set(bank.ledger.genesis)
    assert bank.chain.active_set.banks == tuple(BankIndex(index) for index in range(4))
