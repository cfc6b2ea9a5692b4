"""Columns: aligned, whole, and harmless to a terminal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from node.cli.table import format_table, printable


def test_columns_are_aligned_and_values_are_whole() -> None:
    lines = format_table(
        ("a", "number", "last"), [("x" * 90, "1", "-"), ("y", "22", "z")], right=(1,)
    )
    assert lines == [
        "\x1b[1m" + "a" + " " * 91 + "number  last" + "\x1b[0m",
        "x" * 90 + "       1  -",
        "y" + " " * 91 + "    22  z",
    ]


@given(st.text())
def test_printable_text_is_kept_and_all_other_is_escaped(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert (shown == text) == text.isprintable()
