"""What a campaign's report says, and when it is bad."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from node.cli.chaos_memory import MemoryGrowth
from node.cli.chaos_plan import ActKind
from node.cli.chaos_report import ChaosReport, Done
from node.cli.main import main

GOOD = ChaosReport(
    seed=7,
    banks=12,
    acts=(
        Done(ActKind.KILL, 3, "dunmere", 0.0, 2.0),
        Done(ActKind.KILL, 4, "elmstow", 1.0, 11.0),
        Done(ActKind.KILL, 5, "fernhollow", 2.0, 4.0),
        Done(ActKind.DATABASE, None, "all banks", 20.0, 8.5),
    ),
    skipped=0,
    most_faulty=2,
    fault_budget=2,
    seconds=61.0,
    heights=80,
    longest_stall_s=2.4,
    memory_growth_percent=MemoryGrowth(1.25, 3.5),
    acknowledged=104,
    unsettled=0,
    lost=(),
    liars=(1,),
    convicted=(1,),
    equal_roots=True,
    doctor_clean=True,
    findings=(),
)


def test_the_table_has_a_row_for_each_kind_that_was_done() -> None:
    assert GOOD.table() == [
        ("kill -9 of a bank", "3", "4.0 s", "11.0 s"),
        ("kill -9 of PostgreSQL", "1", "8.5 s", "8.5 s"),
    ]
    assert GOOD.held
    assert GOOD.lines() == [
        "4 acts in 61 s by seed 7, at most 2 banks faulty at a time (budget 2)",
        "slowest rejoin after kill -9: 11.0 s (1 over 10 s)",
        "80 blocks sealed, longest stall within the budget 2.4 s",
        "104 payments acknowledged, present on every bank: yes, lost: 0",
        "banks made to lie: birchmoor; convicted: birchmoor; false convictions: 0",
        "equal roots: yes; doctor clean: yes",
        "resident memory of all banks grew by 1.2 %, of the one that grew most by 3.5 %",
        "everything held",
    ]


def test_json_has_everything() -> None:
    answer = json.loads(json.dumps(GOOD.to_json_object()))
    assert answer["held"] is True
    assert answer["slowest_rejoin_s"] == 11.0
    assert answer["memory_growth_percent"] == {"all_banks": 1.25, "most": 3.5}
    assert answer["kinds"] == {
        "kill": {"count": 3, "recovery_s_median": 4.0, "recovery_s_slowest": 11.0},
        "database": {"count": 1, "recovery_s_median": 8.5, "recovery_s_slowest": 8.5},
    }


@pytest.mark.parametrize(
    ("bad", "line"),
    [
        ({"lost": ("dunmere does not know 00",)}, "LOST: dunmere does not know 00"),
        (
            {"convicted": (1, 2)},
            "banks made to lie: birchmoor; convicted: birchmoor, cedarholm; false convictions: 1",
        ),
        (
            {"acts": (Done(ActKind.KILL, 3, "dunmere", 0.0, None),)},
            "not recovered: kill -9 of a bank dunmere",
        ),
        ({"equal_roots": False}, "equal roots: NO; doctor clean: yes"),
        ({"doctor_clean": False, "findings": ("a finding",)}, "a finding"),
        (
            {"most_faulty": 3},
            "4 acts in 61 s by seed 7, at most 3 banks faulty at a time (budget 2)",
        ),
    ],
)
def test_whatever_is_wrong_makes_the_whole_campaign_fail(
    bad: dict[str, object], line: str
) -> None:
    report = replace(GOOD, **bad)  # type: ignore[arg-type]
    assert not report.held
    assert line in report.lines()
    assert report.lines()[-1] == "NOT everything held"


def test_the_command_wants_either_a_time_or_numbers() -> None:
    for arguments in ([], ["--minutes", "1", "--kills", "1"]):
        result = CliRunner().invoke(main, ["chaos", *arguments])
        assert (result.exit_code, result.stdout) == (2, "")
        assert "give either --minutes, or --kills, --database-kills" in result.stderr
