"""BFT-12 section 10: banks leave the active set and come back, height by height."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from node.consensus.effects import Apply, BuildBlock, Persist, ServeBlocks, SetTimer, Validate
from node.consensus.events import (
    BlockApplied,
    BodyUnusable,
    Rejected,
    TimerKind,
    TransactionsAvailable,
)
from node.consensus.messages import SyncRequest, Vote
from node.consensus.record import DurableRecord
from node.consensus.statements import SignedStatement
from node.consensus.waiting import WaitingFor
from node.ledger.active_set import ActiveSet
from node.ledger.blocks import Block
from node.ledger.types import BankIndex, Height, TransactionId, View
from node.simulation import engine
from node.simulation.checker import Checker
from node.simulation.checkers.agreement import Agreement
from node.simulation.checkers.innocence import Innocence
from node.simulation.checkers.write_ahead import WriteAhead
from node.simulation.engine import Bank
from node.simulation.ledger import Built, Valid
from node.simulation.network import Network
from tests.consensus.consortium import Consortium, Desk
from tests.consensus.toy_ledger import ToyLedger, ToyPoint, active_set_of, public_key

pytestmark = pytest.mark.long

REMOVED_FIRST, REMOVED_SECOND = 5, 8
SCHEDULE = {4: (5,), 7: (5, 8), 12: (8,), 16: ()}
"""From each height on these banks are inactive: 12, 11, 10, 11 and 12 banks decide."""


def inactive_at(height: int) -> tuple[int, ...]:
    begun = [from_height for from_height in SCHEDULE if from_height <= height]
    return SCHEDULE[max(begun)] if begun else ()


def set_at(height: int) -> ActiveSet:
    gone = inactive_at(height)
    return active_set_of({BankIndex(b): public_key(b) for b in range(12) if b not in gone})


class ChangingLedger(ToyLedger):
    """The toy ledger, whose active set follows the schedule."""

    def __init__(self) -> None:
        super().__init__(12)

    def build(self, point: ToyPoint, **order: object) -> Built:  # type: ignore[override]
        block = super().build(point, **order).block  # type: ignore[arg-type]
        return Built(self._with_next_set(block))

    def poison(self, block: Block, invalid: Sequence[TransactionId]) -> Block:
        return self._with_next_set(super().poison(block, invalid))

    def judge(
        self, point: ToyPoint, block: Block, *, clock_ms: int | None
    ) -> Valid | Rejected | BodyUnusable:
        following = set_at(block.height + 1)
        if block.header.next_set_hash != following.set_hash:
            return Rejected("next-set", deterministic=True)
        verdict = super().judge(point, block, clock_ms=clock_ms)
        if isinstance(verdict, Valid):
            return Valid(ToyPoint(block.header, following))
        return verdict

    def _with_next_set(self, block: Block) -> Block:
        next_set_hash = set_at(block.height + 1).set_hash
        return replace(block, header=replace(block.header, next_set_hash=next_set_hash))


class Silence(Checker):
    """No bank says anything signed about a height in which it is inactive."""

    name = "silence"

    def sent(self, bank: Bank, message: object, targets: object) -> None:
        if isinstance(message, SignedStatement) and message.bank in inactive_at(message.height):
            raise self.violation(f"bank {message.bank} signed at height {message.height}")


class Cluster(engine.Cluster):
    def __init__(self, *, seed: int = 0, network: Network | None = None, crash: float = 0) -> None:
        super().__init__(
            ChangingLedger(),
            seed=seed,
            network=network,
            crash_chance=crash,
            checkers=(Agreement(), WriteAhead(), Innocence(), Silence()),
        )

    def seal(self, heights: range, banks: Sequence[int] | None = None) -> None:
        for height in heights:
            self.submit()
            self.reach(height, banks=banks, limit_ms=120_000)


def test_twelve_eleven_ten_and_back_every_bank_follows_and_active_banks_lead() -> None:
    cluster = Cluster()
    cluster.start()
    cluster.seal(range(1, 19))
    for bank in cluster.banks:
        assert len(bank.disk.chain) == 18
        for sealed in bank.disk.chain:
            header, seal = sealed.block.header, sealed.seal
            active = set_at(header.height)
            assert header.proposer == active.leader(header.height, View(0))
            assert header.original_view == 0
            assert len(seal.signatures) == active.quorum
            assert all(entry.bank in active for entry in seal.signatures)


@pytest.mark.parametrize(("height", "tolerated"), [(1, 2), (4, 1), (7, 1)])
def test_section_10_tolerance(height: int, tolerated: int) -> None:
    """n-q banks may be down; the removed ones do not count, whatever they do."""
    cluster = Cluster()
    cluster.start()
    cluster.seal(range(1, height))
    down = [2, 3][:tolerated] + list(inactive_at(height))
    for bank in down:
        cluster.crash(bank)
    up = [bank for bank in range(12) if bank not in down]
    cluster.seal(range(height, height + 2), up)
    another = up[-1]
    cluster.crash(another)
    cluster.submit()
    cluster.run(60_000)
    rest = [bank for bank in up if bank != another]
    assert {cluster.banks[bank].height for bank in rest} == {height + 1}
    status = cluster.banks[rest[0]].core.status()  # type: ignore[union-attr]
    assert status.margin == -1
    assert set(status.missing) == {another, *down} - set(inactive_at(height))


def test_a_removed_bank_restarts_as_an_observer_and_takes_part_when_it_is_back() -> None:
    cluster = Cluster()
    cluster.start()
    cluster.seal(range(1, 6))
    cluster.crash(REMOVED_FIRST)
    cluster.seal(range(6, 9), [bank for bank in range(12) if bank != REMOVED_FIRST])
    cluster.restart(REMOVED_FIRST)
    cluster.run(3_000)
    observer = cluster.banks[REMOVED_FIRST]
    assert observer.height == 8
    assert observer.disk.record is None
    assert observer.core is not None
    status = observer.core.status()
    assert (status.active, status.may_sign, status.bank_count) == (False, False, 10)
    cluster.seal(range(9, 24))
    proposers = [sealed.block.header.proposer for sealed in observer.disk.chain[11:]]
    assert REMOVED_FIRST in proposers


def test_a_late_joiner_checks_every_height_under_its_own_set() -> None:
    cluster = Cluster()
    others = [bank for bank in range(12) if bank != 11]
    cluster.start(others)
    cluster.seal(range(1, 18), others)
    cluster.start([11])
    cluster.reach(17, limit_ms=60_000)


@pytest.mark.parametrize("seed", range(6))
def test_chaos_across_the_changes(seed: int) -> None:
    cluster = Cluster(seed=seed, network=Network(loss=0.1, max_delay_ms=200), crash=0.001)
    cluster.start()
    cluster.submit_every(400, 20_000)
    cluster.run(20_000)
    cluster.crash_chance = 0.0
    cluster.network.loss = 0.0
    cluster.run(10_000)
    for bank in range(12):
        if cluster.banks[bank].core is None:
            cluster.restart(bank)
    cluster.submit_every(400, cluster.now_ms + 20_000)
    top = max(bank.height for bank in cluster.banks)
    cluster.reach(max(top, 13), limit_ms=60_000)


# At one desk: bank 11 is not among the first eleven.

C = Consortium(12)
ELEVEN = Consortium(11)
BLOCK = ELEVEN.block(ids=[1])


def test_an_observer_follows_and_helps_but_judges_and_signs_nothing() -> None:
    desk = Desk(C, 11, active_set=ELEVEN.active_set)
    desk.do(TransactionsAvailable(3))
    done = [
        *desk.receive(ELEVEN.proposal(BLOCK)),
        *desk.receive(*[ELEVEN.timeout(bank) for bank in (2, 3, 4)]),
        *desk.receive(ELEVEN.quorum_certificate(BLOCK)),
    ]
    assert not any(isinstance(e, Persist | Validate | BuildBlock) for e in done)
    assert TimerKind.VIEW not in desk.timers
    assert desk.core.status().waiting_for is WaitingFor.SEAL
    desk.receive(ELEVEN.seal(BLOCK))
    assert len(desk.all(Apply)) == 1
    desk.apply()
    desk.receive(SyncRequest(Height(1)))
    assert len(desk.all(ServeBlocks)) == 1


def test_statements_of_an_inactive_bank_are_dropped_unread() -> None:
    desk = Desk(C, 9, active_set=ELEVEN.active_set)
    for statement in (C.approve(11, BLOCK), C.commit(11, BLOCK), C.timeout(11)):
        assert desk.receive(statement) == []
    assert desk.core.status().refused == ()
    assert desk.core.conflicts() == ()


def test_certificates_with_an_inactive_signer_are_refused() -> None:
    desk = Desk(C, 9, active_set=ELEVEN.active_set)
    signers = [*range(9), 11]
    desk.receive(ELEVEN.proposal(BLOCK))
    desk.receive(C.quorum_certificate(BLOCK, banks=signers))
    assert desk.core.status().last_refusal.endswith("signer 11 is not active at this height")
    desk.receive(C.seal(BLOCK, banks=signers))
    assert not desk.core.status().sealed
    # Nor does a quorum of the old set count: its statements are of another set hash.
    desk.receive(C.quorum_certificate(BLOCK))
    assert "does not verify" in desk.core.status().last_refusal


def applied(desk: Desk, following: ActiveSet) -> list[SetTimer]:
    block = C.block(ids=[1])
    desk.receive(C.proposal(block), C.seal(block))
    desk.do(BlockApplied(Height(1), block.header, following))
    return desk.all(SetTimer)


def test_the_set_of_the_next_height_decides_it() -> None:
    desk = Desk(C, 9)
    applied(desk, ELEVEN.active_set)
    at_2 = Consortium(11, height=2)
    status = desk.core.status()
    assert (status.bank_count, status.quorum, status.leader) == (11, 10, at_2.leader(0))
    # Late statements about the height before are judged under the set of then.
    desk.receive(C.approve(11, BLOCK), C.approve(11, C.block(ids=[2])))
    assert [conflict.bank for conflict in desk.core.conflicts()] == [11]


def test_a_removed_bank_puts_its_record_behind_it() -> None:
    """Its last statements are of a height at which it was active; they are history."""
    block = C.block(ids=[1])
    desk = Desk(C, 11)
    desk.receive(C.proposal(block))
    desk.judge()
    (record,) = desk.persisted()
    assert isinstance(record.voted, Vote)
    again = Desk(
        C,
        11,
        record=record.encode(),
        tip=block.header,
        tip_seal=C.seal(block),
        active_set=ELEVEN.active_set,
    )
    assert again.said() == []
    assert again.core.status().active is False


def test_a_record_of_a_height_at_which_this_bank_is_inactive_is_not_repeated() -> None:
    record = DurableRecord(height=Height(1), view=View(0), step=1, timeout=C.timeout(11))
    desk = Desk(C, 11, record=record.encode(), active_set=ELEVEN.active_set)
    assert desk.said() == []
