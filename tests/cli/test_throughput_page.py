"""The report as a page: whole, well-formed, and nothing in it comes from elsewhere."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.cli.throughput_page import headline_run, render_page
from node.cli.throughput_plots import (
    Series,
    bar_plot,
    line_plot,
    number_text,
    round_ticks,
    stacked_bar,
)
from tests.cli.throughput_samples import INTEGRITY, QUERIES, SIZE, report, run

VOID = {"meta", "link", "br"}
SVG_LEAVES = {"line", "polyline"}


class Outline(HTMLParser):
    """Checks that every element is closed where it must be, and collects text and references."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.references: list[str] = []
        self.elements: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.references += [
            value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")
        ]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in SVG_LEAVES, f"<{tag}/> stays open in HTML"

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def outline(page: str) -> Outline:
    found = Outline()
    found.feed(page)
    found.close()
    assert found.open == []
    return found


def page_of(*runs: Any, **fields: Any) -> str:
    return render_page(json.loads(json.dumps(report(*runs, **fields).to_json_object())))


def plots(page: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(item) for item in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]


def test_the_page_is_whole_and_loads_nothing() -> None:
    page = page_of()
    found = outline(page)
    text = " ".join(found.text)
    assert found.references == ["data:,"], "an empty icon, and nothing else"
    assert "@import" not in page and "url(" not in page and "<script" not in page
    assert "prefers-color-scheme:dark" in page and "width=device-width" in page
    for part in (
        "Throughput of 12 banks on 2 cores",
        "100.0",
        "36 %",
        "Sealed over time",
        "Finality over time",
        "How long sealing takes",
        "Where the processor time goes",
        "Nothing is wrong.",
        "0123456789ab",
    ):
        assert part in text
    assert len(plots(page)) == 4


def test_what_a_report_says_is_escaped() -> None:
    page = page_of(notes=("<b>bold</b>",))
    assert "A &lt;processor&gt; &amp; more" in page
    assert "&lt;b&gt;bold&lt;/b&gt;" in page and "<b>bold" not in page


def test_a_sweep_has_a_curve_and_every_window_its_plots() -> None:
    runs = [run(None, tps=100), run(25.0, tps=25), run(50.0, tps=50), run(75.0, tps=75)]
    page = page_of(*runs)
    assert len(plots(page)) == 4 * len(runs) + 1
    curve = plots(page)[0]
    assert curve.get("aria-label") == "Finality at each rate"
    dots = [item for item in curve.iter() if (item.get("class") or "").startswith("dot ")]
    assert len(dots) == 9, "three rates, three percentiles"
    outline(page)


def test_the_page_is_about_the_middle_one_of_equal_windows() -> None:
    runs = [run(None, tps=tps) for tps in (90, 110, 100)]
    document = json.loads(json.dumps(report(*runs, run(50.0)).to_json_object()))
    assert headline_run(document["runs"])["sealed_tps"] == 100.0


def test_a_page_says_when_something_is_wrong() -> None:
    page = page_of(integrity=replace(INTEGRITY, lost=3))
    assert 'class="bad">3</b>' in page and "Look here." in page


def test_a_long_window_shows_its_memory() -> None:
    grown = replace(run(), memory_growth_percent=1.5)
    page = page_of(grown)
    assert "+1.5 % in the last half of the window" in page
    assert len(plots(page)) == 5


def test_the_page_tells_what_a_client_waits_for() -> None:
    text = " ".join(outline(page_of(ledger_after=SIZE, queries=QUERIES)).text)
    for part in (
        "Queries of a client",
        "2512 blocks, 1002768 notes, 1000400 nullifiers, 15600 closed bins",
        "900 MiB",
        "2.5 ms, 95th percentile 4.0 ms",
        "21978 outputs a second on one core",
    ):
        assert part in text
    assert "Queries of a client" not in page_of()


def test_a_window_without_blocks_has_a_page_too() -> None:
    outline(page_of(run(5.0, tps=0)))


@given(st.floats(1e-6, 1e9))
def test_ticks_are_round_and_reach_the_top(top: float) -> None:
    ticks = round_ticks(top)
    assert ticks[0] == 0 and ticks[-1] >= top * 0.999
    assert 2 <= len(ticks) <= 7
    assert ticks == sorted(ticks)


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (2.5, "2.5"), (1500.0, "1,500"), (250_000.0, "250k")]
)
def test_numbers_at_axes(value: float, text: str) -> None:
    assert number_text(value) == text


@given(st.lists(st.one_of(st.none(), st.floats(0, 1e6)), max_size=30))
def test_every_line_stays_in_its_frame(values: list[float | None]) -> None:
    series = Series("a", "s1", list(enumerate(values)))
    svg = ElementTree.fromstring(
        line_plot("t", [series], x_label="x", y_label="y", level=("mean", 3.0))
    )
    for line in svg.iter("polyline"):
        for point in str(line.get("points")).split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= 400 and 0 <= y <= 230


def test_bars_and_shares_tell_their_values() -> None:
    bars = ElementTree.fromstring(
        bar_plot(
            "t",
            [(0, 1, 5), (1, 2, 0)],
            x_label="x",
            y_label="y",
            tell=lambda begin, end, value: f"{begin:g} to {end:g}: {value:g}",
            marks=[("p50", 1.5)],
        )
    )
    assert [item.text for item in bars.iter("title")] == ["0 to 1: 5", "1 to 2: 0"]
    stack = ElementTree.fromstring(stacked_bar("t", [("a", "s1", 3.0), ("b", "s2", 1.0)], "ms"))
    assert [item.text for item in stack.iter("title")] == ["a: 3.00 ms, 75 %", "b: 1.00 ms, 25 %"]
    assert [item.text for item in stack.iter("text")] == ["75 %", "25 %"]
