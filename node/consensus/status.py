"""What an operator needs to see."""

from __future__ import annotations

from dataclasses import dataclass

from node.consensus import pacemaker, waiting
from node.consensus.effects import Alarm
from node.consensus.signing import Decision
from node.consensus.state import State
from node.consensus.waiting import WaitingFor, waiting_for
from node.ledger.types import BankIndex, Height, View


@dataclass(frozen=True, slots=True)
class ConsensusStatus:
    """One bank's view of the consensus. Votes and commits are complete only at the leader."""

    bank: BankIndex
    height: Height
    """The height being decided; the tip is one below."""
    view: View
    leader: BankIndex
    active: bool
    """Whether this bank is in the active set of the height."""
    may_sign: bool
    """Active, not silenced by the rollback guard, not halted."""
    has_work: bool
    timed_out: bool
    """Whether this bank gave up the view."""
    quorum: int
    bank_count: int
    approved: tuple[BankIndex, ...]
    rejected: tuple[tuple[BankIndex, str], ...]
    """Banks that rejected the block of this view, with their reasons."""
    committed: tuple[BankIndex, ...]
    gave_up: tuple[BankIndex, ...]
    """Banks whose timeout of this view was seen."""
    highest_view: View
    """View of the highest quorum certificate known at this height, -1 for none."""
    missing: tuple[BankIndex, ...]
    """Active banks that keep the height waiting or are not there: whose statement has been missing
    for RETRY, of which nothing came since all were asked, or which said nothing for a whole round
    of status messages."""
    margin: int
    """Banks that still answer above the quorum; negative means that nothing can be sealed."""
    waiting_for: WaitingFor
    """What has to come next at this bank."""
    sealed: bool
    """Whether a seal of this height is known and being applied."""
    behind: bool
    """Whether a peer claims a later height."""
    refused: tuple[tuple[BankIndex, int], ...]
    """Messages of each peer that failed a check."""
    last_refusal: str
    alarms: tuple[Alarm, ...]
    """The most recent alarms, oldest first."""
    halted: str | None
    """Why this bank stopped for good."""


def status_of(state: State) -> ConsensusStatus:
    """Return the status as of the last event."""
    votes = state.votes.of_view(state.view)
    missing = missing_banks(state)
    reachable = state.active_set.size - len(missing)
    if state.bank in state.active_set and not state.may_sign:
        reachable -= 1
    return ConsensusStatus(
        bank=state.bank,
        height=state.height,
        view=state.view,
        leader=state.leader,
        active=state.bank in state.active_set,
        may_sign=state.may_sign,
        has_work=state.has_work,
        timed_out=state.timed_out,
        quorum=state.active_set.quorum,
        bank_count=state.active_set.size,
        approved=tuple(vote.bank for vote in votes if vote.decision is Decision.APPROVE),
        rejected=tuple(
            (vote.bank, vote.reason) for vote in votes if vote.decision is Decision.REJECT
        ),
        committed=tuple(commit.bank for commit in state.commits.of_view(state.view)),
        gave_up=tuple(timeout.bank for timeout in state.timeouts.of_view(state.view)),
        highest_view=state.highest_view,
        missing=tuple(missing),
        margin=reachable - state.active_set.quorum,
        waiting_for=waiting_for(state),
        sealed=state.seal is not None,
        behind=any(claim > state.height for claim in state.catch_up.claims.values()),
        refused=tuple(sorted(state.presence.refused.items())),
        last_refusal=state.presence.last_refusal,
        alarms=tuple(state.alarms),
        halted=state.halted,
    )


def missing_banks(state: State) -> list[BankIndex]:
    """Return the active banks that do not answer, in increasing index."""
    silent = pacemaker.silent_banks(state)
    overdue = waiting.overdue(state)
    absent = state.presence.absent
    return [
        bank
        for bank in state.active_set.banks
        if bank in silent or bank in overdue or bank in absent
    ]
