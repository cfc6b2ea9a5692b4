"""`consortium status`: one row a bank, and the verdict of the diagnosis under it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from node.cli.access import Consortium
from node.cli.main import main
from node.cli.status import Look, assemble
from node.client.errors import AccessDenied, LedgerError, LedgerUnavailable
from node.ledger.types import BankIndex
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.consortium_look import BankStatus
from node.runtime.diagnosis import BankCondition, Condition
from node.runtime.initialise import create_consortium
from node.runtime.process_condition import ProcessCondition
from node.wire.operator_records import DatabaseReport, FaultReport, NodeReport
from tests.runtime.node_reports import make_report, reports_of

ADDRESS = "127.0.0.1:20003"
VOTING = BankCondition(BankIndex(3), Condition.VOTING)

UP = BankStatus(
    bank=3,
    name="dunmere",
    state="up",
    reason="",
    address=ADDRESS,
    pid=4_711,
    height=7,
    view=1,
    leader="elmstow",
    peers_linked=2,
    mempool=5,
    last_seal_age_ms=1_250,
    resident_bytes=104 << 20,
    database_connected=True,
    alarms=0,
)


@pytest.fixture(scope="module")
def consortium(tmp_path_factory: pytest.TempPathFactory) -> Consortium:
    directory = ConsortiumDirectory(tmp_path_factory.mktemp("status") / "consortium")
    create_consortium(directory, bank_count=12)
    return Consortium.load(directory)


def test_a_bank_that_is_up() -> None:
    assert BankStatus.of(VOTING, ADDRESS, make_report(3)) == UP


def test_a_bank_that_has_halted_or_lost_its_database() -> None:
    halted = BankCondition(BankIndex(3), Condition.HALTED, "sealed-invalid")
    assert BankStatus.of(halted, ADDRESS, make_report(3)) == replace(
        UP, state="halted", reason="sealed-invalid"
    )
    lost = replace(make_report(3), database=DatabaseReport(False, "", 0))
    assert BankStatus.of(VOTING, ADDRESS, lost) == replace(
        UP, reason="no database", database_connected=False
    )


def test_what_was_broken_on_purpose_has_a_column() -> None:
    fault = FaultReport("slow", "links with all banks: 50 ms late", (), 10)
    report = replace(make_report(3), faults=(fault,))
    row = BankStatus.of(VOTING, ADDRESS, report, ("seal of block 7, byte 300",))
    assert row == replace(
        UP, faults=("links with all banks: 50 ms late", "corrupt: seal of block 7, byte 300")
    )


@pytest.mark.parametrize(
    ("condition", "error", "reason"),
    [
        (Condition.EXITED, LedgerUnavailable("a long story"), "its process has ended"),
        (Condition.PAUSED, LedgerUnavailable("no"), "its process is stopped by a signal"),
        (Condition.NO_ANSWER, LedgerUnavailable("no"), f"does not answer at {ADDRESS}"),
        (Condition.NO_ANSWER, AccessDenied("no operator"), "no operator"),
    ],
)
def test_a_bank_that_does_not_answer(condition: Condition, error: LedgerError, reason: str) -> None:
    row = BankStatus.of(BankCondition(BankIndex(3), condition), ADDRESS, error)
    assert row == BankStatus(3, "dunmere", condition.value, reason, ADDRESS)


def seen(consortium: Consortium, missing: Mapping[int, ProcessCondition]) -> Look:
    answers: dict[BankIndex, NodeReport | LedgerError] = {
        bank: report for bank, report in reports_of(12).items() if bank not in missing
    }
    return assemble(consortium, answers, missing, {5: ("ledger state, byte 9",)})


def shown(look: Look) -> str:
    console = Console(width=400, no_color=True, highlight=False)
    with console.capture() as capture:
        console.print(look.table(), *look.lines(), sep="\n")
    return capture.get()


def test_the_table_ends_with_who_is_missing_and_what_to_do(consortium: Consortium) -> None:
    missing = {
        1: ProcessCondition.EXITED,
        2: ProcessCondition.PAUSED,
        4: ProcessCondition.EXITED,
    }
    text = shown(seen(consortium, missing))
    assert text.splitlines()[-7:] == [
        "birchmoor: its process has ended",
        "cedarholm: its process is stopped by a signal",
        "elmstow: its process has ended",
        "fernhollow is broken on purpose: corrupt: ledger state, byte 9",
        "height 8, view 1: its leader elmstow does not answer, the view will time out",
        "votes 9/12, margin -1, missing: birchmoor (exited), cedarholm (paused), elmstow (exited)",
        "the ledger has halted by design: 10 of 12 are needed, 9 answer; nothing can be lost; "
        "restart any one of birchmoor, elmstow: `consortium node start birchmoor`, "
        "or resume cedarholm: `consortium fault resume cedarholm`",
    ]


def test_json_has_everything(consortium: Consortium) -> None:
    look = seen(consortium, {1: ProcessCondition.EXITED})
    answer = look.to_json_object()
    assert answer["height"] == 7
    assert answer["quorum"] == {
        "votes_possible": 11,
        "banks": 12,
        "quorum": 10,
        "margin": 1,
        "missing": ["birchmoor"],
        "conditions": {
            name: "exited" if name == "birchmoor" else "voting"
            for name in [row.name for row in look.rows]
        },
        "suspects": {},
        "waiting_for": "height 8, view 1, led by elmstow",
        "verdict": "the ledger goes on, one more may fail; "
        "restart birchmoor: `consortium node start birchmoor`",
        "approvals": 3,
        "commits": 1,
    }
    json.dumps(answer)


def test_nobody_answers(tmp_path: Path) -> None:
    directory = ConsortiumDirectory(tmp_path / "consortium")
    create_consortium(directory, bank_count=4)
    result = CliRunner().invoke(main, ["status", "--json", "--data", str(directory.root)])
    assert result.exit_code == 3
    answer = json.loads(result.stdout)
    assert answer["chain_id"] == directory.genesis().chain_id.hex()
    assert [bank["state"] for bank in answer["banks"]] == ["no answer"] * 4
    assert [bank["metrics"] for bank in answer["banks"]] == [None] * 4
    assert answer["quorum"]["margin"] == -4
    assert result.stderr == (
        f"Error: no bank of {directory.root} answers.\n"
        f"Next: start the consortium with `consortium up --data {directory.root}`.\n"
    )
