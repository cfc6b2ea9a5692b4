"""BFT-12 12 and IDX-46, below the transport: hostile messages straight into the consensus core.

Whatever a peer says with signatures that it borrowed or invented, the core raises nothing, orders
nothing to disk, and so signs nothing; and the consortium then goes on as if nobody had spoken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from random import Random

import pytest

from node.client.fuzzing.generation import Generator
from node.consensus.effects import Apply, BuildBlock, Effect, Persist, Validate
from node.consensus.events import MessageReceived
from node.consensus.messages import Message, decode_message, encode_message
from node.ledger.encoding import MalformedEncoding
from node.ledger.types import BankIndex
from tests.consensus.cluster import Cluster
from tests.fuzz.hostile_corpus import SEALED, corpus_of, sealed_cluster

MESSAGES = 4_000
FORBIDDEN = (Persist, Apply, Validate, BuildBlock)
"""Effects that write, sign or decide, or prepare to."""


def hostile_messages(
    cluster: Cluster, seed: str, count: int
) -> Iterator[tuple[BankIndex, str, Message]]:
    """Those of the first `count` of a seed that decode; the others end at the decoder."""
    generator = Generator(corpus_of(cluster), seed)
    for index in range(count):
        chance = Random(f"{seed}:{index}")
        sender = BankIndex(chance.randrange(1, len(cluster.banks)))
        kind, _, raw = generator.consensus_message(sender, chance)
        try:
            yield sender, kind, decode_message(raw)
        except MalformedEncoding:
            continue


def effects_of(cluster: Cluster, sender: BankIndex, message: Message) -> list[Effect]:
    core = cluster.banks[0].core
    assert core is not None
    return core.handle(MessageReceived(sender, message))


@pytest.mark.parametrize("seed", ["idle", "again"])
def test_section_12_hostile_messages_neither_raise_nor_decide_nor_sign(seed: str) -> None:
    cluster = sealed_cluster()
    disk = cluster.banks[0].disk
    before = (disk.height, disk.record, disk.recorded, disk.guard, dict(disk.blocks))
    taken: Counter[str] = Counter()
    for sender, kind, message in hostile_messages(cluster, seed, MESSAGES // 2):
        effects = effects_of(cluster, sender, message)
        assert not [item for item in effects if isinstance(item, FORBIDDEN)], (kind, message)
        taken[kind] += 1
    assert len(taken) == 13, "every type of message got as far as the core"
    assert sum(taken.values()) > MESSAGES // 6
    assert (disk.height, disk.record, disk.recorded, disk.guard, dict(disk.blocks)) == before
    cluster.submit()
    cluster.reach(SEALED + 1, limit_ms=30_000)


def test_section_12_a_consortium_under_hostile_messages_goes_on_sealing() -> None:
    """Delivered in the middle of heights and views, by two banks to all others."""
    cluster = sealed_cluster()
    messages = hostile_messages(cluster, "busy", 1_500)
    for height in range(SEALED + 1, SEALED + 11):
        cluster.submit()
        for _ in range(40):
            cluster.run(2)
            sender, _, message = next(messages)
            liar = cluster.indices[10 + sender % 2]
            for bank in cluster.indices[:10]:
                cluster.hand(liar, bank, message)
        cluster.reach(height, limit_ms=30_000)
    assert {bank.height for bank in cluster.banks} == {SEALED + 10}


def test_decoders_raise_nothing_but_what_says_so() -> None:
    """IDX1 5, BFT-12 3: bytes that mean nothing are a named refusal, and decode to themselves."""
    cluster = sealed_cluster(4)
    generator = Generator(corpus_of(cluster), "bytes")
    decoded = 0
    for index in range(MESSAGES):
        chance = Random(f"bytes:{index}")
        _, _, raw = generator.consensus_message(chance.randrange(4), chance)
        try:
            message = decode_message(raw)
        except MalformedEncoding:
            continue
        decoded += 1
        assert encode_message(message) == raw, "one value, one encoding"
    assert 0 < decoded < MESSAGES
