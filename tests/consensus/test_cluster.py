"""Whole consortiums in memory: BFT-12 sections 1, 5-7, 11, 13-15.

Agreement, validity, durability and innocence are checked by the simulator's checkers.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.consensus.messages import (
    BlockRequest,
    BlockResponse,
    Commit,
    Message,
    Proposal,
    QuorumCertificate,
    RejectCertificate,
    Seal,
    Status,
    Timeout,
    Vote,
)
from node.ledger.active_set import quorum_size
from node.ledger.types import BankIndex
from tests.consensus import scenarios
from tests.consensus.cluster import Cluster, Network

pytestmark = pytest.mark.long

SIZES = pytest.mark.parametrize("bank_count", [4, 7, 12])


class Ledger:
    """Counts what the network carried, by type, leaving status messages out."""

    def __init__(self, cluster: Cluster) -> None:
        self.seen: list[tuple[BankIndex, BankIndex, Message]] = []
        cluster.intercept = self._note

    def _note(self, source: BankIndex, target: BankIndex, message: Message) -> Message:
        if not isinstance(message, Status):
            self.seen.append((source, target, message))
        return message

    def count(self, kind: type[Message]) -> int:
        return sum(isinstance(message, kind) for _, _, message in self.seen)


@SIZES
def test_section_5_an_undisturbed_block_costs_five_messages_a_peer(bank_count: int) -> None:
    cluster = Cluster(bank_count)
    ledger = Ledger(cluster)
    cluster.start()
    cluster.submit()
    cluster.reach(1, limit_ms=200)
    cluster.run(500)
    kinds: list[type[Message]] = [Proposal, Vote, QuorumCertificate, Commit, Seal]
    assert [ledger.count(kind) for kind in kinds] == [bank_count - 1] * 5
    assert len(ledger.seen) == 5 * (bank_count - 1)
    assert cluster.banks[0].pool == []


def test_section_7_an_idle_ledger_is_silent_until_the_heartbeat() -> None:
    cluster = Cluster(12)
    ledger = Ledger(cluster)
    cluster.start()
    cluster.run(29_900)
    assert ledger.seen == []
    cluster.reach(1, limit_ms=1_000)
    cluster.run(28_000)
    assert [bank.height for bank in cluster.banks] == [1] * 12


@SIZES
def test_section_14_a_dead_leader_costs_one_view(bank_count: int) -> None:
    cluster = Cluster(bank_count)
    live = [index for index in range(bank_count) if index != scenarios.LEADER_1]
    cluster.start(live if bank_count > 4 else None)
    if bank_count == 4:
        cluster.network.cut = lambda source, target: (
            source == scenarios.LEADER_1 and cluster.now_ms < 2_000
        )
    cluster.submit(banks=live)
    cluster.reach(1, banks=live, limit_ms=4_000)
    header = cluster.agreement.chain[cluster.banks[0].disk.chain[0].block.height]
    assert (header.original_view, header.proposer) == (1, 2)


@SIZES
def test_section_1_n_minus_q_crashes_are_survived_and_one_more_halts_safely(
    bank_count: int,
) -> None:
    tolerated = bank_count - quorum_size(bank_count)
    live = range(tolerated, bank_count)
    cluster = Cluster(bank_count)
    cluster.start(live)
    cluster.submit_every(300, 60_000)
    cluster.reach(10, banks=live, limit_ms=60_000)

    cluster.crash(tolerated)
    height = max(bank.height for bank in cluster.banks) + 1
    cluster.run(60_000)
    assert max(bank.height for bank in cluster.banks) <= height
    survivor = cluster.banks[-1].core
    assert survivor is not None
    assert survivor.status().margin == -1
    assert survivor.status().missing == tuple(range(tolerated + 1))

    cluster.restart(tolerated)
    cluster.submit()
    cluster.reach(height + 1, banks=live, limit_ms=60_000)


@SIZES
def test_an_invalid_batch_is_rejected_whole_and_the_next_leader_goes_on(bank_count: int) -> None:
    """R1, R2: rejections end the view long before its timer; honest transactions are kept."""
    cluster = Cluster(bank_count)
    ledger = Ledger(cluster)
    cluster.start()
    cluster.submit(invalid=True, banks=[scenarios.LEADER_1])
    cluster.submit()
    cluster.reach(1, limit_ms=400)
    assert ledger.count(RejectCertificate) > 0
    chain = [block.block for block in cluster.banks[0].disk.chain]
    assert [block.header.original_view for block in chain] == [1]
    assert all(bank.pool == [] for bank in cluster.banks)


@SIZES
def test_a_header_from_the_future_is_rejected_until_its_time(bank_count: int) -> None:
    """Section 8, class S: nobody is punished, the next leader's clock is right."""
    cluster = Cluster(bank_count)
    cluster.banks[scenarios.LEADER_1].clock_offset_ms = 60_000
    cluster.start()
    cluster.submit()
    if bank_count == 4:
        cluster.run(1_000)
        cluster.banks[scenarios.LEADER_1].clock_offset_ms = 0
    cluster.reach(1, limit_ms=10_000)
    assert cluster.banks[0].disk.chain[0].block.header.original_view > 0


