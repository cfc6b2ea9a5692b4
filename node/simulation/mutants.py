"""The production code with one rule broken: what a simulator that is any good must notice.

BFT-12 section 15. Each mutant replaces one production function for the time of a run; there is no
switch in the core. A mutant is killed if a checker objects under a seed at which the unbroken code
passes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import MappingProxyType

import node.ledger.active_set
from node.consensus import certificates, certifying, journal, restart, view_change, voting
from node.consensus.certificates import (
    QuorumCertificate,
    RejectCertificate,
    Seal,
    TimeoutCertificate,
)
from node.consensus.core import Consensus
from node.consensus.effects import Effect, Persist
from node.consensus.signing import SigningContext
from node.consensus.state import State
from node.ledger.types import NO_VIEW

Replacement = tuple[object, str, object]
"""An owner (a module or a class), the name of its function, and what stands there instead."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One broken rule."""

    name: str
    description: str
    profile: str
    """Of the simulation whose seeds kill it: `live` or `safe`."""
    byzantine: int | None
    """Byzantine banks in each of those seeds; None for as many as the profile draws."""
    replacements: Callable[[], tuple[Replacement, ...]]
    """Evaluated when the mutant is applied, so that it wraps what is there then."""

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Break the rule for this process until the context ends."""
        with ExitStack() as undo:
            for owner, name, instead in self.replacements():
                undo.callback(setattr, owner, name, vars(owner)[name])
                setattr(owner, name, instead)
            yield


def _not_persisting() -> tuple[Replacement, ...]:
    return ((journal, "persist", lambda state, *blocks: None),)


def _sending_before_persisting() -> tuple[Replacement, ...]:
    settle = Consensus._settle

    def reordered(core: Consensus) -> list[Effect]:
        return sorted(settle(core), key=lambda effect: isinstance(effect, Persist))

    return ((Consensus, "_settle", reordered),)


def _block_not_durable() -> tuple[Replacement, ...]:
    return ((journal, "blocks_to_store", lambda state, *blocks: ()),)


def _no_self_delivery() -> tuple[Replacement, ...]:
    return ((restart, "deliver_to_self", lambda state, record: None),)


def _commit_after_timeout() -> tuple[Replacement, ...]:
    return ((voting, "gave_up", lambda state, view: False),)


def _timeout_without_lock() -> tuple[Replacement, ...]:
    return ((view_change, "claimed_view", lambda state: NO_VIEW),)


def _timeout_certificate_of_three() -> tuple[Replacement, ...]:
    return ((certificates, "required_timeouts", lambda active: active.reject_threshold),)


def _reject_certificate_as_justification() -> tuple[Replacement, ...]:
    def enter_next_view(state: State, certificate: RejectCertificate) -> None:
        # A timeout certificate of nobody stands for the rejections in the new proposal, and
        # whoever followed them takes it for the one that led into the view.
        nobody = TimeoutCertificate(certificate.height, certificate.view, ())
        state.rejected_by_many = True
        if state.deciding:
            state.broadcast(certificate)
            view_change.adopt_timeout_certificate(state, nobody)

    return ((view_change, "follow_reject_certificate", enter_next_view),)


def _sealing_after_one_phase() -> tuple[Replacement, ...]:
    adopt = certifying.adopt_quorum_certificate

    def seal_at_once(state: State, certificate: QuorumCertificate) -> None:
        adopt(state, certificate)
        if state.seal is None:
            height, view = certificate.height, certificate.view
            seal = Seal(height, view, certificate.block_id, certificate.signatures)
            certifying.adopt_seal(state, seal, state.bank)

    # An approval and a commit are the same statement, so that the approvals make a valid seal.
    return (
        (certifying, "adopt_quorum_certificate", seal_at_once),
        (SigningContext, "commit", SigningContext.approval),
    )


def _quorum_of_eight() -> tuple[Replacement, ...]:
    return ((node.ledger.active_set, "quorum_size", lambda bank_count: min(8, bank_count)),)


MUTANTS: Mapping[str, Mutant] = MappingProxyType(
    {
        mutant.name: mutant
        for mutant in (
            Mutant(
                "not-persisting",
                "statements leave without ever being on disk (D1)",
                "live",
                None,
                _not_persisting,
            ),
            Mutant(
                "sending-before-persisting",
                "statements leave before they are on disk (D1)",
                "live",
                None,
                _sending_before_persisting,
            ),
            Mutant(
                "block-not-durable",
                "a vote is on disk without the block that it stands for (D2)",
                "live",
                None,
                _block_not_durable,
            ),
            Mutant(
                "no-self-delivery",
                "a restarted bank does not count what it signed itself (D3)",
                "live",
                None,
                _no_self_delivery,
            ),
            Mutant(
                "commit-after-timeout",
                "a bank votes and commits in a view that it gave up (V1, P5)",
                "live",
                None,
                _commit_after_timeout,
            ),
            Mutant(
                "timeout-without-lock",
                "timeouts claim that no certificate is held (V1)",
                "live",
                None,
                _timeout_without_lock,
            ),
            Mutant(
                "timeout-certificate-of-three",
                "n-q+1 timeouts lead into the next view (V4)",
                "safe",
                None,
                _timeout_certificate_of_three,
            ),
            Mutant(
                "reject-certificate-as-justification",
                "n-q+1 rejections justify a new block in the next view (R2)",
                "safe",
                None,
                _reject_certificate_as_justification,
            ),
            Mutant(
                "sealing-after-one-phase",
                "a quorum of approvals seals the block (P4 to P6)",
                "safe",
                None,
                _sealing_after_one_phase,
            ),
            Mutant(
                "quorum-of-eight",
                "eight of twelve banks are a quorum (section 1)",
                "safe",
                None,
                _quorum_of_eight,
            ),
        )
    }
)
"""By name, in the order of BFT-12 section 15."""
