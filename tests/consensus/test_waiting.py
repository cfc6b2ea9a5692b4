"""Every stall names its culprits within T0, at every bank; in virtual time and at one desk."""

from __future__ import annotations

import pytest

from node.consensus.events import Rejected, TimerKind, TransactionsAvailable
from node.consensus.messages import Message, QuorumCertificate, Status, Vote
from node.consensus.waiting import WaitingFor
from node.ledger.types import BankIndex, Height, View
from tests.consensus.cluster import Cluster
from tests.consensus.consortium import Consortium, Desk

C = Consortium(12)
BLOCK = C.block(ids=[1])
ME = 9
T0_MS = 2_000


def loaded(paused: tuple[int, ...], *, warm_heights: int = 3) -> Cluster:
    """A consortium that sealed some heights, with work, of which some banks have just stopped."""
    cluster = Cluster(12)
    cluster.start()
    for height in range(1, warm_heights + 1):
        cluster.submit()
        cluster.reach(height, limit_ms=60_000)
    cluster.network.cut = lambda source, target: source in paused or target in paused
    cluster.submit()
    return cluster


def missing(cluster: Cluster, paused: tuple[int, ...]) -> dict[int, tuple[int, ...]]:
    found = {}
    for bank in cluster.banks:
        if bank.index not in paused and bank.core is not None:
            found[int(bank.index)] = tuple(bank.core.status().missing)
    return found


@pytest.mark.parametrize("paused", [(0, 1, 2), (4, 5, 6), (3, 8, 11), (1, 2, 3, 4, 5, 6, 7)])
def test_three_paused_banks_are_named_by_every_other_bank_within_t0(
    paused: tuple[int, ...],
) -> None:
    """Bank 4 leads height 4: it is among the paused or it is not."""
    cluster = loaded(paused)
    cluster.run(T0_MS + 20)
    assert missing(cluster, paused) == {bank: paused for bank in range(12) if bank not in paused}
    for bank in cluster.banks:
        if bank.index not in paused and bank.core is not None:
            status = bank.core.status()
            assert status.margin == 12 - len(paused) - 10
            assert status.waiting_for is WaitingFor.TIMEOUTS
    cluster.run(20_000)
    assert missing(cluster, paused) == {bank: paused for bank in range(12) if bank not in paused}


