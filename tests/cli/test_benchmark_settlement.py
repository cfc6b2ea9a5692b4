"""The benchmark of a fiscal year: its shape, and that what it measures is a whole settlement."""

from __future__ import annotations

import json

from click.testing import CliRunner

from node.cli.benchmark_settlement import POT, run_settlement_benchmark
from node.cli.main import main


def test_section_18_a_measured_year_is_counted_proven_and_paid_out() -> None:
    told: list[str] = []
    result = run_settlement_benchmark(blocks=12, banks=7, progress=told.append)
    assert told == ["12 blocks", "adding", "counting", "proving", "verifying"]
    figures = result.to_json_object()
    sizes = {
        "banks": 7,
        "quorum": 6,
        "blocks": 12,
        "settlement_bytes": 42 + 4 + 7 * 10 + 40 + 4 + 258,
        "settlement_by_officers_bytes": 42 + 4 + 7 * 10 + 40 + 4 + 1 + 3 * 257,
        "paid": POT,
        "officers": 5,
        "threshold": 3,
    }
    assert {name: figures[name] for name in sizes} == sizes
    measured = set(figures) - set(sizes)
    assert measured == {
        "add_block_us",
        "count_block_us",
        "count_year_s",
        "prove_ms",
        "verify_ms",
        "verify_by_officers_ms",
    }
    assert all(isinstance(figures[name], float) for name in measured)


def test_the_command_answers_with_one_json_object_or_a_table() -> None:
    arguments = ["bench", "settlement", "--blocks", "5", "--banks", "4"]
    result = CliRunner().invoke(main, [*arguments, "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["blocks"] == 5
    assert result.stderr.splitlines()[0] == "measuring: 5 blocks"
    table = CliRunner().invoke(main, arguments).stdout.splitlines()
    assert table[0] == "a year of 5 blocks, 4 of 4 ballots each"
    assert len(table) == 7
