"""What `consortium top` shows: figures made of two looks at all banks, one after the other."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from node.dashboard.samples import finality
from node.ledger.types import BankIndex
from node.runtime.consortium_directory import short_name
from node.runtime.consortium_look import BankStatus, ConsortiumLook, furthest_ahead
from node.wire.operator_records import NodeReport

Reports = Mapping[BankIndex, NodeReport]

ALARMS_KEPT = 50


@dataclass(frozen=True, slots=True)
class BankFigures:
    """One bank: its row of `consortium status`, and what only a comparison shows."""

    row: BankStatus
    lag: int | None
    """Blocks behind the bank that is furthest ahead; None if it says nothing."""
    vote: str | None
    """`approve`, `reject` or `commit` at the height being decided; None: nothing yet."""
    peers: int
    """How many links there could be."""
    cpu_percent: float | None
    """Of one core since the look before; None at the first."""
    database_bytes: int | None

    def to_json_object(self) -> dict[str, object]:
        """Return the row's fields and these by name."""
        return {
            **asdict(self.row),
            "lag": self.lag,
            "vote": self.vote,
            "cpu_percent": self.cpu_percent,
            "database_bytes": self.database_bytes,
        }


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm and whose it is."""

    bank: str
    kind: str
    text: str
    time_ms: int
    """By the clock of that bank."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that one refresh shows."""

    consortium: str
    at_ms: int
    """Unix milliseconds, by this machine's clock."""
    look: ConsortiumLook
    height: int
    leader: str
    """Of the view being decided; empty if nobody answers."""
    sealed_per_second: float
    """Over the banks' own window of a minute."""
    sealed_per_second_now: float | None
    """Since the look before, by the median bank; None at the first."""
    finality_ms_p50: float | None
    """Middle of the banks' own medians, each over what its clients sent in the last minute."""
    finality_ms_p95: float | None
    """The largest that any bank has."""
    mempool: int
    """Transactions that wait at the bank where most do."""
    banks: tuple[BankFigures, ...]
    alarms: tuple[Alarm, ...]
    """Newest first."""

    @staticmethod
    def of(
        consortium: str, at_ms: int, look: ConsortiumLook, reports: Reports, before: Reports
    ) -> Snapshot:
        """Compare what the banks report with what they reported `before` (empty: nothing yet)."""
        ahead = furthest_ahead(reports)
        height = 0 if ahead is None else int(ahead.height)
        middle_ms, worst_ms = finality(reports)
        return Snapshot(
            consortium=consortium,
            at_ms=at_ms,
            look=look,
            height=height,
            leader="" if ahead is None else short_name(ahead.consensus.leader),
            sealed_per_second=0.0 if ahead is None else ahead.performance.sealed_per_second,
            sealed_per_second_now=_rate(reports, before),
            finality_ms_p50=middle_ms,
            finality_ms_p95=worst_ms,
            mempool=max((report.mempool.transactions for report in reports.values()), default=0),
            banks=tuple(
                [
                    _figures(row, height, ahead, reports, before, len(look.rows) - 1)
                    for row in look.rows
                ]
            ),
            alarms=_alarms(reports),
        )

    def to_json_object(self) -> dict[str, object]:
        """Return every field by name, those of `consortium status` among them."""
        return {
            **self.look.to_json_object(),
            "consortium": self.consortium,
            "at_ms": self.at_ms,
            "leader": self.leader or None,
            "sealed_per_second": self.sealed_per_second,
            "sealed_per_second_now": self.sealed_per_second_now,
            "finality_ms_p50": self.finality_ms_p50,
            "finality_ms_p95": self.finality_ms_p95,
            "mempool": self.mempool,
            "banks": [bank.to_json_object() for bank in self.banks],
            "alarms": [asdict(alarm) for alarm in self.alarms],
        }


def _figures(
    row: BankStatus,
    height: int,
    ahead: NodeReport | None,
    reports: Reports,
    before: Reports,
    peers: int,
) -> BankFigures:
    bank = BankIndex(row.bank)
    report = reports.get(bank)
    if report is None or ahead is None:
        return BankFigures(row, None, None, peers, None, None)
    return BankFigures(
        row=row,
        lag=height - report.height,
        vote=_vote(bank, ahead),
        peers=peers,
        cpu_percent=_cpu_percent(report, before.get(bank)),
        database_bytes=report.database.size_bytes if report.database.connected else None,
    )


def _vote(bank: BankIndex, ahead: NodeReport) -> str | None:
    consensus = ahead.consensus
    for banks, word in (
        (consensus.commits, "commit"),
        (consensus.approvals, "approve"),
        (consensus.rejections, "reject"),
    ):
        if bank in banks:
            return word
    return None


def _cpu_percent(report: NodeReport, before: NodeReport | None) -> float | None:
    if before is None or before.process.pid != report.process.pid:
        return None
    elapsed_ms = report.process.uptime_ms - before.process.uptime_ms
    if elapsed_ms <= 0:
        return None
    return round(100 * (report.process.cpu_ms - before.process.cpu_ms) / elapsed_ms, 1)


def _rate(reports: Reports, before: Reports) -> float | None:
    """Return transactions a second that the median bank applied since the look before.

    The median, for a bank that catches up applies what was sealed long ago.
    """
    rates = []
    for bank, report in reports.items():
        earlier = before.get(bank)
        if earlier is None or earlier.process.pid != report.process.pid:
            continue
        elapsed_ms = report.process.uptime_ms - earlier.process.uptime_ms
        sealed = report.performance.sealed_transactions - earlier.performance.sealed_transactions
        if elapsed_ms > 0:
            rates.append(1_000 * sealed / elapsed_ms)
    return round(statistics.median(rates), 2) if rates else None


def _alarms(reports: Reports) -> tuple[Alarm, ...]:
    alarms = [
        Alarm(short_name(bank), alarm.kind, alarm.text, alarm.time_ms)
        for bank, report in reports.items()
        for alarm in report.alarms
    ]
    alarms.sort(key=lambda alarm: (-alarm.time_ms, alarm.bank))
    return tuple(alarms[:ALARMS_KEPT])
