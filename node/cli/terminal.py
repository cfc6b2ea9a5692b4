"""What a command says while it works: lines and progress on standard error, answers on output."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator
from typing import Any, Protocol

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

LINE_WITHIN_S = 30.0
"""Where progress is told in lines, one comes at least so often."""

errors = Console(stderr=True, highlight=False, soft_wrap=True)
"""Where everything goes that is not the answer."""


def say(text: str, style: str | None = None) -> None:
    """Print one line for the operator to standard error."""
    errors.print(text, style=style, markup=False)


def warn(text: str) -> None:
    """Print one line that must not be overlooked to standard error."""
    say(text, "yellow")


def answer(text: str) -> None:
    """Print what was asked for to standard output."""
    click.echo(text)


def answer_json(value: Any) -> None:
    """Print one JSON value on one line to standard output."""
    click.echo(json.dumps(value, separators=(", ", ": "), default=str))
    sys.stdout.flush()


class Meter(Protocol):
    """A progress bar to be told how far the work is."""

    def __call__(self, done: int, total: int) -> None: ...


@contextlib.contextmanager
def progress(title: str) -> Iterator[Meter]:
    """Show a progress bar on a terminal; elsewhere a line now and then."""
    if not errors.is_terminal:
        yield _LineMeter(title)
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=errors,
        transient=True,
    ) as bars:
        task = bars.add_task(title, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


class StepMeter(Protocol):
    """A progress bar of a work that has several steps."""

    def __call__(self, step: str, done: int, total: int) -> None: ...


@contextlib.contextmanager
def steps(title: str) -> Iterator[StepMeter]:
    """Show the step that a work is at and how far it is, on a terminal only."""
    if not errors.is_terminal:
        yield lambda step, done, total: None
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=errors,
        transient=True,
    ) as bars:
        task = bars.add_task(title, total=None)
        yield lambda step, done, total: bars.update(
            task, description=f"{title}: {step}", completed=done, total=total
        )


class _LineMeter:
    """Says how far a work is at every tenth of it, and when that takes long."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._total = -1
        self._tenths = -1
        self._said_s = 0.0

    def __call__(self, done: int, total: int) -> None:
        tenths = 10 * done // total if total else 10
        is_another = total != self._total
        is_overdue = time.monotonic() - self._said_s >= LINE_WITHIN_S
        if is_another or tenths > self._tenths or is_overdue:
            self._total, self._tenths, self._said_s = total, tenths, time.monotonic()
            say(f"{self._title}: {done} of {total}")
