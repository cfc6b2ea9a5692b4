"""What a height waits for, and which banks keep it waiting: for the operator, never for a rule.

RETRY begins anew whenever this bank has put a new question to the others: with a view, with a
proposal, with a certificate, with a timeout. So whatever is still awaited when it fires has been
missing for a whole RETRY. Answers that go to the leader alone say nothing to the others; they ask
each other once in a view, with a `Status` that everybody answers by his own to all. Together this
names the silent banks at every bank within T0 of a stall, also those whose links stay up.
"""

from __future__ import annotations

from enum import StrEnum

from node.consensus.events import TimerKind
from node.consensus.messages import Status
from node.consensus.state import State
from node.consensus.voting import vote_pending
from node.ledger.types import BankIndex


class WaitingFor(StrEnum):
    """What has to come next at this bank."""

    NOTHING = "nothing"
    """There is no work, or this bank has halted."""
    PROPOSAL = "proposal"
    """The leader has not proposed."""
    VERDICT = "verdict"
    """This bank judges the block, or fetches it."""
    VOTES = "votes"
    """The leader collects votes."""
    COMMITS = "commits"
    """This bank leads and collects commits."""
    SEAL = "seal"
    """This bank has done its part; the leader collects commits."""
    TIMEOUTS = "timeouts"
    """The view was given up; a quorum must do so."""
    BLOCK = "block"
    """The height is sealed; its block is fetched or applied."""


def waiting_for(state: State) -> WaitingFor:
    """Return what has to come next."""
    if state.halted is not None:
        return WaitingFor.NOTHING
    if state.seal is not None:
        return WaitingFor.BLOCK
    if not state.has_work:
        return WaitingFor.NOTHING
    if not state.may_sign:
        return WaitingFor.SEAL
    if state.timed_out:
        return WaitingFor.TIMEOUTS
    if state.leading and state.proposed is None:
        return WaitingFor.PROPOSAL
    certified = state.highest_view == state.view
    if state.committed is not None and state.committed.view == state.view:
        return WaitingFor.COMMITS if state.leading else WaitingFor.SEAL
    if certified or vote_pending(state):
        return WaitingFor.VERDICT
    return WaitingFor.PROPOSAL if state.proposal is None else WaitingFor.VOTES


def awaited(state: State) -> list[BankIndex]:
    """Return the banks whose statement this bank waits for, as far as it can know."""
    match waiting_for(state):
        case WaitingFor.PROPOSAL:
            answered = [bank for bank in state.active_set.banks if bank != state.leader]
        case WaitingFor.TIMEOUTS:
            answered = [timeout.bank for timeout in state.timeouts.of_view(state.view)]
        case WaitingFor.COMMITS:
            answered = [commit.bank for commit in state.commits.of_view(state.view)]
        case WaitingFor.VOTES if state.leading:
            answered = [vote.bank for vote in state.votes.of_view(state.view)]
        case _:
            return []
    return [bank for bank in state.active_set.banks if bank not in (*answered, state.bank)]


def on_retry(state: State) -> None:
    """RETRY has passed since this bank last put a question: note who did not answer."""
    if not state.deciding or not state.has_work:
        return
    state.stall.place = _place(state)
    state.stall.overdue = tuple(awaited(state))
    if state.stall.asked:
        note_absent(state)
        state.stall.heard.clear()
    if state.timed_out:
        state.stall.asked = True  # Every timeout is repeated to all.
    else:
        ask_all(state)


def ask_all(state: State) -> None:
    """Ask, once in a view, who is there."""
    if not state.stall.asked:
        state.stall.asked = True
        state.broadcast(Status(state.height, state.view, state.entry, state.highest, asks=True))


def answer(state: State, sender: BankIndex, status: Status) -> None:
    """Somebody asks who is there in my view: tell all, once."""
    if status.asks and status.view == state.view and state.deciding and not state.timed_out:
        ask_all(state)
        state.stall.heard[sender] = True


def note_absent(state: State) -> None:
    """Take those for absent of whom nothing came since all were asked."""
    for bank in state.active_set.banks:
        if state.stall.asked and bank != state.bank and bank not in state.stall.heard:
            state.presence.absent[bank] = True


def note_heard(state: State, sender: BankIndex) -> None:
    """Something came from a bank: it is there."""
    state.presence.heard_at[sender] = state.presence.tick
    state.presence.absent.pop(sender, None)
    if state.stall.asked:
        state.stall.heard[sender] = True


def overdue(state: State) -> list[BankIndex]:
    """Return the banks whose statement was missing at the last RETRY and still is."""
    if state.stall.place != _place(state):
        return []
    still = awaited(state)
    return [bank for bank in state.stall.overdue if bank in still]


def restart_retry(state: State) -> None:
    """This bank has just put a question to the others."""
    state.timers.set(TimerKind.RETRY, state.parameters.retry_ms)


def _place(state: State) -> tuple[int, int, str]:
    return state.height, state.view, waiting_for(state).value
