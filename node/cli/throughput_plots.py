"""Plots of a report as SVG, written by hand: they load nothing and follow the page's colours.

Every plot is drawn 400 units wide, so that its text has its own size on a phone; the page shows two
side by side where there is room. Colours come from classes of the page's style sheet (`s1` to `s6`
for series), and every mark has a `<title>` that tells its value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 400, 230
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 12, 40
TICKS = 5
LABEL_WIDTH = 6.2
"""Of one character, about."""


def round_ticks(top: float, count: int = TICKS) -> list[float]:
    """Return ascending round numbers from 0 to at least `top`, about `count` of them."""
    if top <= 0:
        return [0.0, 1.0]
    power = 10.0 ** math.floor(math.log10(top / count))
    step = next(
        digit * power for digit in (1, 2, 2.5, 5, 10) if digit * power * count >= top * 0.999
    )
    steps = max(1, math.ceil(top / step - 1e-9))
    return [step * number for number in range(steps + 1)]


def number_text(value: float) -> str:
    """Return a number as it stands at an axis."""
    if abs(value) >= 100_000:
        return f"{value / 1000:,.0f}k"
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"


@dataclass(frozen=True, slots=True)
class Series:
    """A named line; None leaves a gap."""

    name: str
    style: str
    """A class of the page: `s1` to `s6`."""
    points: Sequence[tuple[float, float | None]]


@dataclass(frozen=True, slots=True)
class _Frame:
    """Axes from 0, and what they mean."""

    x_ticks: Sequence[float]
    y_ticks: Sequence[float]
    x_label: str
    y_label: str

    @property
    def x_top(self) -> float:
        return self.x_ticks[-1]

    def x(self, value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * value / self.x_ticks[-1]

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / self.y_ticks[-1]

    def axes(self) -> list[str]:
        parts = []
        for tick in self.y_ticks:
            y = self.y(tick)
            style = "axis" if tick == 0 else "grid"
            parts.append(
                f'<line class="{style}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" '
                f'y2="{y:.1f}"/>'
            )
            parts.append(_text(LEFT - 6, y + 4, number_text(tick), "end"))
        for tick in self.x_ticks:
            x, label = self.x(tick), number_text(tick)
            fits = x + LABEL_WIDTH * len(label) / 2 < WIDTH
            anchor, x = ("middle", x) if fits else ("end", WIDTH - 1.0)
            parts.append(_text(x, HEIGHT - BOTTOM + 16, label, anchor))
        middle = (LEFT + WIDTH - RIGHT) / 2
        parts.append(_text(middle, HEIGHT - 6, self.x_label, "middle", "label"))
        y_middle = (TOP + HEIGHT - BOTTOM) / 2
        parts.append(
            f'<text class="label" transform="translate(11 {y_middle:.1f}) rotate(-90)" '
            f'text-anchor="middle">{escape(self.y_label)}</text>'
        )
        return parts


def _text(x: float, y: float, text: str, anchor: str, style: str = "tick") -> str:
    return (
        f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
        f"{escape(text)}</text>"
    )


def _svg(title: str, parts: Sequence[str], height: float = HEIGHT) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )


def line_plot(
    title: str,
    series: Sequence[Series],
    *,
    x_label: str,
    y_label: str,
    with_points: bool = False,
    level: tuple[str, float] | None = None,
) -> str:
    """Return lines over a common pair of axes; `level` is a dashed line with its name."""
    xs = [x for item in series for x, _ in item.points]
    ys = [y for item in series for _, y in item.points if y is not None]
    if level is not None:
        ys.append(level[1])
    frame = _Frame(
        round_ticks(max(xs, default=1.0)), round_ticks(max(ys, default=1.0)), x_label, y_label
    )
    parts = frame.axes()
    if level is not None:
        parts += _level(frame, *level)
    for item in series:
        parts += _line(frame, item, with_points)
    return _svg(title, parts)


def _line(frame: _Frame, series: Series, with_points: bool) -> list[str]:
    parts: list[str] = []
    pieces: list[list[tuple[float, float]]] = []
    piece: list[tuple[float, float]] = []
    for x, y in series.points:
        if y is None:
            pieces.append(piece)
            piece = []
        else:
            piece.append((x, y))
    for part in [*pieces, piece]:
        if part:
            path = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in part)
            parts.append(f'<polyline class="line {series.style}" points="{path}"/>')
    radius = 4 if with_points else 7
    style = f"dot {series.style}" if with_points else "sensor"
    for x, y in series.points:
        if y is not None:
            parts.append(
                f'<circle class="{style}" cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" '
                f'r="{radius}"><title>{escape(series.name)}: {y:,.1f} at {x:g}</title></circle>'
            )
    return parts


def _level(frame: _Frame, name: str, value: float) -> list[str]:
    y = frame.y(value)
    line = f'<line class="level" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
    below = y < TOP + 16
    return [line, _text(WIDTH - RIGHT, y + 14 if below else y - 5, name, "end", "note")]


def bar_plot(
    title: str,
    bars: Sequence[tuple[float, float, float]],
    *,
    x_label: str,
    y_label: str,
    tell: Callable[[float, float, float], str],
    marks: Sequence[tuple[str, float]] = (),
    level: tuple[str, float] | None = None,
) -> str:
    """Return bars given as (from, to, value); `marks` are named vertical lines."""
    values = [value for _, _, value in bars]
    tops = [*values, *([level[1]] if level is not None else [])]
    frame = _Frame(
        round_ticks(max([end for _, end, _ in bars] + [x for _, x in marks], default=1.0)),
        round_ticks(max(tops, default=1.0)),
        x_label,
        y_label,
    )
    parts = frame.axes()
    for begin, end, value in bars:
        left, right = frame.x(begin), frame.x(end)
        gap = min(1.0, (right - left) / 4)
        parts.append(
            f'<rect class="bar" x="{left + gap / 2:.1f}" width="{right - left - gap:.1f}" '
            f'y="{frame.y(value):.1f}" height="{frame.y(0) - frame.y(value):.1f}">'
            f"<title>{escape(tell(begin, end, value))}</title></rect>"
        )
    if level is not None:
        parts += _level(frame, *level)
    for row, (name, x) in enumerate(marks):
        parts += _mark(frame, name, x, row)
    return _svg(title, parts)


def _mark(frame: _Frame, name: str, value: float, row: int) -> list[str]:
    x = frame.x(value)
    fits = x + 5 + LABEL_WIDTH * len(name) < WIDTH
    y = TOP + 10 + 14 * row
    return [
        f'<line class="level" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>',
        _text(x + 4 if fits else x - 4, y, name, "start" if fits else "end", "note"),
    ]


def stacked_bar(title: str, parts_of_whole: Sequence[tuple[str, str, float]], unit: str) -> str:
    """Return one bar of (name, style, value), with shares written where there is room."""
    whole = sum(value for _, _, value in parts_of_whole) or 1.0
    height, x, parts = 44, 0.0, []
    for name, style, value in parts_of_whole:
        width = WIDTH * value / whole
        share = f"{100 * value / whole:.0f} %"
        parts.append(
            f'<rect class="part {style}" x="{x:.1f}" y="0" width="{max(0.0, width - 1):.1f}" '
            f'height="{height}"><title>{escape(name)}: {value:.2f} {escape(unit)}, {share}</title>'
            "</rect>"
        )
        if width > LABEL_WIDTH * len(share) + 6:
            parts.append(_text(x + width / 2, 27, share, "middle", "inside"))
        x += width
    return _svg(title, parts, height)
