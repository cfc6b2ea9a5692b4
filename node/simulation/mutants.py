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
    balloting,
    ballots,
    certificates,
    evidence_verification,
    journal,
    restart,
    view_change,
    voting,
)
from node.consensus.certificates import RejectCertificate, TimeoutCertificate
from node.consensus.core import Consensus
from node.consensus.effects import Effect, Persist
from node.consensus.record import DurableRecord
from node.consensus.signing import Decision
from node.consensus.state import State
from node.ledger import block_validity, settlement_rules
from node.ledger.active_set import ActiveSet
from node.ledger.ballots import Decision as BallotDecision
from node.ledger.ballots import (
    VerifiedBallot,
    ballot_height,
    ballot_message,
    ballot_view,
)
from node.ledger.blocks import Block, Header
from node.ledger.effects import Transition
from node.ledger.genesis import Genesis
from node.ledger.rejection import Reason, Rejection
from node.ledger.transition import Execution
from node.ledger.types import NO_VIEW, BankIndex, BlockId, FiscalYear, Height, View
from node.simulation.ballot_oracle import BallotOracle

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
    def commit_what_was_approved(state: State) -> bool:
        voted = state.voted
        if not state.deciding or voted is None or voted.decision is not Decision.APPROVE:
            return False
        known = state.blocks.get(voted.block_id)
        done = state.committed is not None and state.committed.view == state.view
        if known is None or done or voted.view != state.view or voting.gave_up(state, state.view):
            return False
        state.committed = voting._sign_commit(state, voted.block_id)
        journal.persist(state, known.block)
        state.send(state.leader, state.committed)
        state.inbox.append(state.committed)
        return True

    # A commit that no certificate came before is an approval under another name.
    return ((voting, "commit", commit_what_was_approved),)


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

    return ((block_validity, "check_outcome", unchecked),)


def _tags_not_counted() -> tuple[Replacement, ...]:
    def check_number(ballots: Sequence[bytes], block_id: BlockId, quorum: int) -> None:
        if len(ballots) != quorum:
            raise Rejection(Reason.BALLOTS, "too few ballots")

    return ((certificates, "check_approvals", check_number),)


def _ballot_view_unchecked() -> tuple[Replacement, ...]:
    def is_about(
        raw: bytes,
        chain_id: bytes,
        height: Height,
        view: View,
        block_id: BlockId,
        decision: BallotDecision,
        active_set: ActiveSet,
    ) -> bool:
        about = (ballot_height(raw), ballot_message(raw))
        return about == (height, block_id + decision.value)

    def judge_where_it_was_cast(
        oracle: BallotOracle,
        raws: Sequence[bytes],
        *,
        height: Height,
        view: View,
        active_set: ActiveSet,
    ) -> tuple[VerifiedBallot | Rejection, ...]:
        return tuple(
            [oracle.verdict(raw, height, ballot_view(raw), active_set) for raw in raws]
        )

    # The oracle stands for `node.ledger.ballots.verify_ballots`.
    return (
        (certificates, "is_ballot_about", is_about),
        (ballots, "is_ballot_about", is_about),
        (BallotOracle, "verify", judge_where_it_was_cast),
    )


def _ballots_unverified() -> tuple[Replacement, ...]:
    def take_any(state: State, view: View, block_id: BlockId) -> tuple[bytes, ...]:
        cast = state.ballots.approvals_of(view, block_id)
        return ballots.select_ballots(cast, certificates.required_ballots(state.active_set))

    return ((balloting, "sealing_ballots", take_any),)


def _parent_ballots_unchecked() -> tuple[Replacement, ...]:
    def keep_what_verifies(
        raws: Sequence[bytes], verdicts: Sequence[VerifiedBallot | Rejection], **rest: Any
    ) -> tuple[VerifiedBallot, ...]:
        return tuple([item for item in verdicts if isinstance(item, VerifiedBallot)])

    return ((block_validity, "check_voting_record", keep_what_verifies),)


def _double_ballots_ignored() -> tuple[Replacement, ...]:
    return ((balloting, "expose", lambda state: False),)


def _tally_proof_unchecked() -> tuple[Replacement, ...]:
    return (
        (settlement_rules, "verify_tally", lambda *claim: None),
        (settlement_rules, "_check_counts", lambda settlement, tally: None),
    )


def _settled_too_early() -> tuple[Replacement, ...]:
    return ((settlement_rules, "_current_year", lambda genesis, state: FiscalYear(1 << 32)),)


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
            Mutant(
                "tags-not-counted",
                "one bank's ballot counts as often as it is repeated (section 17)",
                "live",
                None,
                _tags_not_counted,
            ),
            Mutant(
                "ballot-view-unchecked",
                "ballots of several views make one seal (section 17)",
                "live",
                None,
                _ballot_view_unchecked,
            ),
            Mutant(
                "ballots-unverified",
                "a leader seals with ballots whose proofs nobody looked at (section 17)",
                "live",
                None,
                _ballots_unverified,
            ),
            Mutant(
                "parent-ballots-unchecked",
                "a block records whatever its leader says of its parent (section 17)",
                "live",
                None,
                _parent_ballots_unchecked,
            ),
            Mutant(
                "double-ballots-ignored",
                "nobody keeps two ballots of one bank for the regulator (section 17, E8)",
                "live",
                None,
                _double_ballots_ignored,
            ),
            Mutant(
                "tally-proof-unchecked",
                "the regulator may claim any counts (section 18)",
                "live",
                None,
                _tally_proof_unchecked,
            ),
            Mutant(
                "settled-too-early",
                "a year is settled before it is over (section 18)",
                "live",
                None,
                _settled_too_early,
            ),
        )
    }
)
"""By name: those of BFT-12 section 15 in its order, then our own."""
