"""Comparing two throughput reports: ratios, and which of them are more than noise.

Windows are grouped by what was asked for: saturation, or one rate. Where a report holds several
windows of a kind, their median is compared and their standard deviation is the scatter; a single
window has the scatter between its tenths (throughput) or the one assumed here (all else). A
change counts if it exceeds twice the standard error of the difference, and 2 % in any case: two
runs of the same code on the same machine differ by that much.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

Json = Mapping[str, Any]

LEAST_CHANGE = 0.02
STANDARD_ERRORS = 2.0
ASSUMED_SCATTER = 0.10
"""Relative standard deviation of what a single window does not tell the scatter of."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure that is compared."""

    name: str
    unit: str
    higher_is_better: bool
    read: Callable[[Json], float]


def _cpu(name: str) -> Callable[[Json], float]:
    return lambda run: float(run["per_transaction"]["cpu_ms"][name])


def _bytes(name: str) -> Callable[[Json], float]:
    return lambda run: float(run["per_transaction"][name])


FIGURES = (
    Figure("sealed", "/s", True, lambda run: float(run["sealed_tps"])),
    Figure("fraction of bound", "", True, lambda run: float(run["fraction_of_crypto_bound"])),
    Figure("finality p50", "ms", False, lambda run: float(run["finality_ms"]["p50"])),
    Figure("finality p95", "ms", False, lambda run: float(run["finality_ms"]["p95"])),
    Figure("finality p99", "ms", False, lambda run: float(run["finality_ms"]["p99"])),
    Figure("admission p95", "ms", False, lambda run: float(run["admission_ms"]["p95"])),
    Figure("CPU a transaction", "ms", False, _cpu("banks")),
    Figure("CPU verify", "ms", False, _cpu("verify")),
    Figure("CPU consensus", "ms", False, _cpu("consensus")),
    Figure("CPU database client", "ms", False, _cpu("database_client")),
    Figure("CPU database server", "ms", False, _cpu("database_server")),
    Figure("CPU network", "ms", False, _cpu("network")),
    Figure("CPU other", "ms", False, _cpu("other")),
    Figure("memory", "MiB", False, lambda run: run["memory_bytes"]["total"] / 2**20),
    Figure("bytes between banks", "", False, _bytes("peers_bytes")),
    Figure("bytes on disk", "", False, _bytes("database_bytes")),
)


@dataclass(frozen=True, slots=True)
class Change:
    """One figure of one kind of window in both reports."""

    load: str
    """`saturation`, or the rate."""
    figure: str
    unit: str
    before: float
    """Median of the first report."""
    after: float
    ratio: float | None
    """after / before; None if before is 0."""
    noise: float
    """What the ratio must differ from 1 by to count."""
    verdict: str
    """`better`, `worse` or `same`."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that both reports have."""

    changes: tuple[Change, ...]
    warnings: tuple[str, ...]
    """Why the reports should perhaps not be compared."""

    def to_json_object(self) -> dict[str, object]:
        """Return every field by name."""
        return asdict(self)

    def lines(self) -> list[str]:
        """Return a table; changes beyond noise are marked."""
        marks = {"better": "+", "worse": "-", "same": " "}
        lines = [*self.warnings]
        previous = None
        for change in self.changes:
            if change.load != previous:
                previous = change.load
                header = f"{'before':>12}{'after':>12}{'ratio':>8}{'noise':>8}"
                lines += ["", f"{change.load:<24}{header}"]
            ratio = "" if change.ratio is None else f"{change.ratio:.3f}"
            name = f"{change.figure} {change.unit}".strip()
            lines.append(
                f"{marks[change.verdict]} {name:<22}{change.before:>12.2f}{change.after:>12.2f}"
                f"{ratio:>8}{change.noise:>8.3f}"
            )
        return [*lines, "", "+ better, - worse, beyond noise"]


