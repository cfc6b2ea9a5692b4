"""BFT-12 P4, P6, R1, V4: how statements add up."""

from __future__ import annotations

from node.consensus.tables import CommitTable, TimeoutTable, VoteTable
from node.ledger.types import View
from tests.consensus.consortium import Consortium

C = Consortium(12)
BLOCK, OTHER = C.block(), C.block(ids=[1])
V0 = View(0)


def test_votes_for_another_block_or_decision_do_not_count() -> None:
    table = VoteTable()
    for bank in (5, 3, 4):
        table.add(C.approve(bank, BLOCK))
    table.add(C.approve(6, OTHER))
    table.add(C.reject(7, BLOCK))
    table.add(C.approve(8, BLOCK, 1))
    assert table.quorum_certificate(V0, BLOCK.block_id, 4) is None
    expected = C.quorum_certificate(BLOCK, banks=[3, 4, 5])
    assert table.quorum_certificate(V0, BLOCK.block_id, 3) == expected


def test_the_first_vote_of_a_bank_in_a_view_counts_and_no_other() -> None:
    table = VoteTable()
    table.add(C.approve(3, BLOCK))
    table.add(C.approve(3, OTHER))
    table.add(C.approve(3, BLOCK))
    assert table.of_view(V0) == (C.approve(3, BLOCK),)


def test_rejections_of_one_block_add_up() -> None:
    table = VoteTable()
    table.add(C.reject(9, OTHER))
    table.add(C.reject(2, BLOCK))
    table.add(C.approve(4, BLOCK))
    assert table.reject_certificate(V0, 2) is None
    table.add(C.reject(1, BLOCK))
    assert table.reject_certificate(V0, 2) == C.reject_certificate(BLOCK, banks=[1, 2])


def test_commits_of_any_view_may_seal_but_never_across_views() -> None:
    table = CommitTable()
    table.add(C.commit(0, BLOCK, 0))
    table.add(C.commit(1, BLOCK, 1))
    table.add(C.commit(2, OTHER, 1))
    assert table.quorums(2) == []
    table.add(C.commit(5, BLOCK, 0))
    assert table.quorums(2) == [[C.commit(0, BLOCK, 0), C.commit(5, BLOCK, 0)]]
    table.add(C.commit(3, OTHER, 1))
    table.add(C.commit(4, BLOCK, 0))
    assert table.quorums(2) == [
        [C.commit(0, BLOCK, 0), C.commit(4, BLOCK, 0)],
        [C.commit(2, OTHER, 1), C.commit(3, OTHER, 1)],
    ]


def test_timeout_certificate_prefers_the_highest_claims() -> None:
    table = TimeoutTable()
    for bank, claim in ((0, -1), (1, 2), (2, -1), (3, 1)):
        table.add(C.timeout(bank, 3, claim=claim))
    certificate = table.certificate(View(3), 3)
    assert certificate is not None
    assert [(e.bank, e.highest_view) for e in certificate.entries] == [(0, -1), (1, 2), (3, 1)]
    assert table.certificate(View(4), 3) is None
    assert table.certificate(View(0), 5) is None


def test_of_one_banks_timeouts_the_highest_claim_counts() -> None:
    table = TimeoutTable()
    for claim in (0, 1, -1):
        table.add(C.timeout(4, 2, claim=claim))
    assert [timeout.highest_view for timeout in table.of_view(View(2))] == [1]


def test_the_highest_complete_view_is_certified() -> None:
    table = TimeoutTable()
    for view in (1, 6):
        for bank in (0, 1):
            table.add(C.timeout(bank, view))
    certificate = table.certificate(View(0), 2)
    assert certificate is not None
    assert certificate.view == 6
