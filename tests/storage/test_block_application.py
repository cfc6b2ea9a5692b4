"""A sealed block in the database: everything or nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from node.ledger.facts import facts_needed
from node.ledger.types import Height, TimeMs, View
from node.storage.block_application import timestamp
from node.storage.configuration import DatabaseConfig
from node.storage.database import Database
from node.storage.errors import IntegrityViolation, StorageConflict
from node.storage.records import StoredConsensus
from tests.ledger.chain import Chain, make_genesis
from tests.storage.conftest import BANK, Query, Story, apply_story, small_config

ROW_COUNTS = """
SELECT (SELECT count(*) FROM blocks), (SELECT count(*) FROM transactions),
       (SELECT count(*) FROM transaction_bodies), (SELECT count(*) FROM nullifiers),
       (SELECT count(*) FROM notes), (SELECT count(*) FROM bins),
       (SELECT count(*) FROM account_entries), (SELECT count(*) FROM treasury)
"""


async def test_the_tip_is_the_state_of_the_ledger(told_story: Database, story: Story) -> None:
    tip = await told_story.load_tip()

    assert tip.header == story.chain.header
    assert tip.state == story.chain.state
    assert tip.seal == b"seal of block 6"
    assert tip.state_bytes == story.chain.state.encode()


async def test_a_reopened_database_goes_on(
    database: Database, migrated_url: str, story: Story
) -> None:
    await apply_story(database, story, through=3)
    await database.close()
    again = await Database.open(small_config(migrated_url), genesis=story.genesis, bank=BANK)

    for built in story.blocks[3:]:
        await again.apply_block(built.block, b"seal", built.transition, built.transactions)

    assert (await again.load_tip()).header == story.chain.header
    await again.close()


async def test_sequence_numbers_have_no_gaps(full_database: Database, query: Query) -> None:
    """IDX-24."""
    assert query(
        "SELECT sequence_number, batch_id, position, kind, fee, redeem, status"
        " FROM transactions ORDER BY sequence_number"
    ) == [
        (0, 1, 0, 2, 0, 0, "completed"),
        (1, 1, 1, 2, 0, 0, "completed"),
        (2, 2, 0, 2, 0, 0, "completed"),
        (3, 4, 0, 1, 100, 0, "completed"),
        (4, 4, 1, 1, 100, 1_000, "completed"),
        (5, 4, 2, 2, 0, 0, "completed"),
        (6, 4, 3, 2, 0, 0, "completed"),
        (7, 4, 4, 2, 0, 0, "completed"),
        (8, 5, 0, 4, 0, 0, "completed"),
        (9, 6, 0, 1, 100, 0, "completed"),
    ]


async def test_accounts_and_treasury(full_database: Database, query: Query) -> None:
    """BFT-12 18: a third of the fees to the creator, the rest to the approvers' pot."""
    assert query(
        "SELECT entry, bank_id, kind, amount, transaction_sequence, block_number"
        " FROM account_entries ORDER BY entry"
    ) == [
        (0, 1, "redeem", 1_000, 4, 4),
        (1, 0, "creator-fee", 66, None, 4),
        (2, 1, "payout", 700, 8, 5),
        (3, 2, "creator-fee", 33, None, 6),
    ]
    assert query(
        "SELECT record, bank_id, fiscal_year, amount, type, block_number FROM treasury"
        " WHERE block_number > 0 ORDER BY record"
    ) == [
        (4, None, 2026, 134, "fee", 4),
        (5, None, 2026, 67, "fee", 6),
    ]


async def test_banks_and_miners_mirror_the_state(
    full_database: Database, story: Story, query: Query
) -> None:
    """IDX-56."""
    assert query(
        "SELECT b.id, stake, account_balance, offences, b.is_active, blocks_mined, total_rewards"
        " FROM banks b JOIN miners m ON m.idx = b.id ORDER BY b.id"
    ) == [
        (
            bank.index,
            bank.stake,
            bank.balance,
            bank.offences,
            bank.active,
            bank.blocks_created,
            bank.creator_fees,
        )
        for bank in story.chain.state.banks
    ]


