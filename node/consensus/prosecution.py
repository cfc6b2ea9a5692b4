"""From an offence that was seen to evidence that every bank has (BFT-12 section 9).

Whatever is verified passes through `observe` and its siblings. What it completes, a pair of
statements or a proof that a block is invalid, becomes an item; the host examines it against the
ledger and stores it; then it is told to all, repeated until it is recorded, and offered to every
leader's block. An item of a peer goes the same way. An inactive bank takes part in all of it.
"""

from __future__ import annotations

from node.consensus.accusations import (
    approved_invalid,
    invalid_proposal,
    is_rejection,
    pair_of,
    rejected_proposal,
)
from node.consensus.certificates import (
    QuorumCertificate,
    RejectCertificate,
    Seal,
    TimeoutCertificate,
)
from node.consensus.effects import AlarmKind, ExamineEvidence
from node.consensus.events import EvidenceExamined, Rejected, WorkKind
from node.consensus.evidence import Conflict
from node.consensus.evidence_items import (
    ApprovedInvalid,
    EvidenceItem,
    InvalidBlock,
    InvalidProposal,
    RejectedProposal,
    SealedInvalid,
    decode_item,
    encode_item,
    key_of,
)
from node.consensus.messages import Evidence
from node.consensus.signing import Decision
from node.consensus.state import State
from node.consensus.statements import Proposal, SignedStatement, Vote
from node.ledger.blocks import MAX_EVIDENCE_BYTES, Header
from node.ledger.encoding import MalformedEncoding
from node.ledger.state_records import PunishedOffence
from node.ledger.types import BankIndex, BlockId, Height, View


def observe(state: State, statement: SignedStatement) -> None:
    """Keep a statement whose signature was checked, and prosecute what it completes."""
    _accuse(state, state.log.observe(statement))
    match statement:
        case Vote(decision=Decision.APPROVE):
            _accuse_approvers(state, statement.block_id)
        case Vote():
            if is_rejection(statement):
                _count_rejections(state, statement.height, statement.view, statement.block_id)
        case Proposal():
            header = statement.block.header
            _use_proof(state, header.block_id)
            _count_rejections(state, header.height, statement.view, header.block_id)
        case _:
            pass


def observe_quorum_certificate(state: State, certificate: QuorumCertificate) -> None:
    """Keep the votes of a verified certificate; who approved an invalid block answers for it."""
    _accuse(state, state.log.observe_quorum_certificate(certificate))
    _accuse_approvers(state, certificate.block_id)


def observe_reject_certificate(state: State, certificate: RejectCertificate) -> None:
    """Keep the rejections of a verified certificate."""
    _accuse(state, state.log.observe_reject_certificate(certificate))
    _count_rejections(state, certificate.height, certificate.view, certificate.block_id)


def observe_timeout_certificate(state: State, certificate: TimeoutCertificate) -> None:
    """Keep the timeouts of a verified certificate."""
    _accuse(state, state.log.observe_timeout_certificate(certificate))


def observe_seal(state: State, seal: Seal) -> None:
    """Keep the commits of a verified seal."""
    _accuse(state, state.log.observe_seal(seal))


def observe_verdict(state: State, header: Header, verdict: Rejected) -> None:
    """My host found a block invalid: if it can show it to anybody, its creator answers (E5)."""
    if verdict.deterministic and verdict.proof is not None:
        state.prosecution.proofs[header.block_id] = (header, verdict.proof)
        _use_proof(state, header.block_id)


def receive(state: State, sender: BankIndex, message: Evidence) -> None:
    """Take an item of a peer: have it examined if it is new."""
    raw, pool = message.item, state.evidence
    if not pool.would_hear(raw, sender):
        return
    try:
        key = key_of(decode_item(raw))
    except MalformedEncoding as error:
        pool.refuse(raw, sender)
        state.refuse(sender, f"evidence: {error}")
        return
    if not pool.needs(key):
        pool.settle(raw)
    elif key.height > state.height:
        pool.charge(sender)  # It cannot be judged before this bank is there.
    else:
        _examine(state, raw, sender)