def test_a_paused_leader_is_named_by_every_bank_within_half_of_t0() -> None:
    """Bank 4 leads height 4 and is paused before it proposes."""
    cluster = loaded((4,))
    cluster.run(T0_MS // 2 + 20)
    assert missing(cluster, (4,)) == {bank: (4,) for bank in range(12) if bank != 4}
    others = [bank.core for bank in cluster.banks if bank.core is not None and bank.index != 4]
    assert {core.status().waiting_for for core in others} == {WaitingFor.PROPOSAL}


def test_a_leader_that_falls_silent_after_its_proposal_is_named_within_t0() -> None:
    cluster = loaded(())

    def intercept(source: BankIndex, target: BankIndex, message: Message) -> Message | None:
        return None if source == 4 and cluster.now_ms > begun_ms + 80 else message

    begun_ms = cluster.now_ms
    cluster.network.cut = lambda source, target: target == 4
    cluster.intercept = intercept
    cluster.run(T0_MS + 20)
    found = missing(cluster, (4,))
    assert found == {bank: (4,) for bank in range(12) if bank != 4}


def test_the_banks_are_trusted_again_as_soon_as_something_comes() -> None:
    cluster = loaded((0, 1, 2))
    cluster.run(5_000)
    cluster.network.cut = lambda source, target: False
    cluster.reach(4, limit_ms=20_000)
    cluster.run(1_500)
    assert missing(cluster, ()) == dict.fromkeys(range(12), ())


def test_nobody_is_named_while_all_goes_well() -> None:
    cluster = Cluster(12)
    cluster.start()
    cluster.run(12_000)
    for height in range(1, 16):
        cluster.submit()
        cluster.reach(height, limit_ms=60_000)
        assert set(missing(cluster, ()).values()) == {()}


# At one desk.


def present(desk: Desk) -> Desk:
    """Every peer was heard."""
    for bank in C.banks:
        if bank != desk.bank:
            desk.receive(Status(Height(1), View(0), None, None), sender=bank)
    return desk


def test_a_follower_tells_what_it_waits_for() -> None:
    desk = present(Desk(C, ME))
    seen = [desk.core.status().waiting_for]
    desk.do(TransactionsAvailable(1))
    seen.append(desk.core.status().waiting_for)
    desk.receive(C.proposal(BLOCK))
    seen.append(desk.core.status().waiting_for)
    desk.judge()
    seen.append(desk.core.status().waiting_for)
    desk.receive(C.quorum_certificate(BLOCK, banks=[b for b in range(11) if b != ME]))
    seen.append(desk.core.status().waiting_for)
    desk.fire(TimerKind.VIEW)
    seen.append(desk.core.status().waiting_for)
    desk.receive(C.seal(BLOCK))
    seen.append(desk.core.status().waiting_for)
    desk.apply()
    seen.append(desk.core.status().waiting_for)
    assert seen == [
        WaitingFor.NOTHING,
        WaitingFor.PROPOSAL,
        WaitingFor.VERDICT,
        WaitingFor.VOTES,
        WaitingFor.SEAL,
        WaitingFor.TIMEOUTS,
        WaitingFor.BLOCK,
        WaitingFor.NOTHING,
    ]


def test_a_leader_names_whose_vote_and_whose_commit_is_overdue() -> None:
    desk = present(Desk(C, 1))
    desk.do(TransactionsAvailable(100))
    assert desk.core.status().waiting_for is WaitingFor.PROPOSAL
    desk.build(BLOCK)
    desk.judge()
    desk.receive(*[C.approve(bank, BLOCK) for bank in range(2, 10)])
    assert desk.core.status().waiting_for is WaitingFor.VOTES
    assert desk.core.status().missing == ()
    desk.fire(TimerKind.RETRY)
    assert desk.core.status().missing == (0, 10, 11)
    assert desk.core.status().margin == -1
    desk.receive(C.approve(0, BLOCK))
    status = desk.core.status()
    assert (status.waiting_for, status.missing) == (WaitingFor.COMMITS, ())
    desk.receive(*[C.commit(bank, BLOCK) for bank in range(4, 12)])
    desk.fire(TimerKind.RETRY)
    status = desk.core.status()
    assert (status.missing, status.margin) == ((0, 2, 3), -1)
    desk.receive(C.commit(2, BLOCK))
    assert desk.core.status().waiting_for is WaitingFor.BLOCK


def test_who_did_not_give_up_the_view_is_overdue_after_retry() -> None:
    desk = present(Desk(C, ME))
    desk.do(TransactionsAvailable(1))
    desk.receive(*[C.timeout(bank) for bank in (2, 3, 4, 5)])
    status = desk.core.status()
    assert (status.timed_out, status.missing) == (True, ())
    desk.fire(TimerKind.RETRY)
    assert desk.core.status().missing == (0, 1, 6, 7, 8, 10, 11)
    desk.receive(*[C.timeout(bank) for bank in (0, 1, 6, 7)])
    assert desk.core.status().missing == (8, 10, 11)


def test_a_stalled_bank_asks_once_in_a_view_and_everybody_answers_once() -> None:
    asking = Status(Height(1), View(0), None, None, asks=True)
    desk = Desk(C, ME)
    desk.do(TransactionsAvailable(1))
    desk.fire(TimerKind.RETRY)
    assert desk.broadcast() == [asking]
    desk.receive(asking, sender=3)
    assert desk.broadcast() == []
    other = Desk(C, 8)
    other.receive(asking, sender=3)
    assert other.broadcast() == [asking]
    other.receive(asking, sender=4)
    assert other.broadcast() == []
    other.receive(Status(Height(1), View(0), None, None), sender=5)
    assert other.broadcast() == []


def test_the_answer_brings_a_certificate_that_was_lost() -> None:
    """Whoever asks shows the certificate it holds, so a lost one is repaired on the way."""
    certificate = C.quorum_certificate(BLOCK, banks=[b for b in range(11) if b != ME])
    desk = Desk(C, ME)
    desk.receive(C.proposal(BLOCK))
    desk.judge()
    desk.receive(Status(Height(1), View(0), None, certificate, asks=True), sender=4)
    assert desk.said() == [C.commit(ME, BLOCK)]
    assert isinstance(certificate, QuorumCertificate)


def test_a_rejection_is_an_answer() -> None:
    desk = present(Desk(C, 1))
    desk.do(TransactionsAvailable(100))
    desk.build(BLOCK)
    desk.judge(Rejected("spend", deterministic=True))
    votes: list[Vote] = [C.reject(2, BLOCK)]
    votes += [C.approve(bank, BLOCK) for bank in (3, 4, 5)]
    desk.receive(*votes)
    desk.fire(TimerKind.RETRY)
    assert desk.core.status().missing == (0, 6, 7, 8, 9, 10, 11)
