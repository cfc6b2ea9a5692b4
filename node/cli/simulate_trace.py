"""`consortium simulate --seed S --trace`: one run as a script to read."""

from __future__ import annotations

import sys

import click

from node.cli.terminal import answer, answer_json
from node.simulation.campaign import Campaign
from node.simulation.profiles import schedule_of
from node.simulation.run import play
from node.simulation.trace import TraceLine, Tracer

COLOURS = {
    "says": "cyan",
    "writes": "yellow",
    "power": "red",
    "alarm": "red",
    "client": "green",
    "timer": "magenta",
    "world": "red",
}


def show_trace(campaign: Campaign, *, as_json: bool) -> bool:
    """Print the schedule, everything that happens, and how it ends; return whether it violates.

    Colours are used on a terminal alone. As JSON it is one object a line.
    """
    schedule = schedule_of(campaign.profile, campaign.first_seed, bank_count=campaign.bank_count)
    if as_json:
        answer_json({"schedule": schedule.script()})
    else:
        for line in schedule.script():
            answer(line)
        answer("")
    outcome = play(schedule, (Tracer(_json_line if as_json else _text_line),))
    violation = outcome.violation
    if as_json:
        answer_json(
            {
                "heights": outcome.heights,
                "checker": None if violation is None else violation.checker,
                "message": None if violation is None else violation.message,
            }
        )
    else:
        end = f"all checkers agree, {outcome.heights} heights are sealed"
        answer(end if violation is None else f"VIOLATED {violation}")
    return violation is not None


def _text_line(line: TraceLine) -> None:
    colour = COLOURS.get(line.kind) if sys.stdout.isatty() else None
    answer(click.style(str(line), fg=colour) if colour else str(line))


def _json_line(line: TraceLine) -> None:
    answer_json({"ms": line.at_ms, "bank": line.bank, "kind": line.kind, "text": line.text})
