"""What the edges tell, and what an operator, a metric or a trace gets of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from node.consensus.effects import Persist
from node.consensus.messages import Commit, Decision, Proposal, QuorumCertificate, Seal, Vote
from node.consensus.record import DurableRecord
from node.ledger.blocks import Block
from node.ledger.types import BankIndex, BlockId, Height, View
from node.runtime.observation.check_times import BatchTimes, ItemTimes
from node.runtime.observation.observation import Observation
from node.wire.operator_records import PerformanceReport, RoundEventKind
from tests.runtime.observation.test_transaction_log import identity

ME, LEADER = BankIndex(2), BankIndex(5)
HEIGHT = Height(7)
START_US = 1_700_000_000_000_000
BLOCK_ID = BlockId(bytes(32))


@dataclass
class Time:
    """Both clocks, moved by the test."""

    us: int = START_US

    def now_us(self) -> int:
        return self.us

    def running_ns(self) -> int:
        return self.us * 1_000

    def pass_ms(self, milliseconds: float) -> None:
        self.us += int(milliseconds * 1_000)


@dataclass
class FakeHeader:
    original_view: int = 0


@dataclass
class FakeBlock:
    height: Height = HEIGHT
    transaction_ids: tuple[bytes, ...] = ()
    header: FakeHeader = field(default_factory=FakeHeader)


def block(*numbers: int, height: int = HEIGHT) -> Block:
    ids = tuple([identity(number) for number in numbers])
    return cast(Block, FakeBlock(Height(height), ids))


def observed(time: Time) -> Observation:
    return Observation(
        ME,
        lambda height, view: BankIndex((LEADER + view) % 12) if height <= HEIGHT + 1 else None,
        time.now_us,
        time.running_ns,
    )


def proposal(view: int = 0, bank: int = LEADER, height: int = HEIGHT) -> Proposal:
    stated: Any = Proposal(
        BankIndex(bank), Height(height), View(view), block(), None, None, None, bytes(64)
    )
    return cast(Proposal, stated)


def persist(view: int = 0, **statements: Any) -> Persist:
    nothing = dict.fromkeys(("voted", "committed", "timeout", "highest", "entry", "proposed"), None)
    record = DurableRecord(HEIGHT, View(view), 1, **{**nothing, **statements})
    return Persist(record.encode(), HEIGHT, View(view), 1, ())


def vote(view: int = 0) -> Vote:
    return Vote(ME, HEIGHT, View(view), BLOCK_ID, Decision.APPROVE, "", None, bytes(64))


def commit(view: int = 0) -> Commit:
    return Commit(ME, HEIGHT, View(view), BLOCK_ID, bytes(64))


def steps(observation: Observation) -> list[tuple[str, int, float, int | None, int | None]]:
    """Kind, view, milliseconds since the start, duration in microseconds, bank."""
    report = observation.round(HEIGHT)
    assert report is not None and (report.bank, report.height) == (ME, HEIGHT)
    return [
        (
            event.kind.value,
            event.view,
            (event.at_us - START_US) / 1_000,
            event.duration_us,
            event.bank,
        )
        for event in report.events
    ]


def test_a_round_from_the_proposal_to_the_applied_block() -> None:
    time = Time()
    observation = observed(time)
    observation.proposal_arrived(proposal())
    begun_ns = observation.begin()
    time.pass_ms(4)
    observation.validated(block(), begun_ns)
    time.pass_ms(6)
    observation.persisted(persist(voted=vote()))
    time.pass_ms(5)
    assert not observation.knows_certificate(HEIGHT, View(0))
    observation.certificate_verified(HEIGHT, View(0))
    assert observation.knows_certificate(HEIGHT, View(0))
    time.pass_ms(5)
    observation.persisted(persist(voted=vote(), committed=commit()))
    time.pass_ms(10)
    observation.sealed(HEIGHT, View(0))
    begun_ns = observation.begin()
    time.pass_ms(20)
    observation.applied(block(), View(0), begun_ns)
    assert steps(observation) == [
        ("proposal", 0, 0, None, LEADER),
        ("validated", 0, 4, 4_000, None),
        ("voted", 0, 10, None, None),
        ("certified", 0, 15, None, None),
        ("committed", 0, 20, None, None),
        ("sealed", 0, 30, None, None),
        ("applied", 0, 50, 20_000, None),
    ]
    histograms = observation.histograms
    assert {name: (item.count, item.sum) for name, item in histograms.items() if item.count} == {
        "vote_seconds": (1, 0.01),
        "seal_seconds": (1, 0.03),
        "apply_seconds": (1, 0.02),
    }
    performance = observation.performance()
    assert (performance.vote_ms_p50, performance.seal_ms_p50, performance.apply_ms_p50) == (
        *(10.0, 30.0),
        20.0,
    )


def test_the_leader_tells_its_own_proposal_certificate_and_seal() -> None:
    time = Time()
    observation = observed(time)
    made: Any = persist()
    certificate = cast(QuorumCertificate, QuorumCertificate(HEIGHT, View(1), BLOCK_ID, ()))
    observation.persisted(made)
    assert observation.round(HEIGHT) is None, "a record without statements tells nothing"
    observation.broadcast(certificate)
    observation.broadcast(certificate)
    observation.broadcast(Seal(HEIGHT, View(1), BLOCK_ID, (), ()))
    observation.sealed(HEIGHT, View(1))
    assert [step[:2] for step in steps(observation)] == [("certified", 1), ("sealed", 1)]


def test_only_the_leader_of_a_near_height_is_believed_to_have_proposed() -> None:
    observation = observed(Time())
    observation.proposal_arrived(proposal(bank=LEADER + 1))
    observation.proposal_arrived(proposal(height=HEIGHT + 100))
    assert observation.round(HEIGHT) is None
    assert observation.round(Height(HEIGHT + 100)) is None
    observation.proposal_arrived(proposal(view=1, bank=LEADER + 1))
    assert [step[:2] for step in steps(observation)] == [("proposal", 1)]


def test_a_commit_without_the_certificate_before_it_shows_both() -> None:
    """The certificate may have come inside another message."""
    observation = observed(Time())
    observation.persisted(persist(view=3, committed=commit(3)))
    assert [step[:2] for step in steps(observation)] == [("certified", 3), ("committed", 3)]


def test_a_record_that_cannot_be_read_does_not_stop_a_bank() -> None:
    observation = observed(Time())
    observation.persisted(Persist(b"?", HEIGHT, View(0), 1, ()))
    assert observation.round(HEIGHT) is None


def test_a_block_proposed_again_is_validated_in_the_view_that_shows_it() -> None:
    observation = observed(Time())
    observation.validated(block(), observation.begin())
    observation.proposal_arrived(proposal(view=2, bank=LEADER + 2))
    observation.validated(block(), observation.begin())
    found = [step[:2] for step in steps(observation) if step[0] == RoundEventKind.VALIDATED]
    assert found == [("validated", 0), ("validated", 2)]


def seal_one(observation: Observation, time: Time, number: int, finality_ms: float) -> None:
    transaction_id = identity(number)
    observation.received(transaction_id, 3_000)
    time.pass_ms(finality_ms)
    height = Height(HEIGHT + number)
    observation.sealed(height, View(0))
    observation.applied(block(number, height=height), View(0), observation.begin())


def test_performance_is_of_the_last_minute() -> None:
    time = Time()
    observation = observed(time)
    assert observation.performance() == PerformanceReport(window_ms=0)
    seal_one(observation, time, 1, 1_000)
    time.pass_ms(9_000)
    early = observation.performance()
    assert (early.window_ms, early.sealed_per_second) == (10_000, 0.1)
    time.pass_ms(60_000)
    for number, finality_ms in enumerate((200, 400, 300), start=2):
        seal_one(observation, time, number, finality_ms)
    observation.received(identity(9), 3_000, "bank/3")
    observation.applied(block(9, height=12), View(0), observation.begin())
    late = observation.performance()
    assert late == PerformanceReport(
        sealed_transactions=5,
        sealed_blocks=5,
        window_ms=60_000,
        window_transactions=4,
        sealed_per_second=4 / 60,
        finality_ms_p50=300.0,
        finality_ms_p95=400.0,
        finality_ms_p99=400.0,
        apply_ms_p50=0.0,
    ), "what another bank's client sent has no finality here"
    assert observation.histograms["finality_seconds"].count == 4
    assert observation.histograms["block_transactions"].count == 5


def test_a_batch_is_timed_as_a_whole_and_by_its_parts() -> None:
    time = Time()
    observation = observed(time)
    observation.received(identity(1), 3_000, "bank/3")
    begun_ns = observation.begin()
    time.pass_ms(2)
    looked_up_ns = observation.begin()
    time.pass_ms(30)
    item = ItemTimes((1, 2, 3, 4, 5, 6), False, True)
    observation.batch_verified(
        [identity(1)], [True], BatchTimes((item,), 29_000, 1), begun_ns, looked_up_ns
    )
    trace = observation.transaction_trace(identity(1))
    assert trace is not None and trace.source == "bank 3"
    assert [(check.name, check.duration_us) for check in trace.checks][::7] == [
        ("lookup", 2_000),
        ("proofs", 29_000),
    ]
    assert observation.performance().verify_ms_p50 == 32.0
    assert observation.histograms["batch_transactions"].count == 1
    assert observation.transaction_trace(identity(2)) is None
