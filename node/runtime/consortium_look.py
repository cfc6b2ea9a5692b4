"""One look at all banks: a row for each, the diagnosis of the whole, and both as JSON.

What `consortium status` prints and what the operator's page shows is made here, so that the two
never disagree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Self

from node.client.connection import Endpoint
from node.client.errors import AccessDenied, LedgerError, LedgerTimeout, LedgerUnavailable
from node.ledger.genesis import Genesis
from node.ledger.types import BankIndex
from node.runtime.consortium_directory import short_name
from node.runtime.diagnosis import BankCondition, Condition, Diagnosis, diagnose
from node.runtime.process_condition import ProcessCondition
from node.wire.operator_records import NodeReport

DEADLINE_MS = 1_500
"""A bank that is there answers at once; the whole look takes less than a view time-out."""


@dataclass(frozen=True, slots=True)
class BankStatus:
    """One row: what a bank says of itself, or that it says nothing."""

    bank: int
    name: str
    state: str
    """`up`, or a `Condition` other than voting, for example `paused`."""
    reason: str
    """Why it is not up."""
    address: str
    faults: tuple[str, ...] = ()
    """What was broken at this bank on purpose."""
    suspicion: str = ""
    """Why it may be lying."""
    pid: int | None = None
    height: int | None = None
    view: int | None = None
    leader: str | None = None
    peers_linked: int | None = None
    mempool: int | None = None
    last_seal_age_ms: int | None = None
    resident_bytes: int | None = None
    database_connected: bool | None = None
    alarms: int | None = None

    @staticmethod
    def of(
        condition: BankCondition,
        address: str,
        report: NodeReport | LedgerError,
        corrupted: Sequence[str] = (),
    ) -> BankStatus:
        """Return the row of a report, or of the failure to get one."""
        bank = condition.bank
        disk = tuple(f"corrupt: {row}" for row in corrupted)
        if not isinstance(report, NodeReport):
            state, reason = condition.condition.value, _silence(condition, address, report)
            return BankStatus(bank, short_name(bank), state, reason, address, disk)
        up = condition.condition is Condition.VOTING
        reason = condition.detail or ("" if report.database.connected else "no database")
        return BankStatus(
            bank=bank,
            name=short_name(bank),
            state="up" if up else condition.condition.value,
            reason=reason,
            address=address,
            faults=(*[fault.text for fault in report.faults], *disk),
            suspicion=condition.suspicion,
            pid=report.process.pid,
            height=report.height,
            view=report.consensus.view,
            leader=short_name(report.consensus.leader),
            peers_linked=sum(peer.linked_in and peer.linked_out for peer in report.peers),
            mempool=report.mempool.transactions,
            last_seal_age_ms=report.last_seal_age_ms,
            resident_bytes=report.process.resident_bytes,
            database_connected=report.database.connected,
            alarms=len(report.alarms),
        )


def _silence(condition: BankCondition, address: str, error: LedgerError) -> str:
    if condition.condition is Condition.EXITED:
        return "its process has ended"
    if condition.condition is Condition.PAUSED:
        return "its process is stopped by a signal"
    if isinstance(error, LedgerUnavailable | LedgerTimeout):
        return f"does not answer at {address}"
    return error.message


@dataclass(frozen=True, slots=True)
class ConsortiumLook:
    """Everything that one look at the banks has shown."""

    chain_id: str
    rows: tuple[BankStatus, ...]
    diagnosis: Diagnosis
    approvals: int
    commits: int
    """As the bank sees it that is furthest ahead."""

    @property
    def anybody(self) -> bool:
        """Whether any bank answered."""
        return any(row.pid is not None for row in self.rows)

    def to_json_object(self) -> dict[str, object]:
        """Return every field by name."""
        diagnosis = self.diagnosis
        return {
            "chain_id": self.chain_id,
            "height": max((row.height or 0 for row in self.rows), default=0),
            "quorum": {
                "votes_possible": diagnosis.votes_possible,
                "banks": diagnosis.active,
                "quorum": diagnosis.quorum,
                "margin": diagnosis.margin,
                "missing": [short_name(item.bank) for item in diagnosis.missing],
                "conditions": {
                    short_name(item.bank): item.condition.value for item in diagnosis.banks
                },
                "suspects": {
                    short_name(item.bank): item.suspicion for item in diagnosis.suspects
                },
                "waiting_for": diagnosis.waiting_for,
                "verdict": diagnosis.verdict,
                "approvals": self.approvals,
                "commits": self.commits,
            },
            "banks": [asdict(row) for row in self.rows],
        }

    @classmethod
    def assemble(
        cls,
        genesis: Genesis,
        endpoints: Sequence[Endpoint],
        answers: Mapping[BankIndex, NodeReport | LedgerError],
        processes: Mapping[int, ProcessCondition],
        corrupted: Mapping[int, Sequence[str]],
    ) -> Self:
        """Put a look together from what was answered; endpoints are in bank order."""
        reports = {bank: item for bank, item in answers.items() if isinstance(item, NodeReport)}
        reticent = [bank for bank, item in answers.items() if isinstance(item, AccessDenied)]
        diagnosis = diagnose(len(genesis.banks), reports, processes, reticent)
        ahead = furthest_ahead(reports)
        rows = [
            BankStatus.of(
                condition,
                endpoints[condition.bank].address,
                answers.get(condition.bank, LedgerUnavailable("its process is not there")),
                corrupted.get(condition.bank, ()),
            )
            for condition in diagnosis.banks
        ]
        return cls(
            genesis.chain_id.hex(),
            tuple(rows),
            diagnosis,
            approvals=0 if ahead is None else len(ahead.consensus.approvals),
            commits=0 if ahead is None else len(ahead.consensus.commits),
        )


def furthest_ahead(reports: Mapping[BankIndex, NodeReport]) -> NodeReport | None:
    """Return the report of the greatest height and view, None if there is none."""
    return max(
        reports.values(), key=lambda report: (report.height, report.consensus.view), default=None
    )
