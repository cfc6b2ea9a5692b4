"""One random run of a whole consortium: everything goes wrong for a while, then it must recover.

`python -m tests.consensus.chaos FIRST LAST BANKS` runs a range of seeds.
"""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass

from node.ledger.active_set import quorum_size
from tests.consensus.cluster import Cluster, Network

CALM_MS = 30
RECOVERY_LIMIT_MS = 120_000


@dataclass(frozen=True)
class Outcome:
    heights: int
    crashes: int
    recovery_ms: int
    """From the end of the trouble until three more heights were sealed everywhere."""


def run(seed: int, bank_count: int) -> Outcome:
    """Trouble, healing with up to n-q banks down for good, three more heights everywhere."""
    chance = random.Random(f"{seed}/{bank_count}")
    network = Network(
        loss=chance.choice([0, 0.05, 0.15, 0.3]),
        duplication=chance.choice([0, 0.2]),
        max_delay_ms=chance.choice([5, 50, 50, 300, 1_500, 5_000]),
    )
    cluster = Cluster(
        bank_count,
        seed=seed,
        network=network,
        crash_chance=chance.choice([0, 0.001, 0.003, 0.01]),
        slow_validation_chance=chance.choice([0, 0.05, 0.3]),
    )
    for bank in cluster.banks:
        bank.clock_offset_ms = chance.randint(-2_000, 2_000)
    if chance.random() < 0.2:
        chance.choice(cluster.banks).clock_offset_ms = 9_000
    cluster.start()
    cluster.submit_every(chance.choice([100, 700]), 18_000)

    cluster.run(chance.randint(300, 6_000))
    if chance.random() < 0.5:
        _cut(cluster, chance)
    if chance.random() < 0.3:
        cluster.submit(invalid=True, banks=[chance.randrange(bank_count)])
    cluster.run(chance.randint(300, 6_000))
    if chance.random() < 0.5:
        _black_out(cluster)
    cluster.run(chance.randint(300, 6_000))
    return _recover(cluster, chance)


def _cut(cluster: Cluster, chance: random.Random) -> None:
    """Part the banks in two, in one direction or in both."""
    count = len(cluster.banks)
    inside = set(chance.sample(range(count), chance.randint(1, count - 1)))
    if chance.random() < 0.5:
        cluster.network.cut = lambda source, target: source in inside and target not in inside
    else:
        cluster.network.cut = lambda source, target: (source in inside) != (target in inside)


def _black_out(cluster: Cluster) -> None:
    """All banks lose power at once."""
    for bank in cluster.banks:
        cluster.crash(bank.index)
    cluster.start()


def _recover(cluster: Cluster, chance: random.Random) -> Outcome:
    count = len(cluster.banks)
    crashed = chance.randint(0, count - quorum_size(count))
    gone = set(chance.sample(range(count), crashed))
    live = [index for index in range(count) if index not in gone]
    cluster.crash_chance = cluster.slow_validation_chance = 0
    cluster.network = Network(max_delay_ms=CALM_MS)
    for index in gone:
        cluster.crash(index)
    for index in live:
        if cluster.banks[index].core is None:
            cluster.restart(index)
    top = max(bank.height for bank in cluster.banks)
    healed_ms = cluster.now_ms
    cluster.submit_every(400, healed_ms + RECOVERY_LIMIT_MS)
    cluster.reach(top + 3, banks=live, limit_ms=RECOVERY_LIMIT_MS)
    return Outcome(top, cluster.crashes, cluster.now_ms - healed_ms)


if __name__ == "__main__":
    first, last, banks = (int(argument) for argument in sys.argv[1:4])
    outcomes = []
    for number in range(first, last):
        try:
            outcomes.append(run(number, banks))
        except AssertionError:
            print(f"seed {number}, {banks} banks")
            raise
    print(
        f"{len(outcomes)} seeds, {banks} banks: {sum(o.heights for o in outcomes)} heights, "
        f"{sum(o.crashes for o in outcomes)} crashes, slowest recovery "
        f"{max(o.recovery_ms for o in outcomes)} ms"
    )
