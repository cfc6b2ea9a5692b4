"""Steps of heights, bounded in heights and in steps."""

from __future__ import annotations

from node.ledger.types import BankIndex, View
from node.runtime.observation.round_log import RoundLog
from node.wire.operator_records import RoundEvent, RoundEventKind

PROPOSAL, VOTED, VALIDATED = (
    RoundEventKind.PROPOSAL,
    RoundEventKind.VOTED,
    RoundEventKind.VALIDATED,
)


def test_a_step_is_kept_once_and_told_in_order_of_time() -> None:
    log = RoundLog()
    assert log.add(5, VOTED, 0, 30)
    assert log.add(5, PROPOSAL, 0, 10, bank=3)
    assert log.add(5, PROPOSAL, 0, 12, bank=4), "of another bank"
    assert log.add(5, VALIDATED, 0, 20, 8)
    assert not log.add(5, VOTED, 0, 40), "a repeated message"
    assert log.add(5, VOTED, 1, 50), "of another view"
    assert log.events(5) == (
        RoundEvent(PROPOSAL, View(0), 10, bank=BankIndex(3)),
        RoundEvent(PROPOSAL, View(0), 12, bank=BankIndex(4)),
        RoundEvent(VALIDATED, View(0), 20, 8),
        RoundEvent(VOTED, View(0), 30),
        RoundEvent(VOTED, View(1), 50),
    )
    assert (log.first_us(5, PROPOSAL), log.first_us(5, VOTED, 1)) == (10, 50)
    assert (log.first_us(5, VALIDATED, 1), log.first_us(6, VOTED)) == (None, None)
    assert (log.latest_view(5, VOTED), log.latest_view(6, VOTED)) == (1, None)


def test_the_last_heights_are_kept() -> None:
    log = RoundLog(heights=3)
    for height in range(1, 6):
        log.add(height, VOTED, 0, height)
    assert len(log) == 3
    assert [log.events(height) is not None for height in range(1, 6)] == [
        *(False, False),
        *(True, True, True),
    ]


def test_a_height_of_many_views_keeps_its_beginning_and_its_end() -> None:
    log = RoundLog(events=10)
    for view in range(100):
        log.add(1, VOTED, view, view)
    events = log.events(1)
    assert events is not None
    assert [event.view for event in events] == [0, 1, 2, 3, 4, 95, 96, 97, 98, 99]