def test_p3_hidden_lock() -> None:
    """Bank 5 alone holds the certificate of view 0, and its vote is needed for another block.

    The leader crashes with its certificate, bank 5 commits and is cut off until view 1 has its
    proposal, then bank 8 crashes: ten banks are left, bank 5 among them.
    """
    cluster = Cluster(12)
    proposed_again: list[BankIndex] = []

    def intercept(source: BankIndex, target: BankIndex, message: Message) -> Message | None:
        if isinstance(message, Proposal) and message.view == 1:
            proposed_again.append(target)
        if isinstance(message, QuorumCertificate) and message.view == 0:
            cluster.crash(scenarios.LEADER_1)
            return message if target == 5 else None
        return message

    def locked() -> bool:
        core = cluster.banks[5].core
        return core is not None and core.status().highest_view == 0

    cluster.intercept = intercept
    cluster.start()
    cluster.submit()
    assert cluster.run_until(locked, 2_000)
    cluster.network.cut = lambda source, target: source == 5 and not proposed_again
    assert cluster.run_until(lambda: bool(proposed_again), 10_000)
    cluster.crash(8)
    live = [index for index in range(12) if index not in (scenarios.LEADER_1, 8)]
    cluster.reach(1, banks=live, limit_ms=30_000)
    assert cluster.banks[5].disk.chain[0].block.header.original_view == 1


def test_a_seal_nobody_heard_binds_all_later_views() -> None:
    """Lemma 2 of section 13."""
    scenarios.seal_unheard()


def test_a_certificate_nobody_heard_binds_nobody() -> None:
    scenarios.certificate_unheard()


def test_d3_a_blackout_after_every_timeout_was_lost() -> None:
    scenarios.blackout_with_every_timeout_lost()


def test_v1_certificates_that_come_too_late_bind_nobody_to_commit() -> None:
    scenarios.certificate_after_giving_up()


def test_a_missing_block_is_fetched_and_lying_peers_only_delay() -> None:
    """Bank 9 never receives the proposal; banks 0-2 answer its requests with forged copies."""
    cluster = Cluster(12)
    asked: list[int] = []

    def intercept(source: BankIndex, target: BankIndex, message: Message) -> Message | None:
        if target == 9 and isinstance(message, Proposal):
            return None
        if source == 9 and isinstance(message, BlockRequest):
            asked.append(target)
        if source < 3 and isinstance(message, BlockResponse):
            return BlockResponse(replace(message.block, transaction_ids=()))
        return message

    cluster.intercept = intercept
    cluster.start()
    cluster.submit()
    cluster.reach(1, limit_ms=5_000)
    assert {0, 1, 2} < set(asked)


@pytest.mark.parametrize("bank_count", [7, 12])
def test_section_11_a_bank_50_heights_behind_catches_up_and_takes_part(bank_count: int) -> None:
    """It was there at the start, is down for 50 heights, and then completes every quorum."""
    cluster = Cluster(bank_count)
    last = bank_count - 1
    live = range(last)
    cluster.start()
    cluster.submit()
    cluster.reach(1, limit_ms=1_000)
    cluster.crash(last)
    cluster.submit_every(60, 30_000)
    cluster.reach(51, banks=live, limit_ms=30_000)
    cluster.restart(last)
    cluster.reach(51, banks=[last], limit_ms=1_000)

    tolerated = bank_count - quorum_size(bank_count)
    for other in range(tolerated):
        cluster.crash(other)
    height = cluster.banks[last].height
    cluster.submit()
    cluster.reach(height + 2, banks=range(tolerated, bank_count), limit_ms=30_000)


