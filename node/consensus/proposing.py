"""The leader's first duty: one block for its view (BFT-12 P2)."""

from __future__ import annotations

from node.consensus import balloting, journal, waiting
from node.consensus.certificates import QuorumCertificate
from node.consensus.effects import BuildBlock
from node.consensus.events import Approved, BlockBuilt, TimerKind
from node.consensus.state import State
from node.consensus.statements import Proposal
from node.ledger.blocks import Block


def may_propose(state: State) -> bool:
    """Whether this bank leads its view, still takes part in it and has not proposed in it."""
    return (
        state.deciding
        and state.leading
        and not state.timed_out
        and state.proposed is None
        and state.has_work
        and (state.view == 0 or state.entry is not None)
        and state.highest_view < state.view
    )


def propose(state: State) -> bool:
    """Re-propose the highest certified block, or have a new one built (P2)."""
    if not may_propose(state):
        return False
    if state.highest is not None:
        known = state.blocks.get(state.highest.block_id)
        if known is None:
            return False
        _sign(state, known.block, state.highest)
        return True
    if state.building or state.nothing_to_build or not _batch_ready(state):
        return False
    state.building = True
    order = BuildBlock(
        state.height, state.view, state.evidence.for_block(), balloting.for_block(state)
    )
    state.emit(order)
    return True


def on_block_built(state: State, event: BlockBuilt) -> None:
    """Propose the block that was asked for, unless the world moved on meanwhile."""
    if (event.height, event.view) != (state.height, state.view) or not state.building:
        return
    state.building = False
    if event.block is None:
        state.nothing_to_build = True
        return
    header = event.block.header
    assert header.height == state.height, "the host builds on the tip"
    assert (header.proposer, header.original_view) == (state.bank, state.view), (
        "the host builds what was asked for"
    )
    if may_propose(state) and state.highest is None:
        _sign(state, event.block, None)


def on_batch_elapsed(state: State) -> None:
    """Propose with the transactions that came until now."""
    state.batch_elapsed = True


def _batch_ready(state: State) -> bool:
    """Wait for more transactions only if they are all that is waiting, and only so long."""
    waiting = state.work.transactions
    if state.view > 0 or state.batch_elapsed or state.work.due or waiting == 0:
        return True
    if waiting >= state.parameters.batch_limit:
        return True
    state.timers.ensure(TimerKind.BATCH, state.parameters.batch_wait_ms)
    return False


def _sign(state: State, block: Block, certificate: QuorumCertificate | None) -> None:
    statement = state.context.proposal(state.view, state.bank, block.block_id)
    state.proposed = Proposal(
        bank=state.bank,
        height=state.height,
        view=state.view,
        block=block,
        timeout_certificate=state.entry,
        quorum_certificate=certificate,
        parent_seal=state.tip_seal,
        signature=state.signer.sign(statement),
    )
    journal.persist(state, block)
    if certificate is not None and not _found_valid(state, block):
        # The host may lack transactions of a block that it has not judged; should I approve it,
        # its body is ordered to disk again (D2).
        state.durable_blocks.pop(block.block_id, None)
    state.broadcast(state.proposed)
    waiting.restart_retry(state)
    state.inbox.append(state.proposed)


def _found_valid(state: State, block: Block) -> bool:
    known = state.blocks.get(block.block_id)
    return known is not None and isinstance(known.verdict, Approved)
