"""The production code with one rule broken: what a simulator that is any good must notice.

BFT-12 section 15. Each mutant replaces one production function for the time of a run; there is no
switch in the core. A mutant is killed if a checker objects under a seed at which the unbroken code
passes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import node.ledger.active_set
from node.consensus import (
    certificates,
    certifying,
    evidence_verification,
    journal,
    restart,
    view_change,
    voting,
)
from node.consensus.certificates import (
    QuorumCertificate,
    RejectCertificate,
    Seal,
    TimeoutCertificate,
)
from node.consensus.core import Consensus
from node.consensus.effects import Effect, Persist
from node.consensus.record import DurableRecord
from node.consensus.signing import SigningContext
from node.consensus.state import State
from node.ledger import block_validity
from node.ledger.active_set import ActiveSet
from node.ledger.blocks import Block, Header
from node.ledger.effects import Transition
from node.ledger.genesis import Genesis
from node.ledger.transition import Execution
from node.ledger.types import NO_VIEW, BankIndex, Height

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

    # An approval and a commit are the same statement, so that the approvals make a valid seal; the
    # ballots that it lacks are not asked for.
    return (
        (certificates, "required_ballots", lambda active: 0),
        (certifying, "adopt_quorum_certificate", seal_at_once),
        (SigningContext, "commit", SigningContext.approval),
    )


def _quorum_of_eight() -> tuple[Replacement, ...]:
    return ((node.ledger.active_set, "quorum_size", lambda bank_count: min(8, bank_count)),)


def _no_rollback_guard() -> tuple[Replacement, ...]:
    start = Consensus.restart

    def unguarded(
        core: Consensus,
        record: bytes | None,
        *,
        silent_through: Height | None = None,
        **rest: Any,
    ) -> list[Effect]:
        return start(core, record, **rest)

    return ((Consensus, "restart", unguarded),)


def _lock_forgotten_at_restart() -> tuple[Replacement, ...]:
    restore = restart._restore

    def without_lock(state: State, record: DurableRecord, blocks: Sequence[Block]) -> None:
        restore(state, record, blocks)
        state.highest = state.committed = None

    return ((restart, "_restore", without_lock),)


def _duplicate_signers() -> tuple[Replacement, ...]:
    def count_only(banks: Sequence[BankIndex], active_set: ActiveSet, required: int) -> None:
        if len(banks) < required:
            raise certificates.CertificateInvalid("too few signatures")

    return ((certificates, "require_signers", count_only),)


def _evidence_not_rechecked() -> tuple[Replacement, ...]:
    return ((evidence_verification._Court, "hear", lambda court, item: None),)


def _evidence_never_recorded() -> tuple[Replacement, ...]:
    return ((block_validity, "select_evidence", lambda genesis, state, evidence: ()),)


def _evidence_not_durable() -> tuple[Replacement, ...]:
    start = Consensus.restart

    def forgetful(
        core: Consensus,
        record: bytes | None,
        *,
        evidence: Sequence[bytes] = (),
        **rest: Any,
    ) -> list[Effect]:
        return start(core, record, **rest)

    return ((Consensus, "restart", forgetful),)


def _punished_twice() -> tuple[Replacement, ...]:
    return ((Execution, "_next_punished", lambda execution: ()),)


def _state_root_unchecked() -> tuple[Replacement, ...]:
    def unchecked(genesis: Genesis, header: Header, transition: Transition) -> None:
        return None

    return ((block_validity, "_check_outcome", unchecked),)


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
            Mutant(
                "no-rollback-guard",
                "a bank restored from a backup signs at once (D4)",
                "live",
                None,
                _no_rollback_guard,
            ),
            Mutant(
                "lock-forgotten-at-restart",
                "a restarted bank does not know what it is locked on (D3)",
                "live",
                None,
                _lock_forgotten_at_restart,
            ),
            Mutant(
                "duplicate-signers",
                "one bank's signature counts as often as it is repeated (section 2)",
                "safe",
                None,
                _duplicate_signers,
            ),
            Mutant(
                "evidence-not-rechecked",
                "whatever is well-formed convicts (section 9)",
                "live",
                None,
                _evidence_not_rechecked,
            ),
            Mutant(
                "evidence-never-recorded",
                "no leader puts evidence into a block (section 9)",
                "live",
                None,
                _evidence_never_recorded,
            ),
            Mutant(
                "evidence-not-durable",
                "a restarted bank forgets the evidence that it accepted (section 9)",
                "live",
                None,
                _evidence_not_durable,
            ),
            Mutant(
                "punished-twice",
                "the ledger does not remember what it punished (section 9)",
                "live",
                None,
                _punished_twice,
            ),
            Mutant(
                "state-root-unchecked",
                "any state root is valid (section 8)",
                "live",
                None,
                _state_root_unchecked,
            ),
        )
    }
)
"""By name: those of BFT-12 section 15 in its order, then our own."""
