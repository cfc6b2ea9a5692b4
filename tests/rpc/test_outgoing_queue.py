"""What waits for a peer: coalescing, priority, and what is dropped when there is no room."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from node.rpc.outgoing_queue import OutgoingQueue, QueueCounters, QueueLimits


def queue(**limits: int) -> OutgoingQueue:
    return OutgoingQueue(QueueLimits(**limits))


def test_messages_go_before_transactions_and_each_keeps_its_order() -> None:
    waiting = queue()
    for item in (b"t1", b"t2"):
        waiting.add_transaction(item)
    for item in (b"m1", b"m2"):
        waiting.add_message(item, now=0.0)
    assert waiting.take_frame() == [b"m1", b"m2", b"t1", b"t2"]
    assert waiting.take_frame() == []
    assert waiting.counters == QueueCounters(sent_frames=1, sent_items=4, sent_bytes=8)


def test_a_frame_ends_at_its_limit_and_a_longer_item_travels_alone() -> None:
    waiting = queue(frame_bytes=10)
    waiting.add_message(bytes(25), now=0.0)
    waiting.add_message(bytes(6), now=0.0)
    waiting.add_transaction(bytes(4))
    waiting.add_transaction(bytes(1))
    assert [[len(item) for item in waiting.take_frame()] for _ in range(4)] == [
        [25],
        [6, 4],
        [1],
        [],
    ]


def test_without_room_the_oldest_transactions_go_first_then_the_oldest_messages() -> None:
    waiting = queue(queued_bytes=10)
    waiting.add_message(b"mmm1", now=0.0)
    waiting.add_transaction(b"t1")
    waiting.add_transaction(b"t2")
    waiting.add_message(b"mmm2", now=0.0)
    assert (waiting.counters.dropped_transactions, waiting.counters.dropped_messages) == (1, 0)
    waiting.add_message(b"mmm3", now=0.0)
    assert (waiting.counters.dropped_transactions, waiting.counters.dropped_messages) == (2, 1)
    assert waiting.take_frame() == [b"mmm2", b"mmm3"]


def test_the_number_of_items_is_limited_too() -> None:
    waiting = queue(queued_items=2)
    for item in (b"t1", b"t2", b"t3"):
        waiting.add_transaction(item)
    assert waiting.take_frame() == [b"t2", b"t3"]
    assert waiting.counters.dropped_transactions == 1


def test_messages_from_before_a_new_link_are_dropped() -> None:
    waiting = queue()
    waiting.add_message(b"old", now=1.0)
    waiting.add_message(b"new", now=2.0)
    waiting.add_transaction(b"t")
    waiting.drop_messages_before(2.0)
    assert waiting.counters.dropped_messages == 1
    assert waiting.take_frame() == [b"new", b"t"]


@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(1, 60)) | st.just("take"), max_size=60
    )
)
def test_nothing_vanishes_uncounted_and_the_limits_hold(actions: list[object]) -> None:
    waiting = queue(queued_bytes=100, queued_items=5, frame_bytes=40)
    added = taken = 0
    for action in actions:
        if action == "take":
            frame = waiting.take_frame()
            taken += len(frame)
            assert len(frame) <= 1 or sum(map(len, frame)) <= 40
        else:
            is_message, size = action  # type: ignore[misc]
            added += 1
            if is_message:
                waiting.add_message(bytes(size), now=0.0)
            else:
                waiting.add_transaction(bytes(size))
        assert waiting.queued_bytes <= 100
        assert len(waiting) <= 5
    dropped = waiting.counters.dropped_messages + waiting.counters.dropped_transactions
    assert added == taken + dropped + len(waiting)
    while waiting.take_frame():
        pass
    assert waiting.queued_bytes == 0
