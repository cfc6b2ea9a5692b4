"""The production ledger as the simulator hosts it: verdicts by oracle, rules by `node.ledger`."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from node.consensus.events import BodyUnusable, Rejected
from node.ledger.rejection import Reason, Rejection
from node.ledger.types import BankIndex, TransactionId, View
from node.simulation.clients import Clients
from node.simulation.engine import Cluster
from node.simulation.genesis import make_genesis
from node.simulation.ledger import Built, Valid
from node.simulation.production_ledger import LedgerPoint, ProductionLedger


@pytest.fixture
def ledger() -> ProductionLedger:
    made = ProductionLedger(make_genesis(4))
    Clients(Cluster(made), made, Random(1))
    return made


def build(ledger: ProductionLedger, *ids: TransactionId, after_ms: int = 1_000) -> Built:
    point = ledger.genesis
    return ledger.build(
        point,
        view=View(0),
        proposer=BankIndex(1),
        clock_ms=point.header.time_ms + after_ms,
        candidates=ids,
        evidence=(),
        ballots=(),
    )


def test_a_built_block_is_valid_and_moves_the_ledger(ledger: ProductionLedger) -> None:
    issue = ledger.transaction(invalid=False)
    assert ledger.admit(ledger.genesis, issue) is True
    block = build(ledger, issue).block
    verdict = ledger.judge(ledger.genesis, block, clock_ms=block.header.time_ms)
    assert isinstance(verdict, Valid)
    assert isinstance(verdict.after, LedgerPoint)
    assert verdict.after.state.transaction_count == 1
    assert ledger.admit(verdict.after, issue) is False, "it is sealed"


def test_what_nobody_owns_is_admitted_nowhere_and_left_out_of_blocks(
    ledger: ProductionLedger,
) -> None:
    forged = ledger.transaction(invalid=True)
    assert ledger.admit(ledger.genesis, forged) is False
    built = build(ledger, forged)
    assert (built.block.transaction_ids, built.dropped) == ((), (forged,))


def test_a_poisoned_block_is_rejected_with_a_proof_for_everybody(ledger: ProductionLedger) -> None:
    good, forged = ledger.transaction(invalid=False), ledger.transaction(invalid=True)
    block = ledger.poison(build(ledger, good).block, [forged])
    verdict = ledger.judge(ledger.genesis, block, clock_ms=None)
    assert isinstance(verdict, Rejected)
    assert (verdict.reason, verdict.deterministic, verdict.transaction_index) == ("issue", True, 1)
    assert verdict.proof is not None
    assert ledger.evidence.disprove(block.header, verdict.proof) is Reason.ISSUE
    for damaged in (verdict.proof[:-1], verdict.proof[1:], b""):
        with pytest.raises(Rejection):
            ledger.evidence.disprove(block.header, damaged)
    with pytest.raises(Rejection):
        ledger.evidence.disprove(build(ledger, good).block.header, verdict.proof)


def test_a_valid_transaction_disproves_no_block(ledger: ProductionLedger) -> None:
    good = ledger.transaction(invalid=False)
    block = build(ledger, good).block
    rejection = Rejection(Reason.ISSUE, "claimed").at(0)
    proof = ledger.evidence.prove_invalidity(block, rejection)
    assert proof is not None
    with pytest.raises(Rejection, match="valid by itself"):
        ledger.evidence.disprove(block.header, proof)


def test_section_8_lists_that_are_not_the_headers_say_nothing(ledger: ProductionLedger) -> None:
    good, other = ledger.transaction(invalid=False), ledger.transaction(invalid=False)
    block = build(ledger, good).block
    copies = [
        replace(block, transaction_ids=(other,)),
        replace(block, transaction_ids=()),
        replace(block, evidence=(b"invented",)),
        replace(block, parent_ballots=(b"invented",)),
    ]
    for copy in copies:
        assert isinstance(ledger.judge(ledger.genesis, copy, clock_ms=None), BodyUnusable)


def test_section_8_a_header_from_the_future_is_a_matter_of_the_clock(
    ledger: ProductionLedger,
) -> None:
    block = build(ledger, after_ms=60_000).block
    mine = ledger.genesis.header.time_ms
    early = ledger.judge(ledger.genesis, block, clock_ms=mine)
    assert early == Rejected("clock", deterministic=False)
    assert isinstance(ledger.judge(ledger.genesis, block, clock_ms=mine + 59_000), Valid)
    assert isinstance(ledger.judge(ledger.genesis, block, clock_ms=None), Valid)
