"""BFT-12 section 9, E6: that q rejections of an invalid block come to exist at all.

Three banks judge a block much faster than the others. Their rejections make a reject certificate
while the others still judge; whoever gave up the view at once could not sign its rejection any
more. In virtual time over a whole consortium.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from node.consensus import voting
from node.consensus.effects import Apply, Validate
from node.consensus.events import Event
from node.consensus.evidence_items import RejectedProposal, decode_item
from node.ledger.types import BankIndex
from node.simulation.engine import Bank
from node.simulation.ledger import Examined
from tests.consensus.cluster import Cluster
from tests.consensus.toy_ledger import ToyLedger, ToyPoint

FAST = (4, 5, 6)
LEADER_1 = 1
SLOW_MS = 1_500


class Judges(ToyLedger):
    """The toy ledger; it notes every item that it is asked about."""

    def __init__(self) -> None:
        super().__init__(12)
        self.asked: list[bytes] = []

    def examine(self, point: ToyPoint, item: bytes) -> Examined:
        self.asked.append(item)
        return super().examine(point, item)


class UnequalCluster(Cluster):
    """A few banks validate at once, the others take most of a view."""

    def __init__(self) -> None:
        super().__init__(12)
        self.judges = Judges()
        self.ledger = self.judges

    def _obtain(
        self,
        bank: Bank,
        effect: Validate | Apply,
        delay_ms: int,
        event: Callable[[], Event],
    ) -> None:
        slow = isinstance(effect, Validate) and bank.index not in FAST
        super()._obtain(bank, effect, SLOW_MS if slow else delay_ms, event)


def accused_of_e6(cluster: UnequalCluster) -> list[BankIndex]:
    """Start, let bank 1 propose an invalid block, go on to the next seal."""
    cluster.start()
    cluster.submit(invalid=True, banks=[LEADER_1])
    cluster.submit()
    cluster.reach(1, limit_ms=60_000)
    cluster.run(2_000)
    items = [decode_item(raw) for raw in cluster.judges.asked]
    return [item.bank for item in items if isinstance(item, RejectedProposal)]


def test_section_9_e6_every_bank_has_a_quorum_of_rejections_although_a_few_judge_faster() -> None:
    cluster = UnequalCluster()
    assert accused_of_e6(cluster) == [LEADER_1] * 12
    header = cluster.banks[0].disk.chain[0].block.header
    assert (header.original_view, header.proposer) == (1, 2)


def test_without_the_wait_the_creator_would_go_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voting, "answer_pending", lambda state: False)
    assert accused_of_e6(UnequalCluster()) == []


def test_r2_the_wait_costs_no_more_than_the_slowest_verdict() -> None:
    """The next view begins as soon as a quorum has answered, not when the view timer fires."""
    cluster = UnequalCluster()
    cluster.start()
    cluster.submit(invalid=True, banks=[LEADER_1])
    cluster.submit()
    core = cluster.banks[0].core
    assert core is not None
    assert cluster.run_until(lambda: core.status().view == 1, 10_000)
    assert SLOW_MS <= cluster.now_ms < cluster.parameters.view_timeout_ms
