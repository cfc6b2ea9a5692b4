"""Admission: everything that arrives is verified here, in micro-batches, exactly once.

What arrived since the last batch (up to `BATCH_LIMIT`) goes into one multi-scalar multiplication
in a thread or a process of its own, while the event loop serves on. A verdict that depends on bytes
and closed bins alone is kept by transaction id; a vote finds it there instead of verifying again.
Nothing another bank says about a proof is ever believed.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from crypto.transaction import transaction_id as compute_transaction_id
from node.ledger.proofs import VerifiedTransaction
from node.ledger.rejection import Reason, Rejection
from node.ledger.types import BankIndex, TransactionId
from node.runtime.chain import Chain
from node.runtime.clock import Clock
from node.runtime.observation import Observation
from node.runtime.verification_lanes import BAD_PROOFS, Pending, VerificationLanes
from node.runtime.verification_workers import Verification

logger = logging.getLogger(__name__)

BATCH_LIMIT = 200
"""Transactions in one verification batch. Two hundred cost a sixth less each than a hundred, and
wait for each other only where so many have piled up; with more, a vote that needs one of them
would wait for too long."""
COMPANY = 100
"""So many need not wait for more."""
BUSY_S = 0.25
BUSY_COUNT = 4
"""A batch of so many that ended so recently means load; one payment after another does not."""
GATHER_S = 0.4
"""How long a batch waits for company under load: a lone transaction costs sixteen times as much as
one of a hundred, eight together four times. Whoever needs the verdicts sooner says so."""
PATIENT_GATHER_S = 2.0
"""The same while the next blocks are full without it: waiting then costs no transaction anything.
"""
GLANCE_S = 0.05
"""How often a batch that waits looks around: what a block waits to fill (BATCH_WAIT)."""
WAITING_LIMIT = 4_000
"""Transactions that may wait for verification; beyond it clients are told to come back."""
WAITING_LIMIT_OF_SOURCE = 2_000
"""Of these, transactions of one client or peer: a flood must leave room for everybody else."""
REMEMBERED_VERDICTS = 4_000
"""Verified transactions kept for blocks that name them, whether the mempool has them or not."""


@dataclass(slots=True)
class AdmissionCounters:
    """For status: how many were verified and refused since the start, and in how many batches."""

    verified: int = 0
    refused: int = 0
    batches: int = 0


class Admission:
    """Verifies transactions of clients and peers; one worker task, one verification thread."""

    def __init__(
        self,
        chain: Chain,
        verification: Verification,
        clock: Clock,
        on_blame: Callable[[str, Rejection], None],
        blocks_are_full: Callable[[], bool] = lambda: False,
        observation: Observation | None = None,
    ) -> None:
        """`verification` belongs to this admission from now on, and ends with it.

        `blocks_are_full` tells whether the next blocks lack nothing that waits here.
        """
        self._chain = chain
        self._verification = verification
        self._clock = clock
        self._on_blame = on_blame
        self._blocks_are_full = blocks_are_full
        self._observation = observation or Observation(BankIndex(0))
        self._lanes = VerificationLanes()
        self._pending: dict[bytes, Pending] = {}
        """Until the verdict, by canonical bytes."""
        self._verdicts: OrderedDict[TransactionId, VerifiedTransaction] = OrderedDict()
        self._arrived = asyncio.Event()
        self._urgent_arrived = asyncio.Event()
        self._last_batch_s, self._last_batch_count = clock.monotonic_s(), 0
        self._under_way: set[asyncio.Task[None]] = set()
        """Batches of what arrived, as many at a time as gain from it."""
        self._failure: BaseException | None = None
        """Of such a batch: verification itself has failed, not a transaction."""
        self.counters = AdmissionCounters()

    @property
    def waiting(self) -> int:
        """Transactions that wait for verification."""
        return len(self._lanes)

    @property
    def suspects(self) -> tuple[str, ...]:
        return self._lanes.suspects

    def known(self, transaction_id: TransactionId) -> VerifiedTransaction | None:
        """Return the verdict kept for this id, if it was verified lately."""
        return self._verdicts.get(transaction_id)

    def forget(self, transaction_ids: Sequence[TransactionId]) -> None:
        """Drop verdicts that no block will ask for again."""
        for transaction_id in transaction_ids:
            self._verdicts.pop(transaction_id, None)

    async def verify(self, raw: bytes, source: str) -> VerifiedTransaction:
        """Verify canonical bytes in the next batch; raises `Rejection`.

        The same bytes arriving again while they wait share one verification.
        """
        # Shielded: one caller giving up must not take the verdict from the others.
        return await asyncio.shield(self.ticket(raw, source))

    def ticket(self, raw: bytes, source: str) -> asyncio.Future[VerifiedTransaction]:
        """Have canonical bytes verified in the next batch; return where the verdict will be.

        Others may wait for the same future: never cancel it. Raises `Rejection` without room.
        """
        pending = self._pending.get(raw)
        if pending is None:
            self._require_room(source)
            pending = self._wait(raw, source, urgent=False)
        return pending.ticket

    async def verify_named(self, raw: bytes, source: str) -> VerifiedTransaction:
        """Verify what a block names before everything else; raises `Rejection`.

        A vote waits for it: a flood of other transactions must neither refuse it nor stand in
        front of it. There are never more than a block's worth of them for each view.
        """
        under_way = self._pending.get(raw)
        if under_way is not None:
            self._lanes.hurry(under_way)
            self._urgent_arrived.set()
            try:
                return await asyncio.shield(under_way.ticket)
            except Rejection:
                # Judged, perhaps, on a state before the block's parent: a bin has closed since,
                # a nonce has come. Only what begins now reads the state that counts.
                pass
        pending = self._pending.get(raw) or self._wait(raw, source, urgent=True)
        return await asyncio.shield(pending.ticket)

    def _require_room(self, source: str) -> None:
        if len(self._lanes) >= WAITING_LIMIT:
            raise Rejection(
                Reason.MEMPOOL_FULL,
                f"{len(self._lanes)} transactions wait for verification; try again later",
            )
        if self._lanes.waiting_of(source) >= WAITING_LIMIT_OF_SOURCE:
            raise Rejection(
                Reason.MEMPOOL_FULL,
                f"{WAITING_LIMIT_OF_SOURCE} transactions of {source} wait for verification; "
                "try again later",
            )

    def _wait(self, raw: bytes, source: str, *, urgent: bool) -> Pending:
        pending = Pending(raw, source, asyncio.get_running_loop().create_future())
        self._pending[raw] = pending
        self._lanes.put(pending, urgent=urgent)
        (self._urgent_arrived if urgent else self._arrived).set()
        return pending

    async def run(self) -> None:
        """Verify until cancelled."""
        loop = asyncio.get_running_loop()
        both = (loop.create_task(self._verify_arrivals()), loop.create_task(self._verify_urgent()))
        try:
            done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for ended in done:
                ended.result()
        finally:
            for task in (*both, *self._under_way):
                task.cancel()
            await asyncio.gather(*both, *self._under_way, return_exceptions=True)
            self._verification.close()

    async def _verify_arrivals(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            self._raise_failure()
            while self._lanes.patient:
                await self._gather_company()
                await self._begin_batch(self._lanes.take(BATCH_LIMIT))
                await self._begin_batch(self._lanes.take_suspect())

    async def _verify_urgent(self) -> None:
        """What a vote waits for is verified beside the batch under way, not behind it."""
        while True:
            await self._urgent_arrived.wait()
            self._urgent_arrived.clear()
            while batch := self._lanes.take_urgent(BATCH_LIMIT):
                await self._verify_batch(batch)

    async def _begin_batch(self, batch: Sequence[Pending]) -> None:
        """Verify a batch; return when another one may begin."""
        if not batch:
            return
        task = asyncio.get_running_loop().create_task(self._verify_batch(batch))
        self._under_way.add(task)
        task.add_done_callback(self._batch_ended)
        while len(self._under_way) >= self._verification.at_once:
            await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
        self._raise_failure()

    def _batch_ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._failure = task.exception()
            self._arrived.set()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    async def _gather_company(self) -> None:
        """Under load, wait a moment for a fuller batch; a lone transaction never waits.

        A batch costs as much for its shared bases and rings as for dozens of its transactions.
        """
        waited_s, is_busy = 0.0, self._is_busy
        while True:
            if self._blocks_are_full():
                company, longest_s = BATCH_LIMIT, PATIENT_GATHER_S
            else:
                company, longest_s = COMPANY, GATHER_S if is_busy else 0.0
            if len(self._lanes) >= company or waited_s >= longest_s:
                break
            await asyncio.sleep(GLANCE_S)
            waited_s += GLANCE_S

    @property
    def _is_busy(self) -> bool:
        idle_s = self._clock.monotonic_s() - self._last_batch_s
        return idle_s < BUSY_S and self._last_batch_count >= BUSY_COUNT

    async def _verify_batch(self, batch: Sequence[Pending]) -> None:
        self.counters.batches += 1
        try:
            verdicts = await self._judge([pending.raw for pending in batch])
        except BaseException:
            # Whoever waits must hear of our failure; the node itself stops on it.
            for pending in batch:
                self._pending.pop(pending.raw, None)
                if not pending.ticket.done():
                    pending.ticket.cancel()
            raise
        self._last_batch_s, self._last_batch_count = self._clock.monotonic_s(), len(batch)
        for pending, verdict in zip(batch, verdicts, strict=True):
            self._settle(pending, verdict)

    async def _judge(self, raws: Sequence[bytes]) -> tuple[VerifiedTransaction | Rejection, ...]:
        begun_ns = self._observation.begin()
        view = await self._chain.admission_view(raws)
        looked_up_ns = self._observation.begin()
        judgement = await self._verification.verify(raws, view)
        identities = [
            TransactionId(compute_transaction_id(raw))
            if isinstance(verdict, Rejection)
            else verdict.transaction_id
            for raw, verdict in zip(raws, judgement.verdicts, strict=True)
        ]
        accepted = [not isinstance(verdict, Rejection) for verdict in judgement.verdicts]
        self._observation.batch_verified(
            identities, accepted, judgement.times, begun_ns, looked_up_ns
        )
        return judgement.verdicts

    def _settle(self, pending: Pending, verdict: VerifiedTransaction | Rejection) -> None:
        self._pending.pop(pending.raw, None)
        answer = pending.ticket
        if isinstance(verdict, Rejection):
            self.counters.refused += 1
            if verdict.reason in BAD_PROOFS and self._lanes.blame(pending.source):
                self._on_blame(pending.source, verdict)
            if not answer.done():
                answer.set_exception(verdict)
                # A caller may have left; an unread refusal is no defect.
                answer.exception()
            return
        self.counters.verified += 1
        self._lanes.credit(pending.source)
        self._remember(verdict)
        if not answer.done():
            answer.set_result(verdict)

    def _remember(self, verified: VerifiedTransaction) -> None:
        self._verdicts[verified.transaction_id] = verified
        while len(self._verdicts) > REMEMBERED_VERDICTS:
            self._verdicts.popitem(last=False)
