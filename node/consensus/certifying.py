"""Collected statements become certificates (BFT-12 P4, P6, R1)."""

from __future__ import annotations

from node.consensus import certificates, prosecution, waiting
from node.consensus.certificates import (
    CertificateInvalid,
    QuorumCertificate,
    Seal,
    verify_quorum_certificate,
    verify_seal,
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
    """Whoever holds q commits: the block is final (P6)."""
    if state.seal is not None or state.halted is not None:
        return False
    seal = state.commits.seal(certificates.required_commits(state.active_set))
    if seal is None:
        return False
    state.broadcast(seal)
    adopt_seal(state, seal, state.bank)
    return True


def accept_seal(state: State, seal: Seal, source: BankIndex) -> None:
    """Check a seal of this height and follow it (P7); raises `CertificateInvalid`."""
    if seal.height != state.height:
        raise CertificateInvalid("the seal is of another height")
    if state.seal is not None:
        return
    verify_seal(seal, state.chain_id, state.active_set, state.verifier)
    prosecution.observe_seal(state, seal)
    adopt_seal(state, seal, source)


def adopt_seal(state: State, seal: Seal, source: BankIndex) -> None:
    """Nothing more is decided at this height; what remains is to apply it."""
    state.seal = seal
    state.seal_source = source
    for kind in (TimerKind.VIEW, TimerKind.RETRY, TimerKind.BATCH):
        state.timers.cancel(kind)
