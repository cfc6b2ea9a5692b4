"""Hostile until checked: every message on its way into the state (BFT-12 sections 3, 6, 12).

Checked in this order, the cheap before the dear: the sender, the height, the view, the signer,
the signature, and only then what the statement says.
"""

from __future__ import annotations

from node.consensus import (
    balloting,
    catch_up,
    certifying,
    justification,
    pacemaker,
    prosecution,
    sealing,
    view_change,
    waiting,
)
from node.consensus.certificates import (
    CertificateInvalid,
    verify_commits,
    verify_quorum_certificate,
    verify_reject_certificate,
)
from node.consensus.effects import AlarmKind
from node.consensus.messages import (
    BlockRequest,
    BlockResponse,
    Evidence,
    Message,
    QuorumCertificate,
    RejectCertificate,
    Seal,
    Status,
    SyncRequest,
    SyncResponse,
)
from node.consensus.parameters import MAX_VIEWS_AHEAD
from node.consensus.signatures import SignatureInvalid
from node.consensus.signing import SigningContext
from node.consensus.state import State
from node.consensus.statements import Commit, Proposal, SignedStatement, Timeout, Vote
from node.ledger.types import NO_VIEW, BankIndex


def receive(state: State, sender: BankIndex, message: Message) -> None:
    """Take a message from the authenticated link of `sender`."""
    if sender == state.bank and isinstance(message, Evidence):
        # Handed in here, by who is not a bank: the regulator.
        prosecution.receive(state, sender, message)
    if sender not in state.peers:
        return
    waiting.note_heard(state, sender)
    pacemaker.trust(state, sender)
    if state.halted is not None and not isinstance(message, SyncRequest):
        return
    match message:
        case SyncRequest():
            catch_up.serve(state, sender, message.from_height)
        case SyncResponse():
            catch_up.accept_response(state, sender, message)
        case BlockRequest():
            catch_up.answer_block_request(state, sender, message)
        case BlockResponse():
            sealing.accept_block(state, sender, message)
        case Evidence():
            prosecution.receive(state, sender, message)
        case Proposal() | Vote() | Commit() | Timeout():
            _receive_statement(state, sender, message)
        case QuorumCertificate() | Seal() | RejectCertificate() | Status():
            _receive_self_proving(state, sender, message)


def receive_own(state: State, statement: SignedStatement) -> None:
    """Count what this bank signed itself; it is already ordered to disk (D1)."""
    prosecution.observe(state, statement)
    _accept(state, state.bank, statement)


def _receive_statement(state: State, sender: BankIndex, statement: SignedStatement) -> None:
    if statement.bank != sender:
        state.refuse(sender, f"a statement of bank {statement.bank}")
        return
    if isinstance(statement, Proposal) and not _proposal_is_whole(state, statement):
        state.refuse(sender, "a proposal whose block is of another chain or height")
        return
    if statement.height > state.height:
        if isinstance(statement, Proposal):
            _use_parent_seal(state, sender, statement)
        catch_up.note_ahead(state, sender, statement.height, statement)
        return
    if statement.height < state.height:
        _remember_late(state, statement)
        catch_up.on_late(state, sender, statement.height, statement)
        return
    if statement.view > state.view + MAX_VIEWS_AHEAD or sender not in state.active_set:
        return
    leader = state.active_set.leader(statement.height, statement.view)
    if isinstance(statement, Proposal) and sender != leader:
        state.refuse(sender, "a proposal by a bank that does not lead its view")
        return
    try:
        key = state.active_set.keys[sender]
        state.verifier.verify(key, statement.signed_bytes(state.context), statement.signature)
    except SignatureInvalid:
        state.refuse(sender, "a bad signature")
        return
    prosecution.observe(state, statement)
    _accept(state, sender, statement)


def _accept(state: State, sender: BankIndex, statement: SignedStatement) -> None:
    """Use a statement whose signature is good."""
    if statement.height != state.height:
        return
    state.work.activity = True
    match statement:
        case Proposal():
            _accept_proposal(state, sender, statement)
        case Vote():
            state.votes.add(statement)
            balloting.take_from(state, statement)
        case Commit():
            state.commits.add(statement)
            balloting.take_from(state, statement)
        case Timeout():
            _accept_timeout(state, sender, statement)


def _accept_proposal(state: State, sender: BankIndex, proposal: Proposal) -> None:
    try:
        if proposal.quorum_certificate is not None:
            certifying.accept_quorum_certificate(state, proposal.quorum_certificate)
        if proposal.timeout_certificate is not None and proposal.view > state.view:
            view_change.accept_timeout_certificate(state, proposal.timeout_certificate)
        if proposal.view < state.view:
            state.send(sender, pacemaker.status_message(state))
            return
        if proposal.view > state.view:
            raise CertificateInvalid("the proposal does not lead into its view")
        if state.proposal is not None:
            _accept_repeated(state, sender, proposal)
            return
        justification.check(state, proposal)
    except (CertificateInvalid, justification.NotJustified) as error:
        state.refuse(sender, f"proposal: {error}")
        return
    state.proposal = proposal
    state.blocks.offer(proposal.block, sender)


