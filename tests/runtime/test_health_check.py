"""When a starting bank counts as healthy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.ledger.types import BankIndex
from node.runtime.health_check import doubt_of
from node.wire.operator_records import DatabaseReport, NodeReport
from tests.ledger.chain import make_genesis
from tests.runtime.node_reports import make_report, peer

GENESIS = make_genesis()
HEALTHY = make_report(3, chain_id=GENESIS.chain_id, peers=(peer(0), peer(1), peer(2)))


def test_a_linked_ready_bank_of_this_chain_with_a_database_is_healthy() -> None:
    assert doubt_of(HEALTHY, GENESIS) == ""


@pytest.mark.parametrize(
    ("report", "doubt"),
    [
        (replace(HEALTHY, chain_id=bytes(32)), "it runs another chain, 0000000000000000"),
        (replace(HEALTHY, database=DatabaseReport(False, "", 0)), "it has no database"),
        (
            replace(HEALTHY, peers=(peer(0, linked_in=False), peer(1, linked_out=False), peer(2))),
            "it is not linked with amberfield, birchmoor",
        ),
        (replace(HEALTHY, peers=(peer(0), peer(1))), "it is not linked with cedarholm"),
        (replace(HEALTHY, ready=False), "it is not ready"),
    ],
)
def test_anything_less_is_named(report: NodeReport, doubt: str) -> None:
    assert report.bank == BankIndex(3)
    assert doubt_of(report, GENESIS) == doubt


def test_nobody_waits_for_a_bank_that_is_out_of_service() -> None:
    alone = replace(HEALTHY, peers=(peer(0), peer(2)))
    assert doubt_of(alone, GENESIS) == "it is not linked with birchmoor"
    assert doubt_of(alone, GENESIS, out_of_service={BankIndex(1)}) == ""
