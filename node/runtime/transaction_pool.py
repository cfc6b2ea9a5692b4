"""Transactions on their way: admission, mempool, gossip and the bodies that blocks name.

A transaction enters from a client (then it is gossiped to every bank once) or from a peer (then
it is not passed on). Either way it is verified here before anything else happens to it, but that
the other banks are told at once of what comes from a client in good standing (`early_gossip`).
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from crypto.merkle import leaf_hash
from crypto.transaction import transaction_id as compute_transaction_id
from node.ledger.blocks import Block
from node.ledger.facts import BlockFacts
from node.ledger.proofs import VerifiedTransaction
from node.ledger.rejection import Reason, Rejection
from node.ledger.transition import Transition, execute
from node.ledger.types import BankIndex, Height, TimeMs, TransactionId
from node.runtime.admission import Admission
from node.runtime.chain import Chain
from node.runtime.clock import Clock
from node.runtime.early_gossip import REST_S, EarlyGossip
from node.runtime.mempool import Mempool
from node.runtime.observation import Observation
from node.runtime.recent_blocks import VerdictTooOld
from node.runtime.transaction_tracker import TransactionTracker
from node.wire.records import Position

logger = logging.getLogger(__name__)

NOT_YET_LIMIT = 2_000
"""Gossiped transactions that wait for a bin this bank has not seen closing yet."""
FULL_BLOCKS_AHEAD = 4
"""So many blocks' worth that waits means that nothing new is wanted in a hurry: the blocks of the
longest wait (`admission.PATIENT_GATHER_S`) are full without it."""
REPEATED_AT_ONCE = 16
"""Transactions gossiped again in one round because blocks passed them over."""
REPEATED_IN_A_STALL = 1
"""The same while nothing is sealed: one is enough to tell that there is work."""
MAX_PATIENCE = 32
UNVERIFIED = "/unverified"
"""Ends the name of a source that tells what it has not verified itself."""
HEAD_START_S = 1.0
"""What the others get for verifying a transaction before it is proposed, where many wait."""


class BodiesUnavailable(Exception):
    """Transactions that a block names could not be had from anybody in time."""


@dataclass(frozen=True, slots=True)
class _Own:
    """When a transaction of a client of mine was last told to the others."""

    gossiped_s: float
    """Monotonic."""
    patience: int = 1
    """How many times the usual wait it waits until it is told again."""


@dataclass(frozen=True, slots=True)
class Body:
    """One transaction that a block names: what this bank says of it, and its leaf."""

    verdict: VerifiedTransaction | Rejection
    leaf_hash: bytes
    raw: bytes


@dataclass(frozen=True, slots=True)
class BlockBodies:
    """All transactions of one block, in its order."""

    verdicts: tuple[VerifiedTransaction | Rejection, ...]
    leaf_hashes: tuple[bytes, ...]
    raws: tuple[bytes, ...]
    """Canonical bytes, also of what is refused: they are what disproves a block."""

    @property
    def verified(self) -> tuple[VerifiedTransaction, ...]:
        """The verified ones; all of them in a valid block."""
        return tuple([item for item in self.verdicts if isinstance(item, VerifiedTransaction)])


class Peers(Protocol):
    """What the pool needs of the other banks."""

    def gossip(self, raw: bytes, *, verified: bool = True) -> None:
        """Send a transaction to every bank, coalesced with whatever else is due.

        One that is not verified yet is marked as such.
        """
        ...

    async def fetch_transactions(
        self, source: BankIndex, transaction_ids: Sequence[TransactionId]
    ) -> Sequence[bytes]:
        """Fetch bodies from one bank; an unreachable bank yields none."""
        ...

    def fetch_order(self, first: BankIndex) -> Sequence[BankIndex]:
        """Return the banks to ask, `first` before the others."""
        ...


class StoredBodies(Protocol):
    """Bodies on this bank's own disk."""

    async def transaction_bodies(
        self, transaction_ids: Sequence[TransactionId]
    ) -> Mapping[TransactionId, bytes]:
        """Return those that are stored."""
        ...


