"""Progress where nobody watches: lines now and then, never on standard output."""

from __future__ import annotations

import pytest

from node.cli import terminal
from node.cli.terminal import answer_json, progress, say, steps


def test_progress_is_told_in_tenths(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("payments sealed") as meter:
        for done in range(301):
            meter(done, 300)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        f"payments sealed: {done} of 300" for done in range(0, 301, 30)
    ]


def test_the_second_part_of_a_work_is_told_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("window") as meter:
        for total in (2, 4):
            for done in range(total):
                meter(done, total)
    assert capsys.readouterr().err.splitlines() == [
        *("window: 0 of 2", "window: 1 of 2"),
        *("window: 0 of 4", "window: 1 of 4", "window: 2 of 4", "window: 3 of 4"),
    ]


def test_a_long_tenth_is_told_of(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "LINE_WITHIN_S", 0.0)
    with progress("window") as meter:
        for done in range(3):
            meter(done, 3_600)
    assert capsys.readouterr().err.splitlines() == [f"window: {done} of 3600" for done in range(3)]


def test_nothing_to_do_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("banks") as meter:
        meter(0, 0)
    with steps("doctor") as step:
        step("blocks", 1, 2)
    assert capsys.readouterr().err.splitlines() == ["banks: 0 of 0"]


def test_an_answer_is_one_line_and_the_rest_goes_elsewhere(
    capsys: pytest.CaptureFixture[str],
) -> None:
    say("[bold]not markup[/bold]")
    answer_json({"height": 3, "id": "ab"})
    captured = capsys.readouterr()
    assert captured.out == '{"height": 3, "id": "ab"}\n'
    assert captured.err == "[bold]not markup[/bold]\n"
