"""Stage directions that both the cluster tests and the mutants play."""

from __future__ import annotations

from node.consensus.messages import Message, QuorumCertificate, Seal, Status, Timeout
from node.ledger.types import BankIndex
from tests.consensus.cluster import Cluster
from tests.consensus.consortium import Consortium

LEADER_1 = 1
"""Leader of height 1, view 0."""
LEADER_2 = 2
"""Leader of height 1, view 1."""


def undisturbed() -> None:
    """Three blocks, nothing goes wrong."""
    cluster = Cluster(12)
    cluster.start()
    cluster.submit_every(50, 2_000)
    cluster.reach(3, limit_ms=10_000)


def seal_unheard() -> None:
    """The leader seals a block and nobody hears it.

    Bank 11 and the next leader never saw the certificate; bank 9 is Byzantine and claims the
    same. For ten seconds only these three are heard giving up. All others are locked on the
    block, so whatever is sealed later must be that block (Lemma 2 of section 13).
    """
    cluster = Cluster(12)
    liar, blind = 9, (LEADER_2, 11)
    consortium = Consortium(12)
    cluster.byzantine = frozenset({liar})
    heal_ms = 10_000

    def intercept(source: BankIndex, target: BankIndex, message: Message) -> Message | None:
        sealed = cluster.banks[LEADER_1].height > 0
        if cluster.now_ms > heal_ms:
            return message
        if isinstance(message, Timeout):
            if source == liar:
                return consortium.timeout(liar, message.view)
            return message if source in blind else None
        if target in blind and isinstance(message, QuorumCertificate) and message.view == 0:
            return None
        if target in blind and isinstance(message, Status):
            return None
        if isinstance(message, Seal) and not sealed:
            return None
        return None if sealed and LEADER_1 in (source, target) else message

    cluster.intercept = intercept
    cluster.network.cut = lambda source, target: (
        source == LEADER_1 and cluster.banks[LEADER_1].height > 0 and cluster.now_ms <= heal_ms
    )
    cluster.start()
    cluster.submit()
    assert cluster.run_until(lambda: cluster.banks[LEADER_1].height == 1, 1_000)
    cluster.run(heal_ms)
    cluster.submit()
    cluster.reach(2, limit_ms=60_000)


def certificate_unheard() -> None:
    """Only the leader ever sees the certificate of view 0, and is cut off with it.

    Nobody is bound by it: the others go on with another block.
    """
    cluster = Cluster(12)

    def intercept(source: BankIndex, target: BankIndex, message: Message) -> Message | None:
        concluded = isinstance(message, QuorumCertificate | Seal) and message.view == 0
        return None if concluded and source == LEADER_1 else message

    cluster.intercept = intercept
    cluster.start()
    cluster.submit()
    cluster.run(500)
    leader = cluster.banks[LEADER_1].core
    assert leader is not None
    cluster.network.cut = lambda source, target: LEADER_1 in (source, target)
    others = [index for index in range(12) if index != LEADER_1]
    cluster.reach(1, banks=others, limit_ms=20_000)
    assert leader.status().highest_view == 0
    cluster.network.cut = lambda source, target: False
    cluster.reach(1, limit_ms=20_000)
    assert cluster.banks[LEADER_1].disk.chain[0].block.header.original_view == 1


def certificate_after_giving_up() -> None:
    """Every bank but the leader gives up view 0 before the certificate reaches it."""
    cluster = Cluster(12)
    release_ms, heal_ms = 2_500, 3_500

    def intercept(source: BankIndex, target: BankIndex, message: Message) -> Message | None:
        if isinstance(message, QuorumCertificate) and cluster.now_ms < release_ms:
            cluster.at(release_ms, lambda: cluster.hand(source, target, message))
            return None
        if isinstance(message, Status) and cluster.now_ms < release_ms:
            return None
        if isinstance(message, Timeout) and cluster.now_ms < heal_ms:
            return None
        return message

    cluster.intercept = intercept
    cluster.start()
    cluster.submit()
    cluster.run(release_ms - 1)
    followers = [bank.core for bank in cluster.banks if bank.index != LEADER_1]
    assert all(core is not None and core.status().timed_out for core in followers)
    cluster.reach(1, limit_ms=60_000)


def blackout_with_every_timeout_lost() -> None:
    """Two banks are down. The others give up view 0, nobody hears anybody, all lose power.

    Afterwards a quorum needs every single timeout, everybody's own included.
    """
    cluster = Cluster(12)
    up = range(10)
    cluster.start(up)
    cluster.network.cut = lambda source, target: True
    cluster.submit(banks=up)
    cluster.run(2_500)
    cores = [cluster.banks[index].core for index in up]
    assert all(core is not None and core.status().timed_out for core in cores)
    for index in up:
        cluster.crash(index)
    cluster.network.cut = lambda source, target: False
    cluster.start(up)
    cluster.reach(1, banks=up, limit_ms=30_000)


def equivocation(byzantine: int) -> None:
    """A Byzantine coalition of the first `byzantine` banks, the leader among them, tries to fork.

    It owns the network: the honest banks are parted in two and see two proposals, to which the
    whole coalition votes and commits. A fork raises `Violation`.
    """
    cluster = Cluster(12)
    consortium = Consortium(12)
    coalition = list(range(byzantine))
    honest = list(range(byzantine, 12))
    middle = byzantine + len(honest) // 2
    heard: list[Message] = []

    def intercept(source: BankIndex, target: BankIndex, message: Message) -> Message | None:
        if target < byzantine:
            heard.append(message)
            return None
        return message if (source < middle) == (target < middle) else None

    cluster.intercept = intercept
    cluster.start(honest)
    for half, number in ((range(byzantine, middle), 1), (range(middle, 12), 2)):
        block = consortium.block(ids=[number])
        proposal = consortium.proposal(block)
        for target in half:
            cluster.banks[target].held.update(block.transaction_ids)
            cluster.hand(BankIndex(LEADER_1), BankIndex(target), proposal)
        cluster.run(100)
        supporters = [*coalition, *half]
        if len(supporters) < consortium.quorum:
            continue
        certificate = consortium.quorum_certificate(block, banks=supporters)
        for target in half:
            cluster.hand(BankIndex(LEADER_1), BankIndex(target), certificate)
        cluster.run(100)
        commits = [consortium.commit(bank, block) for bank in half]
        assert all(commit in heard for commit in commits)
        for target in half:
            seal = consortium.seal(block, banks=supporters)
            cluster.hand(BankIndex(LEADER_1), BankIndex(target), seal)
        cluster.run(100)
