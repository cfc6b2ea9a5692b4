"""What a comparison of two reports marks, and what it takes for noise."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from node.cli.benchmark_compare import FIGURES, Change, compare_reports
from node.cli.main import main
from node.cli.throughput_report import QueryTime, Run
from tests.cli.throughput_samples import QUERIES, report, run


def document(*runs: Run, **fields: Any) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(json.dumps(report(*runs, **fields).to_json_object()))
    return read


def change(changes: tuple[Change, ...], figure: str) -> Change:
    (found,) = [item for item in changes if item.figure == figure]
    return found


def test_a_report_is_the_same_as_itself() -> None:
    comparison = compare_reports(document(), document())
    assert len(comparison.changes) == len(FIGURES)
    assert {item.verdict for item in comparison.changes} == {"same"}
    assert {item.ratio for item in comparison.changes} == {1.0}
    assert comparison.warnings == ()


def test_a_change_beyond_noise_is_marked() -> None:
    before, after = document(run(tps=100)), document(run(tps=150, latency_s=0.8))
    changes = compare_reports(before, after).changes
    assert change(changes, "sealed").verdict == "better"
    assert change(changes, "sealed").ratio == 1.5
    assert change(changes, "finality p95").verdict == "worse"
    assert change(changes, "CPU verify").verdict == "better"
    assert change(changes, "memory").verdict == "same"


def test_a_change_within_the_scatter_of_a_window_is_noise() -> None:
    steady, scattered = run(), replace(run(), sealed_tps_error=8.0)
    faster = replace(run(), sealed_tps=110.0)
    assert (
        change(compare_reports(document(steady), document(faster)).changes, "sealed").verdict
        == "better"
    )
    noisy = change(compare_reports(document(scattered), document(faster)).changes, "sealed")
    assert (noisy.verdict, noisy.noise) == ("same", 0.16)


def test_several_windows_are_compared_by_their_medians_and_scatter() -> None:
    before = document(*[replace(run(), sealed_tps=tps) for tps in (98.0, 100.0, 102.0)])
    after = document(*[replace(run(), sealed_tps=tps) for tps in (103.0, 105.0, 130.0)])
    found = change(compare_reports(before, after).changes, "sealed")
    assert (found.before, found.after, found.verdict) == (100.0, 105.0, "same")
    steady = document(*[replace(run(), sealed_tps=tps) for tps in (104.0, 105.0, 106.0)])
    assert change(compare_reports(before, steady).changes, "sealed").verdict == "better"


def test_windows_of_different_loads_are_not_compared() -> None:
    comparison = compare_reports(document(run(), run(25.0)), document(run(), run(25.0), run(50.0)))
    assert {item.load for item in comparison.changes} == {"saturation", "25/s"}
    nothing = compare_reports(document(run(25.0)), document(run(), run(50.0)))
    assert nothing.warnings == ("the reports have no kind of load in common",)


def test_the_rates_of_two_sweeps_are_matched_by_order() -> None:
    before = document(run(), run(25.0), run(50.0))
    after = document(run(), run(27.5), run(55.0))
    assert list(dict.fromkeys(item.load for item in compare_reports(before, after).changes)) == [
        "saturation",
        "25/s, 27.5/s",
        "50/s, 55/s",
    ]


def test_queries_are_compared_where_both_reports_have_them() -> None:
    scan = replace(QUERIES.scan, outputs_per_s=40_000)
    times = {**QUERIES.times, "block": QueryTime(5.0, 4.0), "bin": QueryTime(1.0, 1.0)}
    before, after = (
        document(queries=item) for item in (QUERIES, replace(QUERIES, times=times, scan=scan))
    )
    found = {
        item.figure: (item.ratio, item.verdict)
        for item in compare_reports(before, after).changes
        if item.load == "queries"
    }
    assert found == {
        "block p50": (2.0, "worse"),
        "block p95": (1.0, "same"),
        "notes page p50": (1.0, "same"),
        "notes page p95": (1.0, "same"),
        "wallet scan": (40_000 / 21_978, "better"),
    }
    assert len(compare_reports(before, document()).changes) == len(FIGURES)


def test_what_else_differs_is_told() -> None:
    other = document()
    other["machine"] = {**other["machine"], "cores": 8}
    assert compare_reports(document(), other).warnings == ("not the same cores: 2 and 8",)


def test_the_command_reads_two_files(tmp_path: Path) -> None:
    before, after = tmp_path / "a.json", tmp_path / "b.json"
    before.write_text(json.dumps(document(run(tps=100))))
    after.write_text(json.dumps(document(run(tps=150))))
    result = CliRunner().invoke(main, ["bench", "compare", str(before), str(after)])
    assert (result.exit_code, result.stderr) == (0, "")
    assert "+ sealed /s                   100.00      150.00   1.500   0.020" in result.stdout
    answer = CliRunner().invoke(main, ["bench", "compare", str(before), str(after), "--json"])
    assert json.loads(answer.stdout)["changes"][0]["ratio"] == 1.5
    other = tmp_path / "c.json"
    other.write_text("{}")
    refused = CliRunner().invoke(main, ["bench", "compare", str(before), str(other)])
    assert (refused.exit_code, refused.stdout) == (2, "")
