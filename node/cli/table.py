"""Answers in columns: whole values, never cut to the width of a terminal, easy to take apart."""

from __future__ import annotations

from collections.abc import Sequence

import click

from node.cli.terminal import answer


def answer_table(
    headings: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()
) -> None:
    """Print aligned columns under their headings; those numbered in `right` end flush."""
    for line in format_table(headings, rows, right=right):
        answer(line)


def format_table(
    headings: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()
) -> list[str]:
    """Return the lines of a table, its headings first and in bold."""
    table = [list(headings), *map(list, rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(headings))]
    lines = []
    for row in table:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return [click.style(lines[0], bold=True), *lines[1:]]


def answer_fields(fields: Sequence[tuple[str, str]]) -> None:
    """Print one named value a line, the values aligned."""
    width = max(len(name) for name, _ in fields)
    for name, value in fields:
        answer(f"{name.ljust(width)}  {value}".rstrip())


def printable(text: str) -> str:
    """Return text that others wrote with everything escaped that could steer a terminal."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )
