"""What the regulator says of itself: followed, drawn, settled, alarms, openings."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from node.cli.failure import EXIT_UNREACHABLE, CommandFailed
from node.cli.table import answer_fields, answer_table
from node.cli.terminal import answer, answer_json
from node.client import ClientCredentials
from node.client.errors import LedgerError, LedgerUnavailable
from node.client.regulator_client import RegulatorClient
from node.ledger.fiscal_year import label
from node.runtime.consortium_directory import ConsortiumDirectory, short_name
from node.runtime.regulator.place import RegulatorPlace
from node.wire.regulator_records import (
    AuditRecord,
    RegulatorAlarm,
    RegulatorStatus,
    ReverificationRecord,
)

SHOWN = 5
DEADLINE_MS = 1_500


@dataclass(frozen=True, slots=True)
class _Seen:
    status: RegulatorStatus
    alarms: tuple[RegulatorAlarm, ...]
    reverifications: tuple[ReverificationRecord, ...]
    openings: tuple[AuditRecord, ...]


def regulator_address(directory: ConsortiumDirectory) -> str:
    """Return where the regulator listens; raises `CommandFailed` if it does not run."""
    address = RegulatorPlace(directory).address()
    if address is None:
        raise _down(directory, f"no regulator of {directory.root} runs")
    return address


def _down(directory: ConsortiumDirectory, text: str) -> CommandFailed:
    advice = (
        f"`consortium up --data {directory.root}` starts it with the banks, "
        "`consortium regulator run` alone"
    )
    return CommandFailed(text, advice, EXIT_UNREACHABLE)


@asynccontextmanager
async def regulator_client(
    directory: ConsortiumDirectory, certificate: Path
) -> AsyncIterator[RegulatorClient]:
    """A client of the running regulator; raises `CommandFailed` if it does not answer."""
    credentials = ClientCredentials.load(certificate)
    async with RegulatorClient(regulator_address(directory), credentials) as regulator:
        try:
            yield regulator
        except LedgerUnavailable as error:
            raise _down(directory, f"the regulator does not answer: {error.message}") from error


@dataclass(frozen=True, slots=True)
class RegulatorLook:
    """The regulator at a glance, beside the banks."""

    status: RegulatorStatus | None
    """None if it does not answer."""
    place: RegulatorPlace

    @property
    def line(self) -> str:
        """One line for people; an alarm is what nobody should overlook."""
        status = self.status
        if status is None:
            return (
                f"the regulator does not answer: its log is {self.place.log_file}; if it is down, "
                f"`consortium regulator run --data {self.place.directory.root}` runs it again"
            )
        text = f"the regulator has followed block {status.height}"
        if status.alarms:
            return f"{text} and raised {status.alarms} alarms: `consortium regulator status`"
        return f"{text}, no alarms"

    def to_json_object(self) -> dict[str, object]:
        status = self.status
        if status is None:
            return {"answers": False}
        return {"answers": True, "height": status.height, "alarms": status.alarms}


async def look_at_regulator(directory: ConsortiumDirectory) -> RegulatorLook | None:
    """Ask the regulator how it is; None if none was ever started here."""
    place = RegulatorPlace(directory)
    address = place.address()
    if address is None:
        return RegulatorLook(None, place) if place.database_url_file.exists() else None
    credentials = ClientCredentials.load(directory.operator)
    async with RegulatorClient(address, credentials, deadline_ms=DEADLINE_MS) as regulator:
        try:
            return RegulatorLook(await regulator.status(), place)
        except LedgerError:
            return RegulatorLook(None, place)


def show_status(directory: ConsortiumDirectory, *, as_json: bool) -> None:
    """Ask the running regulator and show its answers."""
    directory.genesis()
    seen = asyncio.run(_ask(directory))
    if as_json:
        answer_json(_json_object(seen))
        return
    status = seen.status
    age_s = max(0, int(time.time()) - status.time_ms // 1000)
    answer_fields(
        [
            ("followed", f"block {status.height}, {age_s} s old"),
            ("executed", f"block {status.executed_height}"),
            ("drawn", f"{status.drawn_blocks} blocks, {status.reverified_blocks} verified again"),
            ("challenges", str(status.challenges)),
            ("openings", str(status.openings)),
            ("alarms", str(status.alarms)),
            *([("accusations", _accusations(status))] if status.accusations else []),
            ("opener", "split among officers" if status.opener_is_split else "one key, here"),
            *([("waits for", status.waiting_for)] if status.waiting_for else []),
        ]
    )
    if status.settlements:
        answer("")
        answer_table(
            ("settled", "block", "attempts", "transaction"),
            [
                (
                    label(item.fiscal_year),
                    "on its way" if item.sealed_height is None else str(item.sealed_height),
                    str(item.attempts),
                    item.transaction_id.hex(),
                )
                for item in status.settlements
            ],
            right=(1, 2),
        )
    if status.challenge_counts:
        answer("")
        answer_table(
            ("challenges of", "honest", "malicious", "open"),
            [
                (short_name(item.bank), str(item.honest), str(item.malicious), str(item.open))
                for item in status.challenge_counts
            ],
            right=(1, 2, 3),
        )
    for alarm in seen.alarms[:SHOWN]:
        answer(f"alarm: {alarm.text}")


def _accusations(status: RegulatorStatus) -> str:
    waiting = status.waiting_accusations
    if waiting:
        return f"{status.accusations} invalid blocks, {waiting} wait until the banks take them"
    return f"{status.accusations} invalid blocks, handed in: `consortium evidence`"


async def _ask(directory: ConsortiumDirectory) -> _Seen:
    async with regulator_client(directory, directory.operator) as regulator:
        return _Seen(
            await regulator.status(),
            await regulator.alarms(),
            await regulator.reverifications(),
            await regulator.openings(),
        )


def _json_object(seen: _Seen) -> dict[str, object]:
    status = seen.status
    return {
        "height": status.height,
        "time_ms": status.time_ms,
        "drawn_blocks": status.drawn_blocks,
        "reverified_blocks": status.reverified_blocks,
        "executed_height": status.executed_height,
        "accusations": status.accusations,
        "waiting_accusations": status.waiting_accusations,
        "challenges": status.challenges,
        "challenge_counts": [
            {
                "bank": short_name(item.bank),
                "honest": item.honest,
                "malicious": item.malicious,
                "open": item.open,
            }
            for item in status.challenge_counts
        ],
        "openings": status.openings,
        "alarms": status.alarms,
        "opener_is_split": status.opener_is_split,
        "waiting_for": status.waiting_for,
        "settlements": [
            {
                "fiscal_year": item.fiscal_year,
                "transaction_id": item.transaction_id.hex(),
                "attempts": item.attempts,
                "sealed_height": item.sealed_height,
            }
            for item in status.settlements
        ],
        "last_alarms": [
            {
                "kind": item.kind,
                "text": item.text,
                "bank": None if item.bank is None else short_name(item.bank),
                "height": item.height,
                "proof": item.proof.hex(),
                "time_ms": item.time_ms,
            }
            for item in seen.alarms
        ],
        "last_reverifications": [
            {
                "height": item.height,
                "challenge": item.challenge,
                "bank": short_name(item.bank),
                "result": item.result,
                "detail": item.detail,
                "transactions": item.transactions,
            }
            for item in seen.reverifications
        ],
    }
