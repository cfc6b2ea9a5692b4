"""Which banks are missing from the consensus, how large the margin is, and what to do.

Every bank's own report is merged with what its process looks like from outside, because a bank
that is paused or gone says nothing of itself. Nothing here is believed for safety; it is for the
people who have to act (BFT-12 section 1: 10 of 12 must answer, and with fewer nothing is lost).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from node.ledger.active_set import quorum_size
from node.ledger.types import BankIndex
from node.runtime.consortium_directory import short_name
from node.runtime.process_condition import ProcessCondition
from node.wire.operator_records import NodeReport

BEHIND_BLOCKS = 2
"""A bank so far behind the others catches up and does not vote; one block is the usual race."""

SILENCE_MS = 2_000
SETTLED_MS = 10_000
"""A bank that runs so long has heard of everybody that is there."""

SUSPICION_BANKS = 2
"""So many banks must hold something against a bank before it is named."""


class Condition(StrEnum):
    """What a bank contributes, or why it contributes nothing."""

    VOTING = "voting"
    EXITED = "exited"
    """Its process has ended."""
    PAUSED = "paused"
    """Its process is stopped by a signal."""
    NO_ANSWER = "no answer"
    HALTED = "halted"
    """It signs nothing any more, and says why."""
    STARTING = "starting"
    UNLINKED = "cut off"
    """It answers its operator but not enough other banks."""
    SILENT = "silent"
    """Its links are up, and nothing of it arrives."""
    BEHIND = "behind"
    """It catches up."""
    OBSERVER = "observer"
    """It was removed from the active set and has no vote."""


@dataclass(frozen=True, slots=True)
class BankCondition:
    """One bank."""

    bank: BankIndex
    condition: Condition
    detail: str = ""
    suspicion: str = ""
    """Why it may be lying; a suspect may still vote."""

    @property
    def missing(self) -> bool:
        """Whether its vote is wanted and does not come."""
        return self.condition not in (Condition.VOTING, Condition.OBSERVER)

    def __str__(self) -> str:
        detail = f": {self.detail}" if self.detail else ""
        return f"{short_name(self.bank)} ({self.condition}{detail})"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The whole consortium."""

    banks: tuple[BankCondition, ...]
    active: int
    """Banks that have a vote."""
    quorum: int
    waiting_for: str
    """What the consensus waits for, in words; empty if it waits for nothing."""

    @property
    def missing(self) -> tuple[BankCondition, ...]:
        return tuple(item for item in self.banks if item.missing)

    @property
    def suspects(self) -> tuple[BankCondition, ...]:
        return tuple(item for item in self.banks if item.suspicion)

    @property
    def votes_possible(self) -> int:
        return self.active - len(self.missing)

    @property
    def margin(self) -> int:
        """Banks that may still fail before nothing can be sealed; below 0 nothing can."""
        return self.votes_possible - self.quorum

    @property
    def count(self) -> str:
        """For example `votes 10/12, margin 0`."""
        return f"votes {self.votes_possible}/{self.active}, margin {self.margin}"

    @property
    def votes(self) -> str:
        """For example `votes 10/12, margin 0, missing: dunmere (paused)`."""
        missing = ", ".join(map(str, self.missing))
        return f"{self.count}, missing: {missing}" if missing else self.count

    @property
    def verdict(self) -> str:
        """What the margin means and what to do; empty while nothing is wrong."""
        if not self.missing:
            return ""
        if self.margin >= 0:
            spare = "one more may fail" if self.margin == 1 else f"{self.margin} more may fail"
            spare = "no further bank may fail" if self.margin == 0 else spare
            return f"the ledger goes on, {spare}; {self._advice()}"
        return (
            f"the ledger has halted by design: {self.quorum} of {self.active} are needed, "
            f"{self.votes_possible} answer; nothing can be lost; {self._advice()}"
        )

    def _advice(self) -> str:
        """What brings missing banks back, by what is wrong with them."""
        by_remedy: dict[str, list[str]] = {}
        for item in self.missing:
            by_remedy.setdefault(_REMEDIES[item.condition], []).append(short_name(item.bank))
        needed = -self.margin
        parts = []
        for remedy, names in by_remedy.items():
            any_of = names[0] if len(names) == 1 else f"any one of {', '.join(names)}"
            if needed > 1 and len(names) > 1:
                any_of = f"{min(needed, len(names))} of {', '.join(names)}"
            parts.append(remedy.format(any_of=any_of, first=names[0]))
        return ", or ".join(parts) if needed == 1 else "; ".join(parts)


