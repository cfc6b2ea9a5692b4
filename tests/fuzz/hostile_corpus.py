"""A corpus of a ledger in memory, for what is fuzzed below the transport."""

from __future__ import annotations

from node.client.fuzzing.corpus import Corpus
from node.ledger.types import Height
from tests.consensus.cluster import Cluster
from tests.ledger.chain import Chain

SEALED = 6


def sealed_cluster(bank_count: int = 12) -> Cluster:
    """A consortium that has sealed six blocks and waits for work."""
    cluster = Cluster(bank_count)
    cluster.start()
    for height in range(1, SEALED + 1):
        cluster.submit()
        cluster.reach(height, limit_ms=5_000)
    cluster.run(500)
    return cluster


def corpus_of(cluster: Cluster) -> Corpus:
    """What this consortium shows of itself, with transactions of a small real ledger."""
    chain = Chain()
    disk = cluster.banks[0].disk
    return Corpus(
        chain_id=cluster.ledger.genesis.header.chain_id,
        bank_count=len(cluster.banks),
        sealed=tuple(disk.chain),
        transactions=(chain.mint([1, 2]), chain.mint([3])),
        evidence=(),
        tip_height=Height(disk.height),
    )
