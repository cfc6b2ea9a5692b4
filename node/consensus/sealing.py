"""From a seal, or a certificate, to the block itself (BFT-12 P7 and section 11, missing body)."""

from __future__ import annotations

from node.consensus.certificates import SignatureEntry
from node.consensus.effects import AlarmKind, Apply
from node.consensus.events import ApplyFailed, BodyUnusable, TimerKind
from node.consensus.messages import BlockRequest, BlockResponse
from node.consensus.state import State
from node.consensus.voting import commit_pending, vote_pending
from node.ledger.types import BankIndex, BlockId


def apply(state: State) -> bool:
    """Have the sealed block applied once a copy of it is here (P7)."""
    if state.seal is None or state.applying is not None or state.halted is not None:
        return False
    known = state.blocks.get(state.seal.block_id)
    if known is None:
        return False
    state.applying = state.blocks.next_ticket()
    state.emit(Apply(state.applying, known.block, state.seal, state.seal_source))
    return True


def on_apply_failed(state: State, event: ApplyFailed) -> None:
    """Try another copy, or stop for good: a sealed block is invalid here (P7)."""
    if event.ticket != state.applying or state.seal is None:
        return
    state.applying = None
    if isinstance(event.failure, BodyUnusable):
        state.blocks.discard(state.seal.block_id)
        return
    block_id = state.seal.block_id
    state.halted = (
        f"sealed block {block_id.hex()} at height {state.height} is invalid here: "
        f"{event.failure.reason}"
    )
    for kind in TimerKind:
        state.timers.cancel(kind)
    state.alarm(AlarmKind.SEALED_INVALID, state.halted, block_id=block_id)


def fetch(state: State) -> bool:
    """Ask signers of a certificate for the block it certifies, rq of them at a time.

    Among rq at least one is correct while no more than n-q banks are faulty, and every round
    asks others, so no lying peer can hold the block back for long.
    """
    wanted, signers = _wanted(state)
    if wanted == state.fetch.block_id:
        return False
    state.fetch.block_id = wanted
    if wanted is None:
        state.timers.cancel(TimerKind.FETCH)
        return False
    banks = [entry.bank for entry in signers if entry.bank != state.bank]
    width = min(len(banks), state.active_set.reject_threshold)
    start = state.fetch.round * width
    for offset in range(width):
        bank = banks[(start + offset) % len(banks)]
        state.send(bank, BlockRequest(state.height, wanted))
    state.fetch.round += 1
    state.timers.set(TimerKind.FETCH, state.parameters.retry_ms)
    return True


def on_fetch_timer(state: State) -> None:
    """Nobody answered in time: let the rule ask the next signers."""
    state.fetch.block_id = None


def accept_block(state: State, sender: BankIndex, response: BlockResponse) -> None:
    """Take the block that was asked for; anything else is ignored."""
    block = response.block
    if state.fetch.block_id is not None and block.block_id == state.fetch.block_id:
        state.blocks.offer(block, sender)
        state.fetch.block_id = None


def _wanted(state: State) -> tuple[BlockId | None, tuple[SignatureEntry, ...]]:
    """Return the certified block that a duty waits for, and who certified it."""
    if state.halted is not None:
        return None, ()
    if state.seal is not None:
        return _missing(state, state.seal.block_id, state.seal.signatures)
    highest = state.highest
    if highest is not None and (commit_pending(state) or _must_repropose(state)):
        return _missing(state, highest.block_id, highest.signatures)
    if vote_pending(state) and state.proposal is not None:
        certificate = state.proposal.quorum_certificate
        if certificate is not None:
            return _missing(state, certificate.block_id, certificate.signatures)
    return None, ()


def _must_repropose(state: State) -> bool:
    return (
        state.deciding
        and state.leading
        and state.proposed is None
        and not state.timed_out
        and state.highest_view < state.view
    )


def _missing(
    state: State, block_id: BlockId, signers: tuple[SignatureEntry, ...]
) -> tuple[BlockId | None, tuple[SignatureEntry, ...]]:
    if state.blocks.get(block_id) is not None:
        return None, ()
    return block_id, signers