_REMEDIES: Mapping[Condition, str] = {
    Condition.EXITED: "restart {any_of}: `consortium node start {first}`",
    Condition.PAUSED: "resume {any_of}: `consortium fault resume {first}`",
    Condition.NO_ANSWER: "see why {any_of} does not answer: `consortium logs {first}`",
    Condition.HALTED: "rebuild {any_of} from its peers: `consortium node rebuild {first}`",
    Condition.STARTING: "wait for {any_of} to start",
    Condition.UNLINKED: "mend the links of {any_of}: `consortium fault heal {first}` if they were "
    "cut on purpose",
    Condition.SILENT: "see why nothing of {any_of} arrives: `consortium logs {first}`",
    Condition.BEHIND: "wait for {any_of} to catch up",
}


def diagnose(
    bank_count: int,
    reports: Mapping[BankIndex, NodeReport],
    processes: Mapping[int, ProcessCondition],
    reticent: Collection[BankIndex] = (),
) -> Diagnosis:
    """Merge what every bank says; `reports` lacks those that did not answer.

    `reticent` banks answer, but report to their own operators alone: of them counts what others
    tell.
    """
    ahead = max(
        reports.values(), key=lambda report: (report.height, report.consensus.view), default=None
    )
    if ahead is None:
        banks = tuple(_unheard(BankIndex(bank), processes) for bank in range(bank_count))
        return Diagnosis(banks, bank_count, quorum_size(bank_count), "")
    quorum = ahead.consensus.quorum
    cut_off = _cut_off(reports, ahead.consensus.active_banks - quorum + 1)
    conditions = []
    for index in range(bank_count):
        bank = BankIndex(index)
        report = reports.get(bank)
        if report is None and bank in reticent:
            found = _told_of(bank, reports)
        elif report is None:
            found = _unheard(bank, processes)
        else:
            found = _heard(report, ahead, reports, cut_off)
        conditions.append(replace(found, suspicion=_suspicion(bank, reports)))
    return Diagnosis(
        tuple(conditions),
        ahead.consensus.active_banks,
        quorum,
        _waiting_for(ahead, reports, reticent),
    )


def _suspicion(bank: BankIndex, reports: Mapping[BankIndex, NodeReport]) -> str:
    """Say why a bank may be lying, if enough others think so; one may be lying itself."""
    others = [report.consensus for report in reports.values() if report.bank != bank]
    accusing = sum(bank in report.accused for report in others)
    if accusing >= SUSPICION_BANKS:
        return f"{accusing} banks hold statements that convict it: see `consortium evidence`"
    refusing = sum(any(item.bank == bank for item in report.refused) for report in others)
    if refusing >= SUSPICION_BANKS:
        return f"{refusing} banks refused messages of it"
    return ""


def _unheard(bank: BankIndex, processes: Mapping[int, ProcessCondition]) -> BankCondition:
    match processes.get(bank):
        case ProcessCondition.EXITED:
            return BankCondition(bank, Condition.EXITED)
        case ProcessCondition.PAUSED:
            return BankCondition(bank, Condition.PAUSED)
        case ProcessCondition.STARTING:
            return BankCondition(bank, Condition.STARTING)
        case _:
            return BankCondition(bank, Condition.NO_ANSWER)


def _told_of(bank: BankIndex, reports: Mapping[BankIndex, NodeReport]) -> BankCondition:
    """Judge a bank by what others say of it."""
    if all(_hears_nothing(report, bank) for report in reports.values()):
        return BankCondition(bank, Condition.SILENT)
    peers = [peer for report in reports.values() for peer in report.peers if peer.bank == bank]
    linked = any(peer.linked_in and peer.linked_out for peer in peers)
    return BankCondition(bank, Condition.VOTING if linked else Condition.UNLINKED)