def test_section_11_catch_up_goes_on_past_peers_that_claim_much_and_give_nothing() -> None:
    cluster = Cluster(12)
    cluster.start(range(11))
    cluster.submit_every(60, 12_000)
    cluster.reach(40, banks=range(11), limit_ms=15_000)
    liars = {0, 1, 2, 3, 4, 5, 6}
    cluster.network.cut = lambda source, target: source == 11 and target in liars
    cluster.restart(11)
    cluster.reach(40, limit_ms=60_000)


def test_a_late_joiner_starts_from_genesis() -> None:
    cluster = Cluster(12)
    cluster.start(range(11))
    cluster.submit_every(60, 8_000)
    cluster.reach(30, banks=range(11), limit_ms=10_000)
    cluster.restart(11)
    cluster.reach(30, limit_ms=10_000)


@SIZES
def test_d1_d3_a_crash_after_any_single_effect_is_harmless(bank_count: int) -> None:
    """The leader of height 1, and a follower, lose power after their k-th effect, for every k."""
    for index in (scenarios.LEADER_1, 2):
        for position in range(_effects_of_two_heights(bank_count, index)):
            cluster = Cluster(bank_count)
            _crash_after(cluster, index, position)
            cluster.start()
            cluster.submit()
            cluster.run(300)
            cluster.submit()
            cluster.reach(2, limit_ms=60_000)
            assert cluster.crashes == 1


def _effects_of_two_heights(bank_count: int, index: int) -> int:
    cluster = Cluster(bank_count)
    counter = _crash_after(cluster, index, None)
    cluster.start()
    cluster.submit()
    cluster.run(300)
    cluster.submit()
    cluster.reach(2, limit_ms=60_000)
    return counter[0]


def _crash_after(cluster: Cluster, index: int, position: int | None) -> list[int]:
    """Let one bank lose power right after its effect number `position`; count its effects."""
    counter = [0]

    def crashes(bank: int) -> bool:
        if bank != index:
            return False
        counter[0] += 1
        return position is not None and counter[0] == position + 1

    cluster.crashes_before_effect = crashes
    return counter


def test_section_1_no_quorum_on_either_side_of_a_partition() -> None:
    cluster = Cluster(12)
    cluster.start()
    cluster.network.cut = lambda source, target: (source < 6) != (target < 6)
    cluster.submit_every(500, 20_000)
    cluster.run(20_000)
    assert [bank.height for bank in cluster.banks] == [0] * 12
    cluster.network.cut = lambda source, target: False
    cluster.reach(1, limit_ms=60_000)


def test_loss_and_duplication_and_reordering_alone_stop_nothing() -> None:
    network = Network(loss=0.3, duplication=0.2, max_delay_ms=200)
    cluster = Cluster(12, seed=5, network=network)
    cluster.start()
    cluster.submit_every(1_000, 60_000)
    cluster.reach(5, limit_ms=120_000)


def test_two_runs_of_one_seed_are_identical() -> None:
    def trace(seed: int) -> list[tuple[int, BankIndex, BankIndex, Message]]:
        network = Network(loss=0.25, duplication=0.1, max_delay_ms=300)
        cluster = Cluster(7, seed=seed, network=network, crash_chance=0.002)
        seen: list[tuple[int, BankIndex, BankIndex, Message]] = []

        def intercept(source: BankIndex, target: BankIndex, message: Message) -> Message:
            seen.append((cluster.now_ms, source, target, message))
            return message

        cluster.intercept = intercept
        cluster.start()
        cluster.submit_every(300, 4_000)
        cluster.run(5_000)
        return seen

    first = trace(3)
    assert len(first) > 200
    assert first == trace(3)
    assert any(isinstance(message, Timeout) for *_, message in first)
