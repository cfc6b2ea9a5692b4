"""The simulated regulator, and the checkers of voting records and settlements (BFT-12 17, 18)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from node.consensus.effects import KeepBallots
from node.consensus.messages import Commit, Seal
from node.consensus.parameters import ConsensusParameters
from node.ledger.ballots import ballot_tag
from node.ledger.blocks import Block
from node.ledger.effects import RecordedVote
from node.ledger.settlement import SettlementOutcome
from node.ledger.types import BankIndex, FiscalYear, Height, View
from node.simulation.ballot_oracle import ballot_signer_of
from node.simulation.checker import Checker, Violation
from node.simulation.checkers.settlements import Settlements
from node.simulation.checkers.voting_record import OneBallot, VotingRecord
from node.simulation.clients import Clients
from node.simulation.engine import Bank, Cluster
from node.simulation.genesis import make_genesis
from node.simulation.ledger import Valid
from node.simulation.operators import Operators
from node.simulation.production_ledger import LedgerPoint, ProductionLedger
from node.simulation.regulator import Regulator

YEAR_S = 2


class History(Checker):
    """Keeps every outcome."""

    name = "history"

    def __init__(self) -> None:
        self.points: dict[Height, LedgerPoint] = {}

    def applied(self, bank: Bank, block: Block, seal: Seal, outcome: Valid) -> None:
        assert isinstance(outcome.after, LedgerPoint)
        self.points.setdefault(block.height, outcome.after)


class Consortium:
    """Seven undisturbed banks under short fiscal years, with a regulator."""

    def __init__(self, *, settles: bool = True, oversteps: bool = False) -> None:
        genesis = make_genesis(7, fiscal_year_seconds=YEAR_S)
        self.ledger = ProductionLedger(genesis)
        self.record = VotingRecord()
        self.settlements = Settlements(self.record)
        self.history = History()
        self.cluster = Cluster(
            self.ledger,
            parameters=ConsensusParameters.of(genesis),
            checkers=(self.history, self.record, self.settlements, OneBallot()),
        )
        Clients(self.cluster, self.ledger, Random(1)).submit_every(150, 60_000)
        self.operators = Operators(self.cluster, self.ledger)
        self.operators.carry_pots = not settles
        self.operators.act_every(300, 60_000)
        self.regulator = Regulator(self.cluster, self.ledger, Random(2))
        self.regulator.settles, self.regulator.oversteps = settles, oversteps
        self.regulator.act_every(300, 60_000)
        self.cluster.start()

    def settle(self, years: int) -> list[SettlementOutcome]:
        ended = self.settlements.settled
        assert self.cluster.run_until(lambda: len(ended) >= years, 60_000)
        return ended


def test_section_18_years_are_settled_one_by_one_and_paid_to_the_last_unit() -> None:
    consortium = Consortium()
    ended = consortium.settle(3)
    first = ended[0].year
    assert [item.year for item in ended] == [first, first + 1, first + 2]
    assert all(item.paid == item.pot.total > 0 for item in ended)
    points = consortium.history.points
    state = points[max(points)].state
    assert sum(bank.rewards for bank in state.banks) == sum(item.paid for item in ended)
    counted = [sum(row.count for row in item.rows) for item in ended]
    assert counted == [consortium.record.counts[item.year].total() for item in ended]


def test_section_18_what_the_regulator_may_not_is_never_sealed() -> None:
    consortium = Consortium(oversteps=True)
    consortium.settle(4)
    assert consortium.regulator.attempts > 3
    oracle = consortium.ledger.oracle
    for item in consortium.cluster.banks[0].disk.chain:
        assert all(oracle.owned(identifier) for identifier in item.block.transaction_ids)


def test_section_18_the_pot_of_a_year_that_nobody_settles_is_carried_on() -> None:
    consortium = Consortium(settles=False)
    first, second = consortium.settle(2)[:2]
    assert (first.rows, first.paid, first.carried) == ((), 0, first.pot.total)
    assert first.carried_to is not None
    assert first.carried_to >= first.year + 2
    assert second.pot.carried == 0, "it went into a year that is not over yet"


@pytest.fixture(scope="module")
def settled() -> Consortium:
    """A consortium that has settled a year; tests only look at it."""
    consortium = Consortium()
    consortium.settle(1)
    consortium.cluster.reach(max(consortium.history.points), limit_ms=5_000)
    return consortium


def complaint(checker: Checker, consortium: Consortium, height: int, after: LedgerPoint) -> str:
    """Show a new checker the chain up to a height, and there another outcome."""
    checker.begin(consortium.cluster)
    bank = consortium.cluster.banks[0]
    for item in bank.disk.chain[: height - 1]:
        before = Valid(consortium.history.points[item.block.height])
        checker.applied(bank, item.block, item.seal, before)
    item = bank.disk.chain[height - 1]
    with pytest.raises(Violation) as caught:
        checker.applied(bank, item.block, item.seal, Valid(after))
    assert caught.value.checker == checker.name
    return caught.value.message


def settlement_complaint(
    consortium: Consortium, change: Callable[[SettlementOutcome], SettlementOutcome | None]
) -> str:
    height, point = next(
        (height, point)
        for height, point in consortium.history.points.items()
        if point.transition.settlement is not None
    )
    assert point.transition.settlement is not None
    changed = change(point.transition.settlement)
    after = replace(point, transition=replace(point.transition, settlement=changed))
    return complaint(Settlements(consortium.record), consortium, height, after)


def with_row(ended: SettlementOutcome, index: int, **changes: int) -> SettlementOutcome:
    rows = list(ended.rows)
    rows[index] = replace(rows[index], **changes)  # type: ignore[arg-type]
    return replace(ended, rows=tuple(rows))


def test_settlements_another_count_than_was_recorded(settled: Consortium) -> None:
    words = settlement_complaint(
        settled, lambda ended: with_row(ended, 2, count=ended.rows[2].count + 1)
    )
    assert "are recorded" in words


def test_settlements_a_unit_that_is_lost(settled: Consortium) -> None:
    words = settlement_complaint(
        settled, lambda ended: with_row(ended, 0, reward=ended.rows[0].reward - 1)
    )
    assert "the pot is not what was paid" in words


def test_settlements_units_that_go_to_another_bank(settled: Consortium) -> None:
    def change(ended: SettlementOutcome) -> SettlementOutcome:
        poorer = with_row(ended, 0, reward=ended.rows[0].reward - 5)
        return with_row(poorer, 1, reward=ended.rows[1].reward + 5)

    assert "got" in settlement_complaint(settled, change)


def test_settlements_a_seed_that_is_not_of_the_chain(settled: Consortium) -> None:
    words = settlement_complaint(settled, lambda ended: replace(ended, draw_seed=bytes(32)))
    assert "seed" in words


def test_settlements_a_year_that_ends_without_a_word(settled: Consortium) -> None:
    words = settlement_complaint(settled, lambda ended: None)
    assert "without a settlement" in words


def test_settlements_a_year_that_is_not_over(settled: Consortium) -> None:
    words = settlement_complaint(
        settled, lambda ended: replace(ended, year=FiscalYear(ended.year + 9))
    )
    assert "not over" in words


def record_complaint(
    consortium: Consortium, change: Callable[[tuple[RecordedVote, ...]], list[RecordedVote]]
) -> str:
    """Show the record of height 2 as another one, in block and outcome alike."""
    checker, bank = VotingRecord(), consortium.cluster.banks[0]
    checker.begin(consortium.cluster)
    points, chain = consortium.history.points, bank.disk.chain
    for item in chain[:2]:
        checker.applied(bank, item.block, item.seal, Valid(points[item.block.height]))
    item, point = chain[2], points[Height(3)]
    votes = tuple(change(point.transition.votes))
    block = replace(item.block, parent_ballots=tuple([vote.ballot for vote in votes]))
    after = replace(point, transition=replace(point.transition, votes=votes))
    with pytest.raises(Violation) as caught:
        checker.applied(bank, block, item.seal, Valid(after))
    assert caught.value.checker == "voting record"
    return caught.value.message


def test_voting_record_a_ballot_left_out(settled: Consortium) -> None:
    assert "not of 6 different ones" in record_complaint(settled, lambda votes: [*votes[1:]])


def test_voting_record_a_bank_counted_twice(settled: Consortium) -> None:
    words = record_complaint(settled, lambda votes: [votes[0], *votes[:-1]])
    assert "not of 6 different ones" in words


def test_voting_record_a_forged_ballot(settled: Consortium) -> None:
    def change(votes: tuple[RecordedVote, ...]) -> list[RecordedVote]:
        forged = votes[0].ballot[:-1] + bytes([votes[0].ballot[-1] ^ 1])
        return [votes[0]._replace(ballot=forged), *votes[1:]]

    assert "is forged" in record_complaint(settled, change)


def test_voting_record_a_ballot_about_something_else(settled: Consortium) -> None:
    def change(votes: tuple[RecordedVote, ...]) -> list[RecordedVote]:
        old = settled.cluster.banks[0].disk.chain[1].block.parent_ballots[0]
        return [RecordedVote(ballot_tag(old), True, old), *votes[1:]]

    assert "says something else" in record_complaint(settled, change)


def test_voting_record_tags_out_of_order(settled: Consortium) -> None:
    assert "order of its tags" in record_complaint(settled, lambda votes: [*reversed(votes)])


def test_voting_record_a_seal_with_too_few_ballots(settled: Consortium) -> None:
    checker, bank = VotingRecord(), settled.cluster.banks[0]
    checker.begin(settled.cluster)
    item = bank.disk.chain[0]
    seal = replace(item.seal, ballots=item.seal.ballots[1:])
    with pytest.raises(Violation, match="the seal of height 1 holds approvals of"):
        checker.applied(bank, item.block, seal, Valid(settled.history.points[Height(1)]))


def commit_of(consortium: Consortium, block: Block, voted_for: Block) -> Commit:
    genesis = consortium.ledger.definition
    ballot = ballot_signer_of(0, genesis.chain_id).sign_ballot(
        consortium.ledger.genesis.active_set, Height(9), View(1), voted_for.block_id, approve=True
    )
    return Commit(BankIndex(0), Height(9), View(1), block.block_id, bytes(64), ballot)


def test_one_ballot_two_in_one_view_or_none(settled: Consortium) -> None:
    checker, bank = OneBallot(), settled.cluster.banks[0]
    checker.begin(settled.cluster)
    first, second = (bank.disk.chain[index].block for index in (0, 1))
    checker.sent(bank, commit_of(settled, first, first), ())
    checker.sent(bank, commit_of(settled, first, first), ())
    with pytest.raises(Violation, match="cast two ballots in view 1 of height 9"):
        checker.sent(bank, commit_of(settled, second, second), ())
    for bare in (
        commit_of(settled, first, second),
        replace(commit_of(settled, first, first), ballot=None),
    ):
        with pytest.raises(Violation, match="without the ballot that it needs"):
            checker.sent(bank, bare, ())


def test_section_17_a_kept_pair_is_opened_and_convicts() -> None:
    """Two ballots of bank 3 in one view, kept by bank 0: nobody heard of anything else."""
    consortium = Consortium()
    cluster = consortium.cluster
    cluster.byzantine = frozenset({3})
    cluster.reach(2, limit_ms=10_000)
    signer = ballot_signer_of(3, consortium.ledger.definition.chain_id)
    active_set, block = consortium.ledger.genesis.active_set, cluster.banks[0].disk.chain[0].block
    pair = sorted(
        signer.sign_ballot(active_set, Height(1), View(4), block.block_id, approve=approve)
        for approve in (True, False)
    )
    cluster.banks[0].disk.keep(KeepBallots(Height(1), View(4), pair[0], pair[1]))
    cluster.reach(cluster.banks[0].height + 6, limit_ms=10_000)
    offences = [
        (item.bank, item.offence.value, item.height)
        for point in consortium.history.points.values()
        for item in point.transition.punishments
    ]
    assert offences == [(3, "E8", 1)]
    assert consortium.regulator.openings == 1
