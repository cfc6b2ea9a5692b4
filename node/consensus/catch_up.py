"""Following those who are ahead, and helping those who are behind (BFT-12 section 11).

Sealed blocks prove themselves, so one honest peer is enough and a lying one can only withhold.
Heights that peers speak of are claims: they decide whom to ask, never what to believe.
"""

from __future__ import annotations

from node.consensus import balloting
from node.consensus.ballots import HeightBallots
from node.consensus.certificates import CertificateInvalid, verify_seal
from node.consensus.certifying import accept_seal
from node.consensus.effects import ServeBlocks
from node.consensus.events import BlocksLoaded, TimerKind
from node.consensus.messages import (
    MAX_SYNC_BLOCKS,
    MAX_SYNC_BYTES,
    BlockRequest,
    BlockResponse,
    Message,
    SealedBlock,
    SyncRequest,
    SyncResponse,
    Timeout,
)
from node.consensus.state import State
from node.ledger.encoding import Writer
from node.ledger.types import BankIndex, Height

LOW_QUEUE = MAX_SYNC_BLOCKS // 2
"""Queued blocks below which the next ones are asked for."""

SERVED_PER_GAP = 4
"""Answers to one peer in one gap: 80 blocks, far more than it can apply meanwhile. A peer that
asks from every height in turn must not have the whole chain read for it at once (section 12)."""


def note_ahead(state: State, sender: BankIndex, height: Height, message: Message) -> None:
    """A peer speaks of a later height: remember it, keep what is for the next height, ask.

    A peer that is one height ahead is normal while a seal is under way, so the first question
    waits for a moment.
    """
    claims = state.catch_up.claims
    claims[sender] = max(height, claims.get(sender, Height(0)))
    if height == state.height + 1:
        # The first and the latest: two that conflict convict their signer (section 9).
        state.catch_up.buffer.setdefault((sender, type(message)), [])[1:] = [message]
        state.timers.ensure(TimerKind.SYNC, state.parameters.sync_gap_ms)
    elif not state.timers.running(TimerKind.SYNC):
        ask(state)


def ask(state: State) -> None:
    """Ask one peer that claims to be ahead: the same one as long as it helps, else the next.

    The next blocks are asked for while half of an answer is still to be applied, so that applying
    does not wait for the network.
    """
    memory = state.catch_up
    wanted = _next_wanted(state)
    applying = state.seal is not None and not memory.queue
    if applying or len(memory.queue) > LOW_QUEUE or state.halted is not None:
        return
    helped = memory.asked_at is None or wanted > memory.asked_at
    if memory.asked is not None and not helped:
        memory.claims.pop(memory.asked, None)
    ahead = [peer for peer in state.peers if memory.claims.get(peer, 0) > wanted]
    if not ahead:
        return
    target = ahead[0]
    if memory.asked is not None:
        after = [peer for peer in ahead if peer > memory.asked]
        if helped and memory.asked in ahead:
            target = memory.asked
        elif after:
            target = after[0]
    memory.asked = target
    memory.asked_at = wanted
    state.send(target, SyncRequest(wanted))
    state.timers.set(TimerKind.SYNC, state.parameters.retry_ms)


def accept_response(state: State, sender: BankIndex, response: SyncResponse) -> None:
    """Queue the sealed blocks of a peer; they are checked one by one as heights are applied."""
    memory = state.catch_up
    memory.claims[sender] = Height(response.top + 1)
    if state.seal is not None:
        for item in response.blocks:
            if item.block.block_id == state.seal.block_id:
                state.blocks.offer(item.block, sender)
    if memory.queue and (sender != memory.asked or len(memory.queue) > LOW_QUEUE):
        return
    for item in response.blocks:
        if not memory.queue or item.block.height == memory.queue[-1][0].block.height + 1:
            memory.queue.append((item, sender))


def _next_wanted(state: State) -> Height:
    """Return the height after the last one that is queued."""
    queue = state.catch_up.queue
    return max(state.height, Height(queue[-1][0].block.height + 1)) if queue else state.height


def take_next(state: State) -> bool:
    """Check the next queued block's seal against this height's active set (section 11).

    It stays in the queue until it is sealed here: the proofs of its ballots are being verified.
    """
    queue = state.catch_up.queue
    if state.halted is not None:
        return False
    _drop_sealed(state)
    if state.seal is not None or not queue or queue[0][1] in state.ballots.pending:
        return False
    item, source = queue[0]
    try:
        _accept_sealed(state, item, source)
    except CertificateInvalid as error:
        state.refuse(source, f"sealed block: {error}")
        queue.clear()
        state.catch_up.claims.pop(source, None)
        state.timers.ensure(TimerKind.SYNC, state.parameters.sync_gap_ms)
        return False
    return True


