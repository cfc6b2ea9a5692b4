"""What the consensus core's effects mean in a real node: database, guard file, links, ledger."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from crypto.merkle import merkle_root, merkle_root_of_hashes
from node.consensus.effects import (
    Alarm,
    Apply,
    BuildBlock,
    ExamineEvidence,
    KeepBallots,
    Persist,
    Send,
    ServeBlocks,
    Validate,
    VerifyBallots,
)
from node.consensus.events import (
    ApplyFailed,
    Approved,
    BallotsVerified,
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
from node.ledger.ballots import VerifiedBallot
from node.ledger.blocks import Block
from node.ledger.encoding import MalformedEncoding
from node.ledger.invalidity import prove_invalidity
from node.ledger.offences import VerifiedEvidence
from node.ledger.rejection import Rejection
from node.ledger.transition import Transition
from node.ledger.types import BankIndex, BlockId
from node.runtime.chain import Chain
from node.runtime.clock import Clock
from node.runtime.evidence_examiner import EvidenceExaminer
from node.runtime.guard_file import GuardFile, SignaturePoint
from node.runtime.observation import Observation
from node.runtime.transaction_pool import BlockBodies, BodiesUnavailable, TransactionPool
from node.storage.database import Database
from node.storage.errors import BeforeSnapshot
from node.storage.records import StoredBlock
from node.wire.operator_records import AlarmReport

logger = logging.getLogger(__name__)

ALARMS_KEPT = 100
MAX_HALVINGS = 3
"""A proposal of the first view holds up to a whole batch, in later ones half, a quarter, an eighth.
"""
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
        examiner: EvidenceExaminer,
        database: Database,
        guard: GuardFile,
        links: ConsensusLinks,
        clock: Clock,
        on_applied: Callable[[Block], None],
        observation: Observation | None = None,
    ) -> None:
        self._bank = bank
        self._chain = chain
        self._pool = pool
        self._examiner = examiner
        self._database = database
        self._guard = guard
        self._links = links
        self._clock = clock
        self._on_applied = on_applied
        self._observation = observation or Observation(bank)
        self._last_applied_s = clock.monotonic_s()
        self._approved: set[BlockId] = set()
        """Blocks of this height that this bank found valid."""
        self._kept_below_floor: tuple[BankIndex, ...] = ()
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
        # What the banks could not judge within a view must get smaller, or the next one fails too.
        batch_limit = chain.genesis.parameters.batch_limit
        candidates = self._pool.candidates(max(1, batch_limit >> min(effect.view, MAX_HALVINGS)))
        verdicts = await self._examiner.verdicts(effect.evidence)
        evidence = [item for item in verdicts if isinstance(item, VerifiedEvidence)]
        try:
            built = await chain.build(
                effect.view,
                self._bank,
                self._clock.wall_ms(),
                candidates,
                evidence,
                effect.ballots,
            )
        except Rejection as rejection:
            if effect.height == chain.height + 1:
                self.raise_alarm(
                    "ballots-lacking",
                    f"this bank cannot propose height {effect.height}: {rejection}",
                )
            return BlockBuilt(effect.height, effect.view, None)
        for dropped in built.dropped:
            self._pool.drop(dropped.transaction_id, dropped.rejection)
        return BlockBuilt(effect.height, effect.view, built.block)

    async def validate(self, effect: Validate) -> Validated:
        begun_ns = self._observation.begin()
        answer = await self._validate(effect)
        if not isinstance(answer.verdict, BodyUnusable):
            self._observation.validated(effect.block, begun_ns)
        return answer

    async def _validate(self, effect: Validate) -> Validated:
        block = effect.block
        try:
            bodies = await self._bodies(block, effect.source)
        except BodiesUnavailable as unavailable:
            return Validated(effect.ticket, BodyUnusable(str(unavailable)))
        clock_ms = self._clock.wall_ms() if effect.check_clock else None
        evidence = await self._examiner.verdicts(block.evidence)
        try:
            await self._chain.validate(block, bodies.verdicts, clock_ms, evidence)
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
            return Validated(effect.ticket, await self._disproven(block, bodies.raws, rejection))
        self._approved.add(block.block_id)
        self._pool.mark_proposed(block)
        self._observation.proposed(block)
        return Validated(effect.ticket, Approved())

    async def apply(self, effect: Apply) -> BlockApplied | ApplyFailed:
        begun_ns = self._observation.begin()
        block = effect.block
        try:
            bodies = await self._bodies(block, effect.source)
            evidence = await self._examiner.verdicts(block.evidence)
            transactions = bodies.verified
            if len(transactions) == len(bodies.verdicts):
                seal = effect.seal.encode()
                transition = await self._chain.apply(block, seal, transactions, evidence)
            else:
                # Judged in full, so that the alarm names the first offender in order.
                await self._chain.validate(block, bodies.verdicts, None, evidence)
                raise AssertionError("a block with a refused transaction was found valid")
        except BodiesUnavailable as unavailable:
            return ApplyFailed(effect.ticket, BodyUnusable(str(unavailable)))
        except Rejection as rejection:
            return ApplyFailed(effect.ticket, _as_verdict(rejection))
        self._approved.clear()
        self._last_applied_s = self._clock.monotonic_s()
        remaining = self._pool.applied(block, transactions, transition)
        self._observation.applied(block, effect.seal.view, begun_ns)
        self._on_applied(block)
        self._tell(transition)
        return BlockApplied(
            block.height,
            block.header,
            self._chain.active_set,
            remaining,
            tuple([item.key for item in transition.punishments]),
        )

    def _tell(self, transition: Transition) -> None:
        """Tell the operators who was punished, and who leaves or would have to."""
        for item in transition.punishments:
            self.raise_alarm(
                "slashed",
                f"bank {item.bank} lost {item.amount} of {item.stake_before} for {item.offence} "
                f"at height {item.height}",
            )
        for bank in transition.removed:
            self.raise_alarm(
                "removed", f"bank {bank} is below the slash floor and leaves the active set"
            )
        for bank in transition.kept_below_floor:
            if bank not in self._kept_below_floor:
                self.raise_alarm(
                    "kept-below-floor",
                    f"bank {bank} is below the slash floor, but no more banks can leave",
                )
        self._kept_below_floor = transition.kept_below_floor
        for bank in transition.readmitted:
            self.raise_alarm("readmitted", f"bank {bank} is back in the active set")

    async def _disproven(
        self, block: Block, raws: Sequence[bytes], rejection: Rejection
    ) -> Rejected:
        """Return the verdict with the proof that convinces anybody, if there is one (E5)."""
        genesis = self._chain.genesis
        proof = await asyncio.to_thread(
            prove_invalidity, genesis, block.header, raws, rejection, block.parent_ballots
        )
        return replace(_as_verdict(rejection), proof=proof)

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
            if merkle_root(items) != root:
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
        """Check an item; what is accepted is stored before the core hears of it."""
        try:
            evidence = await self._examiner.examine(effect.item)
        except Rejection as rejection:
            return EvidenceExamined(effect.item, None, str(rejection))
        if await self._database.add_evidence(evidence, effect.source):
            text = (
                f"bank {evidence.bank} is accused of {evidence.offence} at height {evidence.height}"
            )
            logger.warning(
                "evidence", extra={"detail": text, "evidence": evidence.evidence_id.hex()}
            )
            self.raise_alarm("evidence", text)
        return EvidenceExamined(effect.item, evidence.key)

    async def verify_ballots(self, effect: VerifyBallots) -> BallotsVerified:
        """Check proofs in one batch, or say what is known of them already."""
        verdicts = await self._chain.ballots.verify(
            effect.ballots,
            height=effect.height,
            view=effect.view,
            active_set=effect.active_set,
        )
        return BallotsVerified(
            effect.ticket, tuple([isinstance(item, VerifiedBallot) for item in verdicts])
        )

    async def keep_ballots(self, effect: KeepBallots) -> None:
        """Keep what convicts a bank once the regulator has opened it (BFT-12 E8)."""
        if await self._database.add_ballot_conflict(
            effect.height, effect.view, effect.first, effect.second
        ):
            logger.warning(
                "conflicting ballots", extra={"height": effect.height, "view": effect.view}
            )

    async def serve(self, effect: ServeBlocks) -> BlocksLoaded:
        try:
            stored = await self._database.blocks(
                effect.from_height, limit=MAX_SYNC_BLOCKS, max_bytes=MAX_SYNC_BYTES
            )
        except BeforeSnapshot:
            # Without an answer the peer turns to the next bank.
            return BlocksLoaded(effect.to, ())
        return BlocksLoaded(effect.to, tuple([self._sealed_block(item) for item in stored]))

    def _sealed_block(self, stored: StoredBlock) -> SealedBlock:
        """Decode a stored block; raises `IntegrityViolation`, for nobody else wrote it."""
        block = self._database.block_of(stored)
        try:
            return SealedBlock(block, Seal.decode(stored.seal))
        except MalformedEncoding as error:
            raise self._database.seal_damaged(stored.height, str(error)) from error

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
