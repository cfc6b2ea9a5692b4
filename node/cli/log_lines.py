"""Reading the banks' logs: JSON lines to readable ones, filtered, merged by time, followed.

A log may hold lines that are no JSON, from a library or a dying process; they are shown as they
are, under the time of the line before. Everything is escaped before it reaches a terminal: parts
of a log were written by peers and clients.
"""

from __future__ import annotations

import heapq
import json
import os
import re
from collections import deque
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import Any

import click

from node.cli.table import printable

ROTATED_SUFFIX = ".1"
"""Of the older log that was put aside when the node started."""

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
TRACE_LEVEL = "memory"
"""Of lines that no log holds: what a bank remembers of a transaction."""
_COLOURS = {
    "debug": "bright_black",
    TRACE_LEVEL: "cyan",
    "warning": "yellow",
    "error": "red",
    "critical": "red",
}
_ID = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SHOWN_FIRST = frozenset({"time", "level", "bank", "logger", "event", "traceback"})


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of one bank's log."""

    bank: str
    time: str
    """ISO 8601 in UTC; of the line before if this one has none."""
    level: str
    """Empty for a line that is no JSON."""
    event: str
    fields: Mapping[str, Any]
    """Everything else, in the order of the line."""
    traceback: str
    raw: str

    @staticmethod
    def parse(raw: str, bank: str, previous_time: str = "") -> LogLine:
        """Read a line of this bank's log; whatever it is, it is a line."""
        try:
            document = json.loads(raw)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict) or not isinstance(document.get("event"), str):
            return LogLine(bank, previous_time, "", raw, {}, "", raw)
        return LogLine(
            bank=bank,
            time=str(document.get("time", previous_time)),
            level=str(document.get("level", "")),
            event=document["event"],
            fields={key: value for key, value in document.items() if key not in _SHOWN_FIRST},
            traceback=str(document.get("traceback", "")),
            raw=raw,
        )

    def to_json_line(self) -> str:
        """Return the line as it was written, or as an event if it was no JSON."""
        return self.raw if self.level else json.dumps({"bank": self.bank, "event": self.event})

    def render(
        self, bank_width: int, bank_colour: str | None = None, hidden: Container[str] = ()
    ) -> str:
        """Return the line for people, in colours that a pipe does not get.

        `hidden` names fields to leave out because whoever reads knows them.
        """
        time = printable(self.time[:23].replace("T", " "))
        level = printable(self.level).ljust(7)
        values = " ".join(
            f"{printable(key)}={_value(item)}"
            for key, item in self.fields.items()
            if key not in hidden
        )
        bank = self.bank.ljust(bank_width)
        named = click.style(bank, fg=bank_colour) if bank_colour else bank
        head = f"{time:23}  {named}  "
        colour = _COLOURS.get(self.level)
        text = (
            head
            + (click.style(level, fg=colour) if colour else level)
            + f"  {printable(self.event)}"
        )
        lines = [f"{text}  {values}" if values else text]
        lines += [f"    {printable(line)}" for line in self.traceback.splitlines()]
        return "\n".join(lines)


def _value(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return printable(text) if text and " " not in text else json.dumps(printable(text))


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which lines are wanted; by default all."""

    level: str = "debug"
    """The lowest one."""
    transaction: str = ""
    """Hexadecimal id, or its beginning."""
    block: str = ""
    """Id of the block that holds the transaction; its lines are wanted too."""

    def wants(self, line: LogLine) -> bool:
        """Whether a line passes; what is no JSON passes only where nothing is asked for."""
        if LEVELS.get(line.level, 0) < LEVELS[self.level] and (line.level or self.level != "debug"):
            return False
        if not self.transaction:
            return True
        named = str(line.fields.get("transaction", ""))
        if named.startswith(self.transaction):
            return True
        return bool(self.block) and line.fields.get("block") == self.block


@dataclass(slots=True)
class LogFile:
    """One bank's log, read from its beginning or followed while it grows."""

    bank: str
    path: Path
    _time: str = ""
    _file: BufferedReader | None = None
    _rest: bytes = b""
    _inode: int = field(default=0)

    def exists(self) -> bool:
        return self.path.exists()

    def lines(self) -> Iterator[LogLine]:
        """Yield every line, the rotated log's first, and remember where the log ended."""
        rotated = self.path.with_name(self.path.name + ROTATED_SUFFIX)
        if rotated.exists():
            with rotated.open("rb") as older:
                for raw in older:
                    yield self._parse(raw)
        yield from self.new_lines()

    def new_lines(self) -> Iterator[LogLine]:
        """Yield what was written since, in whole lines; goes on in a new file after a rotation."""
        if self._file is None:
            if not self.path.exists():
                return
            self._file = self.path.open("rb")
            self._inode = os.fstat(self._file.fileno()).st_ino
        for raw in self._file:
            self._rest += raw
            if self._rest.endswith(b"\n"):
                whole, self._rest = self._rest, b""
                yield self._parse(whole)
        if self._replaced():
            self.close()
            yield from self.new_lines()

    def close(self) -> None:
        """Close the file; the next read begins at the start of the log."""
        if self._file is not None:
            self._file.close()
        self._file, self._rest = None, b""

    def _replaced(self) -> bool:
        assert self._file is not None, "only an open file is followed"
        try:
            now = self.path.stat()
        except FileNotFoundError:
            return False
        return now.st_ino != self._inode or now.st_size < self._file.tell()

    def _parse(self, raw: bytes) -> LogLine:
        line = LogLine.parse(raw.decode("utf-8", errors="replace").rstrip(), self.bank, self._time)
        self._time = line.time
        return line


def merged(*lists: Iterable[LogLine]) -> list[LogLine]:
    """Merge lists that are in order of time each."""
    return list(heapq.merge(*lists, key=lambda line: line.time))


def last_lines(files: Sequence[LogFile], wanted: LogFilter, count: int) -> list[LogLine]:
    """Return the newest `count` wanted lines of all these logs, merged by time."""
    newest = [deque(filter(wanted.wants, file.lines()), maxlen=count) for file in files]
    return list(deque(merged(*newest), maxlen=count))


def lines_since(files: Sequence[LogFile], wanted: LogFilter) -> list[LogLine]:
    """Return the wanted lines that were written since the last call, merged by time."""
    return merged(*[list(filter(wanted.wants, file.new_lines())) for file in files])


def transactions_named(files: Sequence[LogFile], beginning: str) -> set[str]:
    """Return the whole ids with this beginning that these logs name, read from their start."""
    wanted = LogFilter(transaction=beginning)
    named = {
        str(line.fields.get("transaction", ""))
        for file in files
        for line in LogFile(file.bank, file.path).lines()
        if wanted.wants(line)
    }
    return {identity for identity in named if _ID.fullmatch(identity)}