def _heard(
    report: NodeReport,
    ahead: NodeReport,
    reports: Mapping[BankIndex, NodeReport],
    cut_off: Mapping[BankIndex, Sequence[BankIndex]],
) -> BankCondition:
    bank = report.bank
    if report.halted:
        return BankCondition(bank, Condition.HALTED, report.halted)
    lag = ahead.height - report.height
    if not report.consensus.active and lag < BEHIND_BLOCKS:
        return BankCondition(bank, Condition.OBSERVER)
    if not report.ready:
        return BankCondition(bank, Condition.STARTING)
    if bank in cut_off:
        lacking = _names(cut_off[bank], len(reports) - 1)
        return BankCondition(bank, Condition.UNLINKED, f"from {lacking}")
    if lag >= BEHIND_BLOCKS:
        return BankCondition(bank, Condition.BEHIND, f"{lag} blocks")
    listeners = [other for other in reports.values() if other.bank not in (bank, *cut_off)]
    unheard = sum(_hears_nothing(other, bank) for other in listeners)
    if 2 * unheard > len(listeners):
        detail = f"{unheard} of {len(listeners)} banks hear nothing of it"
        return BankCondition(bank, Condition.SILENT, detail)
    return BankCondition(bank, Condition.VOTING)


def _hears_nothing(report: NodeReport, bank: BankIndex) -> bool:
    """Whether a bank misses another one, and not only because one of the two has just come."""
    heard_ms = next((peer.last_heard_ms for peer in report.peers if peer.bank == bank), None)
    return (
        bank in report.consensus.missing
        and report.process.uptime_ms > SETTLED_MS
        and (heard_ms is None or heard_ms > SILENCE_MS)
    )


def _cut_off(
    reports: Mapping[BankIndex, NodeReport], reject_threshold: int
) -> dict[BankIndex, tuple[BankIndex, ...]]:
    """Return the banks to leave out, until nobody lacks enough others to spoil a quorum.

    Those that lack the most go first, so that of two unequal parts the smaller one is named.
    """
    lacks = {
        bank: {other for other in reports if other != bank and not _linked(report, reports[other])}
        for bank, report in reports.items()
    }
    left = set(reports)
    found: dict[BankIndex, tuple[BankIndex, ...]] = {}
    while left:
        worst = max(sorted(left), key=lambda bank: len(lacks[bank] & left))
        if len(lacks[worst] & left) < reject_threshold:
            break
        found[worst] = tuple(sorted(lacks[worst]))
        left.remove(worst)
    return found


def _linked(report: NodeReport, other: NodeReport) -> bool:
    """Whether two banks reach one another, as the one that sends tells it."""
    return _reaches(report, other.bank) and _reaches(other, report.bank)


def _reaches(report: NodeReport, bank: BankIndex) -> bool:
    return any(peer.bank == bank and peer.linked_out for peer in report.peers)


def _waiting_for(
    ahead: NodeReport,
    reports: Mapping[BankIndex, NodeReport],
    reticent: Collection[BankIndex],
) -> str:
    """Say what the height being decided waits for; the leader's own report knows best."""
    leader = ahead.consensus.leader
    if not ahead.consensus.has_work:
        return ""
    where = f"height {ahead.consensus.height}, view {ahead.consensus.view}"
    who = short_name(leader)
    if leader not in reports and leader not in reticent:
        return f"{where}: its leader {who} does not answer, the view will time out"
    what = ahead.consensus.waiting_for
    leading = reports.get(leader, ahead).consensus
    if (leading.height, leading.view) == (ahead.consensus.height, ahead.consensus.view):
        what = leading.waiting_for or what
    return f"{where}, led by {who}" + (f", waits for {what}" if what else "")


def _names(banks: Sequence[BankIndex], others: int) -> str:
    return "all other banks" if len(banks) >= others else ", ".join(map(short_name, sorted(banks)))
