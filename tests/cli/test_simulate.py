"""`consortium simulate`: exit codes, what it prints, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import psutil
import pytest
from click.testing import CliRunner, Result

from node.cli.main import main
from node.consensus import journal

WORKING_WITHIN_S = 60


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["simulate", *arguments])


def test_a_clean_campaign_ends_with_its_sums() -> None:
    result = run("--seeds", "3", "--banks", "4", "--json")
    assert result.exit_code == 0
    summary = json.loads(result.stdout)
    assert list(summary) == [
        "profile",
        "banks",
        "first_seed",
        "seeds",
        "seeds_per_minute",
        "seconds",
        "heights",
        "events",
        "messages",
        "crashes",
        "blackouts",
        "acknowledged",
        "convictions",
        "removals",
        "readmissions",
        "settlements",
        "pots_carried",
        "settlements_refused",
        "ballots_opened",
        "virtual_hours",
        "slowest_recovery_ms",
        "violations",
    ]
    assert (summary["profile"], summary["seeds"], summary["violations"]) == ("live", 3, [])
    assert summary["heights"] > 0
    assert "live: 3 of 3" in result.stderr


def test_the_sums_are_a_table_for_people() -> None:
    result = run("--seeds", "2", "--banks", "4", "--profile", "safe")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["what", "value"]
    assert lines[1].split() == ["profile", "safe"]
    assert lines[-1].split() == ["violations", "0"]


def test_a_violation_prints_its_seed_and_script_and_exits_1(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(journal, "persist", lambda state, *blocks: None)
    result = run("--seeds", "1", "--first-seed", "6", "--banks", "4")
    assert result.exit_code == 1
    assert "seed 6 violates write-ahead: bank" in result.stdout
    assert "what is left of its schedule:" in result.stdout
    assert "4 banks, a transaction every" in result.stdout
    assert "consortium simulate --profile live --banks 4 --seed 6 --trace" in result.stdout
    described = json.loads(run("--seeds", "1", "--banks", "4", "--json").stdout)
    (violation,) = described["violations"]
    assert (violation["seed"], violation["checker"]) == (0, "write-ahead")
    assert violation["schedule"][0].startswith("4 banks")


def test_a_mutant_is_expected_to_be_killed() -> None:
    result = run("--mutant", "not-persisting", "--seeds", "5", "--banks", "4")
    assert result.exit_code == 0
    assert "mutant not-persisting is killed by seed 0 (1 run," in result.stdout
    verdict = json.loads(
        run("--mutant", "not-persisting", "--seeds", "5", "--banks", "4", "--json").stdout
    )
    assert (verdict["killed"], verdict["seed"], verdict["checker"]) == (True, 0, "write-ahead")


def test_a_mutant_that_survives_exits_1(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace
    from types import MappingProxyType

    from node.simulation import campaign, mutants

    tame = replace(mutants.MUTANTS["not-persisting"], replacements=lambda: ())
    table = MappingProxyType({**mutants.MUTANTS, "not-persisting": tame})
    monkeypatch.setattr(campaign, "MUTANTS", table)
    result = run("--mutant", "not-persisting", "--seeds", "1", "--banks", "4")
    assert result.exit_code == 1
    assert "mutant not-persisting survives 1 seeds" in result.stdout


def test_a_trace_is_a_script_in_order_of_time_without_colours() -> None:
    result = run("--seed", "2", "--banks", "4", "--trace")
    assert result.exit_code == 0
    script, lines = result.stdout.split("\n\n", 1)
    assert script.splitlines()[0].startswith("4 banks, a transaction every")
    events = lines.splitlines()
    times = [int(line.split()[0]) for line in events[:-1]]
    assert times == sorted(times)
    assert any(" says   to all: PROPOSAL h1 v" in line for line in events)
    assert any(" writes height 1 view " in line for line in events)
    assert any(" is sealed" in line for line in events)
    assert events[-1].startswith("all checkers agree, ")
    assert "\x1b" not in result.stdout


def test_a_trace_as_json_is_an_object_a_line() -> None:
    result = run("--seed", "2", "--banks", "4", "--trace", "--json")
    objects = [json.loads(line) for line in result.stdout.splitlines()]
    assert list(objects[0]) == ["schedule"]
    assert {tuple(item) for item in objects[1:-1]} == {("ms", "bank", "kind", "text")}
    assert objects[-1]["checker"] is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--seed", "1", "--seeds", "2"], "--seed is one seed"),
        (["--trace"], "add --seed NUMBER"),
        (["--seed", "1", "--trace", "--mutant", "not-persisting"], "leave --mutant out"),
        (["--profile", "fork", "--mutant", "not-persisting"], "leave the option out"),
        (["--profile", "fork", "--banks", "4"], "2q-n of 4 banks leave no two correct ones"),
        (["--mutant", "unheard-of"], "unheard-of"),
        (["--banks", "3"], "4<=x<=16"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_to_do(arguments: list[str], words: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert words in result.stderr


def test_dask_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    result = run("--seeds", "2", "--dask", "tcp://127.0.0.1:1")
    assert result.exit_code == 2
    assert "pip install 'consortium[dask]'" in result.stderr


def test_a_killed_campaign_leaves_no_process_behind() -> None:
    many = [*("--seeds", "100000"), *("--jobs", "2"), *("--banks", "4")]
    command = [sys.executable, "-P", "-m", "node.cli.main", "simulate", *many]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as campaign:
        workers: list[psutil.Process] = []
        deadline = time.monotonic() + WORKING_WITHIN_S
        while len(workers) < 2:
            assert campaign.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
            workers = [one for one in _descendants(campaign.pid) if _is_at_work(one)]
        campaign.kill()
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert alive == []


def _descendants(process_id: int) -> list[psutil.Process]:
    return psutil.Process(process_id).children(recursive=True)


def _is_at_work(process: psutil.Process) -> bool:
    """Whether it is a worker that has begun: one that watches its parent in a second thread."""
    try:
        return "spawn_main" in " ".join(process.cmdline()) and process.num_threads() > 1
    except psutil.NoSuchProcess:
        return False
