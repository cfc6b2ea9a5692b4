"""The report: what counts as clean, and what a person reads."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from node.cli.doctor_report import Finding, FindingKind
from tests.cli.doctor_reports import CLEAN


def test_a_clean_report() -> None:
    assert CLEAN.clean
    assert CLEAN.state_roots_identical
    assert CLEAN.first_divergence is None
    assert CLEAN.lines() == [
        "12 of 12 banks examined up to height 9: 14 transactions, 48 notes, 5 nullifiers",
        "108 seals and 80 recorded ballots verified, settlements computed again: 1",
        "60 Merkle roots recomputed, 14 transactions verified here and 168 "
        "by the banks themselves (a sample), 1.2 s",
        f"clean: 12 identical ledgers, state root {'5a' * 32}",
    ]


@pytest.mark.parametrize("kind", FindingKind)
def test_any_finding_is_not_clean(kind: FindingKind) -> None:
    report = replace(CLEAN, findings=(Finding(4, 3, kind, "is odd"),))
    assert not report.clean
    assert report.lines()[3:][0] == f"dunmere at height 4: is odd [{kind}]"
    assert report.lines()[-1] == "NOT clean: 1 finding"


@pytest.mark.parametrize(
    "kind",
    [
        FindingKind.DOWN,
        FindingKind.CHAIN,
        FindingKind.BEHIND,
        FindingKind.DIVERGENCE,
        FindingKind.STATE_ROOT,
    ],
)
def test_an_unseen_state_root_is_not_called_identical(kind: FindingKind) -> None:
    report = replace(CLEAN, findings=(Finding(0, 3, kind, "is odd"),))
    assert not report.state_roots_identical


def test_the_first_divergence_is_named() -> None:
    findings = (
        Finding(7, 1, FindingKind.DIVERGENCE, "has another block"),
        Finding(2, 5, FindingKind.SEAL, "is forged"),
        Finding(5, 11, FindingKind.NULLIFIERS, "differs"),
    )
    report = replace(CLEAN, full=True, findings=findings)
    assert report.lines()[2].endswith("(everything), 1.2 s")
    assert report.lines()[3:] == [
        "fernhollow at height 2: is forged [seal]",
        "larkhaven at height 5: differs [nullifiers]",
        "birchmoor at height 7: has another block [divergence]",
        "first divergence: larkhaven at height 5 (nullifiers)",
        "NOT clean: 3 findings",
    ]


def test_banks_that_joined_by_a_snapshot_are_named_unless_all_of_them_did() -> None:
    (line,) = [line for line in replace(CLEAN, joined=(3,)).lines() if "snapshot" in line]
    assert line == "dunmere joined by a snapshot: other banks hold the blocks before it"
    everyone = replace(CLEAN, joined=tuple(range(CLEAN.banks)))
    (line,) = [line for line in everyone.lines() if "snapshot" in line]
    assert line.startswith("every bank began with a snapshot: nobody here holds the blocks before")


def test_the_report_as_json() -> None:
    report = replace(CLEAN, findings=(Finding(0, -1, FindingKind.CONSERVATION, "made money"),))
    value = json.loads(json.dumps(report.to_json_object()))
    assert (value["clean"], value["state_roots_identical"], value["height"]) == (False, True, 9)
    assert value["findings"] == [
        {"height": 0, "bank": -1, "kind": "conservation", "message": "made money"}
    ]
    assert str(report.findings[0]) == "all banks: made money [conservation]"
