"""The core as a whole: determinism, termination, and what holds from height to height."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from node.consensus.core import Rule, rules
from node.consensus.effects import Apply, BuildBlock
from node.consensus.events import (
    Approved,
    BlockApplied,
    BlockBuilt,
    TimerFired,
    TimerKind,
    TransactionsAvailable,
    Validated,
)
from node.consensus.messages import Vote
from node.ledger.active_set import ActiveSet
from node.ledger.types import Height, View
from tests.consensus import toy_ledger
from tests.consensus.consortium import Consortium, Desk

REPOSITORY = Path(__file__).resolve().parents[2]

C = Consortium(12)
BLOCK = C.block(ids=[1])
ME = 9


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.__name__)
def test_no_rule_acts_on_a_settled_state(rule: Rule) -> None:
    """Every rule makes its own conditions false, so asking all of them again changes nothing."""
    desk = Desk(C, ME)
    desk.do(TransactionsAvailable(1))
    desk.receive(C.proposal(BLOCK))
    desk.judge()
    desk.receive(C.quorum_certificate(BLOCK, banks=[b for b in range(11) if b != ME]))
    assert rule(desk.core._state) is False
    assert desk.core._state.effects == []


def test_answers_to_questions_nobody_asked_change_nothing() -> None:
    desk = Desk(C, ME)
    for event in (
        BlockBuilt(Height(1), View(0), BLOCK),
        BlockBuilt(Height(7), View(0), BLOCK),
        Validated(99, Approved()),
        TimerFired(TimerKind.VIEW, 1),
        TimerFired(TimerKind.STATUS, 0),
    ):
        assert desk.do(event) == []


def test_applying_what_is_not_sealed_is_a_bug_of_the_host() -> None:
    desk = Desk(C, ME)
    with pytest.raises(AssertionError, match="only sealed blocks are applied"):
        desk.do(BlockApplied(Height(1), BLOCK.header, C.active_set))


def test_the_active_set_may_change_with_every_height() -> None:
    """BFT-12 section 10: bank 3 is removed at height 2; eleven banks, q stays 10, n-q is one."""
    desk = Desk(C, ME)
    desk.receive(C.proposal(BLOCK), C.seal(BLOCK, banks=[b for b in range(11) if b != ME]))
    (order,) = desk.all(Apply)
    smaller = ActiveSet(
        tuple(member for member in C.active_set.members if member.bank != 3),
        C.active_set.opener_key,
    )
    desk.do(BlockApplied(Height(1), order.block.header, smaller))
    status = desk.core.status()
    assert (status.height, status.bank_count, status.quorum) == (2, 11, 10)
    assert status.leader == 2

    at_2 = Consortium(12, height=2)
    at_2.active_set = smaller
    second = toy_ledger.build(BLOCK.header, view=0, proposer=status.leader)
    proposal = at_2.proposal(second)
    desk.receive(replace(proposal, signature=Consortium(12, height=2).proposal(second).signature))
    assert desk.core.status().last_refusal.endswith("a bad signature")
    desk.receive(proposal)
    desk.judge()
    (vote,) = desk.said()
    assert isinstance(vote, Vote)
    desk.receive(at_2.timeout(3), at_2.timeout(4))
    assert desk.core.status().gave_up == (4,), "bank 3 does not count"
    desk.receive(at_2.timeout(5))
    assert desk.core.status().gave_up == (4, 5, ME), "rq is 2 now"


def test_the_leader_of_the_next_height_builds_at_once_on_what_is_left() -> None:
    desk = Desk(C, C.active_set.leader(Height(2), View(0)))
    desk.receive(C.proposal(BLOCK), C.seal(BLOCK))
    desk.apply(transactions_available=100)
    assert desk.all(BuildBlock) == [BuildBlock(Height(2), View(0), ballots=C.ballots(BLOCK))]


def test_hash_randomisation_changes_nothing() -> None:
    """No decision depends on the order of a set or on the hash of a string."""
    program = (
        "import hashlib\n"
        "from tests.consensus.cluster import Cluster, Network\n"
        "from node.consensus.messages import encode_message\n"
        "cluster = Cluster(7, seed=11, network=Network(loss=0.1, max_delay_ms=100))\n"
        "digest = hashlib.sha256()\n"
        "def intercept(source, target, message):\n"
        "    digest.update(bytes([source, target]) + encode_message(message))\n"
        "    return message\n"
        "cluster.intercept = intercept\n"
        "cluster.start()\n"
        "cluster.submit_every(300, 3_000)\n"
        "cluster.run(4_000)\n"
        "print(digest.hexdigest(), cluster.banks[0].height)\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1
