"""Collected statements become certificates (BFT-12 P4, P6, R1)."""

from __future__ import annotations

from node.consensus import balloting, certificates, prosecution, waiting
from node.consensus.certificates import (
    CertificateInvalid,
    QuorumCertificate,
    Seal,
    SignatureEntry,
    verify_commits,
    verify_quorum_certificate,
)
from node.consensus.events import TimerKind
from node.consensus.state import State
from node.ledger.types import BankIndex


def form_quorum_certificate(state: State) -> bool:
    """Leader: q approvals of the block of my view make its certificate (P4).

    Even after giving up the view: the certificate raises everybody's claim in the next one.
    """
    if not state.deciding or not state.leading or state.proposed is None:
        return False
    if state.highest_view >= state.view:
        return False
    certificate = state.votes.quorum_certificate(
        state.view, state.proposed.block.block_id, certificates.required_approvals(state.active_set)
    )
    if certificate is None:
        return False
    state.broadcast(certificate)
    waiting.restart_retry(state)
    adopt_quorum_certificate(state, certificate)
    return True


def accept_quorum_certificate(state: State, certificate: QuorumCertificate) -> None:
    """Check a certificate of this height and follow it (P5); raises `CertificateInvalid`."""
    if certificate == state.highest:
        return
    if certificate.height != state.height:
        raise CertificateInvalid("the quorum certificate is of another height")
    verify_quorum_certificate(certificate, state.chain_id, state.active_set, state.verifier)
    state.work.activity = True
    prosecution.observe_quorum_certificate(state, certificate)
    adopt_quorum_certificate(state, certificate)


def adopt_quorum_certificate(state: State, certificate: QuorumCertificate) -> None:
    """Raise hq, and enter the certificate's view if it is ahead (P1, P5)."""
    if certificate.view > state.highest_view:
        state.highest = certificate
    if certificate.view > state.view:
        state.enter_view(certificate.view, None)


def form_seal(state: State) -> bool:
    """Whoever holds q commits and q verified ballots of other tags: the block is final (P6).

    The commits are waited for first, so that their ballots are verified together; a ballot that
    does not hold is made up for by the next commit that brings another tag.
    """
    if state.seal is not None or state.halted is not None:
        return False
    for commits in state.commits.quorums(certificates.required_commits(state.active_set)):
        height, view, block_id = commits[0].height, commits[0].view, commits[0].block_id
        ballots = balloting.sealing_ballots(state, view, block_id)
        if ballots:
            entries = tuple([SignatureEntry(item.bank, item.signature) for item in commits])
            seal = Seal(height, view, block_id, entries, ballots)
            state.broadcast(seal)
            adopt_seal(state, seal, state.bank)
            return True
        if balloting.verify_approvals(state, view, block_id):
            return True
    return False


def accept_seal(state: State, seal: Seal, source: BankIndex) -> None:
    """Check a seal of this height but for the proofs of its ballots; raises `CertificateInvalid`.

    `follow_seal` adopts it once the proofs were verified too. One seal of a source is held.
    """
    if seal.height != state.height:
        raise CertificateInvalid("the seal is of another height")
    balloting.require_hearing(state, source)
    if state.seal is not None or source in state.ballots.pending:
        return
    verify_commits(seal, state.chain_id, state.active_set, state.verifier)
    prosecution.observe_seal(state, seal)
    certificates.check_ballots(seal, state.chain_id, state.active_set)
    balloting.hold(state, seal, source)


def follow_seal(state: State) -> bool:
    """Follow a seal whose ballots hold (P7); have those verified that are not known yet."""
    if state.seal is not None or state.halted is not None or not state.ballots.pending:
        return False
    verified = balloting.next_verified(state)
    if verified is None:
        return balloting.verify_held(state)
    adopt_seal(state, *verified)
    return True


def adopt_seal(state: State, seal: Seal, source: BankIndex) -> None:
    """Nothing more is decided at this height; what remains is to apply it."""
    state.ballots.pending.clear()
    state.seal = seal
    state.seal_source = source
    for kind in (TimerKind.VIEW, TimerKind.RETRY, TimerKind.BATCH):
        state.timers.cancel(kind)
