"""When to be silent, when to be patient, and what to say again (BFT-12 section 7)."""

from __future__ import annotations

from node.consensus import prosecution
from node.consensus.events import TimerKind, TransactionsAvailable, WorkDue, WorkKind
from node.consensus.messages import Status
from node.consensus.state import State
from node.ledger.types import BankIndex

STATUS_FANOUT = 2
"""Peers told in one STATUS period."""


def on_transactions(state: State, event: TransactionsAvailable) -> None:
    """Take the count of proposable transactions, which is work (section 7)."""
    state.work.transactions = event.count
    state.nothing_to_build = False


def on_work_due(state: State, event: WorkDue) -> None:
    """A block is due for another reason than transactions."""
    state.work.due[event.kind] = True
    state.nothing_to_build = False


def on_heartbeat(state: State) -> None:
    """Nothing was sealed for HB: an empty block is due."""
    on_work_due(state, WorkDue(WorkKind.HEARTBEAT))


def arm(state: State) -> bool:
    """Run the view and retry timers exactly while there is work."""
    if state.deciding and state.has_work:
        if not state.timed_out and not state.timers.running(TimerKind.VIEW):
            suspected = state.leader in state.presence.suspected
            duration_ms = state.parameters.view_timeout(state.view, suspected=suspected)
            state.timers.set(TimerKind.VIEW, duration_ms)
        state.timers.ensure(TimerKind.RETRY, state.parameters.retry_ms)
    return False


def suspect_leader(state: State) -> None:
    """The view is given up without a proposal: its leader's later views are cut short.

    Only as long as nothing comes from it: a correct bank whose messages arrive is suspected by
    nobody and has the whole time, so section 14 holds as it stands; safety rests on no timer.
    """
    heard = [timeout.bank for timeout in state.timeouts.of_view(state.view)]
    if state.proposal is None and not state.leading and state.leader not in heard:
        state.presence.suspected[state.leader] = True


def trust(state: State, sender: BankIndex) -> None:
    """Something came from a bank: if it leads, it has the whole time of its view from now."""
    if state.presence.suspected.pop(sender, False) and sender == state.leader:
        state.timers.cancel(TimerKind.VIEW)


def retransmit(state: State) -> None:
    """Say again what may have been lost, to those from whom the answer is missing."""
    if not state.deciding:
        return
    state.nothing_to_build = False
    if state.leading and state.proposed is not None:
        _repeat_to_missing(state)
    repeat_own_statements(state)


def repeat_own_statements(state: State) -> None:
    """Send the leader my vote and commit of this view again."""
    if state.voted is not None:
        state.send(state.leader, state.voted)
    if state.committed is not None and state.committed.view == state.view:
        state.send(state.leader, state.committed)


def _repeat_to_missing(state: State) -> None:
    certified = state.highest is not None and state.highest.view == state.view
    committed = [commit.bank for commit in state.commits.of_view(state.view)]
    voted = [vote.bank for vote in state.votes.of_view(state.view)]
    for bank in state.active_set.banks:
        if certified and state.highest is not None and bank not in committed:
            state.send(bank, state.highest)
        if bank not in voted and bank not in committed and state.proposed is not None:
            state.send(bank, state.proposed)


def on_status_timer(state: State) -> None:
    """Tell two peers, the next ones in rotation, where I stand."""
    presence = state.presence
    for offset in range(min(STATUS_FANOUT, len(state.peers))):
        turn = presence.tick * STATUS_FANOUT + offset
        peer = state.peers[turn % len(state.peers)]
        state.send(peer, status_message(state))
        prosecution.repeat(state, peer)
    presence.tick += 1
    state.evidence.begin_period()
    state.timers.set(TimerKind.STATUS, state.parameters.status_ms)


def status_message(state: State) -> Status:
    """Return where I stand, with what lets a laggard reach my view."""
    return Status(state.height, state.view, state.entry, state.highest)


def silent_banks(state: State) -> list[BankIndex]:
    """Return active banks not heard from for a whole round of everybody's status messages."""
    round_ticks = len(state.peers) // STATUS_FANOUT + 2
    oldest = state.presence.tick - round_ticks
    heard_at = state.presence.heard_at
    return [
        bank
        for bank in state.active_set.banks
        if bank != state.bank and heard_at.get(bank, -1 - round_ticks) < oldest
    ]