async def test_batches_wait_for_the_record_of_their_votes(
    full_database: Database, query: Query
) -> None:
    """BFT-12 17: the tip is pending, its votes are agreed in the next block."""
    assert query(
        "SELECT batch_id, status, approved_banks, rejected_banks FROM transaction_batches"
        " ORDER BY batch_id"
    ) == [
        *((height, "approved", 4, 0) for height in range(1, 6)),
        (6, "pending", None, None),
    ]


async def test_idx_41_counts_equal_votes(full_database: Database, query: Query) -> None:
    assert query(
        "SELECT t.batch_id FROM transaction_batches t LEFT JOIN bank_voting_records v"
        " ON v.batch_id = t.batch_id WHERE t.status <> 'pending' GROUP BY t.batch_id"
        " HAVING approved_banks <> count(*) FILTER (WHERE decision = 'approve')"
        " OR rejected_banks <> count(*) FILTER (WHERE decision = 'reject')"
    ) == []


async def test_section_17_votes_on_the_parent_are_recorded_with_the_child(
    migrated_url: str, query: Query
) -> None:
    """IDX-54, IDX-55: no bank is named; a rejection is recorded and counted beside approvals."""
    chain = Chain(make_genesis(banks=7), seed="rejected")
    first = chain.seal()
    second = chain.build(ballots=chain.votes(rejecting=[6]))
    config = small_config(migrated_url)
    database = await Database.open(config, genesis=chain.genesis, bank=BANK)

    for built in (first, second):
        await database.apply_block(built.block, b"seal", built.transition, built.transactions)

    await database.close()
    votes = second.transition.votes
    assert sorted(vote.approve for vote in votes) == [False, *[True] * 6]
    voted_at = timestamp(first.block.header.time_ms)
    assert query(
        "SELECT bank_id, batch_id, decision, tag, timestamp, group_signature"
        " FROM bank_voting_records ORDER BY vote_id"
    ) == [
        (None, 1, "approve" if vote.approve else "reject", vote.tag, voted_at, vote.ballot)
        for vote in votes
    ]
    assert query(
        "SELECT status, approved_banks, rejected_banks FROM transaction_batches WHERE batch_id = 1"
    ) == [("approved", 6, 1)]


async def test_idx_54_one_tag_votes_once(database: Database, story: Story, query: Query) -> None:
    await apply_story(database, story, through=1)
    second = story.blocks[1]
    votes = second.transition.votes
    transition = replace(second.transition, votes=(*votes, votes[0]))

    with pytest.raises(StorageConflict) as refused:
        await database.apply_block(second.block, b"seal", transition, second.transactions)

    assert str(refused.value) == (
        "UniqueViolation of uq_bank_voting_records_batch_id_tag on bank_voting_records"
    )
    assert query("SELECT count(*) FROM bank_voting_records") == [(0,)]


async def test_a_voted_block_is_applied_with_the_bodies_of_its_vote(
    database: Database, story: Story, query: Query
) -> None:
    first = story.blocks[0]
    bodies = {item.transaction_id: item.raw for item in first.transactions}
    await database.persist_consensus(b"vote", Height(1), View(0), 1, (first.block,), bodies)
    stored = query("SELECT transaction_id, xmin::text FROM transaction_bodies ORDER BY 1")

    await database.apply_block(first.block, b"seal", first.transition, first.transactions)

    assert query("SELECT transaction_id, xmin::text FROM transaction_bodies ORDER BY 1") == stored


async def test_the_record_of_the_next_height_can_go_with_the_block(
    database: Database, story: Story
) -> None:
    first = story.blocks[0]
    await database.persist_consensus(b"old", Height(1), View(2), 5)

    await database.apply_block(
        first.block,
        b"seal",
        first.transition,
        first.transactions,
        consensus_record=(Height(2), View(0), 0, b"new"),
    )

    assert await database.load_consensus() == StoredConsensus(b"new", Height(2), 0, 0, ())


@pytest.mark.parametrize("height", [1, 3, 5])
async def test_a_block_that_does_not_follow_is_refused(
    height: int, database: Database, story: Story, query: Query
) -> None:
    await apply_story(database, story, through=3)
    before = query(ROW_COUNTS)
    built = story.blocks[height - 1]

    with pytest.raises(StorageConflict) as refused:
        await database.apply_block(built.block, b"seal", built.transition, built.transactions)

    assert str(refused.value) == (f"block {height} does not follow the stored tip at height 3")
    assert query(ROW_COUNTS) == before


