"""Write-ahead: what is signed is durable before it is sent or counted (BFT-12 D1, D2).

Every rule that signs calls `persist` after it has stored the statement in the state and before
it emits a send.
"""

from __future__ import annotations

from node.consensus.effects import Persist
from node.consensus.record import DurableRecord
from node.consensus.state import State
from node.ledger.blocks import Block


def persist(state: State, *blocks: Block) -> None:
    """Order the record of this height to disk, with the blocks that the statement rests on."""
    state.step += 1
    state.emit(
        Persist(
            record=record_of(state).encode(),
            height=state.height,
            view=state.view,
            step=state.step,
            bodies=blocks_to_store(state, *blocks),
        )
    )


def record_of(state: State) -> DurableRecord:
    """Return every durable field as it stands now (BFT-12 section 4)."""
    return DurableRecord(
        height=state.height,
        view=state.view,
        step=state.step,
        voted=state.voted,
        committed=state.committed,
        timeout=state.timeout,
        highest=state.highest,
        entry=state.entry,
        proposed=state.proposed,
    )


def blocks_to_store(state: State, *blocks: Block) -> tuple[Block, ...]:
    """Return those blocks that no earlier `Persist` of this height carried."""
    new = tuple(block for block in blocks if block.block_id not in state.durable_blocks)
    for block in new:
        state.durable_blocks[block.block_id] = True
    return new
