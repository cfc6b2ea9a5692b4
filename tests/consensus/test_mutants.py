"""BFT-12 section 15: the core with one rule broken must be caught. And the control: b = 8 forks.

Each mutant replaces one function of the core for the time of a test. The unbroken core plays the
same scenarios in `test_cluster` and, with `test_the_scenarios_pass_unbroken`, here.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

import node.ledger.active_set
from node.consensus import certificates, certifying, journal, restart, view_change, voting
from node.consensus.core import Consensus
from node.consensus.effects import Effect, Persist
from node.consensus.evidence import StatementLog
from node.consensus.messages import QuorumCertificate, Seal
from node.consensus.state import State
from node.ledger.types import NO_VIEW
from node.simulation.checkers import agreement
from tests.consensus import scenarios
from tests.consensus.cluster import Violation
from tests.consensus.consortium import Consortium

Patch = pytest.MonkeyPatch


def not_persisting(patch: Patch) -> None:
    patch.setattr(journal, "persist", lambda state, *blocks: None)


def sending_before_persisting(patch: Patch) -> None:
    settle = Consensus._settle

    def reordered(core: Consensus) -> list[Effect]:
        return sorted(settle(core), key=lambda effect: isinstance(effect, Persist))

    patch.setattr(Consensus, "_settle", reordered)


def block_not_durable(patch: Patch) -> None:
    patch.setattr(journal, "blocks_to_store", lambda state, *blocks: ())


def no_self_delivery_at_restart(patch: Patch) -> None:
    patch.setattr(restart, "deliver_to_self", lambda state, record: None)


def commit_after_timeout(patch: Patch) -> None:
    patch.setattr(voting, "gave_up", lambda state, view: False)


def timeout_without_lock(patch: Patch) -> None:
    patch.setattr(view_change, "claimed_view", lambda state: NO_VIEW)


def timeout_certificate_of_three(patch: Patch) -> None:
    patch.setattr(certificates, "required_timeouts", lambda active: active.reject_threshold)


def sealing_after_one_phase(patch: Patch) -> None:
    adopt = certifying.adopt_quorum_certificate

    def seal_at_once(state: State, certificate: QuorumCertificate) -> None:
        adopt(state, certificate)
        seal = Seal(
            certificate.height, certificate.view, certificate.block_id, certificate.signatures
        )
        certifying.adopt_seal(state, seal, state.bank)

    patch.setattr(certifying, "adopt_quorum_certificate", seal_at_once)
    patch.setattr(certifying, "verify_seal", lambda *arguments: None)
    patch.setattr(agreement, "verify_seal", lambda *arguments: None)


def quorum_of_eight(patch: Patch) -> None:
    patch.setattr(node.ledger.active_set, "quorum_size", lambda bank_count: 8)


def equivocation_by_four() -> None:
    scenarios.equivocation(4)


MUTANTS: list[tuple[Callable[[Patch], None], Callable[[], None], str]] = [
    (not_persisting, scenarios.undisturbed, "sent a statement without any record"),
    (sending_before_persisting, scenarios.undisturbed, "sent a statement without any record"),
    (block_not_durable, scenarios.undisturbed, "vouches for a block that is not on disk"),
    (no_self_delivery_at_restart, scenarios.blackout_with_every_timeout_lost, "not reached"),
    (commit_after_timeout, scenarios.certificate_after_giving_up, "could be convicted"),
    (timeout_without_lock, scenarios.seal_unheard, "could be convicted"),
    (timeout_certificate_of_three, scenarios.seal_unheard, "two blocks are sealed at height 1"),
    (sealing_after_one_phase, scenarios.certificate_unheard, "two blocks are sealed at height 1"),
    (quorum_of_eight, equivocation_by_four, "two blocks are sealed at height 1"),
]


@pytest.mark.parametrize(
    ("mutant", "scenario", "symptom"), MUTANTS, ids=[mutant.__name__ for mutant, _, _ in MUTANTS]
)
def test_mutant_is_caught(
    mutant: Callable[[Patch], None],
    scenario: Callable[[], None],
    symptom: str,
    monkeypatch: Patch,
) -> None:
    mutant(monkeypatch)
    with pytest.raises(AssertionError, match=symptom):
        scenario()


@pytest.mark.parametrize(
    "scenario", list({scenario.__name__: scenario for _, scenario, _ in MUTANTS}.values())
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
