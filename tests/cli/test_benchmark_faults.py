"""How windows of a benchmark with banks down are summed up, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from node.cli.benchmark_faults import FaultBenchmark, Window
from node.cli.main import main
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.initialise import create_consortium

RESULT = FaultBenchmark(
    40.0,
    (
        Window(0, 4.0, 2.0, 1.0, 0),
        Window(1, 3.0, 1.8, 2.3, 3),
        Window(0, 5.0, 2.0, 0.9, 0),
        Window(1, 4.2, 1.8, 1.3, 2),
    ),
)


def test_the_ratio_is_that_of_the_medians() -> None:
    assert RESULT.lines() == [
        "0 down: median 4.50 payments/s (4.00 to 5.00), 100 % of the undisturbed rate; "
        "longest gap between blocks 1.0 s",
        "1 down: median 3.60 payments/s (3.00 to 4.20), 80 % of the undisturbed rate; "
        "longest gap between blocks 2.3 s",
    ]
    answer = json.loads(json.dumps(RESULT.to_json_object()))
    assert answer["ratios"] == {"0": 1.0, "1": 0.8}
    assert len(answer["windows"]) == 4


def test_it_needs_a_consortium_that_is_up_and_banks_that_may_fail(tmp_path: Path) -> None:
    four = ConsortiumDirectory(tmp_path / "four")
    create_consortium(four, bank_count=4)
    result = CliRunner().invoke(main, ["bench", "faults", "--data", str(four.root)])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "Error: of 4 banks none may fail.\nNext: measure a consortium of 6 banks or more.\n"
    )
    six = ConsortiumDirectory(tmp_path / "six")
    create_consortium(six, bank_count=6)
    result = CliRunner().invoke(main, ["bench", "faults", "--data", str(six.root)])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"Error: no consortium is up in {six.root}; ")
