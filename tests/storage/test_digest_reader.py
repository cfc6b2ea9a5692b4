"""Digests: equal at every bank that stores the same, different after any change."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable

import pytest

from node.ledger.types import BankIndex
from node.storage.database import Database
from node.storage.records import CountedDigest, RecordedBallot, StoredTreasuryRow
from tests.storage.conftest import Query, Story, apply_story

OpenOther = Callable[[BankIndex], Awaitable[Database]]


async def digests(database: Database, height: int) -> tuple[object, ...]:
    return (
        await database.nullifier_digest(height),
        await database.notes_digest(height),
        await database.voting_records_digest(height),
        await database.treasury_rows(height),
        await database.transaction_count(height),
    )


async def test_banks_compare_what_they_have_in_common(
    told_story: Database, other_database: OpenOther, story: Story
) -> None:
    other = await other_database(BankIndex(0))
    for height, built in enumerate(story.blocks, start=1):
        await other.apply_block(built.block, b"another seal", built.transition, built.transactions)
        assert await digests(other, height) == await digests(told_story, height)
    await other.close()


async def test_nullifiers_are_digested_in_byte_order(told_story: Database, story: Story) -> None:
    every = sorted(item.nullifier for built in story.blocks for item in built.transition.nullifiers)
    encoded = b"".join((96).to_bytes(8, "big") + nullifier for nullifier in every)

    assert await told_story.nullifier_digest(6) == CountedDigest(
        len(every), hashlib.sha256(encoded).digest()
    )
    assert await told_story.nullifier_digest(3) == CountedDigest(0, hashlib.sha256().digest())
    assert await told_story.nullifier_digest((1 << 64) - 1) == (
        await told_story.nullifier_digest(6)
    )


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE nullifiers SET nullifier = set_byte(nullifier, 95, 7) WHERE sequence = 1",
        "UPDATE notes SET ciphertext = set_byte(ciphertext, 0, 7) WHERE sequence = 3",
        "UPDATE notes SET view_tag = 255 - view_tag WHERE sequence = 3",
        "UPDATE treasury SET amount = amount + 1 WHERE record = 4",
        "UPDATE bank_voting_records SET decision = 'reject'",
    ],
)
async def test_any_change_shows(
    tampering: str, database: Database, story: Story, query: Query
) -> None:
    for built in story.blocks:
        votes = [RecordedBallot(b"tag", True, b"signature")] if built.block.height == 2 else []
        await database.apply_block(
            built.block, b"seal", built.transition, built.transactions, parent_votes=votes
        )
    before = await digests(database, 6)

    query(tampering)

    assert sum(a != b for a, b in zip(before, await digests(database, 6), strict=True)) == 1


async def test_the_opened_bank_of_a_vote_is_no_difference(
    database: Database, story: Story, query: Query
) -> None:
    """BFT-12 17: only a bank that the regulator told knows who cast a ballot."""
    await apply_story(database, story, through=1)
    second = story.blocks[1]
    await database.apply_block(
        second.block,
        b"seal",
        second.transition,
        second.transactions,
        parent_votes=[RecordedBallot(b"tag", True, b"signature")],
    )
    before = await digests(database, 2)

    query("UPDATE bank_voting_records SET bank_id = 3")

    assert await digests(database, 2) == before


async def test_treasury_rows(told_story: Database, story: Story) -> None:
    rows = await told_story.treasury_rows(6, from_record=3)

    assert rows == (
        StoredTreasuryRow(3, BankIndex(3), 2026, 45_003, "stake", "initial stake", 0),
        StoredTreasuryRow(4, None, 2026, 134, "fee", "approvers' part of the fees of block 4", 4),
        StoredTreasuryRow(5, None, 2026, 67, "fee", "approvers' part of the fees of block 6", 6),
    )
    assert await told_story.treasury_rows(4, from_record=3) == rows[:2]


async def test_database_size(told_story: Database) -> None:
    assert await told_story.database_size_bytes() > 1 << 20