class TransactionPool:
    """Verified transactions by id, whether they wait in the mempool or stand in a proposal."""

    def __init__(
        self,
        chain: Chain,
        admission: Admission,
        mempool: Mempool,
        tracker: TransactionTracker,
        peers: Peers,
        stored: StoredBodies,
        clock: Clock,
        on_available: Callable[[int], None],
        observation: Observation | None = None,
    ) -> None:
        self._chain = chain
        self._admission = admission
        self._mempool = mempool
        self._tracker = tracker
        self._peers = peers
        self._stored = stored
        self._clock = clock
        self._on_available = on_available
        self._observation = observation or Observation(BankIndex(0))
        self._proposed: set[TransactionId] = set()
        """Transactions of the blocks that were voted on at this height."""
        self._early = EarlyGossip()
        self._not_yet: OrderedDict[bytes, str] = OrderedDict()
        self._own: OrderedDict[TransactionId, _Own] = OrderedDict()
        """Transactions of my clients that wait for a block."""
        self._arriving: dict[TransactionId, bytes] = {}
        """Canonical bytes of gossip whose verification is under way."""
        self._last_block_s = self._last_roomy_block_s = -math.inf
        """Monotonic times of the last block, and of the last one that was at most half full."""

    @property
    def mempool(self) -> Mempool:
        return self._mempool

    @property
    def fills_blocks(self) -> bool:
        """Whether the next blocks will be full of what waits already."""
        batch_limit = self._chain.genesis.parameters.batch_limit
        return len(self._mempool) >= FULL_BLOCKS_AHEAD * batch_limit

    async def submit(self, raw: bytes, source: str) -> VerifiedTransaction:
        """Admit a client's transaction and tell every bank; raises `Rejection`."""
        transaction_id = TransactionId(compute_transaction_id(raw))
        waiting = self._mempool.get(transaction_id)
        if waiting is not None:
            return waiting
        self._mempool.require_room(source, len(raw))
        self._observation.received(transaction_id, len(raw))
        self._tracker.pending(transaction_id)
        told_s = self._tell_early(transaction_id, raw, source)
        try:
            verified = await self._verify_unconsumed(raw, source)
            self._add(verified, source)
        except Rejection as rejection:
            self._record_refusal(transaction_id, rejection)
            now_s = self._clock.monotonic_s()
            if self._early.refused(source, rejection, was_told=told_s is not None, now_s=now_s):
                logger.warning("early gossip rests", extra={"source": source, "rest_s": REST_S})
            raise
        finally:
            if told_s is not None:
                self._early.end()
        self._early.admitted(source)
        self._on_available(len(self._mempool))
        if told_s is None:
            told_s = self._clock.monotonic_s()
            self._peers.gossip(raw)
            self._observation.gossiped(transaction_id)
        self._own[transaction_id] = _Own(told_s)
        logger.info(
            "admitted",
            extra={"transaction": transaction_id.hex(), "source": source, "bytes": len(raw)},
        )
        return verified

    def _tell_early(self, transaction_id: TransactionId, raw: bytes, source: str) -> float | None:
        """Tell the others at once if the client may have that; return when they were told.

        Not while blocks are full: what waits for its turn anyway gains nothing. And not while room
        here might run out meanwhile, for then others would admit what this bank refuses.
        """
        now_s = self._clock.monotonic_s()
        if self.fills_blocks or not self._mempool.has_ample_room(source):
            return None
        if not self._early.begin(source, now_s):
            return None
        self._peers.gossip(raw, verified=False)
        self._observation.gossiped(transaction_id)
        return now_s

    async def take_gossip(self, raws: Sequence[bytes], source: str) -> None:
        """Admit what another bank tells; refusals are recorded, nobody waits for them.

        `source` is `bank/INDEX` for what that bank has admitted, `bank/INDEX/unverified` for what
        it was only verifying: bad proofs among the latter are charged apart from the former.

        All of a frame together: at full load this is the busiest path of a bank, and a task for
        each transaction would cost more than all else that is done for it here.
        """
        as_of = self._chain.height
        waiting: list[tuple[TransactionId, bytes, asyncio.Future[VerifiedTransaction]]] = []
        for raw in raws:
            transaction_id = TransactionId(compute_transaction_id(raw))
            if self._is_settled_here(transaction_id):
                continue
            self._observation.received(transaction_id, len(raw), source)
            try:
                waiting.append((transaction_id, raw, self._admission.ticket(raw, source)))
            except Rejection as rejection:
                self._refuse_gossip(transaction_id, raw, source, rejection)
            else:
                self._arriving[transaction_id] = raw
        added = 0
        for transaction_id, raw, ticket in waiting:
            if not ticket.done():
                if added:
                    self._on_available(len(self._mempool))
                    added = 0
                await asyncio.wait((ticket,))
            self._arriving.pop(transaction_id, None)
            try:
                await self._add_gossip(raw, source, ticket.result(), as_of)
                added += 1
            except Rejection as rejection:
                self._refuse_gossip(transaction_id, raw, source, rejection)
        if added:
            self._on_available(len(self._mempool))

    def _is_settled_here(self, transaction_id: TransactionId) -> bool:
        """Whether gossip about it is no news: it waits here, or is sealed."""
        if transaction_id in self._mempool:
            return True
        status = self._tracker.status(transaction_id)
        return status is not None and status.position is not None

    async def _add_gossip(
        self, raw: bytes, source: str, verified: VerifiedTransaction, as_of: Height
    ) -> None:
        try:
            self._require_unconsumed(verified, as_of)
        except VerdictTooOld:
            verified = await self._verify_unconsumed(raw, source)
        self._add(verified, source.removesuffix(UNVERIFIED))

    def _refuse_gossip(
        self, transaction_id: TransactionId, raw: bytes, source: str, rejection: Rejection
    ) -> None:
        if rejection.reason.is_not_yet:
            self._defer(raw, source)
            return
        self._record_refusal(transaction_id, rejection)
        logger.info(
            "gossip refused",
            extra={
                "transaction": transaction_id.hex(),
                "source": source,
                "reason": rejection.reason.value,
            },
        )

    async def _verify_unconsumed(self, raw: bytes, source: str) -> VerifiedTransaction:
        """Verify, and compare with the blocks applied meanwhile; raises `Rejection`."""
        while True:
            as_of = self._chain.height
            verified = await self._admission.verify(raw, source)
            try:
                self._require_unconsumed(verified, as_of)
            except VerdictTooOld:
                continue
            return verified

    def _require_unconsumed(self, verified: VerifiedTransaction, as_of: Height) -> None:
        begun_ns = self._observation.begin()
        try:
            self._chain.recent.require_unconsumed(verified, as_of)
        finally:
            self._observation.compared(verified.transaction_id, begun_ns)

    def _add(self, verified: VerifiedTransaction, source: str) -> None:
        """Let a verified transaction wait for a block; raises `Rejection`."""
        begun_ns = self._observation.begin()
        try:
            if not verified.nullifiers:
                self._require_executable(verified)
            self._mempool.add(verified, source)
        finally:
            self._observation.compared(verified.transaction_id, begun_ns)
        self._tracker.admitted(verified.transaction_id)
        self._observation.admitted(verified.transaction_id)

    def _record_refusal(self, transaction_id: TransactionId, rejection: Rejection) -> None:
        """Remember a verdict; what says nothing about the bytes is no verdict."""
        self._observation.refused(transaction_id, rejection)
        no_verdict = (Reason.MEMPOOL_FULL, Reason.DUPLICATE_TRANSACTION)
        if rejection.reason in no_verdict or rejection.reason.is_not_yet:
            self._tracker.forget(transaction_id)
        elif rejection.reason is Reason.EXPIRED:
            self._tracker.expired(transaction_id)
        else:
            self._tracker.rejected(transaction_id, rejection.reason.value, rejection.message)

    def _defer(self, raw: bytes, source: str) -> None:
        self._not_yet[raw] = source
        while len(self._not_yet) > NOT_YET_LIMIT:
            self._not_yet.popitem(last=False)

    def known(self, transaction_id: TransactionId) -> VerifiedTransaction | None:
        """Return a verified transaction that this bank holds in memory."""
        return self._mempool.get(transaction_id) or self._admission.known(transaction_id)

    async def bodies(self, block: Block, source: BankIndex) -> BlockBodies:
        """Return this bank's verdicts on the block's transactions, fetching what it lacks.

        Raises `BodiesUnavailable` if no bank could give the bodies. The caller bounds the time.
        """
        found: dict[TransactionId, Body] = {}
        lacking = self._collect_known(block, found)
        under_way = [raw for item in lacking if (raw := self._arriving.get(item)) is not None]
        if under_way:
            await self._verify_named(block, f"bank/{source}", under_way, found)
            lacking = self._collect_known(block, found)
        if lacking:
            # After a restart the bodies of an approved block are on disk, not in memory (D2).
            stored = await self._stored.transaction_bodies(lacking)
            await self._verify_named(block, "database", list(stored.values()), found)
            lacking = self._collect_known(block, found)
        for bank in self._peers.fetch_order(source):
            if not lacking:
                break
            raws = await self._peers.fetch_transactions(bank, lacking)
            await self._verify_named(block, f"bank/{bank}", raws, found)
            lacking = self._collect_known(block, found)
        if lacking:
            raise BodiesUnavailable(
                f"{len(lacking)} of {len(block.transaction_ids)} transactions of block "
                f"{block.block_id.hex()} could not be fetched"
            )
        bodies = [found[transaction_id] for transaction_id in block.transaction_ids]
        return BlockBodies(
            tuple([body.verdict for body in bodies]),
            tuple([body.leaf_hash for body in bodies]),
            tuple([body.raw for body in bodies]),
        )

    def _collect_known(self, block: Block, found: dict[TransactionId, Body]) -> list[TransactionId]:
        lacking: list[TransactionId] = []
        for transaction_id in block.transaction_ids:
            if transaction_id in found:
                continue
            verified = self.known(transaction_id)
            if verified is None:
                lacking.append(transaction_id)
            else:
                found[transaction_id] = Body(verified, verified.leaf_hash, verified.raw)
        return lacking

    async def _verify_named(
        self,
        block: Block,
        source: str,
        raws: Sequence[bytes],
        found: dict[TransactionId, Body],
    ) -> None:
        named = set(block.transaction_ids)
        # The id hashes every byte: whoever sent them, these are the named transactions.
        wanted = {
            identity: raw
            for raw in raws
            if (identity := TransactionId(compute_transaction_id(raw))) in named
        }
        for identity, raw in wanted.items():
            self._observation.received(identity, len(raw), source)
        answers = await asyncio.gather(
            *(self._admission.verify_named(raw, source) for raw in wanted.values()),
            return_exceptions=True,
        )
        for (identity, raw), answer in zip(wanted.items(), answers, strict=True):
            if isinstance(answer, Rejection):
                found[identity] = Body(answer, leaf_hash(raw), raw)
            elif isinstance(answer, BaseException):
                raise answer
            else:
                found[identity] = Body(answer, answer.leaf_hash, raw)

    def raw_bodies(self, blocks: Sequence[Block]) -> dict[TransactionId, bytes]:
        """Return the canonical bytes of blocks whose transactions this bank holds in memory."""
        bodies: dict[TransactionId, bytes] = {}
        for block in blocks:
            for transaction_id in block.transaction_ids:
                verified = self.known(transaction_id)
                assert verified is not None, "asked only for blocks that are held"
                bodies[transaction_id] = verified.raw
        return bodies

    def mark_proposed(self, block: Block) -> None:
        """Tell followers that their transactions stand in a block that is being voted on."""
        self._proposed.update(block.transaction_ids)
        for transaction_id in block.transaction_ids:
            self._tracker.proposed(transaction_id)

    def _unmark_proposed(self) -> None:
        """What was proposed at this height and not sealed waits again."""
        for transaction_id in self._proposed:
            if transaction_id in self._mempool:
                self._tracker.admitted(transaction_id)
        self._proposed.clear()

    def candidates(self, limit: int) -> tuple[VerifiedTransaction, ...]:
        """Return what this bank would propose: the oldest that wait, at most `limit`.

        While a block's worth still waits for verification, here and thus elsewhere, the newest of
        this bank's own clients are left out: nobody else has had time to verify them, and a
        proposal that all banks must verify first costs a view.
        """
        if self._admission.waiting < limit:
            return self._mempool.candidates(limit)
        oldest_s = self._clock.monotonic_s() - HEAD_START_S
        news = {item for item, own in self._own.items() if own.gossiped_s > oldest_s}
        return self._mempool.candidates(limit, news) or self._mempool.candidates(limit)

    def drop(self, transaction_id: TransactionId, rejection: Rejection) -> None:
        """Evict a transaction that cannot be proposed on the present state."""
        if self._mempool.remove(transaction_id) is None:
            return
        self._own.pop(transaction_id, None)
        self._admission.forget([transaction_id])
        self._record_refusal(transaction_id, rejection)
        logger.info(
            "evicted",
            extra={"transaction": transaction_id.hex(), "reason": rejection.reason.value},
        )

    def applied(
        self, block: Block, transactions: Sequence[VerifiedTransaction], transition: Transition
    ) -> int:
        """Bring the pool up to date with a sealed block; return how many still wait."""
        height = block.height
        for index, verified in enumerate(transactions):
            self._mempool.remove(verified.transaction_id)
            self._own.pop(verified.transaction_id, None)
            self._tracker.sealed(
                verified.transaction_id,
                Position(height, block.block_id, index, block.header.time_ms),
            )
        self._admission.forget(block.transaction_ids)
        self._last_block_s = self._clock.monotonic_s()
        if 2 * len(transactions) <= self._chain.genesis.parameters.batch_limit:
            self._last_roomy_block_s = self._last_block_s
        self._unmark_proposed()
        self._evict_conflicting(transactions, height)
        self._evict_expired(Height(height + 1))
        self._evict_unfunded()
        deferred: dict[str, list[bytes]] = {}
        for raw, source in self._not_yet.items():
            deferred.setdefault(source, []).append(raw)
        self._not_yet.clear()
        for source, raws in deferred.items():
            asyncio.get_running_loop().create_task(self.take_gossip(raws, source))
        return len(self._mempool)

    def _evict_conflicting(
        self, transactions: Sequence[VerifiedTransaction], height: Height
    ) -> None:
        nullifiers = [nullifier for item in transactions for nullifier in item.nullifiers]
        keys = [key for item in transactions for key in item.one_time_keys]
        for reason, what, doomed in (
            (Reason.NULLIFIER, "a note was spent", self._mempool.conflicting(nullifiers, ())),
            (Reason.NOTE, "an output key was used", self._mempool.conflicting((), keys)),
        ):
            for transaction_id in doomed:
                self.drop(transaction_id, Rejection(reason, f"{what} at height {height}"))

    def _evict_expired(self, next_height: Height) -> None:
        for transaction_id in self._mempool.expired(next_height):
            self.drop(
                transaction_id, Rejection(Reason.EXPIRED, f"not sealed before height {next_height}")
            )

    def _evict_unfunded(self) -> None:
        """Evict issues and payouts that limits and accounts no longer allow.

        Only what could be proposed may count as work: a transaction that every leader would
        drop must not keep the timers running (BFT-12 sections 7 and 8).
        """
        for verified in self._mempool.spending_nothing():
            try:
                self._require_executable(verified)
            except Rejection as rejection:
                self.drop(verified.transaction_id, rejection)

    def _require_executable(self, verified: VerifiedTransaction) -> None:
        state = self._chain.state
        # Mints spend nothing, and their keys were compared with every block since verification.
        execute(
            self._chain.genesis,
            state,
            height=Height(state.height + 1),
            time_ms=TimeMs(state.time_ms + 1),
            proposer=self._chain.active_set.banks[0],
            transactions=(verified,),
            facts=BlockFacts(),
        )

    def gossip_again(self, older_than_s: float) -> int:
        """Repeat the gossip of own transactions that wait for long; return how many.

        A bank that was down when a transaction was admitted learns of it this way, and with it
        that there is work. What only waits its turn, because all blocks since were full, is not
        repeated, and each is repeated less and less often: else a ledger that is slow because it
        is overloaded would be loaded with nothing but repetitions.
        """
        now_s = self._clock.monotonic_s()
        stalled = now_s - self._last_block_s >= older_than_s
        limit = REPEATED_IN_A_STALL if stalled else REPEATED_AT_ONCE
        repeated = 0
        for transaction_id, own in list(self._own.items()):
            if repeated == limit:
                break
            passed_over = self._last_roomy_block_s > own.gossiped_s
            if now_s - own.gossiped_s < older_than_s * own.patience or not (stalled or passed_over):
                continue
            verified = self._mempool.get(transaction_id)
            if verified is None:
                self._own.pop(transaction_id, None)
                continue
            self._own[transaction_id] = _Own(now_s, min(2 * own.patience, MAX_PATIENCE))
            self._peers.gossip(verified.raw)
            repeated += 1
        return repeated
