"""BFT-12 D1: effects are executed in order, and nothing overtakes a `Persist`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest

from node.consensus.core import Consensus
from node.consensus.effects import (
    Alarm,
    Apply,
    Broadcast,
    BuildBlock,
    CancelTimer,
    Effect,
    Persist,
    Send,
    ServeBlocks,
    SetTimer,
    Validate,
)
from node.consensus.events import (
    BlockBuilt,
    Event,
    MessageReceived,
    TimerFired,
    TimerKind,
    TransactionsAvailable,
)
from node.consensus.messages import Message, SyncRequest
from node.ledger.types import BankIndex, Height, View
from node.runtime.driver import ConsensusDriver
from node.runtime.observation import Observation
from tests.consensus.consortium import Consortium, Desk


class ScriptedCore:
    """Answers each event with the next list of effects, and remembers the events."""

    def __init__(self, script: Sequence[list[Effect]]) -> None:
        self.script = list(script)
        self.events: list[Event] = []

    def handle(self, event: Event) -> list[Effect]:
        self.events.append(event)
        return self.script.pop(0) if self.script else []


class RecordingHost:
    """Writes down what it was asked to do; persisting takes a while."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.done: list[str] = []
        self.failure = failure

    async def persist(self, effect: Persist) -> None:
        self.done.append("persist begins")
        await asyncio.sleep(0.02)
        self.done.append("persist ends")

    def send(self, effect: Send) -> None:
        self.done.append(f"send to {effect.to}")

    def broadcast(self, message: Message) -> None:
        self.done.append("broadcast")

    async def build(self, effect: BuildBlock) -> Event:
        await asyncio.sleep(0.01)
        if self.failure is not None:
            raise self.failure
        return BlockBuilt(effect.height, effect.view, None)

    async def validate(self, effect: Validate) -> Event:
        raise AssertionError("not scripted")

    async def apply(self, effect: Apply) -> Event:
        raise AssertionError("not scripted")

    async def serve(self, effect: ServeBlocks) -> Event | None:
        raise AssertionError("not scripted")

    def alarm(self, effect: Alarm) -> None:
        self.done.append("alarm")


PERSIST = Persist(b"", Height(1), View(0), 1, ())
SEND = Send(BankIndex(2), SyncRequest(Height(1)))
BROADCAST = Broadcast(SyncRequest(Height(1)))


async def run_for(driver: ConsensusDriver, initial: list[Effect], seconds: float) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(driver.run(initial), seconds)


async def test_d1_nothing_is_sent_before_the_persist_is_done() -> None:
    core = ScriptedCore([[SEND]])
    host = RecordingHost()
    driver = ConsensusDriver(cast(Consensus, core), host)
    driver.post(TransactionsAvailable(1))
    await run_for(driver, [PERSIST, BROADCAST, PERSIST, SEND], 0.2)
    assert host.done == [
        "persist begins",
        "persist ends",
        "broadcast",
        "persist begins",
        "persist ends",
        "send to 2",
        "send to 2",
    ]
    assert core.events == [TransactionsAvailable(1)]


async def test_answers_come_back_as_events_while_others_are_handled() -> None:
    core = ScriptedCore([])
    driver = ConsensusDriver(cast(Consensus, core), RecordingHost())
    driver.post(TransactionsAvailable(3))
    await run_for(driver, [BuildBlock(Height(1), View(0))], 0.2)
    assert core.events == [
        TransactionsAvailable(3),
        BlockBuilt(Height(1), View(0), None),
    ]


async def test_a_timer_fires_once_and_the_last_setting_counts() -> None:
    core = ScriptedCore([])
    driver = ConsensusDriver(cast(Consensus, core), RecordingHost())
    effects: list[Effect] = [
        SetTimer(TimerKind.VIEW, 1, 5),
        SetTimer(TimerKind.VIEW, 2, 10),
        SetTimer(TimerKind.RETRY, 7, 10),
        CancelTimer(TimerKind.RETRY),
    ]
    await run_for(driver, effects, 0.1)
    assert core.events == [TimerFired(TimerKind.VIEW, 2)]


async def test_a_failing_answer_stops_the_driver() -> None:
    driver = ConsensusDriver(
        cast(Consensus, ScriptedCore([])), RecordingHost(RuntimeError("disk on fire"))
    )
    with pytest.raises(RuntimeError, match="disk on fire"):
        await asyncio.wait_for(driver.run([BuildBlock(Height(1), View(0))]), 1)


@pytest.mark.parametrize(("signatures", "seen"), [(9, False), (10, True)])
async def test_p5_a_certificate_is_observed_when_the_core_found_it_good(
    signatures: int, seen: bool
) -> None:
    """What a peer makes up is nothing that happened."""
    consortium = Consortium()
    bank = consortium.leader(1)
    observation = Observation(bank)
    driver = ConsensusDriver(Desk(consortium, bank).core, RecordingHost(), observation)
    block = consortium.block()
    certificate = consortium.quorum_certificate(block, banks=range(signatures))
    driver.post(MessageReceived(consortium.leader(), certificate))
    await run_for(driver, [], 0.1)
    assert observation.knows_certificate(certificate.height, certificate.view) is seen
