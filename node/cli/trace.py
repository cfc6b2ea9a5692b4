"""`consortium trace`: what every bank checked of a transaction, and when what happened to it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict

import click

from node.cli.access import Consortium
from node.cli.activity import activity
from node.cli.explorer import read_transaction_id
from node.cli.options import data_option, json_option
from node.cli.side_by_side import (
    CLOCKS,
    Answers,
    ask_all,
    milliseconds,
    moment_text,
    offset_text,
)
from node.cli.table import answer_fields, answer_table, printable
from node.cli.terminal import answer, answer_json
from node.ledger.types import BankIndex, TransactionId
from node.runtime.consortium_directory import ConsortiumDirectory, short_name
from node.wire.operator_records import (
    TransactionCheck,
    TransactionEventKind,
    TransactionTrace,
)

NEVER = "-"


@click.command()
@click.argument("transaction_id", metavar="ID")
@data_option
@json_option
def command(transaction_id: str, directory: ConsortiumDirectory, as_json: bool) -> None:
    """Show what every bank checked of transaction ID, how long it took, and what happened to it.

    Times of checks are in milliseconds, measured where the check was made; "/57" after one says
    that 57 transactions were checked together in it. No bank tells which client sent a
    transaction. Banks keep the last 20,000 transactions in memory, since their start.

    \b
    Examples:
      consortium trace 3be1...c04f
      consortium trace 3be1...c04f --json
    """
    wanted = read_transaction_id(transaction_id)
    consortium = Consortium.load(directory)
    answers = asyncio.run(_fetch(consortium, wanted))
    if as_json:
        answer_json(_json_object(wanted, answers))
        return
    _show(wanted, answers)


async def _fetch(consortium: Consortium, wanted: TransactionId) -> Answers[TransactionTrace]:
    with activity() as tell:
        tell("asking every bank")
        return await ask_all(
            consortium,
            lambda bank: bank.transaction_trace(wanted),
            f"see `consortium tx {wanted.hex()}` for what the ledger holds of it",
        )


def _show(wanted: TransactionId, answers: Answers[TransactionTrace]) -> None:
    traces = answers.found
    moments = [event.at_us for trace in traces.values() for event in trace.events]
    first_us, last_us = min(moments), max(moments)
    homes = [short_name(bank) for bank, trace in traces.items() if trace.source == "client"]
    answer_fields(
        [
            ("transaction", wanted.hex()),
            ("submitted", f"to {', '.join(homes)}" if homes else "to none of these banks"),
            ("first seen", moment_text(first_us)),
            ("took", f"{milliseconds(last_us - first_us)} ms until its last event"),
        ]
    )
    answer("")
    _show_events(traces, first_us)
    answer(CLOCKS)
    answer("")
    _show_checks(traces)
    _show_refusals(traces)
    answers.show_errors()


def _show_events(traces: Mapping[BankIndex, TransactionTrace], first_us: int) -> None:
    seen = {event.kind for trace in traces.values() for event in trace.events}
    kinds = [kind for kind in TransactionEventKind if kind in seen]
    rows = []
    for bank, trace in traces.items():
        found = {event.kind: event for event in trace.events}
        cells = [
            offset_text(found[kind].at_us, first_us) if kind in found else NEVER for kind in kinds
        ]
        rows.append((short_name(bank), _source(trace), *cells))
    answer_table(
        ("bank", "from", *[str(kind) for kind in kinds]), rows, right=range(2, len(kinds) + 2)
    )


def _source(trace: TransactionTrace) -> str:
    kind, _, index = trace.source.partition(" ")
    if kind == "bank" and index.isdigit():
        return short_name(int(index))
    return printable(trace.source)


def _show_checks(traces: Mapping[BankIndex, TransactionTrace]) -> None:
    names = list(dict.fromkeys(check.name for trace in traces.values() for check in trace.checks))
    rows = []
    for bank, trace in traces.items():
        found = {check.name: check for check in trace.checks}
        rows.append((short_name(bank), *[_check(found.get(name)) for name in names]))
    answer_table(("check, in ms", *map(printable, names)), rows, right=range(1, len(names) + 1))


def _check(check: TransactionCheck | None) -> str:
    if check is None:
        return NEVER
    shared = f"/{check.batch}" if check.batch > 1 else ""
    failed = "" if check.passed else " failed"
    return milliseconds(check.duration_us) + shared + failed


def _show_refusals(traces: Mapping[BankIndex, TransactionTrace]) -> None:
    lines = [
        (short_name(bank), printable(event.detail))
        for bank, trace in traces.items()
        for event in trace.events
        if event.kind is TransactionEventKind.REFUSED
    ]
    if lines:
        answer("")
    for name, detail in lines:
        answer(f"refused by {name}: {detail}")


def _json_object(wanted: TransactionId, answers: Answers[TransactionTrace]) -> dict[str, object]:
    return {
        "transaction_id": wanted.hex(),
        "banks": {
            short_name(bank): {
                "source": trace.source,
                "checks": [asdict(check) for check in trace.checks],
                "events": [
                    {"kind": event.kind.value, "at_us": event.at_us, "detail": event.detail}
                    for event in trace.events
                ],
            }
            for bank, trace in answers.found.items()
        },
        "errors": answers.errors_json(),
    }
