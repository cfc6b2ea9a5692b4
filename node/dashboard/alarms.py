"""Alarms as the overview lists them: the banks' own, and what only a look from outside shows.

A bank's alarms end with its process; here they stay, so that an operator finds out afterwards.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from node.ledger.types import BankIndex
from node.runtime.consortium_directory import short_name
from node.runtime.consortium_look import ConsortiumLook
from node.runtime.diagnosis import Condition
from node.wire.operator_records import NodeReport

SHOWN = 50
KEPT = 200
MISSING = "missing"
SUSPECT = "suspect"
WITHOUT_BEGINNING = (Condition.EXITED.value, Condition.HALTED.value)
"""What is an alarm of a bank that was never seen voting; it may just be starting otherwise."""


@dataclass(frozen=True, slots=True)
class ShownAlarm:
    """One line; `bank` is the culprit or the bank that tells."""

    bank: int
    name: str
    kind: str
    """The bank's own kind, or `missing` or `suspect`."""
    text: str
    at_ms: int

    def to_json_object(self) -> dict[str, object]:
        """Return every field by name."""
        return asdict(self)


class AlarmBook:
    """Collects alarms look by look."""

    def __init__(self) -> None:
        self._alarms: OrderedDict[tuple[int, str, str, int], ShownAlarm] = OrderedDict()
        self._conditions: dict[int, tuple[str, str]] = {}
        """By bank: the state and suspicion that were told last."""
        self._have_voted: set[int] = set()

    def take(
        self, at_ms: int, look: ConsortiumLook, reports: Mapping[BankIndex, NodeReport]
    ) -> None:
        """Enter what is new."""
        for bank, report in reports.items():
            for alarm in report.alarms:
                self._add(bank, alarm.kind, alarm.text, alarm.time_ms)
        missing = {item.bank: item for item in look.diagnosis.missing}
        for row in look.rows:
            state = row.state if row.bank in missing else ""
            told = self._conditions.get(row.bank, ("", ""))
            if not state:
                self._have_voted.add(row.bank)
            begins = row.bank not in self._have_voted and state not in WITHOUT_BEGINNING
            if state and state != told[0] and not begins:
                self._add(row.bank, MISSING, f"{state}: {row.reason or 'does not vote'}", at_ms)
            if row.suspicion and not told[1]:
                self._add(row.bank, SUSPECT, row.suspicion, at_ms)
            self._conditions[row.bank] = state, row.suspicion

    def _add(self, bank: int, kind: str, text: str, at_ms: int) -> None:
        key = bank, kind, text, at_ms
        if key not in self._alarms:
            self._alarms[key] = ShownAlarm(bank, short_name(bank), kind, text, at_ms)
        while len(self._alarms) > KEPT:
            self._alarms.popitem(last=False)

    def newest(self) -> list[ShownAlarm]:
        """Return the newest first."""
        found = sorted(self._alarms.values(), key=lambda alarm: alarm.at_ms, reverse=True)
        return found[:SHOWN]
