"""What every style must come to: a conviction of exactly its offence, or nothing at all."""

from __future__ import annotations

import pytest

from node.simulation.byzantine import STYLES
from tests.simulation.byzantine.stage import Stage

ROTATION = 14
"""Heights in which every bank leads once on a block with ballots about it, and what was found at
the last one is recorded."""

CONVICTED = {
    "double-balloter": "E8",
    "double-committer": "E3",
    "double-voter": "E1",
    "equivocating-leader": "E2",
    "equivocating-leader-invalid-branch": "E2",
    "invalid-proposer": "E6",
    "lock-amnesia": "E4",
    "record-forger": "E6",
}
TOLERATED = sorted(STYLES.keys() - CONVICTED.keys())


@pytest.mark.parametrize("style", CONVICTED)
def test_section_9_the_offence_is_proven_and_punished_while_heights_are_sealed(style: str) -> None:
    stage = Stage({1: style})
    stage.seal(ROTATION)
    assert stage.punished == {(1, CONVICTED[style])}


@pytest.mark.parametrize("style", TOLERATED)
def test_section_1_two_such_banks_stop_nothing_and_convict_nobody(style: str) -> None:
    stage = Stage({1: style, 7: style})
    stage.seal(ROTATION)
    assert stage.punished == set()
    assert stage.provable == set()


def test_section_9_who_approves_what_a_quorum_rejects_is_convicted_too() -> None:
    stage = Stage({1: "invalid-proposer", 2: "approver-of-invalid-blocks"})
    stage.seal(ROTATION)
    assert stage.punished == {(1, "E6"), (2, "E7")}


def test_section_9_an_invalid_transaction_convicts_its_proposer_by_its_bytes() -> None:
    stage = Stage({1: "approver-of-invalid-blocks"})
    stage.cluster.submit(invalid=True, banks=[1])
    stage.seal(ROTATION)
    assert stage.punished == {(1, "E5")}


def test_section_1_three_banks_that_reject_everything_halt_the_ledger_and_fork_nothing() -> None:
    stage = Stage(dict.fromkeys((3, 6, 9), "always-reject"))
    stage.cluster.run(20_000)
    assert [bank.height for bank in stage.correct] == [0] * 9
    assert stage.provable == set()
    views = [bank.core.status().view for bank in stage.correct if bank.core is not None]
    assert views == [12] * 9, "one rotation in haste, then the view timer"


def test_section_6_rejections_that_come_late_never_meet_a_commit() -> None:
    """A reject certificate made after the quorum certificate: banks that committed keep their
    lock, and what was certified is proposed again."""
    stage = Stage(dict.fromkeys((3, 6, 9), "held-back-rejects"))
    stage.cluster.run(20_000)
    assert stage.provable == set()


def test_every_style_says_what_it_does() -> None:
    assert list(STYLES) == sorted(STYLES)
    assert all(style.description and len(style.description) < 80 for style in STYLES.values())
