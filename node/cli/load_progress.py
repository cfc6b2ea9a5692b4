"""Progress of a long work in steps, with its rate and the time that is left."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from node.cli.terminal import errors, say

LINE_INTERVAL_S = 10.0
"""Between two lines where there is no terminal to draw a bar on."""


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.0f}/s")


class RatedMeter:
    """To be told which step the work is at, and how far."""

    def __init__(self, bars: Progress | None) -> None:
        self._bars = bars
        self._task = None if bars is None else bars.add_task("", total=None)
        self._step = ""
        self._begun_s = self._told_s = time.monotonic()

    def say(self, text: str) -> None:
        """Print one line that stays."""
        say(text)

    def __call__(self, step: str, done: int, total: int) -> None:
        if self._bars is not None:
            self._draw(self._bars, step, done, total)
        else:
            self._tell(step, done, total)
        self._step = step

    def _draw(self, bars: Progress, step: str, done: int, total: int) -> None:
        if step != self._step:
            if self._task is not None:
                bars.remove_task(self._task)
            self._task = bars.add_task(step, total=total)
        assert self._task is not None, "there is always one"
        bars.update(self._task, completed=done, total=total)

    def _tell(self, step: str, done: int, total: int) -> None:
        now_s = time.monotonic()
        if step != self._step:
            self._begun_s = self._told_s = now_s
        elif now_s - self._told_s < LINE_INTERVAL_S and done < total:
            return
        self._told_s = now_s
        rate = done / (now_s - self._begun_s) if now_s > self._begun_s else 0.0
        left = (
            f", {rate:.0f}/s, {(total - done) / rate:.0f} s left" if rate and done < total else ""
        )
        say(f"{step}: {done} of {total}{left}")


@contextlib.contextmanager
def rated_steps() -> Iterator[RatedMeter]:
    """Show a progress bar on a terminal; elsewhere a line every ten seconds."""
    if not errors.is_terminal:
        yield RatedMeter(None)
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=errors,
        transient=True,
    ) as bars:
        yield RatedMeter(bars)


class TimedMeter:
    """To be told how much of the time is over, and what has come of it so far."""

    def __init__(self, title: str, seconds: float, bars: Progress | None) -> None:
        self._title = title
        self._seconds = seconds
        self._bars = bars
        self._task = None if bars is None else bars.add_task(title, total=seconds)
        self._told_s = time.monotonic()

    def __call__(self, elapsed_s: float, found: str) -> None:
        text = f"{self._title}: {found}" if found else self._title
        if elapsed_s > self._seconds:
            text += "; waiting for the end of what is under way"
        if self._bars is not None and self._task is not None:
            done = min(elapsed_s, self._seconds)
            self._bars.update(self._task, description=text, completed=done)
        elif time.monotonic() - self._told_s >= LINE_INTERVAL_S:
            self._told_s = time.monotonic()
            say(f"{text} ({elapsed_s:.0f} of {self._seconds:.0f} s)")


@contextlib.contextmanager
def timed_progress(title: str, seconds: float) -> Iterator[TimedMeter]:
    """Show a bar of the time on a terminal; elsewhere a line every ten seconds."""
    if not errors.is_terminal:
        yield TimedMeter(title, seconds, None)
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=errors,
        transient=True,
    ) as bars:
        yield TimedMeter(title, seconds, bars)
