"""The host of the consensus core: feeds it events, executes its effects in order.

The core computes, this module acts. Effects of one event are executed strictly in order, and a
`Persist` is on disk (database commit, then fsynced guard file) before any later effect starts
(BFT-12 D1, D4). Slow answers (build, validate, apply) run as tasks and come back as events, so
that the core keeps hearing its timers and its peers meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from node.consensus.effects import (
    Alarm,
    Apply,
    Broadcast,
    BuildBlock,
    CancelTimer,
    Effect,
    ExamineEvidence,
    KeepBallots,
    Persist,
    Send,
    ServeBlocks,
    SetTimer,
    Validate,
    VerifyBallots,
)
from node.consensus.events import Event, MessageReceived, TimerFired, TimerKind
from node.consensus.messages import Message, Proposal, QuorumCertificate
from node.consensus.status import ConsensusStatus
from node.ledger.types import BankIndex
from node.runtime.event_queue import EventQueue
from node.runtime.observation import Observation

logger = logging.getLogger(__name__)

EVENTS_AT_ONCE = 8
"""After so many events the event loop gets a turn: links, clients and timers must not wait long
for a core that is being flooded."""


class Host(Protocol):
    """What the core's effects need done; every answer is an event."""

    async def persist(self, effect: Persist) -> None: ...

    def send(self, effect: Send) -> None: ...

    def broadcast(self, message: Message) -> None: ...

    async def build(self, effect: BuildBlock) -> Event: ...

    async def validate(self, effect: Validate) -> Event: ...

    async def apply(self, effect: Apply) -> Event: ...

    async def examine(self, effect: ExamineEvidence) -> Event: ...

    async def verify_ballots(self, effect: VerifyBallots) -> Event: ...

    async def keep_ballots(self, effect: KeepBallots) -> None: ...

    async def serve(self, effect: ServeBlocks) -> Event | None: ...

    def alarm(self, effect: Alarm) -> None: ...


class Core(Protocol):
    """What the driver drives: the consensus core, or one that lies (`node.simulation`)."""

    def handle(self, event: Event) -> list[Effect]: ...

    def status(self) -> ConsensusStatus: ...


class ConsensusDriver:
    """Runs one core until cancelled or until an effect fails.

    A failing `Persist` or a bug in the core leaves no safe way to go on: the exception leaves
    `run`, and the node stops and says why.
    """

    def __init__(self, core: Core, host: Host, observation: Observation | None = None) -> None:
        self._core = core
        self._host = host
        self._observation = observation or Observation(BankIndex(0))
        self._events = EventQueue()
        self._timers: dict[TimerKind, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended = False
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def replace_core(self, core: Core) -> None:
        """Have another core take the events from the next one on."""
        self._core = core

    def post(self, event: Event) -> None:
        """Queue one event, or drop it after the end; called from the event loop's thread only."""
        if not self._ended:
            self._events.put(event)

    async def post_message(self, event: MessageReceived) -> None:
        """Queue a peer's message once its share of the queue has room; drop it after the end."""
        if type(event.message) is Proposal:
            self._observation.proposal_arrived(event.message)
        await self._events.put_message(event)

    def end(self) -> None:
        """Take no more events: what nobody handles must not pile up."""
        self._ended = True
        self._events.close()

    async def run(self, initial: list[Effect]) -> None:
        """Execute the effects of the restart, then handle events until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            await self._execute(initial)
            while True:
                event_task = loop.create_task(self._events.get())
                await asyncio.wait((event_task, self._failure), return_when=asyncio.FIRST_COMPLETED)
                if self._failure.done():
                    event_task.cancel()
                    self._failure.result()
                await self._handle(event_task.result())
                # Whatever queued up meanwhile needs no task of its own.
                handled = 1
                while not self._failure.done() and (event := self._events.take()) is not None:
                    await self._handle(event)
                    handled += 1
                    if handled % EVENTS_AT_ONCE == 0:
                        await asyncio.sleep(0)
        finally:
            self.end()
            for timer in self._timers.values():
                timer.cancel()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _handle(self, event: Event) -> None:
        effects = self._core.handle(event)
        if isinstance(event, MessageReceived) and type(event.message) is QuorumCertificate:
            self._observe_certificate(event.message)
        await self._execute(effects)

    def _observe_certificate(self, certificate: QuorumCertificate) -> None:
        """Take note of a certificate that came, if the core found it good."""
        height, view = certificate.height, certificate.view
        if self._observation.knows_certificate(height, view):
            return
        status = self._core.status()
        if (status.height, status.highest_view) == (height, view):
            self._observation.certificate_verified(height, view)

    async def _execute(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Persist():
                    await self._host.persist(effect)
                    self._observation.persisted(effect)
                case Send():
                    self._host.send(effect)
                case Broadcast():
                    self._observation.broadcast(effect.message)
                    self._host.broadcast(effect.message)
                case SetTimer():
                    self._set_timer(effect)
                case CancelTimer():
                    self._cancel_timer(effect.kind)
                case BuildBlock():
                    self._spawn(self._host.build, effect)
                case Validate():
                    self._spawn(self._host.validate, effect)
                case Apply():
                    self._observation.sealed(effect.seal.height, effect.seal.view)
                    self._spawn(self._host.apply, effect)
                case ExamineEvidence():
                    self._spawn(self._host.examine, effect)
                case VerifyBallots():
                    self._spawn(self._host.verify_ballots, effect)
                case KeepBallots():
                    self._spawn(self._host.keep_ballots, effect)
                case ServeBlocks():
                    self._spawn(self._host.serve, effect)
                case Alarm():
                    self._host.alarm(effect)

    def _set_timer(self, effect: SetTimer) -> None:
        self._cancel_timer(effect.kind)
        self._timers[effect.kind] = asyncio.get_running_loop().call_later(
            effect.delay_ms / 1000, self.post, TimerFired(effect.kind, effect.generation)
        )

    def _cancel_timer(self, kind: TimerKind) -> None:
        timer = self._timers.pop(kind, None)
        if timer is not None:
            timer.cancel()

    def _spawn(
        self, work: Callable[[Any], Coroutine[Any, Any, Event | None]], effect: Effect
    ) -> None:
        async def answer() -> None:
            event = await work(effect)
            if event is not None:
                self.post(event)

        task = asyncio.get_running_loop().create_task(answer())
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or self._failure.done():
            return
        failure = task.exception()
        if failure is not None:
            # The core waits for an answer that will never come: stop rather than limp.
            self._failure.set_exception(failure)
