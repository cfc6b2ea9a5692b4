"""Digests: equal at every bank that stores the same, different after any change."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable

import pytest

from node.ledger.types import BankIndex
from node.storage.database import Database
from node.storage.records import CountedDigest
from tests.ledger.chain import Chain, make_genesis
from tests.storage.conftest import BANK, Query, Story, apply_story, small_config

OpenOther = Callable[[BankIndex], Awaitable[Database]]


async def digests(database: Database, height: int) -> tuple[object, ...]:
    return (
        await database.nullifier_digest(height),
        await database.notes_digest(height),
        await database.voting_records_digest(height),
        await database.treasury_digest(height),
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
        "UPDATE bank_voting_records SET decision = 'reject' WHERE batch_id = 2",
        "DELETE FROM bank_voting_records WHERE batch_id = 5",
        "UPDATE bank_voting_records SET group_signature = set_byte(group_signature, 900, 7)"
        " WHERE batch_id = 3",
        "UPDATE bank_voting_records SET tag = set_byte(tag, 0, 7) WHERE batch_id = 3",
        "UPDATE transaction_batches SET rejected_banks = 1 WHERE batch_id = 1",
    ],
)
async def test_any_change_shows(
    tampering: str, database: Database, story: Story, query: Query
) -> None:
    await apply_story(database, story)
    before = await digests(database, 6)

    query(tampering)

    assert sum(a != b for a, b in zip(before, await digests(database, 6), strict=True)) == 1


async def test_section_17_the_voting_record_is_digested_by_the_roots_of_the_headers(
    told_story: Database, story: Story
) -> None:
    """Whoever has headers alone computes the same; the tip is not recorded yet."""
    roots = [built.block.header.ballots_root for built in story.blocks[1:]]
    encoded = b"".join(
        (8).to_bytes(8, "big") + height.to_bytes(8, "big") + (32).to_bytes(8, "big") + root
        for height, root in enumerate(roots, start=1)
    )

    assert await told_story.voting_records_digest(6) == CountedDigest(
        5, hashlib.sha256(encoded).digest()
    )
    assert (await told_story.voting_records_digest(5)).count == 4
    assert await told_story.voting_records_digest(1) == CountedDigest(0, hashlib.sha256().digest())


async def test_section_17_recorded_rejections_are_under_the_same_root(migrated_url: str) -> None:
    chain = Chain(make_genesis(banks=7), seed="digested")
    first = chain.seal()
    second = chain.build(ballots=chain.votes(rejecting=[6]))
    config = small_config(migrated_url)
    database = await Database.open(config, genesis=chain.genesis, bank=BANK)
    for built in (first, second):
        await database.apply_block(built.block, b"seal", built.transition, built.transactions)

    digest = await database.voting_records_digest(2)
    await database.close()

    root = second.block.header.ballots_root
    encoded = b"".join(
        len(field).to_bytes(8, "big") + field for field in ((1).to_bytes(8, "big"), root)
    )
    assert len(second.block.parent_ballots) == 7
    assert digest == CountedDigest(1, hashlib.sha256(encoded).digest())


async def test_database_size(told_story: Database) -> None:
    assert await told_story.database_size_bytes() > 1 << 20
