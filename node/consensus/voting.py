"""The two phases of a vote: answer the proposal, then commit to the certified block (P3, P5).

Both rules ask all their conditions anew every time, because the validation they wait for may be
answered after the view has ended.
"""

from __future__ import annotations

from node.consensus import journal, prosecution
from node.consensus.blocks import KnownBlock
from node.consensus.effects import AlarmKind, Validate
from node.consensus.events import Approved, Rejected, Validated
from node.consensus.signing import Decision
from node.consensus.state import State
from node.consensus.statements import Commit, Vote
from node.ledger.types import BlockId, View


def gave_up(state: State, view: View) -> bool:
    """Whether a timeout for this view or a later one was signed: then no Vote and no Commit in
    it may be signed any more (BFT-12 V1)."""
    return state.timed_out_view >= view


def vote_pending(state: State) -> bool:
    """Whether a justified proposal of this view waits for my answer (P3).

    Being locked on another block is no reason to refuse: the timeout certificate proves that it
    was not sealed. A bank that already committed in this view has no more to say.
    """
    return (
        state.deciding
        and state.proposal is not None
        and state.voted is None
        and not gave_up(state, state.view)
        and not _committed_in_view(state)
    )


def answer_pending(state: State) -> bool:
    """Whether a vote is pending and its block is here: the host's verdict will come."""
    return (
        vote_pending(state)
        and state.proposal is not None
        and state.blocks.get(state.proposal.block.block_id) is not None
    )


def commit_pending(state: State) -> bool:
    """Whether the quorum certificate of this view waits for my commit (P5)."""
    rejected = state.voted is not None and state.voted.decision is Decision.REJECT
    return (
        state.deciding
        and state.highest_view == state.view
        and not gave_up(state, state.view)
        and not _committed_in_view(state)
        and not rejected
    )


def request_validation(state: State) -> bool:
    """Have the host judge the blocks that a pending vote or commit depends on (section 8)."""
    acted = False
    if vote_pending(state) and state.proposal is not None:
        # A block that q banks approved is never refused because of my clock.
        with_clock = state.proposal.quorum_certificate is None
        known = state.blocks.get(state.proposal.block.block_id)
        acted = _ask(state, known, with_clock=with_clock)
    if commit_pending(state) and state.highest is not None:
        known = state.blocks.get(state.highest.block_id)
        acted = _ask(state, known, with_clock=False) or acted
    return acted


def on_validated(state: State, event: Validated) -> None:
    """Take the host's verdict; the rules look at it next.

    A verdict that comes too late for a vote may still convict the block's creator.
    """
    state.blocks.answer(event.ticket, event.verdict)
    header = state.blocks.header_asked(event.ticket)
    if header is not None and isinstance(event.verdict, Rejected):
        prosecution.observe_verdict(state, header, event.verdict)


def vote(state: State) -> bool:
    """Answer the proposal once its block is judged (P3)."""
    if not vote_pending(state) or state.proposal is None:
        return False
    proposal = state.proposal
    known = state.blocks.get(proposal.block.block_id)
    if known is None:
        return False
    verdict = known.judged(with_clock=proposal.quorum_certificate is None)
    if verdict is None:
        return False
    answer = _sign_vote(state, known, verdict)
    state.voted = answer
    journal.persist(state, known.block)
    if answer.decision is Decision.APPROVE:
        state.send(state.leader, answer)
    else:
        # The host may lack transactions of a refused block; should it be approved in a later
        # view, its body is ordered to disk again.
        state.durable_blocks.pop(known.block.block_id, None)
        state.broadcast(answer)
    state.inbox.append(answer)
    return True


def commit(state: State) -> bool:
    """Commit to the certified block of this view if it is valid here too (P5)."""
    if not commit_pending(state) or state.highest is None:
        return False
    block_id = state.highest.block_id
    known = state.blocks.get(block_id)
    if known is None:
        return False
    verdict = known.judged(with_clock=False)
    if isinstance(verdict, Rejected):
        return _certified_invalid(state, known, verdict)
    if verdict is None:
        return False
    state.committed = _sign_commit(state, block_id)
    journal.persist(state, known.block)
    state.send(state.leader, state.committed)
    state.inbox.append(state.committed)
    return True


def _committed_in_view(state: State) -> bool:
    return state.committed is not None and state.committed.view == state.view


def _ask(state: State, known: KnownBlock | None, *, with_clock: bool) -> bool:
    if known is None or known.ticket is not None:
        return False
    if known.judged(with_clock=with_clock) is not None:
        return False
    state.emit(Validate(state.blocks.ask(known), known.block, with_clock, known.source))
    return True


def _sign_vote(state: State, known: KnownBlock, verdict: Approved | Rejected) -> Vote:
    decision, reason, transaction_index, ballot = Decision.APPROVE, "", None, None
    block_id = known.block.block_id
    if isinstance(verdict, Rejected):
        decision, reason = Decision.REJECT, verdict.reason
        transaction_index = verdict.transaction_index
        ballot = _cast(state, block_id, approve=False)
    statement = state.context.vote(
        state.view, state.bank, block_id, decision, reason, transaction_index
    )
    return Vote(
        bank=state.bank,
        height=state.height,
        view=state.view,
        block_id=block_id,
        decision=decision,
        reason=reason,
        transaction_index=transaction_index,
        signature=state.signer.sign(statement),
        ballot=ballot,
    )


def _sign_commit(state: State, block_id: BlockId) -> Commit:
    statement = state.context.commit(state.view, state.bank, block_id)
    return Commit(
        bank=state.bank,
        height=state.height,
        view=state.view,
        block_id=block_id,
        signature=state.signer.sign(statement),
        ballot=_cast(state, block_id, approve=True),
    )


def _cast(state: State, block_id: BlockId, *, approve: bool) -> bytes:
    """Cast this bank's one ballot of its view: it rejects, or it commits, and never both."""
    return state.ballot_signer.sign_ballot(
        state.active_set, state.height, state.view, block_id, approve=approve
    )


def _certified_invalid(state: State, known: KnownBlock, verdict: Rejected) -> bool:
    block_id = known.block.block_id
    if block_id in state.certified_invalid:
        return False
    state.certified_invalid[block_id] = True
    state.alarm(
        AlarmKind.CERTIFIED_INVALID,
        f"a quorum approved block {block_id.hex()} at height {state.height}, "
        f"which is invalid here: {verdict.reason}",
        block_id=block_id,
    )
    return True