def compare_reports(before: Json, after: Json) -> Comparison:
    """Compare two reports of schema `consortium/throughput/1`."""
    changes = [
        _change(load, figure, first, second)
        for load, (first, second) in _common(before["runs"], after["runs"]).items()
        for figure in FIGURES
    ]
    warnings = _warnings(before, after)
    if not changes:
        warnings.append("the reports have no kind of load in common")
    changes += _query_changes(before, after)
    return Comparison(tuple(changes), tuple(warnings))


def _query_changes(before: Json, after: Json) -> list[Change]:
    """Compare what was measured after the windows, as far as both reports have it."""
    first, second = before.get("queries"), after.get("queries")
    if first is None or second is None:
        return []
    figures = [
        Figure(f"{name} {part[:3]}", "ms", False, _query_time(name, part))
        for name in first["times"]
        if name in second["times"]
        for part in ("p50_ms", "p95_ms")
    ]
    figures.append(Figure("wallet scan", "/s", True, lambda item: item["scan"]["outputs_per_s"]))
    return [_change("queries", figure, [first], [second]) for figure in figures]


def _query_time(name: str, part: str) -> Callable[[Json], float]:
    return lambda queries: float(queries["times"][name][part])


def _common(
    before: Sequence[Json], after: Sequence[Json]
) -> dict[str, tuple[list[Json], list[Json]]]:
    """Group windows by load.

    The rates of a sweep follow from what was sealed at saturation, so they are matched by order.
    """
    first, second = _groups(before), _groups(after)
    common = {load: (first[load], second[load]) for load in first if load in second}
    swept_first = [load for load in first if load not in common]
    swept_second = [load for load in second if load not in common]
    if len(swept_first) == len(swept_second):
        for one, other in zip(swept_first, swept_second, strict=True):
            common[f"{one}, {other}"] = (first[one], second[other])
    return common


def _groups(runs: Sequence[Json]) -> dict[str, list[Json]]:
    groups: dict[str, list[Json]] = {}
    for run in runs:
        name = "saturation" if run["rate"] is None else f"{run['rate']:g}/s"
        groups.setdefault(name, []).append(run)
    return groups


def _change(load: str, figure: Figure, before: Sequence[Json], after: Sequence[Json]) -> Change:
    first, first_error = _median_and_error(figure, before)
    second, second_error = _median_and_error(figure, after)
    ratio = second / first if first else None
    noise = max(LEAST_CHANGE, STANDARD_ERRORS * math.hypot(first_error, second_error))
    verdict = "same"
    if ratio is not None and abs(ratio - 1) > noise:
        verdict = "better" if (ratio > 1) == figure.higher_is_better else "worse"
    return Change(load, figure.name, figure.unit, first, second, ratio, round(noise, 4), verdict)


def _median_and_error(figure: Figure, runs: Sequence[Json]) -> tuple[float, float]:
    """Return the median of a figure and its relative standard error."""
    values = [figure.read(run) for run in runs]
    middle = statistics.median(values)
    if middle == 0:
        return middle, 0.0
    if len(values) > 1:
        return middle, statistics.stdev(values) / middle / math.sqrt(len(values))
    if figure.name in ("sealed", "fraction of bound") and runs[0]["sealed_tps"]:
        return middle, float(runs[0]["sealed_tps_error"]) / float(runs[0]["sealed_tps"])
    return middle, ASSUMED_SCATTER / math.sqrt(2)


def _warnings(before: Json, after: Json) -> list[str]:
    """Say what else than the code differs."""
    told = {
        "processor": ("machine", "cpu"),
        "cores": ("machine", "cores"),
        "banks": ("consortium", "banks"),
        "round trip": ("consortium", "rtt_ms"),
        "number of verifying processes": ("consortium", "verify_workers"),
        "workload": ("workload", "name"),
        "ring base": ("workload", "ring_base"),
        "Python": ("software", "python"),
        "PostgreSQL": ("software", "postgres"),
    }
    return [
        f"not the same {name}: {before[part][key]} and {after[part][key]}"
        for name, (part, key) in told.items()
        if before[part][key] != after[part][key]
    ]