def on_examined(state: State, event: EvidenceExamined) -> None:
    """The host has judged an item, and stored it if it convicts."""
    source = state.evidence.examined(event.item)
    if source is None:
        return
    if event.key is None:
        state.evidence.refuse(event.item, source)
        state.evidence.drop(event.item)
        if len(state.evidence) == 0:
            state.work.due.pop(WorkKind.EVIDENCE, None)
        if source != state.bank:
            state.refuse(source, f"evidence: {event.detail}")
        return
    if state.evidence.accept(event.key, event.item, state.height):
        state.broadcast(Evidence(event.item))
        _announce(state)
    _learn(state, decode_item(event.item))


def restore(state: State, items: tuple[bytes, ...]) -> None:
    """Take up the items that were stored and are not punished yet.

    Raises `MalformedEncoding`: the store is damaged.
    """
    for raw in items:
        item = decode_item(raw)
        state.evidence.accept(key_of(item), raw, state.height)
        _learn(state, item)
    _announce(state)


def on_height_begun(state: State, punished: tuple[PunishedOffence, ...]) -> None:
    """Drop what was punished; what still waits makes a block due (section 7)."""
    state.evidence.punished(punished)
    for raw in state.evidence.stale(state.height):
        _examine(state, raw, state.bank)
    _announce(state)


def repeat(state: State, peer: BankIndex) -> None:
    """Tell a peer some of the items that wait; the rest has its turn later."""
    for raw in state.evidence.for_peer():
        state.send(peer, Evidence(raw))


def _announce(state: State) -> None:
    if len(state.evidence) > 0:
        state.work.due[WorkKind.EVIDENCE] = True
        state.nothing_to_build = False


def _accuse(state: State, conflicts: list[Conflict]) -> None:
    for conflict in conflicts:
        state.alarm(
            AlarmKind.CONFLICTING_STATEMENTS,
            f"bank {conflict.bank} signed conflicting statements at height "
            f"{conflict.height} ({conflict.offence})",
            bank=conflict.bank,
        )
        _submit(state, pair_of(conflict.first, conflict.second))


def _submit(state: State, item: EvidenceItem | None) -> None:
    """Have an item of my own examined, once for each key."""
    if item is None or key_of(item) in state.prosecution.submitted:
        return
    raw = encode_item(item)
    if len(raw) <= MAX_EVIDENCE_BYTES:
        state.prosecution.submitted[key_of(item)] = True
        _examine(state, raw, state.bank)


def _examine(state: State, raw: bytes, source: BankIndex) -> None:
    if state.evidence.examine(raw, source):
        state.emit(ExamineEvidence(raw, source))


def _use_proof(state: State, block_id: BlockId) -> None:
    """E5, once both the creator's proposal and the proof against it are here."""
    header, proof = state.prosecution.proofs.get(block_id, (None, b""))
    proposal = None if header is None else state.log.creation_of(header)
    if proposal is not None:
        _convict_creator(state, invalid_proposal(proposal, proof))


def _count_rejections(state: State, height: Height, view: View, block_id: BlockId) -> None:
    """E6, once a quorum rejected a block in the view of its creation."""
    proposal = state.log.proposal_of(height, view, block_id)
    active_set = state.set_of(height)
    if proposal is not None and active_set is not None:
        votes = state.log.votes_on(height, block_id)
        _convict_creator(state, rejected_proposal(proposal, votes, active_set.quorum))


def _convict_creator(state: State, item: InvalidBlock | None) -> None:
    if item is not None:
        _submit(state, item)
        _learn(state, item)


def _learn(state: State, item: EvidenceItem) -> None:
    """A block was shown to be invalid: whoever approved it answers for that (E7)."""
    match item:
        case InvalidProposal() | RejectedProposal() | SealedInvalid():
            if state.set_of(item.height) is not None:
                state.prosecution.invalid.setdefault(item.block_id, item)
                _accuse_approvers(state, item.block_id)
        case ApprovedInvalid():
            _submit(state, item.invalid)
            _learn(state, item.invalid)
        case _:
            pass


def _accuse_approvers(state: State, block_id: BlockId) -> None:
    invalid = state.prosecution.invalid.get(block_id)
    if invalid is not None:
        for vote in state.log.votes_on(invalid.height, block_id):
            _submit(state, approved_invalid(vote, invalid))