def _accept_repeated(state: State, sender: BankIndex, proposal: Proposal) -> None:
    """A leader that repeats itself misses my answers, and may bring a copy I still need."""
    assert state.proposal is not None, "the caller looked"
    if sender != state.bank and proposal.block.block_id == state.proposal.block.block_id:
        state.blocks.offer(proposal.block, sender)
        pacemaker.repeat_own_statements(state)


def _accept_timeout(state: State, sender: BankIndex, timeout: Timeout) -> None:
    """Process what is attached, then count it (V3)."""
    certificate = timeout.quorum_certificate
    attached_view = NO_VIEW if certificate is None else certificate.view
    if timeout.highest_view > timeout.view or attached_view != timeout.highest_view:
        state.refuse(sender, "a timeout whose claim and certificate differ")
        return
    try:
        if certificate is not None:
            certifying.accept_quorum_certificate(state, certificate)
        if timeout.timeout_certificate is not None:
            view_change.accept_timeout_certificate(state, timeout.timeout_certificate)
    except CertificateInvalid as error:
        state.refuse(sender, f"timeout: {error}")
        return
    if timeout.view < state.view:
        state.send(sender, pacemaker.status_message(state))
        return
    state.timeouts.add(timeout)


def _receive_self_proving(
    state: State,
    sender: BankIndex,
    message: QuorumCertificate | Seal | RejectCertificate | Status,
) -> None:
    if message.height > state.height:
        catch_up.note_ahead(state, sender, message.height, message)
        return
    if message.height < state.height:
        _remember_late_certificate(state, sender, message)
        catch_up.on_late(state, sender, message.height, message)
        return
    try:
        match message:
            case QuorumCertificate():
                known = message == state.highest
                certifying.accept_quorum_certificate(state, message)
                if known:
                    pacemaker.repeat_own_statements(state)
            case Seal():
                certifying.accept_seal(state, message, sender)
            case RejectCertificate():
                view_change.accept_reject_certificate(state, message)
            case Status():
                _accept_status(state, sender, message)
    except CertificateInvalid as error:
        state.refuse(sender, f"{type(message).__name__}: {error}")


def _accept_status(state: State, sender: BankIndex, status: Status) -> None:
    """Follow a peer into a later view, or help one that is in an earlier view."""
    if status.quorum_certificate is not None:
        certifying.accept_quorum_certificate(state, status.quorum_certificate)
    if status.timeout_certificate is not None and status.view > state.view:
        view_change.accept_timeout_certificate(state, status.timeout_certificate)
    if status.view < state.view:
        state.send(sender, pacemaker.status_message(state))
    waiting.answer(state, sender, status)


def _proposal_is_whole(state: State, proposal: Proposal) -> bool:
    header = proposal.block.header
    return header.chain_id == state.chain_id and header.height == proposal.height


def _use_parent_seal(state: State, sender: BankIndex, proposal: Proposal) -> None:
    """The next height's proposal shows that this height is sealed."""
    seal = proposal.parent_seal
    if seal is None or seal.height != state.height:
        return
    try:
        certifying.accept_seal(state, seal, sender)
    except CertificateInvalid as error:
        state.refuse(sender, f"parent seal: {error}")


def _remember_late(state: State, statement: SignedStatement) -> None:
    """Keep a late statement of a recently sealed height: it may still convict (section 9)."""
    past = state.past.get(statement.height)
    if past is None or statement.bank not in past.active_set:
        return
    if statement.view > past.view + MAX_VIEWS_AHEAD:
        return
    context = SigningContext.of(state.chain_id, past.active_set, statement.height)
    try:
        key = past.active_set.keys[statement.bank]
        state.verifier.verify(key, statement.signed_bytes(context), statement.signature)
    except SignatureInvalid:
        state.refuse(statement.bank, "a bad signature")
        return
    prosecution.observe(state, statement)


def _remember_late_certificate(
    state: State,
    sender: BankIndex,
    message: QuorumCertificate | Seal | RejectCertificate | Status,
) -> None:
    """Keep what a late certificate of a recently sealed height says about its signers.

    A seal of another block than the one applied here is the fork that agreement excludes: its
    signers answer for it (section 9), and the operators must know. Their signatures suffice: the
    ballots of such a seal convict nobody.
    """
    past = state.past.get(message.height)
    if past is None or isinstance(message, Status):
        return
    if message.view > past.view + MAX_VIEWS_AHEAD:
        return
    arguments = (state.chain_id, past.active_set, state.verifier)
    try:
        match message:
            case QuorumCertificate():
                verify_quorum_certificate(message, *arguments)
                prosecution.observe_quorum_certificate(state, message)
            case RejectCertificate():
                verify_reject_certificate(message, *arguments)
                prosecution.observe_reject_certificate(state, message)
            case Seal():
                verify_commits(message, *arguments)
                prosecution.observe_seal(state, message)
                if message.block_id != past.block_id:
                    _report_fork(state, message)
    except CertificateInvalid as error:
        state.refuse(sender, f"late {type(message).__name__}: {error}")


def _report_fork(state: State, seal: Seal) -> None:
    if seal.block_id not in state.prosecution.forks:
        state.prosecution.forks[seal.block_id] = seal.height
        state.alarm(
            AlarmKind.CONFLICTING_SEAL,
            f"another block is sealed at height {seal.height}: {seal.block_id.hex()}",
            block_id=seal.block_id,
        )
