"""`consortium round`: how the banks decided a height, beside each other."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import click

from node.cli.access import Consortium
from node.cli.activity import activity
from node.cli.options import data_option, json_option
from node.cli.side_by_side import (
    CLOCKS,
    Answers,
    ask_all,
    milliseconds,
    moment_text,
    offset_text,
)
from node.cli.table import answer_fields, answer_table
from node.cli.terminal import answer, answer_json
from node.ledger.types import BankIndex, Height, View
from node.runtime.consortium_directory import ConsortiumDirectory, short_name
from node.wire.operator_records import RoundEvent, RoundEventKind, RoundReport

TIP = "tip"
MAX_HEIGHT_DIGITS = 18
NEVER = "-"


@click.command()
@click.argument("height", metavar="[HEIGHT|tip]", default=TIP)
@data_option
@json_option
def command(height: str, directory: ConsortiumDirectory, as_json: bool) -> None:
    """Show when each bank took each step of deciding a height: proposal, vote, commit, seal.

    A table for each view, the offsets in milliseconds since the first event of any bank, each by
    its bank's own clock. In brackets: how long validating and applying took. Banks keep the last
    512 heights in memory, since their start.

    \b
    Examples:
      consortium round
      consortium round 12 --json
    """
    consortium = Consortium.load(directory)
    answers = asyncio.run(_fetch(consortium, height))
    if as_json:
        answer_json(_json_object(answers))
        return
    _show(answers)


async def _fetch(consortium: Consortium, which: str) -> Answers[RoundReport]:
    with activity() as tell:
        tell("asking every bank")
        height = await _wanted(consortium, which)
        return await ask_all(
            consortium,
            lambda bank: bank.round(height),
            "give a later height: `consortium status` names the newest",
        )


async def _wanted(consortium: Consortium, which: str) -> Height:
    if which == TIP:
        reports = await ask_all(consortium, lambda bank: bank.report(), "")
        return max(report.height for report in reports.found.values())
    if which.isascii() and which.isdigit() and len(which) <= MAX_HEIGHT_DIGITS:
        return Height(int(which))
    raise click.UsageError(f"{which!r} is no height: give one such as 12, or tip")


def _show(answers: Answers[RoundReport]) -> None:
    reports = answers.found
    events = [event for report in reports.values() for event in report.events]
    first_us = min(event.at_us for event in events)
    last_us = max(event.at_us for event in events)
    height = next(iter(reports.values())).height
    answer_fields(
        [
            ("height", str(height)),
            ("began", moment_text(first_us)),
            ("took", f"{milliseconds(last_us - first_us)} ms until its last event"),
            ("banks", f"{len(reports)} of {len(reports) + len(answers.errors)} tell of it"),
        ]
    )
    for view in sorted({event.view for event in events}):
        answer("")
        answer(_heading(view, events))
        _show_view(view, reports, first_us)
    answer("")
    answer(CLOCKS)
    answers.show_errors()


def _heading(view: View, events: Sequence[RoundEvent]) -> str:
    proposers = sorted(
        {event.bank for event in events if event.view == view and event.bank is not None}
    )
    by = ", ".join(map(short_name, proposers))
    return f"view {view}, proposed by {by}" if by else f"view {view}, without a proposal"


def _show_view(view: View, reports: Mapping[BankIndex, RoundReport], first_us: int) -> None:
    kinds = [
        kind
        for kind in RoundEventKind
        if kind is not RoundEventKind.TIMED_OUT or _any_of(kind, view, reports)
    ]
    rows = []
    for bank, report in reports.items():
        found = {event.kind: event for event in report.events if event.view == view}
        rows.append((short_name(bank), *[_cell(found.get(kind), first_us) for kind in kinds]))
    answer_table(("bank", *[str(kind) for kind in kinds]), rows, right=range(1, len(kinds) + 1))


def _any_of(kind: RoundEventKind, view: View, reports: Mapping[BankIndex, RoundReport]) -> bool:
    return any(
        event.kind is kind and event.view == view
        for report in reports.values()
        for event in report.events
    )


def _cell(event: RoundEvent | None, first_us: int) -> str:
    if event is None:
        return NEVER
    took = "" if event.duration_us is None else f" ({milliseconds(event.duration_us)})"
    return offset_text(event.at_us, first_us) + took


def _json_object(answers: Answers[RoundReport]) -> dict[str, object]:
    return {
        "height": next(iter(answers.found.values())).height,
        "banks": {
            short_name(bank): [
                {
                    "kind": event.kind.value,
                    "view": event.view,
                    "at_us": event.at_us,
                    "duration_us": event.duration_us,
                    "bank": None if event.bank is None else short_name(event.bank),
                }
                for event in report.events
            ]
            for bank, report in answers.found.items()
        },
        "errors": answers.errors_json(),
    }