@pytest.mark.parametrize(
    ("planted", "constraint"),
    [
        ("INSERT INTO nullifiers VALUES (900, %s, 0)", "uq_nullifiers_nullifier on nullifiers"),
        (
            "UPDATE nullifiers SET sequence = 3 WHERE %s <> '' AND sequence = 0",
            "pk_nullifiers on nullifiers",
        ),
    ],
)
async def test_what_the_database_refuses_leaves_nothing_of_the_block(
    planted: str, constraint: str, database: Database, story: Story, query: Query
) -> None:
    """IDX-22, IDX-47: a tampered database stops the bank; the block is never half applied."""
    await apply_story(database, story, through=5)
    last = story.blocks[5]
    query(planted, last.transition.nullifiers[0].nullifier)
    before = query(ROW_COUNTS)

    for _ in range(2):
        with pytest.raises(StorageConflict) as refused:
            await database.apply_block(last.block, b"seal", last.transition, last.transactions)
        assert str(refused.value) == f"UniqueViolation of {constraint}"

    assert query(ROW_COUNTS) == before
    assert (await database.load_tip()).header == story.blocks[4].block.header


async def test_a_tip_moved_behind_our_back_is_noticed(
    database: Database, story: Story, query: Query
) -> None:
    await apply_story(database, story, through=2)
    first, third = story.blocks[0].block, story.blocks[2]
    query("UPDATE ledger_state SET block_hash = %s", first.block_id)

    with pytest.raises(IntegrityViolation) as refused:
        await database.apply_block(third.block, b"seal", third.transition, third.transactions)

    assert str(refused.value) == (
        "damaged row in ledger_state at height 2: the name of the tip is not what this bank wrote"
    )
    assert query("SELECT count(*) FROM blocks") == [(3,)]


async def test_a_conflict_is_recovered_from(database: Database, story: Story, query: Query) -> None:
    """After the cause is removed the same block is applied."""
    await apply_story(database, story, through=5)
    last = story.blocks[5]
    query("INSERT INTO nullifiers VALUES (900, %s, 0)", last.transition.nullifiers[0].nullifier)
    with pytest.raises(StorageConflict):
        await database.apply_block(last.block, b"seal", last.transition, last.transactions)
    query("DELETE FROM nullifiers WHERE sequence = 900")

    await database.apply_block(last.block, b"seal", last.transition, last.transactions)

    assert (await database.load_tip()).header == story.chain.header


async def test_the_transition_of_another_block_is_our_own_bug(
    database: Database, story: Story
) -> None:
    first, second = story.blocks[:2]
    other = replace(first.transition, state=second.transition.state)

    with pytest.raises(AssertionError, match="the transition is this block's"):
        await database.apply_block(first.block, b"seal", other, first.transactions)


def test_header_times_are_exact() -> None:
    assert timestamp(TimeMs(1_774_981_800_001)).isoformat() == "2026-03-31T18:30:00.001000+00:00"


async def test_of_many_writers_of_one_height_one_succeeds(
    database: Database, story: Story, query: Query
) -> None:
    """IDX-24: numbers are assigned once, whoever races."""
    first = story.blocks[0]

    outcomes = await asyncio.gather(
        *(
            database.apply_block(first.block, b"seal", first.transition, first.transactions)
            for _ in range(20)
        ),
        return_exceptions=True,
    )

    refused = [str(outcome) for outcome in outcomes if isinstance(outcome, StorageConflict)]
    assert refused == ["block 1 does not follow the stored tip at height 1"] * 19
    assert query("SELECT sequence_number FROM transactions ORDER BY 1") == [(0,), (1,)]


async def test_everything_works_without_prepared_statements(
    migrated_url: str, story: Story
) -> None:
    """What a pooler in transaction mode needs, with the writer's session going around it."""
    config = DatabaseConfig(
        migrated_url, writer_url=migrated_url, pool_size=1, prepare_threshold=None
    )
    database = await Database.open(config, genesis=story.genesis, bank=BANK)

    await apply_story(database, story)

    assert (await database.load_tip()).header == story.chain.header
    assert len((await database.facts(facts_needed(story.blocks[5].transactions))).spent) == 1
    await database.close()
