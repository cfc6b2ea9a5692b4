"""Progress where nobody watches: a line at every tenth, never on standard output."""

from __future__ import annotations

import pytest

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
