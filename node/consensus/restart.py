"""Coming back from disk alone (BFT-12 D3, D4)."""

from __future__ import annotations

from collections.abc import Sequence

from node.consensus import prosecution
from node.consensus.effects import AlarmKind
from node.consensus.events import Approved, TimerKind
from node.consensus.record import DurableRecord, RecordInvalid
from node.consensus.signing import Decision
from node.consensus.state import State
from node.consensus.statements import SignedStatement
from node.ledger.blocks import Block
from node.ledger.encoding import MalformedEncoding


def resume(state: State, encoded: bytes | None, blocks: Sequence[Block]) -> None:
    """Continue at the view where this bank last signed something (D3).

    A record of a lower height is history: its height was applied. Raises `RecordInvalid` for a
    record of a height that the chain has not reached, or of another bank.
    """
    state.timers.set(TimerKind.STATUS, state.parameters.status_ms)
    if state.silent_through is not None and state.height <= state.silent_through:
        state.alarm(
            AlarmKind.SILENCED,
            f"the guard knows of signatures at height {state.silent_through} that the database "
            "has lost: this bank signs nothing until that height is sealed",
        )
    if encoded is None:
        return
    record = DurableRecord.decode(encoded)
    if record.height < state.height:
        return
    if record.height > state.height:
        raise RecordInvalid(f"record of height {record.height} on a tip below {state.height}")
    if any(statement.bank != state.bank for statement in own_statements(record)):
        raise RecordInvalid("the record is of another bank")
    _restore(state, record, blocks)
    if state.may_sign:
        repeat(state, record)
        deliver_to_self(state, record)


def take_up_evidence(state: State, items: Sequence[bytes]) -> None:
    """Go on with the evidence that was stored; raises `RecordInvalid` for a damaged item."""
    try:
        prosecution.restore(state, tuple(items))
    except MalformedEncoding as error:
        raise RecordInvalid(f"stored evidence is damaged: {error}") from error


def own_statements(record: DurableRecord) -> list[SignedStatement]:
    """Return the durable statements in the order in which they were signed."""
    found = (record.proposed, record.voted, record.committed, record.timeout)
    return [statement for statement in found if statement is not None]


def repeat(state: State, record: DurableRecord) -> None:
    """Send my durable statements again: nobody knows whether they ever left."""
    if record.proposed is not None:
        state.broadcast(record.proposed)
    if record.voted is not None:
        if record.voted.decision is Decision.REJECT:
            state.broadcast(record.voted)
        else:
            state.send(state.leader, record.voted)
    if record.committed is not None:
        leader = state.active_set.leader(state.height, record.committed.view)
        state.send(leader, record.committed)
    if record.timeout is not None and record.timed_out_view == record.view:
        state.broadcast(record.timeout)


def deliver_to_self(state: State, record: DurableRecord) -> None:
    """Count my own statements again: with n-q faults a quorum needs every one of them (D3)."""
    state.inbox.extend(own_statements(record))


def _restore(state: State, record: DurableRecord, blocks: Sequence[Block]) -> None:
    state.enter_view(record.view, record.entry)
    state.step = record.step
    state.voted = record.voted
    state.committed = record.committed
    state.timeout = record.timeout
    state.highest = record.highest
    state.proposed = record.proposed
    state.work.activity = True
    for block in blocks:
        if block.height == state.height:
            known = state.blocks.offer(block, state.bank)
            state.durable_blocks[block.block_id] = True
            if _answered_for(record, block):
                known.verdict = Approved()


def _answered_for(record: DurableRecord, block: Block) -> bool:
    """Whether I approved or committed to this block: I judged it then."""
    approved = record.voted is not None and record.voted.decision is Decision.APPROVE
    if approved and record.voted is not None and record.voted.block_id == block.block_id:
        return True
    return record.committed is not None and record.committed.block_id == block.block_id
