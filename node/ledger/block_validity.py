"""Which block may follow which: the verdict behind every vote, and the way to a valid block.

`validate_block` judges somebody's block, `build_block` makes one's own; both run the same
`Execution`, so a correct proposer never proposes what a correct voter refuses (BFT-12 8, P2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from crypto.merkle import leaf_hash, merkle_root_of_hashes
from node.ledger.active_set import ActiveSet
from node.ledger.ballots import VerifiedBallot
from node.ledger.bins import due_bins, next_bin_due_ms
from node.ledger.blocks import (
    MAX_BLOCK_BYTES,
    MAX_EVIDENCE,
    MAX_EVIDENCE_BYTES,
    Block,
    Header,
)
from node.ledger.effects import Transition
from node.ledger.facts import BlockFacts
from node.ledger.genesis import Genesis
from node.ledger.offences import VerifiedEvidence
from node.ledger.proofs import VerifiedTransaction
from node.ledger.rejection import Reason, Rejection
from node.ledger.slashing import check_evidence, select_evidence
from node.ledger.state import LedgerState
from node.ledger.transition import Execution, execute
from node.ledger.types import BankIndex, Height, TimeMs, TransactionId, View
from node.ledger.voting_record import ballots_root, check_voting_record, select_votes

__all__ = [
    "BuiltBlock",
    "DroppedCandidate",
    "build_block",
    "check_links",
    "check_outcome",
    "due_bins",
    "next_bin_due_ms",
    "parent_set",
    "validate_block",
]


class DroppedCandidate(NamedTuple):
    """A candidate that may not stand in the block, and why."""

    transaction_id: TransactionId
    rejection: Rejection


@dataclass(frozen=True, slots=True)
class BuiltBlock:
    """A valid block with its outcome, and the candidates that did not fit the rules."""

    block: Block
    transition: Transition
    transactions: tuple[VerifiedTransaction, ...]
    """Those of the block, in order."""
    dropped: tuple[DroppedCandidate, ...]
    """In the order given; those whose reason `is_not_yet` may fit later, the others never will
    but for a changed limit or balance."""
    evidence: tuple[VerifiedEvidence, ...] = ()
    """That of the block, in order."""
    ballots: tuple[VerifiedBallot, ...] = ()
    """Those of the block, in order."""


def validate_block(
    genesis: Genesis,
    state: LedgerState,
    parent: Header,
    block: Block,
    transactions: Sequence[VerifiedTransaction | Rejection],
    facts: BlockFacts,
    *,
    clock_ms: TimeMs | None,
    evidence: Sequence[VerifiedEvidence | Rejection] = (),
    ballots: Sequence[VerifiedBallot | Rejection] = (),
) -> Transition:
    """Return the outcome of a block that may follow `parent`; raises `Rejection` otherwise.

    `state` is the parent's state, `transactions` the verdicts on exactly the block's transactions
    in order (a `Rejection` where the proofs failed), `evidence` those on its evidence items,
    `ballots` those on its ballots, and `facts` what `facts_needed` asks for. The order of
    judgement: header links, limits and counts, ballots, evidence in order, roots, transactions in
    order, state root, next set, and last the clock, which is the one subjective rule (class S) and
    is not judged when `clock_ms` is None.
    """
    assert parent.post_state_root == state.root(), "the state is not the parent's"
    header = block.header
    check_links(genesis, state, parent, header)
    _check_counts(genesis, block)
    assert len(transactions) == len(block.transaction_ids), "one verdict per transaction"
    votes = check_voting_record(
        block.parent_ballots,
        ballots,
        root=header.ballots_root,
        parent=parent,
        active_set=parent_set(genesis, state),
    )
    proven = _check_evidence(genesis, state, block, evidence)
    verified = _check_transactions(genesis, state, block, transactions, facts, proven, votes)
    transition = execute(
        genesis,
        state,
        height=header.height,
        time_ms=header.time_ms,
        proposer=header.proposer,
        transactions=verified,
        facts=facts,
        evidence=proven,
        ballots=votes,
    )
    check_outcome(genesis, header, transition)
    if clock_ms is not None:
        _check_clock(genesis, header, clock_ms)
    return transition


def build_block(
    genesis: Genesis,
    state: LedgerState,
    parent: Header,
    *,
    view: View,
    proposer: BankIndex,
    clock_ms: TimeMs,
    candidates: Sequence[VerifiedTransaction],
    facts: BlockFacts,
    evidence: Sequence[VerifiedEvidence] = (),
    ballots: Sequence[VerifiedBallot] = (),
) -> BuiltBlock:
    """Build a valid block from candidates in the order given, dropping those that may not follow.

    `facts` holds what `facts_needed(candidates)` asks for. Candidates beyond the batch limit are
    neither taken nor dropped. Of the evidence the block carries what `select_evidence` says, of the
    ballots what `select_votes` says, which raises `Rejection` (BALLOTS) if the parent's quorum is
    not among them. The time is the proposer's clock, but after the parent's (BFT-12 8).
    """
    assert parent.post_state_root == state.root(), "the state is not the parent's"
    height = Height(parent.height + 1)
    time_ms = TimeMs(max(clock_ms, parent.time_ms + 1))
    votes = select_votes(ballots, parent=parent, active_set=parent_set(genesis, state))
    proven = select_evidence(genesis, state, evidence)
    execution = Execution(
        genesis,
        state,
        height=height,
        time_ms=time_ms,
        facts=facts,
        evidence=proven,
        ballots=votes,
    )
    taken: list[VerifiedTransaction] = []
    dropped: list[DroppedCandidate] = []
    for candidate in candidates:
        if len(taken) == genesis.parameters.batch_limit:
            break
        try:
            execution.apply(candidate)
        except Rejection as rejection:
            dropped.append(DroppedCandidate(candidate.transaction_id, rejection))
        else:
            taken.append(candidate)
    transition = execution.finish(proposer)
    header = Header(
        chain_id=genesis.chain_id,
        height=height,
        parent_id=parent.block_id,
        original_view=view,
        proposer=proposer,
        time_ms=time_ms,
        transactions_root=merkle_root_of_hashes([item.leaf_hash for item in taken]),
        evidence_root=merkle_root_of_hashes([item.leaf_hash for item in proven]),
        ballots_root=ballots_root(votes),
        transaction_count=len(taken),
        post_state_root=transition.state.root(),
        next_set_hash=transition.state.active_set(genesis).set_hash,
    )
    block = Block(
        header,
        tuple([item.raw for item in votes]),
        tuple([item.raw for item in proven]),
        tuple([item.transaction_id for item in taken]),
    )
    return BuiltBlock(block, transition, tuple(taken), tuple(dropped), proven, votes)


def parent_set(genesis: Genesis, state: LedgerState) -> ActiveSet:
    """Return the active set that decided the block which led to `state`; of block 0, the first."""
    active_set = state.active_set_at(genesis, Height(max(1, state.height)))
    assert active_set is not None, "the parent's height lies in every evidence window"
    return active_set


def check_links(genesis: Genesis, state: LedgerState, parent: Header, header: Header) -> None:
    """Check that a header names its place after `parent`, whose state this is.

    Raises `Rejection`: CHAIN, HEIGHT, PARENT, TIME, PROPOSER.
    """
    if header.chain_id != genesis.chain_id:
        raise Rejection(Reason.CHAIN, "the block belongs to another ledger")
    if header.height != parent.height + 1:
        raise Rejection(
            Reason.HEIGHT, f"height {header.height} does not follow height {parent.height}"
        )
    if header.parent_id != parent.block_id:
        raise Rejection(
            Reason.PARENT,
            f"the parent is {header.parent_id.hex()}, not {parent.block_id.hex()}",
        )
    if header.time_ms <= parent.time_ms:
        raise Rejection(
            Reason.TIME, f"time {header.time_ms} is not after the parent's {parent.time_ms}"
        )
    leader = state.active_set(genesis).leader(header.height, header.original_view)
    if header.proposer != leader:
        raise Rejection(
            Reason.PROPOSER,
            f"bank {header.proposer} created the block, "
            f"bank {leader} leads view {header.original_view}",
        )


def _check_counts(genesis: Genesis, block: Block) -> None:
    if len(block.evidence) > MAX_EVIDENCE:
        raise Rejection(
            Reason.EVIDENCE, f"{len(block.evidence)} evidence items, at most {MAX_EVIDENCE}"
        )
    for item in block.evidence:
        if len(item) > MAX_EVIDENCE_BYTES:
            raise Rejection(
                Reason.EVIDENCE,
                f"an evidence item of {len(item)} bytes, at most {MAX_EVIDENCE_BYTES}",
            )
    count, limit = len(block.transaction_ids), genesis.parameters.batch_limit
    if count > limit:
        raise Rejection(Reason.TRANSACTION_COUNT, f"{count} transactions, at most {limit}")
    if count != block.header.transaction_count:
        raise Rejection(
            Reason.TRANSACTION_COUNT,
            f"{count} transactions, the header says {block.header.transaction_count}",
        )
    size = len(block.encode())
    if size > MAX_BLOCK_BYTES:
        raise Rejection(Reason.SIZE, f"{size} bytes, at most {MAX_BLOCK_BYTES}")


def _check_evidence(
    genesis: Genesis,
    state: LedgerState,
    block: Block,
    verdicts: Sequence[VerifiedEvidence | Rejection],
) -> tuple[VerifiedEvidence, ...]:
    """Check that the items prove something, may be punished, and are what the header says."""
    assert len(verdicts) == len(block.evidence), "one verdict per evidence item"
    for verdict in verdicts:
        if isinstance(verdict, Rejection):
            raise verdict
    proven = tuple([item for item in verdicts if isinstance(item, VerifiedEvidence)])
    assert tuple([item.raw for item in proven]) == block.evidence, "the verdicts are the block's"
    root = merkle_root_of_hashes([leaf_hash(raw) for raw in block.evidence])
    _check_root(Reason.EVIDENCE, block.header.evidence_root, root)
    check_evidence(genesis, state, proven)
    return proven


def _check_transactions(
    genesis: Genesis,
    state: LedgerState,
    block: Block,
    verdicts: Sequence[VerifiedTransaction | Rejection],
    facts: BlockFacts,
    evidence: Sequence[VerifiedEvidence],
    ballots: Sequence[VerifiedBallot],
) -> tuple[VerifiedTransaction, ...]:
    """Check the roots, and that every proof holds; the first bad transaction in order is named."""
    header = block.header
    verified = tuple([item for item in verdicts if isinstance(item, VerifiedTransaction)])
    if len(verified) < len(verdicts):
        execution = Execution(
            genesis,
            state,
            height=header.height,
            time_ms=header.time_ms,
            facts=facts,
            evidence=evidence,
            ballots=ballots,
        )
        _raise_first_rejection(execution, verdicts)
    ids = tuple([item.transaction_id for item in verified])
    assert ids == block.transaction_ids, "the verdicts are those of the block's transactions"
    root = merkle_root_of_hashes([item.leaf_hash for item in verified])
    _check_root(Reason.TRANSACTIONS_ROOT, header.transactions_root, root)
    return verified


def _check_root(reason: Reason, claimed: bytes, computed: bytes) -> None:
    if claimed != computed:
        raise Rejection(reason, f"the header says {claimed.hex()}, computed {computed.hex()}")


def _raise_first_rejection(
    execution: Execution, verdicts: Sequence[VerifiedTransaction | Rejection]
) -> None:
    for index, verdict in enumerate(verdicts):
        if isinstance(verdict, Rejection):
            raise verdict.at(index)
        try:
            execution.apply(verdict)
        except Rejection as rejection:
            raise rejection.at(index) from rejection


def check_outcome(genesis: Genesis, header: Header, transition: Transition) -> None:
    """Compare what execution led to with the header; raises `Rejection`: STATE_ROOT, NEXT_SET."""
    _check_root(Reason.STATE_ROOT, header.post_state_root, transition.state.root())
    next_set_hash = transition.state.active_set(genesis).set_hash
    _check_root(Reason.NEXT_SET, header.next_set_hash, next_set_hash)


def _check_clock(genesis: Genesis, header: Header, clock_ms: TimeMs) -> None:
    latest = clock_ms + genesis.parameters.max_clock_skew_ms
    if header.time_ms > latest:
        raise Rejection(
            Reason.CLOCK,
            f"time {header.time_ms} is {header.time_ms - clock_ms} ms ahead of my clock, "
            f"at most {genesis.parameters.max_clock_skew_ms} ms are allowed",
        )
