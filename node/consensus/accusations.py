"""From signed statements to evidence items (BFT-12 section 9)."""

from __future__ import annotations

from collections.abc import Iterable

from node.consensus.certificates import RejectionEntry
from node.consensus.evidence_items import (
    MAX_PROOF_BYTES,
    ApprovedInvalid,
    DoubleCommit,
    DoubleProposal,
    DoubleVote,
    EvidenceItem,
    InvalidBlock,
    InvalidProposal,
    LockViolation,
    RejectedProposal,
    SignedAnswer,
    SignedBlockId,
    SignedHeader,
    in_order,
)
from node.consensus.evidence_verification import is_class_d
from node.consensus.signing import Decision
from node.consensus.statements import Commit, Proposal, SignedStatement, Timeout, Vote
from node.ledger.offences import Offence


def offence_of(first: SignedStatement, second: SignedStatement) -> Offence | None:
    """Return what two statements of one bank at one height prove (BFT-12 E1-E4), if anything.

    A timeout repeated with a higher claim, or a vote for another block in a later view, is none.
    """
    item = pair_of(first, second)
    return None if item is None else item.offence


def pair_of(first: SignedStatement, second: SignedStatement) -> EvidenceItem | None:
    """Return the item that two statements of one bank at one height make, if they convict it."""
    match first, second:
        case Vote(), Vote():
            return _double_vote(first, second)
        case Proposal(), Proposal():
            return _double_proposal(first, second)
        case Commit(), Commit():
            return _double_commit(first, second)
        case Commit(), Timeout():
            return _lock_violation(first, second)
        case Timeout(), Commit():
            return _lock_violation(second, first)
        case _:
            return None


def invalid_proposal(proposal: Proposal, proof: bytes) -> InvalidProposal | None:
    """Return E5 against the creator of a block; None if the proposal is not the creator's, or if
    the proof is too long to be carried."""
    if not is_by_creator(proposal) or len(proof) > MAX_PROOF_BYTES:
        return None
    return InvalidProposal(SignedHeader(proposal.block.header, proposal.signature), proof)


def rejected_proposal(
    proposal: Proposal, votes: Iterable[Vote], quorum: int
) -> RejectedProposal | None:
    """Return E6 against the creator of a block if a quorum of these votes rejects it."""
    if not is_by_creator(proposal):
        return None
    block_id = proposal.block.block_id
    entries = {
        vote.bank: RejectionEntry(vote.bank, vote.reason, vote.transaction_index, vote.signature)
        for vote in votes
        if vote.view == proposal.view and vote.block_id == block_id and is_rejection(vote)
    }
    if len(entries) < quorum:
        return None
    chosen = [entries[bank] for bank in sorted(entries)[:quorum]]
    return RejectedProposal(SignedHeader(proposal.block.header, proposal.signature), tuple(chosen))


def approved_invalid(vote: Vote, invalid: InvalidBlock) -> ApprovedInvalid | None:
    """Return E7 against a bank that approved the block of an E5 or E6."""
    if vote.decision is not Decision.APPROVE or vote.block_id != invalid.block_id:
        return None
    return ApprovedInvalid(vote.bank, vote.view, vote.signature, invalid)


def is_by_creator(proposal: Proposal) -> bool:
    """Whether the proposal is the one in which its block was created."""
    header = proposal.block.header
    return (header.proposer, header.original_view) == (proposal.bank, proposal.view)


def is_rejection(vote: Vote) -> bool:
    """Whether a vote rejects for a reason on which all correct banks agree."""
    return vote.decision is Decision.REJECT and is_class_d(vote.reason)


def _double_vote(first: Vote, second: Vote) -> DoubleVote | None:
    same = (first.block_id, first.decision) == (second.block_id, second.decision)
    if same or first.view != second.view:
        return None
    pair = in_order(_answer(first), _answer(second))
    return DoubleVote(first.bank, first.height, first.view, *pair)


def _double_proposal(first: Proposal, second: Proposal) -> DoubleProposal | None:
    if first.view != second.view or first.block.block_id == second.block.block_id:
        return None
    pair = in_order(
        SignedHeader(first.block.header, first.signature),
        SignedHeader(second.block.header, second.signature),
    )
    return DoubleProposal(first.bank, first.height, first.view, *pair)


def _double_commit(first: Commit, second: Commit) -> DoubleCommit | None:
    if first.view != second.view or first.block_id == second.block_id:
        return None
    pair = in_order(
        SignedBlockId(first.block_id, first.signature),
        SignedBlockId(second.block_id, second.signature),
    )
    return DoubleCommit(first.bank, first.height, first.view, *pair)


def _lock_violation(commit: Commit, timeout: Timeout) -> LockViolation | None:
    if timeout.view < commit.view or timeout.highest_view >= commit.view:
        return None
    return LockViolation(
        bank=commit.bank,
        height=commit.height,
        commit_view=commit.view,
        commit=SignedBlockId(commit.block_id, commit.signature),
        timeout_view=timeout.view,
        highest_view=timeout.highest_view,
        timeout_signature=timeout.signature,
    )


def _answer(vote: Vote) -> SignedAnswer:
    return SignedAnswer(
        vote.block_id, vote.decision, vote.reason, vote.transaction_index, vote.signature
    )
