"""`consortium status`: one row a bank, and the quorum's margin in words."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from click.testing import CliRunner

from node.cli.main import main
from node.cli.status import BankStatus, quorum_status
from node.client.errors import AccessDenied, LedgerError, LedgerUnavailable
from node.ledger.types import BankIndex, Height
from node.runtime.consortium_directory import ConsortiumDirectory
from node.runtime.initialise import create_consortium
from node.wire.operator_records import DatabaseReport, NodeReport
from tests.runtime.node_reports import banks, make_report

ADDRESS = "127.0.0.1:20003"


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


def test_a_bank_that_is_up() -> None:
    assert BankStatus.of(3, ADDRESS, make_report(3)) == UP


def test_a_bank_that_starts_has_halted_or_lost_its_database() -> None:
    starting = replace(make_report(3), ready=False)
    assert BankStatus.of(3, ADDRESS, starting) == replace(UP, state="starting")
    halted = replace(make_report(3), ready=False, halted="sealed-invalid")
    assert BankStatus.of(3, ADDRESS, halted) == replace(UP, state="halted", reason="sealed-invalid")
    lost = replace(make_report(3), database=DatabaseReport(False, "", 0))
    assert BankStatus.of(3, ADDRESS, lost) == replace(
        UP, reason="no database", database_connected=False
    )


def test_a_bank_that_does_not_answer() -> None:
    assert BankStatus.of(3, ADDRESS, LedgerUnavailable("a long story")) == BankStatus(
        3, "dunmere", "down", f"does not answer at {ADDRESS}", ADDRESS
    )
    assert BankStatus.of(3, ADDRESS, AccessDenied("no operator")) == BankStatus(
        3, "dunmere", "down", "no operator", ADDRESS
    )


def test_all_twelve_can_vote() -> None:
    reports: dict[BankIndex, NodeReport | LedgerError] = {
        BankIndex(bank): make_report(bank) for bank in range(12)
    }
    quorum = quorum_status(12, reports)
    assert str(quorum) == "votes 12/12, margin 2"
    assert (quorum.approvals, quorum.commits, quorum.quorum) == (3, 1, 10)


def test_margin_0_names_who_is_missing() -> None:
    """One bank is down, one is cut off from the bank that is furthest ahead; bank 1 is linked
    again but was not heard of yet."""
    reports: dict[BankIndex, NodeReport | LedgerError] = {
        BankIndex(bank): make_report(bank) for bank in range(12)
    }
    reports[BankIndex(5)] = LedgerUnavailable("down")
    ahead = make_report(2)
    reports[BankIndex(2)] = replace(
        ahead,
        height=Height(8),
        consensus=replace(ahead.consensus, missing=banks(1, 5, 11)),
    )
    assert str(quorum_status(12, reports)) == (
        "votes 10/12, margin 0, missing: fernhollow, larkhaven"
    )


def test_below_the_quorum_nothing_can_be_sealed() -> None:
    reports: dict[BankIndex, NodeReport | LedgerError] = {
        BankIndex(bank): make_report(bank) for bank in range(12)
    }
    for bank in (0, 1):
        reports[BankIndex(bank)] = LedgerUnavailable("down")
    reports[BankIndex(7)] = replace(make_report(7), halted="sealed-invalid")
    assert str(quorum_status(12, reports)) == (
        "votes 9/12, margin -1, missing: amberfield, birchmoor, heathmark; "
        "nothing can be sealed until more banks return"
    )


def test_nobody_answers(tmp_path: Path) -> None:
    directory = ConsortiumDirectory(tmp_path / "consortium")
    create_consortium(directory, bank_count=4)
    result = CliRunner().invoke(main, ["status", "--json", "--data", str(directory.root)])
    assert result.exit_code == 3
    answer = json.loads(result.stdout)
    assert answer["chain_id"] == directory.genesis().chain_id.hex()
    assert [bank["state"] for bank in answer["banks"]] == ["down"] * 4
    assert answer["quorum"]["margin"] == -4
    assert result.stderr == (
        f"Error: no bank of {directory.root} answers.\n"
        f"Next: start the consortium with `consortium up --data {directory.root}`.\n"
    )
