"""What the consensus core's effects mean in a real node: database, guard file, links, ledger."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Protocol

from crypto.merkle import EMPTY_ROOT, merkle_root_of_hashes
from node.consensus.effects import (
    Alarm,
    Apply,
    BuildBlock,
    ExamineEvidence,
    Persist,
    Send,
    ServeBlocks,
    Validate,
)
from node.consensus.events import (
    ApplyFailed,
    Approved,
    BlockApplied,
    BlockBuilt,
    BlocksLoaded,
    BodyUnusable,
    EvidenceExamined,
    Rejected,
    Validated,
)
from node.consensus.messages import (
    MAX_SYNC_BLOCKS,
    MAX_SYNC_BYTES,
    Message,
    Seal,
    SealedBlock,
)
from node.ledger.blocks import Block
from node.ledger.encoding import MalformedEncoding
from node.ledger.rejection import Rejection
from node.ledger.types import BankIndex, BlockId
from node.runtime.chain import Chain
from node.runtime.clock import Clock
from node.runtime.guard_file import GuardFile, SignaturePoint
from node.runtime.transaction_pool import BlockBodies, BodiesUnavailable, TransactionPool
from node.storage.database import Database
from node.storage.records import StoredBlock
from node.wire.operator_records import AlarmReport

logger = logging.getLogger(__name__)

ALARMS_KEPT = 100
BODIES_DEADLINE_S = 10.0
"""Longest search for the bodies of one block; the view has usually ended by then."""


class ConsensusLinks(Protocol):
    """How consensus messages leave."""

    def send_message(self, to: BankIndex, message: Message) -> None: ...

    def broadcast_message(self, message: Message) -> None: ...


class ConsensusHost:
    """Implements `node.runtime.driver.Host` for one bank."""

    def __init__(
        self,
        bank: BankIndex,
        chain: Chain,
        pool: TransactionPool,
        database: Database,
        guard: GuardFile,
        links: ConsensusLinks,
        clock: Clock,
        on_applied: Callable[[Block], None],
    ) -> None:
        self._bank = bank
        self._chain = chain
        self._pool = pool
        self._database = database
        self._guard = guard
        self._links = links
        self._clock = clock
        self._on_applied = on_applied
        self._last_applied_s = clock.monotonic_s()
        self._approved: set[BlockId] = set()
        """Blocks of this height that this bank found valid."""
        self.alarms: deque[AlarmReport] = deque(maxlen=ALARMS_KEPT)
        self.halted: str | None = None
        """Why this bank signs nothing, apart from what the core knows: its database is damaged."""

    @property
    def last_seal_age_ms(self) -> int:
        """Milliseconds since this bank applied its tip, or since its start."""
        return int((self._clock.monotonic_s() - self._last_applied_s) * 1000)

    async def persist(self, effect: Persist) -> None:
        """Database commit first, then the fsynced guard, then whatever follows (BFT-12 D4)."""
        blocks = tuple([block for block in effect.bodies if self._holds_bodies(block)])
        await self._database.persist_consensus(
            effect.record,
            height=effect.height,
            view=effect.view,
            step=effect.step,
            bodies=blocks,
            transactions=self._pool.raw_bodies(blocks),
        )
        point = SignaturePoint(effect.height, effect.view, effect.step)
        await asyncio.to_thread(self._guard.advance, point)

    def _holds_bodies(self, block: Block) -> bool:
        """Whether every transaction of the block is here, as it is for every approved one.

        A block that this bank refuses may lack the bytes of its bad transactions; nobody will
        ever need it (BFT-12 D2 speaks of approvals).
        """
        held = all(self._pool.known(item) is not None for item in block.transaction_ids)
        assert held or block.block_id not in self._approved, "approved blocks have their bodies"
        return held

    def send(self, effect: Send) -> None:
        self._links.send_message(effect.to, effect.message)

    def broadcast(self, message: Message) -> None:
        self._links.broadcast_message(message)

    async def build(self, effect: BuildBlock) -> BlockBuilt:
        """Build from the mempool; the block may be empty, for the core asks only with a reason.

        The reason may be another bank's: a timeout of a bank whose heartbeat is due earlier than
        mine must find a block here, or it costs everybody a view.
        """
        chain = self._chain
        if effect.height != chain.height + 1:
            return BlockBuilt(effect.height, effect.view, None)
        candidates = self._pool.candidates(chain.genesis.parameters.batch_limit)
        built = await chain.build(effect.view, self._bank, self._clock.wall_ms(), candidates)
        for dropped in built.dropped:
            self._pool.drop(dropped.transaction_id, dropped.rejection)
        return BlockBuilt(effect.height, effect.view, built.block)

    async def validate(self, effect: Validate) -> Validated:
        block = effect.block
        try:
            bodies = await self._bodies(block, effect.source)
            clock_ms = self._clock.wall_ms() if effect.check_clock else None
            await self._chain.validate(block, bodies.verdicts, clock_ms)
        except BodiesUnavailable as unavailable:
            return Validated(effect.ticket, BodyUnusable(str(unavailable)))
        except Rejection as rejection:
            logger.warning(
                "block rejected",
                extra={
                    "block": block.block_id.hex(),
                    "height": block.height,
                    "proposer": block.header.proposer,
                    "reason": rejection.reason.value,
                    "detail": rejection.message,
                },
            )
            return Validated(effect.ticket, _as_verdict(rejection))
        self._approved.add(block.block_id)
        self._pool.mark_proposed(block)
        return Validated(effect.ticket, Approved())

    async def apply(self, effect: Apply) -> BlockApplied | ApplyFailed:
        block = effect.block
        try:
            bodies = await self._bodies(block, effect.source)
            transactions = bodies.verified
            if len(transactions) == len(bodies.verdicts):
                transition = await self._chain.apply(block, effect.seal.encode(), transactions)
            else:
                # Judged in full, so that the alarm names the first offender in order.
                await self._chain.validate(block, bodies.verdicts, None)
                raise AssertionError("a block with a refused transaction was found valid")
        except BodiesUnavailable as unavailable:
            return ApplyFailed(effect.ticket, BodyUnusable(str(unavailable)))
        except Rejection as rejection:
            return ApplyFailed(effect.ticket, _as_verdict(rejection))
        self._approved.clear()
        self._last_applied_s = self._clock.monotonic_s()
        remaining = self._pool.applied(block, transactions, transition)
        self._on_applied(block)
        return BlockApplied(block.height, block.header, self._chain.active_set, remaining)

    async def _bodies(self, block: Block, source: BankIndex) -> BlockBodies:
        """Return verdicts on a copy of the block whose lists are those of its header.

        Raises `BodiesUnavailable` otherwise: a copy that does not hash to the header says
        nothing about the block, and its creator must not be blamed for it.
        """
        header = block.header
        if header.transaction_count != len(block.transaction_ids):
            raise BodiesUnavailable("the list of transactions is not the header's")
        for items, root in (
            (block.parent_ballots, header.ballots_root),
            (block.evidence, header.evidence_root),
        ):
            if items and root == EMPTY_ROOT:
                raise BodiesUnavailable("ballots or evidence are not the header's")
        try:
            async with asyncio.timeout(BODIES_DEADLINE_S):
                bodies = await self._pool.bodies(block, source)
        except TimeoutError as error:
            raise BodiesUnavailable("fetching transactions took too long") from error
        if merkle_root_of_hashes(bodies.leaf_hashes) != header.transactions_root:
            raise BodiesUnavailable("the transactions do not hash to the header's root")
        return bodies

    async def examine(self, effect: ExamineEvidence) -> EvidenceExamined:
        return EvidenceExamined(effect.item, None, "evidence is not recorded yet")

    async def serve(self, effect: ServeBlocks) -> BlocksLoaded:
        stored = await self._database.blocks(
            effect.from_height, limit=MAX_SYNC_BLOCKS, max_bytes=MAX_SYNC_BYTES
        )
        return BlocksLoaded(effect.to, tuple([self._sealed_block(item) for item in stored]))

    def _sealed_block(self, stored: StoredBlock) -> SealedBlock:
        """Decode a stored block; raises `IntegrityViolation`, for nobody else wrote it."""
        block = self._database.block_of(stored)
        try:
            return SealedBlock(block, Seal.decode(stored.seal))
        except MalformedEncoding as error:
            raise self._database.seal_damaged(stored, str(error)) from error

    def alarm(self, effect: Alarm) -> None:
        logger.error("alarm", extra={"kind": effect.kind.value, "detail": effect.text})
        self.raise_alarm(effect.kind.value, effect.text)

    def halt(self, kind: str, text: str) -> None:
        """Say that this bank signs nothing more; whoever calls sees to it that it does not."""
        self.halted = text
        self.raise_alarm(kind, text)

    def raise_alarm(self, kind: str, text: str) -> None:
        """Keep an alarm for the operators."""
        self.alarms.append(AlarmReport(kind, text, self._clock.wall_ms()))


def _as_verdict(rejection: Rejection) -> Rejected:
    return Rejected(
        rejection.reason.value,
        deterministic=rejection.reason.is_deterministic,
        transaction_index=rejection.transaction_index,
    )
