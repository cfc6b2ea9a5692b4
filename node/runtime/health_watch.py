"""What running banks say of themselves, told once: that they halted, went on, or raise alarms.

A process that runs is not yet a bank that votes. This asks every bank's Operator service now and
then, so that a halted one does not go unnoticed until somebody looks at its status.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from node.ledger.types import BankIndex
from node.runtime.consortium_directory import short_name
from node.runtime.notice import Notice, NoticeKind
from node.wire.operator_records import AlarmReport, NodeReport

ALARMS_TOLD = 3
"""Of one bank at one time; its status has all of them."""


class HealthWatch:
    """Remembers what was told about each bank."""

    def __init__(self) -> None:
        self._halted: dict[BankIndex, str] = {}
        self._alarms: dict[BankIndex, tuple[AlarmReport, ...]] = {}

    @property
    def halted(self) -> Mapping[BankIndex, str]:
        """Banks that have halted, with the reason."""
        return self._halted

    def forget(self, bank: BankIndex) -> None:
        """The bank's process has ended: what it said no longer holds."""
        self._halted.pop(bank, None)
        self._alarms.pop(bank, None)

    def take(self, report: NodeReport) -> list[Notice]:
        """Return what is new in a bank's report."""
        return [*self._about_halting(report), *self._about_alarms(report)]

    def _about_halting(self, report: NodeReport) -> Iterable[Notice]:
        bank, name = report.bank, short_name(report.bank)
        if report.halted and bank not in self._halted:
            self._halted[bank] = report.halted
            yield Notice(
                NoticeKind.BANK_HALTED,
                f"{name} has halted at height {report.height} and signs nothing: {report.halted}; "
                "`consortium doctor` shows how far its ledger is that of the others",
                bank,
            )
        elif not report.halted and self._halted.pop(bank, None) is not None:
            yield Notice(NoticeKind.BANK_STARTED, f"{name} votes again", bank)

    def _about_alarms(self, report: NodeReport) -> Iterable[Notice]:
        known = self._alarms.get(report.bank, ())
        fresh = [alarm for alarm in report.alarms if alarm not in known]
        self._alarms[report.bank] = report.alarms
        for alarm in fresh[-ALARMS_TOLD:]:
            yield Notice(
                NoticeKind.ALARM,
                f"{short_name(report.bank)} raises an alarm: {alarm.text} [{alarm.kind}]",
                report.bank,
            )
