"""Who is missing, what margin is left, and what to do (BFT-12 section 1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from node.ledger.types import BankIndex, Height
from node.runtime.diagnosis import BankCondition, Condition, Diagnosis, diagnose
from node.runtime.process_condition import ProcessCondition
from node.wire.operator_records import ConsensusReport, NodeReport, RefusedReport
from tests.runtime.node_reports import banks, make_report, peer, reports_of


def conditions(diagnosis: Diagnosis) -> dict[int, Condition]:
    return {item.bank: item.condition for item in diagnosis.missing}


def both_ways(pairs: Iterable[tuple[int, int]]) -> frozenset[tuple[int, int]]:
    return frozenset([pair for a, b in pairs for pair in ((a, b), (b, a))])


def changed(report: NodeReport, **changes: object) -> NodeReport:
    consensus: ConsensusReport = replace(report.consensus, **changes)  # type: ignore[arg-type]
    return replace(report, consensus=consensus)


def test_all_twelve_can_vote() -> None:
    diagnosis = diagnose(12, reports_of(12), {})
    assert (diagnosis.votes, diagnosis.verdict) == ("votes 12/12, margin 2", "")
    assert diagnosis.waiting_for == "height 8, view 1, led by elmstow"


def test_two_missing_leave_no_margin() -> None:
    reports = reports_of(12)
    del reports[BankIndex(5)], reports[BankIndex(7)]
    processes = {5: ProcessCondition.EXITED, 7: ProcessCondition.RUNNING}
    diagnosis = diagnose(12, reports, processes)
    assert diagnosis.votes == (
        "votes 10/12, margin 0, missing: fernhollow (exited), heathmark (no answer)"
    )
    assert diagnosis.verdict == (
        "the ledger goes on, no further bank may fail; "
        "restart fernhollow: `consortium node start fernhollow`; "
        "see why heathmark does not answer: `consortium logs heathmark`"
    )


def test_three_missing_halt_the_ledger_by_design() -> None:
    reports = reports_of(12)
    for bank in (1, 2, 3):
        del reports[BankIndex(bank)]
    diagnosis = diagnose(12, reports, dict.fromkeys((1, 2, 3), ProcessCondition.EXITED))
    assert diagnosis.verdict == (
        "the ledger has halted by design: 10 of 12 are needed, 9 answer; nothing can be lost; "
        "restart any one of birchmoor, cedarholm, dunmere: `consortium node start birchmoor`"
    )
    del reports[BankIndex(4)]
    diagnosis = diagnose(12, reports, dict.fromkeys((1, 2, 3, 4), ProcessCondition.EXITED))
    assert "8 answer" in diagnosis.verdict
    assert "restart 2 of birchmoor, cedarholm, dunmere, elmstow" in diagnosis.verdict


def test_halted_starting_behind_and_removed_banks() -> None:
    reports = reports_of(12)
    reports[BankIndex(1)] = replace(reports[BankIndex(1)], halted="sealed-invalid", ready=False)
    reports[BankIndex(2)] = replace(reports[BankIndex(2)], ready=False)
    reports[BankIndex(3)] = replace(reports[BankIndex(3)], height=Height(2))
    reports[BankIndex(4)] = replace(reports[BankIndex(4)], height=Height(6))
    reports[BankIndex(6)] = changed(reports[BankIndex(6)], active=False)
    diagnosis = diagnose(12, reports, {})
    assert diagnosis.missing == (
        BankCondition(BankIndex(1), Condition.HALTED, "sealed-invalid"),
        BankCondition(BankIndex(2), Condition.STARTING),
        BankCondition(BankIndex(3), Condition.BEHIND, "5 blocks"),
    )
    assert diagnosis.banks[6].condition is Condition.OBSERVER


def test_banks_that_report_to_their_own_operators_alone_are_judged_by_others() -> None:
    """On a machine of its own a bank sees the others as they look to it."""
    own = make_report(
        0, peers=tuple(peer(bank, linked_in=bank != 3) for bank in range(1, 12) if bank != 5)
    )
    reports = {BankIndex(0): own}
    diagnosis = diagnose(12, reports, {}, banks(*range(1, 12)))
    assert conditions(diagnosis) == {3: Condition.UNLINKED, 5: Condition.UNLINKED}
    assert diagnosis.count == "votes 10/12, margin 0"
    assert diagnosis.waiting_for == "height 8, view 1, led by elmstow"

    silent = changed(own, missing=banks(2))
    silent = replace(
        silent, peers=(replace(silent.peers[0], bank=BankIndex(2), last_heard_ms=5_000),)
    )
    diagnosis = diagnose(12, {BankIndex(0): silent}, {}, banks(2))
    assert conditions(diagnosis)[2] is Condition.SILENT
    assert conditions(diagnosis)[3] is Condition.NO_ANSWER


def test_banks_that_are_cut_off_are_named_not_those_they_were_cut_off_from() -> None:
    cut = both_ways((a, b) for a in (4, 8, 9) for b in range(12) if a != b)
    diagnosis = diagnose(12, reports_of(12, cut=cut), {})
    assert conditions(diagnosis) == dict.fromkeys((4, 8, 9), Condition.UNLINKED)
    assert str(diagnosis.missing[0]) == "elmstow (cut off: from all other banks)"
    assert "8" not in diagnosis.verdict.partition(";")[0]


def test_a_one_way_cut_counts_and_one_lost_link_does_not() -> None:
    one_way = frozenset([(4, other) for other in range(12) if other != 4])
    assert conditions(diagnose(12, reports_of(12, cut=one_way), {})) == {4: Condition.UNLINKED}
    assert conditions(diagnose(12, reports_of(12, cut=both_ways([(4, 5)])), {})) == {}


def test_of_two_unequal_parts_the_smaller_one_is_named() -> None:
    cut = both_ways((a, b) for a in range(4) for b in range(4, 12))
    diagnosis = diagnose(12, reports_of(12, cut=cut), {})
    assert conditions(diagnosis) == dict.fromkeys(range(4), Condition.UNLINKED)


def deaf_to(bank: int, report: NodeReport, *, heard_ms: int = 9_000) -> NodeReport:
    peers = tuple(
        replace(item, last_heard_ms=heard_ms) if item.bank == bank else item
        for item in report.peers
    )
    return replace(changed(report, missing=banks(bank)), peers=peers)


def test_a_bank_of_which_nothing_arrives_is_silent_although_linked() -> None:
    reports = {
        bank: report if bank in (7, 8, 9, 10, 11) else deaf_to(7, report)
        for bank, report in reports_of(12).items()
    }
    diagnosis = diagnose(12, reports, {})
    assert conditions(diagnosis) == {7: Condition.SILENT}
    assert diagnosis.missing[0].detail == "7 of 11 banks hear nothing of it"
    few = {**reports, BankIndex(0): reports_of(12)[BankIndex(0)]}
    few[BankIndex(1)] = reports_of(12)[BankIndex(1)]
    assert conditions(diagnose(12, few, {})) == {}


def test_a_bank_that_has_just_come_back_is_not_silent() -> None:
    """It is linked, and the others have not counted a message of it yet."""
    reports = {
        bank: report if bank == 7 else deaf_to(7, report, heard_ms=300)
        for bank, report in reports_of(12).items()
    }
    assert conditions(diagnose(12, reports, {})) == {}


def test_what_a_bank_that_is_cut_off_hears_counts_nothing() -> None:
    cut = both_ways((4, other) for other in range(12) if other != 4)
    reports = reports_of(12, cut=cut)
    deaf = changed(reports[BankIndex(4)], missing=banks(*[b for b in range(12) if b != 4]))
    reports[BankIndex(4)] = deaf
    assert conditions(diagnose(12, reports, {})) == {4: Condition.UNLINKED}


def test_a_liar_is_named_once_two_banks_refused_its_messages() -> None:
    reports = reports_of(12)
    for bank in (0, 1):
        reports[BankIndex(bank)] = changed(
            reports[BankIndex(bank)], refused=(RefusedReport(BankIndex(9), 3),)
        )
    (suspect,) = diagnose(12, reports, {}).suspects
    assert suspect == BankCondition(
        BankIndex(9), Condition.VOTING, "", "2 banks refused messages of it"
    )
    del reports[BankIndex(0)]
    assert diagnose(12, reports, {}).suspects == ()


def test_a_bank_that_signed_against_itself_is_named_unless_only_one_says_so() -> None:
    reports = reports_of(12)
    reports[BankIndex(0)] = changed(reports[BankIndex(0)], accused=banks(1, 9))
    reports[BankIndex(1)] = changed(reports[BankIndex(1)], accused=banks(9))
    suspects = {item.bank: item.suspicion for item in diagnose(12, reports, {}).suspects}
    assert suspects == {
        9: "2 banks hold statements that convict it: see `consortium evidence`"
    }


def test_the_leader_that_is_waited_for_is_named() -> None:
    reports = reports_of(12)
    reports[BankIndex(4)] = changed(reports[BankIndex(4)], waiting_for="votes")
    assert diagnose(12, reports, {}).waiting_for == (
        "height 8, view 1, led by elmstow, waits for votes"
    )
    del reports[BankIndex(4)]
    assert diagnose(12, reports, {}).waiting_for == (
        "height 8, view 1: its leader elmstow does not answer, the view will time out"
    )


def test_nobody_answers() -> None:
    diagnosis = diagnose(4, {}, {2: ProcessCondition.STARTING})
    assert [item.condition.value for item in diagnosis.banks] == [
        "no answer", "no answer", "starting", "no answer"
    ]
    assert (diagnosis.quorum, diagnosis.margin) == (4, -4)
