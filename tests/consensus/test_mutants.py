"""BFT-12 section 15: the core with one rule broken is caught by a scenario made for it.

The simulator finds the same mutants by chance (`tests/simulation/test_mutants.py`); here each is
killed by stage directions that say why the rule is needed. And the control: b = 8 forks.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from node.consensus.evidence import StatementLog
from node.simulation.mutants import MUTANTS
from tests.consensus import scenarios
from tests.consensus.cluster import Violation
from tests.consensus.consortium import Consortium


def equivocation_by_four() -> None:
    scenarios.equivocation(4)


DUELS: list[tuple[str, Callable[[], None], str]] = [
    ("not-persisting", scenarios.undisturbed, "sent a statement without any record"),
    ("sending-before-persisting", scenarios.undisturbed, "sent a statement without any record"),
    ("block-not-durable", scenarios.undisturbed, "vouches for a block that is not on disk"),
    ("no-self-delivery", scenarios.blackout_with_every_timeout_lost, "not reached"),
    ("commit-after-timeout", scenarios.certificate_after_giving_up, "could be convicted"),
    ("timeout-without-lock", scenarios.seal_unheard, "could be convicted"),
    ("timeout-certificate-of-three", scenarios.seal_unheard, "two blocks are sealed at height 1"),
    ("sealing-after-one-phase", scenarios.certificate_unheard, "could be convicted of E4"),
    ("quorum-of-eight", equivocation_by_four, "two blocks are sealed at height 1"),
]


@pytest.mark.parametrize(
    ("mutant", "scenario", "symptom"), DUELS, ids=[mutant for mutant, _, _ in DUELS]
)
def test_mutant_is_caught(mutant: str, scenario: Callable[[], None], symptom: str) -> None:
    with MUTANTS[mutant].applied(), pytest.raises(AssertionError, match=symptom):
        scenario()


@pytest.mark.parametrize(
    "scenario", list({scenario.__name__: scenario for _, scenario, _ in DUELS}.values())
)
def test_the_scenarios_pass_unbroken(scenario: Callable[[], None]) -> None:
    scenario()


@pytest.mark.parametrize("byzantine", [2, 3, 4, 5, 6, 7])
def test_section_1_up_to_seven_byzantine_banks_cannot_fork(byzantine: int) -> None:
    scenarios.equivocation(byzantine)


def test_section_15_control_eight_byzantine_banks_fork_and_eight_are_convicted() -> None:
    with pytest.raises(Violation, match=r"two blocks are sealed at height 1$"):
        scenarios.equivocation(8)
    consortium = Consortium(12)
    log = StatementLog()
    log.observe_seal(consortium.seal(consortium.block(ids=[1]), banks=range(10)))
    log.observe_seal(consortium.seal(consortium.block(ids=[2]), banks=[*range(8), 10, 11]))
    assert {conflict.bank for conflict in log.conflicts()} == set(range(8))
