"""Votes, treasury by year, settlements and conflicts, asked of a bank with a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from crypto.transaction import transaction_id
from node.ledger.ballots import Decision, ballot_tag
from node.ledger.blocks import Block
from node.ledger.rejection import Reason, Rejection
from node.ledger.settlement_rules import tally_of
from node.ledger.types import BankIndex, FiscalYear, Height, TransactionId
from node.rpc.backend import NotFound
from node.wire.identity import Identity, Role
from node.wire.records import (
    BlockVotes,
    RecordedVote,
    SettledYear,
    TransactionState,
    VotingStatus,
    YearShare,
)
from tests.ledger import booth
from tests.ledger.booth import ballot_key
from tests.ledger.settling import SettlingChain, settling_genesis
from tests.runtime.bank_parts import open_bank
from tests.runtime.test_ledger_backend import Served, serve

pytestmark = pytest.mark.postgres

REGULATOR = Identity("test-ledger", Role.REGULATOR, "watch")
BANKS = 4


@pytest_asyncio.fixture
async def served(make_database_url: Callable[[], str]) -> AsyncIterator[Served]:
    """FY2026 had one payment, in block 3; FY2027 begins with block 4."""
    async with open_bank(SettlingChain(settling_genesis(BANKS)), make_database_url) as bank:
        backend = serve(bank)
        ledger = bank.ledger
        await backend.seal(ledger.mint([1_000] * 4))
        await backend.seal(after_ms=ledger.genesis.parameters.bin_age_ms)
        await backend.seal(ledger.transfer(ledger.mature()[:1]))
        await begin(backend, 2027)
        yield backend


def chain_of(served: Served) -> SettlingChain:
    assert isinstance(served.bank.ledger, SettlingChain)
    return served.bank.ledger


async def begin(served: Served, year: int) -> None:
    chain = chain_of(served)
    await served.seal(after_ms=chain.first_ms(year) - chain.header.time_ms)


def settlement(served: Served, year: int, **stated: object) -> bytes:
    chain = chain_of(served)
    blocks = tally_of(chain.genesis, chain.state, FiscalYear(year)).blocks
    counts = dict.fromkeys(range(BANKS), blocks)
    return chain.settlement(year, counts, **stated)  # type: ignore[arg-type]


async def test_section_17_votes_are_pending_until_the_next_block(served: Served) -> None:
    backend, chain = served.backend, served.bank.chain
    stored = await served.bank.database.block_by_height(4)
    raws = Block.decode(stored.encoded).parent_ballots
    third = await served.bank.database.header_at(Height(3))
    tags = [ballot_tag(raw) for raw in raws]
    expected = BlockVotes(
        height=Height(3),
        block_id=third.block_id,
        time_ms=third.time_ms,
        status=VotingStatus.RECORDED,
        approved=BANKS,
        rejected=0,
        votes=tuple(RecordedVote(tag, True, raw) for tag, raw in zip(tags, raws, strict=True)),
    )
    assert await backend.votes(Height(3), include_ballots=True) == expected
    tip = await backend.votes(Height(4), include_ballots=True)
    assert tip == BlockVotes(
        Height(4), chain.header.block_id, chain.header.time_ms, VotingStatus.PENDING, 0, 0
    )
    listed = [item async for item in backend.votes_from(Height(1), include_ballots=False)]
    assert [(item.height, len(item.votes)) for item in listed] == [(1, 4), (2, 4), (3, 4), (4, 0)]
    assert {vote.ballot for item in listed for vote in item.votes} == {b""}
    for nothing in (0, 5):
        with pytest.raises(NotFound, match=f"nobody voted on a block of height {nothing}"):
            await backend.votes(Height(nothing), include_ballots=False)


async def test_section_18_a_settlement_is_admitted_sealed_and_listed(served: Served) -> None:
    backend, raw = served.backend, settlement(served, 2026)
    assert [page async for page in backend.settlements(0, None)] == []
    receipt = await backend.submit(raw, REGULATOR)
    assert receipt.state is TransactionState.ADMITTED
    await served.seal(raw)
    shares = tuple(
        YearShare(BankIndex(bank), 3, reward) for bank, reward in enumerate((17, 17, 17, 16))
    )
    expected = SettledYear(
        2026, Height(5), TransactionId(transaction_id(raw)), pot=67, carried=0, shares=shares
    )
    assert [page async for page in backend.settlements(0, None)] == [[expected]]
    assert [page async for page in backend.settlements(2027, None)] == []
    rows = [row async for page in backend.treasury(0, None, 2026) for row in page]
    assert [row.kind for row in rows] == ["stake"] * 4 + ["fee"] + ["reward"] * 4
    assert [row.sequence for row in rows] == list(range(9))
    limited = [row async for page in backend.treasury(4, 2, 2026) for row in page]
    assert [row.sequence for row in limited] == [4, 5]
    assert [page async for page in backend.treasury(0, None, 2027)] == []
    again = await backend.submit(raw, REGULATOR)
    assert again.state is TransactionState.SEALED


REFUSED: dict[str, tuple[Callable[[Served], bytes], Reason]] = {
    "a year that runs": (lambda served: settlement(served, 2027), Reason.YEAR_OPEN),
    "a count above the blocks": (
        lambda served: chain_of(served).settlement(2026, {0: 4, 1: 3, 2: 3, 3: 2}),
        Reason.COUNTS,
    ),
    "each bank one more": (
        lambda served: chain_of(served).settlement(2026, dict.fromkeys(range(BANKS), 4)),
        Reason.COUNTS,
    ),
    "another's proof": (
        lambda served: settlement(served, 2026, opener=ballot_key(0)),
        Reason.TALLY_PROOF,
    ),
    "another seed": (lambda served: settlement(served, 2026, seed=bytes(32)), Reason.DRAW_SEED),
    "a year before the first": (lambda served: settlement(served, 2025), Reason.NOTHING_TO_SETTLE),
    "a carry in the next year": (lambda served: chain_of(served).carry(2026), Reason.CARRY_EARLY),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_section_18_what_settles_nothing_is_refused_with_its_reason(
    served: Served, name: str
) -> None:
    make, reason = REFUSED[name]
    with pytest.raises(Rejection) as caught:
        await served.backend.submit(make(served), REGULATOR)
    assert caught.value.reason is reason


async def test_a_settled_year_is_not_settled_again(served: Served) -> None:
    first = settlement(served, 2026)
    second = settlement(served, 2026, expiry=900)
    await served.seal(first)
    with pytest.raises(Rejection) as caught:
        await served.backend.submit(second, REGULATOR)
    assert caught.value.reason is Reason.SETTLED


async def test_section_17_conflicting_ballots_are_listed_as_they_were_found(
    served: Served,
) -> None:
    database, tip = served.bank.database, served.bank.ledger.header
    active_set = served.bank.ledger.parent_set
    for bank in (1, 2):
        pair = sorted(
            booth.cast(active_set, tip, bank, None, decision)
            for decision in (Decision.APPROVE, Decision.REJECT)
        )
        await database.add_ballot_conflict(tip.height, tip.original_view, *pair)
    (first, second), *more = [page async for page in served.backend.ballot_conflicts(0, None)]
    assert more == []
    assert (first.sequence, second.sequence) == (0, 1)
    for found in (first, second):
        assert (found.height, found.view) == (tip.height, tip.original_view)
        assert ballot_tag(found.first) == ballot_tag(found.second)
        assert found.first < found.second
    assert [page async for page in served.backend.ballot_conflicts(1, 5)] == [[second]]
