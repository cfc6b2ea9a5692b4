"""What an operator is told when banks begin or cease to be missing, each change once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from node.ledger.types import BankIndex
from node.runtime.consortium_directory import short_name
from node.runtime.diagnosis import BankCondition, Condition, Diagnosis
from node.runtime.notice import Notice, NoticeKind

_TOLD_OTHERWISE = frozenset({Condition.EXITED, Condition.HALTED})
"""The end of a process and a halt are told when they happen, with their reasons."""
_SOFT = frozenset({Condition.NO_ANSWER, Condition.UNLINKED, Condition.SILENT})
"""Seen once, these may be the moment between two reports."""
_PASSING = frozenset({Condition.STARTING, Condition.BEHIND})


class QuorumWatch:
    """Remembers what was told about who is missing."""

    def __init__(self) -> None:
        self._missing: dict[BankIndex, Condition] = {}
        self._told: set[BankIndex] = set()
        self._suspects: set[BankIndex] = set()
        self._lost = False
        self._seen: set[BankIndex] = set()
        """Banks that were missing at the last look, steadily or not."""

    def take(self, diagnosis: Diagnosis) -> list[Notice]:
        """Return what is new."""
        diagnosis = self._steady(diagnosis)
        missing = {item.bank: item.condition for item in diagnosis.missing}
        notices = [*self._about_banks(diagnosis), *self._about_suspects(diagnosis)]
        lost = diagnosis.margin < 0
        if lost and (not self._lost or self._is_worse(missing)):
            notices.append(Notice(NoticeKind.QUORUM_LOST, diagnosis.verdict))
        elif self._lost and not lost:
            text = f"the quorum is back: {diagnosis.votes}"
            notices.append(Notice(NoticeKind.QUORUM_BACK, text))
        self._missing, self._lost = missing, lost
        return notices

    def _steady(self, diagnosis: Diagnosis) -> Diagnosis:
        """Leave out what may be the moment between two reports."""
        seen = {item.bank for item in diagnosis.missing}
        banks = tuple(
            replace(item, condition=Condition.VOTING, detail="")
            if item.condition in _SOFT and item.bank not in self._seen
            else item
            for item in diagnosis.banks
        )
        self._seen = seen
        return replace(diagnosis, banks=banks)

    def _is_worse(self, missing: dict[BankIndex, Condition]) -> bool:
        return any(
            bank not in self._missing for bank, why in missing.items() if why not in _PASSING
        )

    def _about_banks(self, diagnosis: Diagnosis) -> Iterable[Notice]:
        for item in diagnosis.missing:
            if item.bank in self._told or item.condition in _TOLD_OTHERWISE | _PASSING:
                continue
            self._told.add(item.bank)
            yield Notice(
                NoticeKind.BANK_MISSING, f"nothing comes from {item}; {diagnosis.count}", item.bank
            )
        back = self._told - {item.bank for item in diagnosis.missing}
        for bank in sorted(back):
            self._told.discard(bank)
            text = f"{short_name(bank)} votes again; {diagnosis.count}"
            yield Notice(NoticeKind.BANK_STARTED, text, bank)

    def _about_suspects(self, diagnosis: Diagnosis) -> Iterable[Notice]:
        fresh: list[BankCondition] = [
            item for item in diagnosis.suspects if item.bank not in self._suspects
        ]
        self._suspects |= {item.bank for item in fresh}
        for item in fresh:
            yield Notice(
                NoticeKind.ALARM,
                f"{short_name(item.bank)} may be lying: {item.suspicion}",
                item.bank,
            )
