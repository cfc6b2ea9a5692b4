"""Lines of logs: parsed, filtered, merged, followed over a rotation, made harmless."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.cli.log_lines import LogFile, LogFilter, LogLine, last_lines, lines_since
from node.runtime.structured_log import JsonLines

TRANSACTION = "ab" * 32
BLOCK = "cd" * 32


def line(time: str, event: str, *, level: str = "info", **fields: object) -> str:
    stamp = f"2026-04-01T10:00:{time}+00:00"
    return json.dumps({"time": stamp, "level": level, "bank": "x", "event": event, **fields})


def write(path: Path, *lines: str, mode: str = "w") -> None:
    with path.open(mode, encoding="utf-8") as log:
        log.writelines(f"{item}\n" for item in lines)


def events(lines: list[LogLine]) -> list[str]:
    return [f"{item.bank}: {item.event}" for item in lines]


def test_a_line_is_readable_and_keeps_its_values_whole() -> None:
    parsed = LogLine.parse(
        line("01.500", "sealed", height=3, block=BLOCK, detail="two words"), "dunmere"
    )
    assert parsed.render(10) == (
        "2026-04-01 10:00:01.500  dunmere     info     sealed  "
        f'height=3 block={BLOCK} detail="two words"'
    )


def test_what_a_node_writes_is_understood() -> None:
    """The formatter of the node and this reader agree (node.runtime.structured_log)."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines("dunmere"))
    logger = logging.Logger("node.test")
    logger.addHandler(handler)
    try:
        raise ValueError("no\x1b[2J")
    except ValueError:
        logger.exception("call failed", extra={"transaction": TRANSACTION})
    parsed = LogLine.parse(stream.getvalue().rstrip(), "dunmere")
    assert (parsed.level, parsed.event, parsed.fields) == (
        "error",
        "call failed",
        {"transaction": TRANSACTION},
    )
    rendered = parsed.render(7).splitlines()
    assert rendered[1] == "    Traceback (most recent call last):"
    assert rendered[-1] == "    ValueError: no\\x1b[2J"


def test_a_line_that_is_no_json_is_kept_under_the_time_before() -> None:
    parsed = LogLine.parse("Segmentation fault", "dunmere", "2026-04-01T10:00:01.500+00:00")
    assert parsed.render(7) == "2026-04-01 10:00:01.500  dunmere           Segmentation fault"
    assert json.loads(parsed.to_json_line()) == {"bank": "dunmere", "event": "Segmentation fault"}


@given(st.text(max_size=200))
def test_nothing_in_a_log_can_steer_a_terminal(text: str) -> None:
    hostile = json.dumps({"time": text, "level": text, "event": text, text: text})
    for raw in (text, hostile):
        rendered = LogLine.parse(raw, "dunmere").render(7)
        assert all(part.isprintable() for part in rendered.split("\n"))


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [
        (LogFilter(), ["admitted", "gossip refused", "sealed", "sealed", "alarm", "crash"]),
        (LogFilter(level="warning"), ["alarm"]),
        (LogFilter(transaction=TRANSACTION), ["admitted", "gossip refused"]),
        (LogFilter(transaction="abababab"), ["admitted", "gossip refused"]),
        (LogFilter("debug", TRANSACTION, BLOCK), ["admitted", "gossip refused", "sealed"]),
        (LogFilter(transaction="00" * 32), []),
    ],
)
def test_lines_are_chosen(tmp_path: Path, wanted: LogFilter, shown: list[str]) -> None:
    log = tmp_path / "node.log"
    write(
        log,
        line("01", "admitted", transaction=TRANSACTION),
        line("02", "gossip refused", transaction=TRANSACTION),
        line("03", "sealed", block=BLOCK),
        line("04", "sealed", block="ef" * 32),
        line("05", "alarm", level="error"),
        "crash",
    )
    found = last_lines([LogFile("dunmere", log)], wanted, 50)
    assert [item.event for item in found] == shown


def test_logs_of_several_banks_are_merged_by_time_and_the_newest_are_kept(tmp_path: Path) -> None:
    first, second = tmp_path / "first.log", tmp_path / "second.log"
    write(first, line("01", "a"), line("04", "d"), line("05", "e"))
    write(second, line("02", "b"), line("03", "c"))
    files = [LogFile("x", first), LogFile("y", second), LogFile("z", tmp_path / "missing.log")]
    assert events(last_lines(files, LogFilter(), 4)) == ["y: b", "y: c", "x: d", "x: e"]


def test_the_rotated_log_comes_first(tmp_path: Path) -> None:
    write(tmp_path / "node.log.1", line("01", "old"))
    write(tmp_path / "node.log", line("02", "new"))
    found = last_lines([LogFile("x", tmp_path / "node.log")], LogFilter(), 5)
    assert events(found) == ["x: old", "x: new"]


def test_following_waits_for_whole_lines_and_survives_a_rotation(tmp_path: Path) -> None:
    log = tmp_path / "node.log"
    files = [LogFile("x", log)]
    assert last_lines(files, LogFilter(), 5) == []
    write(log, line("01", "first"))
    assert events(lines_since(files, LogFilter())) == ["x: first"]
    half, rest = line("02", "second")[:20], line("02", "second")[20:]
    with log.open("a") as writer:
        writer.write(half)
        writer.flush()
        assert lines_since(files, LogFilter()) == []
        writer.write(f"{rest}\n")
    assert events(lines_since(files, LogFilter())) == ["x: second"]
    write(log, line("03", "third"), mode="a")
    log.replace(tmp_path / "node.log.1")
    write(log, line("04", "fourth"))
    assert events(lines_since(files, LogFilter())) == ["x: third", "x: fourth"]


def test_a_log_that_is_emptied_is_read_from_its_beginning(tmp_path: Path) -> None:
    log = tmp_path / "node.log"
    write(log, line("01", "first"), line("02", "second"))
    files = [LogFile("x", log)]
    assert len(last_lines(files, LogFilter(), 5)) == 2
    write(log, line("03", "third"))
    assert events(lines_since(files, LogFilter())) == ["x: third"]