def _drop_sealed(state: State) -> None:
    """Drop what is no longer wanted; a copy of the sealed block itself may still be."""
    queue = state.catch_up.queue
    sealed = None if state.seal is None else state.seal.block_id
    while queue and queue[0][0].block.height < state.height + (sealed is not None):
        item, source = queue.popleft()
        if item.block.block_id == sealed:
            state.blocks.offer(item.block, source)


def _accept_sealed(state: State, item: SealedBlock, source: BankIndex) -> None:
    if item.seal.block_id != item.block.block_id or item.seal.height != item.block.height:
        raise CertificateInvalid("the seal is of another block")
    accept_seal(state, item.seal, source)
    state.blocks.offer(item.block, source)


def verify_ahead(state: State) -> bool:
    """While a block is applied, have the ballots of the next queued one verified.

    Only if the block leaves the active set as it is, as its header says, so the ring is known. The
    height that begins then takes the verdicts over.
    """
    queue = state.catch_up.queue
    if state.seal is None or state.next_ballots is not None or not queue:
        return False
    known = state.blocks.get(state.seal.block_id)
    item, _ = queue[0]
    if known is None or item.seal.height != state.height + 1:
        return False
    if known.block.header.next_set_hash != state.active_set.set_hash:
        return False
    ahead = HeightBallots(state.chain_id, item.seal.height, state.active_set)
    state.next_ballots = ahead
    try:
        verify_seal(item.seal, state.chain_id, state.active_set, state.verifier)
    except CertificateInvalid:
        return False  # Its source answers for it when its height has come.
    return balloting.ask(state, ahead, item.seal.view, item.seal.ballots)


def on_height_begun(state: State) -> list[tuple[BankIndex, Message]]:
    """Go on asking if still behind; return the buffered messages of the new height."""
    memory = state.catch_up
    buffered = [
        (sender, message)
        for (sender, _), messages in memory.buffer.items()
        for message in messages
    ]
    memory.buffer.clear()
    for peer in state.peers:
        if memory.claims.get(peer, 0) <= state.height:
            memory.claims.pop(peer, None)
    waiting = memory.asked_at == _next_wanted(state) and state.timers.running(TimerKind.SYNC)
    if memory.claims and not waiting:
        ask(state)
    elif not memory.claims:
        state.timers.cancel(TimerKind.SYNC)
    return buffered


def on_sync_timer(state: State) -> None:
    """Ask again or ask somebody else; while a seal is being applied, look again later."""
    if state.seal is not None and state.catch_up.claims:
        state.timers.set(TimerKind.SYNC, state.parameters.retry_ms)
        return
    ask(state)


def on_late(state: State, sender: BankIndex, height: Height, message: Message) -> None:
    """A peer speaks of a sealed height: help it (section 11).

    The last votes and commits of the height just sealed are late without being lost, so the
    first message about it of each peer is let pass; one that is repeated is answered. A timeout
    is a call for help and is answered at once.
    """
    just_sealed = height == state.tip.height and not isinstance(message, Timeout)
    if just_sealed and sender not in state.catch_up.late:
        state.catch_up.late[sender] = True
        return
    serve(state, sender, height)


def serve(state: State, to: BankIndex, from_height: Height) -> None:
    """Have sealed blocks loaded for a peer, once per gap unless it has made progress."""
    if not 1 <= from_height <= state.tip.height:
        return
    served = state.catch_up.served.setdefault(to, [])
    if len(served) >= SERVED_PER_GAP or (served and from_height <= served[-1]):
        return
    served.append(from_height)
    state.timers.ensure(TimerKind.SERVE, state.parameters.sync_gap_ms)
    state.emit(ServeBlocks(to, from_height))


def answer_block_request(state: State, sender: BankIndex, request: BlockRequest) -> None:
    """Give a block of this height, or the sealed ones from an earlier height on."""
    if request.height < state.height:
        serve(state, sender, request.height)
        return
    known = state.blocks.get(request.block_id)
    answered = state.catch_up.answered
    if known is None or request.height != state.height or (sender, request.block_id) in answered:
        return
    answered[sender, request.block_id] = True
    state.timers.ensure(TimerKind.SERVE, state.parameters.sync_gap_ms)
    state.send(sender, BlockResponse(known.block))


def on_serve_timer(state: State) -> None:
    """Serve everybody again."""
    state.catch_up.served.clear()
    state.catch_up.answered.clear()


def on_blocks_loaded(state: State, event: BlocksLoaded) -> None:
    """Send as many of the loaded blocks as fit into one response."""
    chosen: list[SealedBlock] = []
    total_bytes = 0
    for item in event.blocks[:MAX_SYNC_BLOCKS]:
        total_bytes += len(item.write(Writer()).finish())
        if chosen and total_bytes > MAX_SYNC_BYTES:
            break
        chosen.append(item)
    if chosen:
        state.send(event.to, SyncResponse(tuple(chosen), state.tip.height))
