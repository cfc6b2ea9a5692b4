"""Leaving a view that does not get anywhere (BFT-12 section 6).

A view changes through q timeouts and in no other way. Rejections and other banks' timeouts only
make a bank give up sooner.

One rule is stricter than the specification: a timeout certificate is acted on only by a bank
that holds a quorum certificate at least as high as the highest claim in it. Otherwise a Byzantine
bank could claim a certificate that it shows to nobody, complete a timeout certificate with it
before the others do, and leave a correct leader without anything it may propose, view after view.
Every message that carries a timeout certificate therefore carries the quorum certificate too.

One rule is more patient than the specification: a bank that would give up because others did, or
because others rejected the block (V2, R2), first answers the proposal that it is judging. After
the timeout it may not say any more what it thinks of the block, and the creator of an invalid one
would go free for want of a quorum of rejections (E6). The wait is bounded by the view timer and
by T0, and it is asked for nothing in the argument for liveness, where every view ends by timers.
"""

from __future__ import annotations

from node.consensus import certificates, journal, pacemaker, prosecution, voting, waiting
from node.consensus.certificates import (
    CertificateInvalid,
    RejectCertificate,
    TimeoutCertificate,
    verify_reject_certificate,
    verify_timeout_certificate,
)
from node.consensus.events import TimerKind
from node.consensus.state import State
from node.consensus.statements import Timeout
from node.ledger.types import View


def on_view_timer(state: State) -> None:
    """The view has lasted too long (V1), unless the work that it waited for went away."""
    if state.has_work:
        time_out(state)


def time_out(state: State) -> bool:
    """Give up the view: sign, persist, tell all, count it here too (V1)."""
    if not state.deciding or state.timed_out:
        return False
    state.timers.cancel(TimerKind.VIEW)
    pacemaker.suspect_leader(state)
    waiting.note_absent(state)
    _sign(state)
    waiting.restart_retry(state)
    return True


def repeat_timeout(state: State) -> None:
    """Tell all again; with a higher claim if a higher certificate was learnt since (V1)."""
    if not state.deciding or state.timeout is None or state.timeout.view != state.view:
        return
    if claimed_view(state) > state.timeout.highest_view:
        _sign(state)
    else:
        state.broadcast(state.timeout)


def claimed_view(state: State) -> View:
    """The hqv of a timeout: what this bank is locked on, never less."""
    return state.highest_view


def amplify(state: State) -> bool:
    """Join once rq banks gave up this view: no quorum is left in it (V2)."""
    if not state.deciding or state.timed_out or not may_hurry(state):
        return False
    if not _given_up_by_many(state):
        return False
    return _answer_then_time_out(state)


def follow_rejections(state: State) -> bool:
    """Give up once a reject certificate of this view is here (R2)."""
    if not state.deciding or state.timed_out or not state.rejected_by_many:
        return False
    return may_hurry(state) and _answer_then_time_out(state)


def may_hurry(state: State) -> bool:
    """Whether to give up a view because others did: in one rotation of leaders, no longer.

    More than n-q banks that reject everything, or give up everything, could otherwise drive all
    others through views as fast as messages travel, with a durable write for each. Later only the
    view timer ends a view; R2 and V2 save time and liveness does not rest on them (section 14).
    """
    return state.view < state.active_set.size


def on_retry(state: State) -> None:
    """Lose patience with the verdict that the end of the view waits for."""
    if state.rejected_by_many or _given_up_by_many(state):
        state.patience -= 1


def form_reject_certificate(state: State) -> bool:
    """Once rq banks rejected the block of this view, no quorum can approve it (R1)."""
    if not state.deciding or state.rejected_by_many:
        return False
    certificate = state.votes.reject_certificate(state.view, state.active_set.reject_threshold)
    if certificate is None:
        return False
    follow_reject_certificate(state, certificate)
    return True


def accept_reject_certificate(state: State, certificate: RejectCertificate) -> None:
    """Check a reject certificate of this view and follow it; raises `CertificateInvalid`."""
    if (certificate.height, certificate.view) != (state.height, state.view):
        return
    if state.rejected_by_many:
        return
    verify_reject_certificate(certificate, state.chain_id, state.active_set, state.verifier)
    state.work.activity = True
    prosecution.observe_reject_certificate(state, certificate)
    follow_reject_certificate(state, certificate)


def follow_reject_certificate(state: State, certificate: RejectCertificate) -> None:
    """Forward it once; the view then ends as if its timer had run out, and no more (R2)."""
    state.rejected_by_many = True
    if state.deciding and not state.timed_out:
        state.broadcast(certificate)


def form_timeout_certificate(state: State) -> bool:
    """Enter the view after the highest one that q banks gave up (V4)."""
    if state.seal is not None or state.halted is not None or not state.timeouts:
        return False
    certificate = state.timeouts.certificate(
        state.view, certificates.required_timeouts(state.active_set)
    )
    if certificate is None or certificate.highest_view > state.highest_view:
        return False
    adopt_timeout_certificate(state, certificate)
    return True


def accept_timeout_certificate(state: State, certificate: TimeoutCertificate) -> None:
    """Check a timeout certificate that leads to a later view and follow it.

    Raises `CertificateInvalid`, also when the certificate that it obliges to is not at hand.
    """
    if certificate.height != state.height:
        raise CertificateInvalid("the timeout certificate is of another height")
    if certificate.view < state.view:
        return
    if certificate.highest_view > state.highest_view:
        raise CertificateInvalid("the quorum certificate that it claims is withheld")
    verify_timeout_certificate(certificate, state.chain_id, state.active_set, state.verifier)
    prosecution.observe_timeout_certificate(state, certificate)
    adopt_timeout_certificate(state, certificate)


def adopt_timeout_certificate(state: State, certificate: TimeoutCertificate) -> None:
    """Enter the next view (P1)."""
    state.enter_view(View(certificate.view + 1), certificate)


def _given_up_by_many(state: State) -> bool:
    count = state.timeouts.count_of(state.view)
    return count > 0 and count >= state.active_set.reject_threshold


def _answer_then_time_out(state: State) -> bool:
    if voting.answer_pending(state) and state.patience > 0:
        return False
    return time_out(state)


def _sign(state: State) -> None:
    highest_view = claimed_view(state)
    statement = state.context.timeout(state.view, state.bank, highest_view)
    state.timeout = Timeout(
        bank=state.bank,
        height=state.height,
        view=state.view,
        highest_view=highest_view,
        quorum_certificate=state.highest,
        timeout_certificate=state.entry,
        signature=state.signer.sign(statement),
    )
    journal.persist(state)
    state.broadcast(state.timeout)
    state.inbox.append(state.timeout)
