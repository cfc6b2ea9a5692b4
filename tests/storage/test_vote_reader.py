"""The voting record, read: how many voted how, never who."""

from __future__ import annotations

import pytest

from node.ledger.types import Height, View
from node.storage.database import Database
from node.storage.errors import NotFound
from node.storage.records import (
    StoredBallotConflict,
    StoredVote,
    StoredVotes,
    VotingCounts,
    VotingStatus,
)
from tests.storage.conftest import Query, Story


def recorded(story: Story, height: int, *, include_ballots: bool = True) -> StoredVotes:
    """What the child of a block records, as it is read."""
    voted, child = story.blocks[height - 1].block, story.blocks[height]
    votes = child.transition.votes
    return StoredVotes(
        block_id=voted.block_id,
        time_ms=voted.header.time_ms,
        counts=VotingCounts(voted.height, VotingStatus.APPROVED, 4, 0),
        votes=tuple(
            [
                StoredVote(vote.tag, vote.approve, vote.ballot if include_ballots else b"")
                for vote in votes
            ]
        ),
    )


async def test_section_17_votes_of_a_block_are_what_its_child_records(
    told_story: Database, story: Story
) -> None:
    assert await told_story.votes_of(3) == recorded(story, 3)
    assert [vote.ballot for vote in (await told_story.votes_of(3)).votes] == list(
        story.blocks[3].block.parent_ballots
    )


async def test_section_17_the_tip_is_pending(told_story: Database, story: Story) -> None:
    tip = story.blocks[-1].block

    assert await told_story.votes_of(6) == StoredVotes(
        tip.block_id,
        tip.header.time_ms,
        VotingCounts(Height(6), VotingStatus.PENDING, 0, 0),
        votes=(),
    )


@pytest.mark.parametrize("height", [0, 7, (1 << 64) - 1])
async def test_nobody_votes_on_genesis_or_above_the_tip(height: int, told_story: Database) -> None:
    with pytest.raises(NotFound) as refused:
        await told_story.votes_of(height)

    assert str(refused.value) == f"nobody voted on a block at height {height}"


async def test_votes_come_in_pages(told_story: Database, story: Story) -> None:
    bare = [recorded(story, height, include_ballots=False) for height in range(1, 6)]

    assert await told_story.votes(2, 2, include_ballots=False) == (bare[1], bare[2])
    assert (await told_story.votes(0, 5, include_ballots=False)) == tuple(bare)
    assert len(await told_story.votes(0, 1_000)) == 6
    assert await told_story.votes(7, 10) == ()


async def test_counts_without_the_votes(told_story: Database) -> None:
    assert await told_story.voting_counts(4, 10) == (
        VotingCounts(Height(4), VotingStatus.APPROVED, 4, 0),
        VotingCounts(Height(5), VotingStatus.APPROVED, 4, 0),
        VotingCounts(Height(6), VotingStatus.PENDING, 0, 0),
    )


async def test_e8_ballots_in_conflict_are_kept_once_in_byte_order(
    database: Database, story: Story, query: Query
) -> None:
    """Banks that find the same pair store the same, whichever ballot came first."""
    ballot = story.blocks[1].transition.votes[0].ballot
    later = ballot[:-1] + bytes([ballot[-1] ^ 255])
    first, second = sorted((ballot, later))
    other = story.blocks[2].transition.votes[0].ballot

    assert await database.add_ballot_conflict(Height(1), View(0), second, first)
    assert not await database.add_ballot_conflict(Height(1), View(0), first, second)
    assert await database.add_ballot_conflict(Height(2), View(0), other, other + b"x")

    (found_at_ms,) = query(
        "SELECT (extract(epoch FROM found_at) * 1000)::bigint FROM ballot_conflicts LIMIT 1"
    )[0]
    kept = await database.conflicts(0)
    assert abs(kept[0].found_at_ms - int(str(found_at_ms))) <= 1
    assert kept[0] == StoredBallotConflict(
        0,
        Height(1),
        View(0),
        story.blocks[1].transition.votes[0].tag,
        first,
        second,
        kept[0].found_at_ms,
    )
    assert [item.sequence for item in kept] == [0, 1]
    assert await database.conflicts(1) == kept[1:]
    assert await database.conflicts(0, limit=1) == kept[:1]
    assert await database.conflicts((1 << 64) - 1) == ()
