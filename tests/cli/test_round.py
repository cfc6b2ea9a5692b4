"""`consortium round`: the steps of a height at every bank, whole answers."""

from __future__ import annotations

from dataclasses import replace

from node.ledger.types import BankIndex, Height, View
from node.wire.operator_records import RoundEvent, RoundEventKind, RoundReport
from tests.cli.served_consortium import ServedConsortium
from tests.rpc.doubles import REPORT

START_US = 1_774_981_800_123_000
LEADER = BankIndex(1)


def step(kind: str, milliseconds: float, took_us: int | None = None, view: int = 0) -> RoundEvent:
    at_us = START_US + int(milliseconds * 1_000)
    proposer = LEADER if kind == "proposal" else None
    return RoundEvent(RoundEventKind(kind), View(view), at_us, took_us, proposer)


WHOLE = (
    step("proposal", 0),
    step("validated", 4.25, 3_900),
    step("voted", 10),
    step("certified", 15),
    step("committed", 20),
    step("sealed", 30),
    step("applied", 50, 18_040),
)


def remember(consortium: ServedConsortium) -> None:
    """The first two banks saw all, the third came late, the fourth is away."""
    late = (step("sealed", 90.5), step("applied", 95, 250))
    for bank, events in enumerate((WHOLE, WHOLE[:6], late)):
        report = RoundReport(BankIndex(bank), Height(5), events)
        consortium.operators[bank].kept_round = report
    consortium.stop_bank(3)


def test_the_banks_stand_beside_each_other(consortium: ServedConsortium) -> None:
    remember(consortium)
    lines = consortium.succeed("round", "5").splitlines()
    assert lines[:-1] == [
        "height  5",
        "began   2026-03-31 18:30:00.123 UTC",
        "took    95.0 ms until its last event",
        "banks   3 of 4 tell of it",
        "",
        "view 0, proposed by birchmoor",
        "bank        proposal   validated  voted  certified  committed  sealed        applied",
        "amberfield      +0.0  +4.2 (3.9)  +10.0      +15.0      +20.0   +30.0   +50.0 (18.0)",
        "birchmoor       +0.0  +4.2 (3.9)  +10.0      +15.0      +20.0   +30.0              -",
        "cedarholm          -           -      -          -          -   +90.5  +95.0 (0.250)",
        "",
        "milliseconds since the first event of any bank, each bank by its own clock",
        "",
    ]
    assert lines[-1].startswith("dunmere: ")


def test_every_view_has_a_table_and_says_who_gave_up(consortium: ServedConsortium) -> None:
    events = (
        step("timed-out", 2_000),
        replace(step("proposal", 2_100, view=1), bank=BankIndex(2)),
        step("voted", 2_120, view=1),
    )
    for operator in consortium.operators:
        operator.kept_round = RoundReport(BankIndex(0), Height(5), events)
    lines = consortium.succeed("round", "5").splitlines()
    assert "view 0, without a proposal" in lines
    assert "view 1, proposed by cedarholm" in lines
    first, second = [line for line in lines if line.startswith("bank  ")]
    assert first.split()[-1] == "timed-out"
    assert "timed-out" not in second


def test_json_has_every_event_and_every_error(consortium: ServedConsortium) -> None:
    remember(consortium)
    answer = consortium.ask("round", "5")
    assert answer["height"] == 5
    assert list(answer["banks"]) == ["amberfield", "birchmoor", "cedarholm"]
    assert answer["banks"]["amberfield"][:2] == [
        {
            "kind": "proposal",
            "view": 0,
            "at_us": START_US,
            "duration_us": None,
            "bank": "birchmoor",
        },
        {
            "kind": "validated",
            "view": 0,
            "at_us": START_US + 4_250,
            "duration_us": 3_900,
            "bank": None,
        },
    ]
    assert list(answer["errors"]) == ["dunmere"]


def test_the_tip_is_the_highest_that_any_bank_has(consortium: ServedConsortium) -> None:
    consortium.ask("round")
    assert ("round", REPORT.height) in consortium.operators[0].asked


def test_a_height_that_no_bank_keeps_is_an_error(consortium: ServedConsortium) -> None:
    for operator in consortium.operators:
        operator.kept_round = None
    code, message = consortium.refuse("round", "1")
    assert code == 1
    assert "nothing is kept of the round of height 1" in message
    assert "Next: give a later height: `consortium status` names the newest." in message
    code, message = consortium.refuse("round", "first")
    assert code == 2
    assert "'first' is no height: give one such as 12, or tip" in message


def test_without_any_bank_the_next_step_is_to_start_them(consortium: ServedConsortium) -> None:
    consortium.stop_banks()
    code, message = consortium.refuse("round", "1")
    assert (code, "start the consortium with" in message) == (3, True)
