"""States of transactions, and the streams of them that end at the first final one."""

from __future__ import annotations

import asyncio

from node.ledger.types import BlockId, Height, TimeMs, TransactionId
from node.runtime.transaction_tracker import TransactionTracker
from node.wire.records import Position, Refusal, TransactionState, TransactionStatus

ID, OTHER = TransactionId(b"\x01" * 32), TransactionId(b"\x02" * 32)
PLACE = Position(Height(7), BlockId(b"\x07" * 32), 3, TimeMs(1_000))


def at(state: TransactionState, identity: TransactionId = ID) -> TransactionStatus:
    return TransactionStatus(identity, state)


SEALED = TransactionStatus(ID, TransactionState.SEALED, position=PLACE)
REJECTED = TransactionStatus(ID, TransactionState.REJECTED, refusal=Refusal("range", "no"))


async def told(tracker: TransactionTracker, now: TransactionStatus) -> list[TransactionStatus]:
    return [status async for status in tracker.follow(ID, now)]


async def test_a_follower_hears_every_change_up_to_the_first_final_one() -> None:
    tracker = TransactionTracker()
    following = asyncio.create_task(told(tracker, at(TransactionState.UNKNOWN)))
    await asyncio.sleep(0)
    tracker.pending(ID)
    tracker.pending(OTHER)
    tracker.admitted(ID)
    tracker.proposed(ID)
    tracker.sealed(ID, PLACE)
    tracker.rejected(ID, "range", "too late to matter")
    assert await following == [
        at(TransactionState.UNKNOWN),
        at(TransactionState.PENDING),
        at(TransactionState.ADMITTED),
        at(TransactionState.PROPOSED),
        SEALED,
    ]


async def test_many_followers_hear_the_same_and_one_may_leave() -> None:
    tracker = TransactionTracker()
    unknown = at(TransactionState.UNKNOWN)
    followers = [asyncio.create_task(told(tracker, unknown)) for _ in range(3)]
    await asyncio.sleep(0)
    followers[1].cancel()
    await asyncio.gather(followers[1], return_exceptions=True)
    tracker.admitted(ID)
    tracker.rejected(ID, "range", "no")
    expected = [unknown, at(TransactionState.ADMITTED), REJECTED]
    assert [await followers[0], await followers[2]] == [expected, expected]


async def test_a_final_state_ends_the_stream_at_once() -> None:
    assert await told(TransactionTracker(), SEALED) == [SEALED]


def test_only_what_is_on_its_way_is_followed_through_proposals() -> None:
    """A block names transactions of everybody; this table holds those of this bank."""
    tracker = TransactionTracker()
    tracker.proposed(ID)
    assert tracker.status(ID) is None
    tracker.admitted(ID)
    tracker.proposed(ID)
    assert tracker.status(ID) == at(TransactionState.PROPOSED)


def test_a_new_attempt_hides_the_old_refusal() -> None:
    tracker = TransactionTracker()
    tracker.rejected(ID, "range", "no")
    assert tracker.status(ID) == REJECTED
    tracker.pending(ID)
    assert tracker.status(ID) == at(TransactionState.PENDING)
    tracker.forget(ID)
    assert tracker.status(ID) is None


def test_only_so_many_outcomes_are_remembered_and_none_of_those_on_their_way() -> None:
    tracker = TransactionTracker(remembered=2)
    identities = [TransactionId(bytes([index]) * 32) for index in range(5)]
    for identity in identities[:3]:
        tracker.expired(identity)
    for identity in identities[3:]:
        tracker.admitted(identity)
    assert [tracker.status(identity) for identity in identities] == [
        None,
        at(TransactionState.EXPIRED, identities[1]),
        at(TransactionState.EXPIRED, identities[2]),
        at(TransactionState.ADMITTED, identities[3]),
        at(TransactionState.ADMITTED, identities[4]),
    ]
