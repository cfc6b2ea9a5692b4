"""A run as a script: every kind of message has its words, and every line its place."""

from __future__ import annotations

from typing import get_args

from node.consensus.messages import Evidence, Message
from node.ledger.types import BankIndex
from node.simulation.profiles import schedule_of
from node.simulation.run import play
from node.simulation.trace import TraceLine, Tracer, describe
from tests.consensus import samples


def traced(profile: str, seed: int) -> list[TraceLine]:
    lines: list[TraceLine] = []
    play(schedule_of(profile, seed, bank_count=4), (Tracer(lines.append),))
    return lines


def test_every_kind_of_message_is_described_in_its_own_words() -> None:
    messages = list(samples.messages().values())
    assert set(get_args(Message)) <= {*map(type, messages), Evidence}
    words = {describe(message).split()[0] for message in messages}
    assert words >= {
        "PROPOSAL",
        "APPROVE",
        "COMMIT",
        "TIMEOUT",
        "CERTIFICATE",
        "SEAL",
        "REJECTIONS",
        "STATUS",
        "SYNC",
        "BLOCK",
    }


def test_worthless_evidence_is_described_too() -> None:
    assert describe(Evidence(b"nonsense")) == "EVIDENCE of 8 bytes that mean nothing"


def test_a_line_says_when_who_and_what() -> None:
    assert str(TraceLine(1_204, BankIndex(3), "says", "to all: STATUS h2 v1")) == (
        "   1204 bank 3  says   to all: STATUS h2 v1"
    )
    assert str(TraceLine(7, None, "world", "everything heals")) == (
        "      7 ------- everything heals"
    )


def test_watching_changes_nothing_and_tells_the_same_twice() -> None:
    first, second = traced("live", 9), traced("live", 9)
    assert first == second
    assert play(schedule_of("live", 9, bank_count=4)).violation is None
    assert [line.at_ms for line in first] == sorted(line.at_ms for line in first)
    kinds = {line.kind for line in first}
    assert kinds >= {"says", "hears", "writes", "host", "timer", "power", "world", "client"}
