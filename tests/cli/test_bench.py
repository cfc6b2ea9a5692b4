"""`consortium bench` and `vectors`: the commands around the measurements and the checks."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from node.cli.main import main

VECTORS = Path(__file__).parents[1] / "vectors" / "idx1.json"


def test_a_quick_benchmark_answers_with_one_json_object() -> None:
    result = CliRunner().invoke(main, ["bench", "crypto", "--quick", "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["ring_base"] == 8
    assert result.stderr.splitlines()[0] == "measuring: curve library"


def test_a_group_without_a_command_shows_what_there_is() -> None:
    result = CliRunner().invoke(main, ["bench", "--help"])
    assert result.exit_code == 0
    listed = " ".join(result.stdout.split())
    assert "crypto Measure proving, and verifying one proof and batches." in listed
    assert "settlement " in listed


def test_vectors_are_checked_by_name(tmp_path: Path) -> None:
    document = json.loads(VECTORS.read_bytes())
    smaller = {key: document[key] for key in ("protocol", "hash", "expand")}
    path = tmp_path / "vectors.json"
    path.write_text(json.dumps(smaller))
    result = CliRunner().invoke(main, ["vectors", str(path), "--json"])
    report = json.loads(result.stdout)
    assert (result.exit_code, report["failed"], report["failures"]) == (0, 0, [])
    assert result.stderr.splitlines()[-1] == f"{report['passed']} passed, 0 failed"


def test_a_file_without_vectors_is_a_usage_error(tmp_path: Path) -> None:
    path = tmp_path / "nothing.json"
    path.write_text("{}")
    result = CliRunner().invoke(main, ["vectors", str(path)])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("not a file of IDX1 vectors: ")
