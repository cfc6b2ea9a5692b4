"""What banks remember of a transaction, as lines beside those of their logs.

Banks do not log every step of every transaction: at full load that would cost them more than the
transaction. They keep the last steps in memory, and an operator may ask for them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from node.cli.access import Consortium
from node.cli.log_lines import TRACE_LEVEL, LogLine
from node.client.errors import LedgerError, RecordNotFound
from node.ledger.types import BankIndex, TransactionId
from node.runtime.consortium_directory import short_name
from node.wire.operator_records import (
    TransactionCheck,
    TransactionEvent,
    TransactionEventKind,
    TransactionTrace,
)

DEADLINE_MS = 1_500
_JUDGEMENTS = (TransactionEventKind.VERIFIED, TransactionEventKind.REFUSED)


def trace_lines(trace: TransactionTrace) -> list[LogLine]:
    """Return a line for each event of a trace, in its order."""
    return [_line(trace, event) for event in trace.events]


def _line(trace: TransactionTrace, event: TransactionEvent) -> LogLine:
    fields: dict[str, object] = {"transaction": trace.transaction_id.hex()}
    if event.kind is TransactionEventKind.RECEIVED:
        fields["source"] = trace.source
    if event.detail:
        fields["detail"] = event.detail
    if event.kind in _JUDGEMENTS and trace.checks:
        fields["checks"] = "; ".join(map(_check, trace.checks))
    seconds, microseconds = divmod(event.at_us, 1_000_000)
    moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=microseconds)
    time = moment.isoformat(timespec="milliseconds")
    bank = short_name(trace.bank)
    document = {"time": time, "level": TRACE_LEVEL, "bank": bank, "event": event.kind.value}
    return LogLine(
        bank=bank,
        time=time,
        level=TRACE_LEVEL,
        event=event.kind.value,
        fields=fields,
        traceback="",
        raw=json.dumps({**document, **fields}, separators=(",", ":")),
    )


def _check(check: TransactionCheck) -> str:
    among = f" in a batch of {check.batch}" if check.batch > 1 else ""
    failed = "" if check.passed else f" FAILED: {check.message}"
    return f"{check.name} {check.duration_us / 1000:.2f} ms{among}{failed}"


class TraceReader:
    """Asks all banks what they remember of one transaction, again and again for what is new."""

    def __init__(self, consortium: Consortium, transaction_id: TransactionId) -> None:
        self._consortium = consortium
        self._transaction_id = transaction_id
        self._known: set[tuple[str, str, str]] = set()
        self._ended: set[BankIndex] = set()

    @property
    def is_over(self) -> bool:
        """Whether nothing new will come: it was applied at every bank.

        What one bank refused may still be sealed by others.
        """
        return len(self._ended) == len(self._consortium.genesis.banks)

    async def new_lines(self) -> tuple[list[LogLine], list[str]]:
        """Return what no earlier call returned, by time, and the banks that did not answer."""
        banks = [
            bank.index for bank in self._consortium.genesis.banks if bank.index not in self._ended
        ]
        answers = await self._consortium.ask_every_bank(
            lambda bank: bank.transaction_trace(self._transaction_id),
            banks,
            deadline_ms=DEADLINE_MS,
        )
        lines: list[LogLine] = []
        silent: list[str] = []
        for bank, answer in answers.items():
            if isinstance(answer, LedgerError):
                if not isinstance(answer, RecordNotFound):
                    silent.append(short_name(bank))
                continue
            if any(event.kind is TransactionEventKind.APPLIED for event in answer.events):
                self._ended.add(bank)
            lines += trace_lines(answer)
        return self._unknown(lines), silent

    def _unknown(self, lines: Sequence[LogLine]) -> list[LogLine]:
        fresh = []
        for line in sorted(lines, key=lambda item: item.time):
            key = line.bank, line.time, line.event
            if key not in self._known:
                self._known.add(key)
                fresh.append(line)
        return fresh
