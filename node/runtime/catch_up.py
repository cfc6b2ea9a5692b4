"""What a bank that is far behind does besides: bodies ahead of time, and no gossip meanwhile.

The core asks for sealed blocks and has them applied one by one (BFT-12 section 11). Most of what a
block costs then is the transactions that it names: fetching them, and verifying their proofs. So
as soon as blocks arrive, the bodies of all of them are fetched in one call and verified together:
a batch of proofs from twenty blocks costs little more than that of one (`admission`). Nothing is
taken for granted by it. A body counts only under the id that hashes it, verdicts are this bank's
own, and the block, its seal and its transactions are judged when its turn comes, as ever. A
verdict that depends on a bin which closes in between is simply given again then.

Meanwhile gossip is dropped unread. Its proofs could not be verified on a state that old, and would
only take time from catching up; who admitted a transaction repeats it until it is sealed, and
blocks name what they need.

How far behind this bank is, nobody is believed: rq = n-q+1 banks must speak of later heights, so
that at least one of them is correct as long as at most n-q are faulty.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Protocol

from crypto.transaction import transaction_id
from node.consensus.messages import BlockResponse, Message, Status, SyncRequest, SyncResponse
from node.ledger.blocks import Block
from node.ledger.types import BankIndex, Height, TransactionId
from node.runtime.admission import Admission
from node.runtime.chain import Chain
from node.runtime.observation import Observation

logger = logging.getLogger(__name__)

FAR_BEHIND = 10
"""Heights; a bank that is closer may verify gossip for blocks to come."""
AHEAD = 64
"""Heights above the tip whose bodies are fetched ahead of time."""
AT_ONCE = 4
"""Answers whose bodies are under way."""
PREFETCHED_BYTES = 32 << 20
"""Bodies kept for blocks whose turn comes; beyond it they are fetched then."""


class Bodies(Protocol):
    """Bodies on this bank's own disk."""

    async def transaction_bodies(
        self, transaction_ids: Sequence[TransactionId]
    ) -> Mapping[TransactionId, bytes]: ...


class Peers(Protocol):
    """Bodies at other banks."""

    async def fetch_transactions(
        self, source: BankIndex, transaction_ids: Sequence[TransactionId]
    ) -> Sequence[bytes]: ...


class CatchUp:
    """Watches what peers send, and keeps the bodies of the next blocks.

    To the transaction pool it is where bodies are stored: those on disk, and those fetched ahead.
    """

    def __init__(
        self,
        chain: Chain,
        admission: Admission,
        stored: Bodies,
        peers: Peers,
        observation: Observation | None = None,
    ) -> None:
        self._chain = chain
        self._observation = observation or Observation(BankIndex(0))
        self._admission = admission
        self._stored = stored
        self._peers = peers
        self._heard: dict[BankIndex, Height] = {}
        """The sealed height that each bank's messages imply."""
        self._bodies: dict[TransactionId, tuple[Height, bytes]] = {}
        self._size_bytes = 0
        self._fetching: dict[TransactionId, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.gossip_dropped = 0

    @property
    def heights_behind(self) -> int:
        """How many heights at least one correct bank is ahead; 0 if that cannot be said."""
        needed = self._chain.active_set.reject_threshold
        heights = sorted(self._heard.values(), reverse=True)
        if len(heights) < needed:
            return 0
        return max(0, heights[needed - 1] - self._chain.height)

    @property
    def far_behind(self) -> bool:
        """Whether gossip is of no use yet."""
        return self.heights_behind > FAR_BEHIND

    def heard(self, sender: BankIndex, message: Message) -> None:
        """Take note of a peer's height, and fetch ahead what the blocks in its answer need."""
        sealed = _sealed_height(message)
        # What says where its sender stands now takes an earlier lie or error of its back.
        stands = isinstance(message, Status | SyncResponse)
        if stands or sealed > self._heard.get(sender, -1):
            self._heard[sender] = sealed
        if isinstance(message, SyncResponse) and len(self._tasks) < AT_ONCE:
            blocks = [item.block for item in message.blocks]
            wanted = self._wanted(blocks) if self.far_behind else {}
            if wanted:
                self._drop_applied()
                fetched = asyncio.Event()
                self._fetching.update(dict.fromkeys(wanted, fetched))
                task = asyncio.get_running_loop().create_task(
                    self._prefetch(sender, wanted, fetched)
                )
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def _wanted(self, blocks: Sequence[Block]) -> dict[TransactionId, Height]:
        low, high = self._chain.height, self._chain.height + AHEAD
        return {
            item: block.height
            for block in blocks
            if low < block.height <= high
            for item in block.transaction_ids
            if item not in self._bodies
            and item not in self._fetching
            and self._admission.known(item) is None
        }

    async def _prefetch(
        self, source: BankIndex, wanted: dict[TransactionId, Height], fetched: asyncio.Event
    ) -> None:
        raws: list[bytes] = []
        try:
            for raw in await self._peers.fetch_transactions(source, list(wanted)):
                identity = TransactionId(transaction_id(raw))
                if identity in wanted and self._size_bytes + len(raw) <= PREFETCHED_BYTES:
                    self._observation.received(identity, len(raw), f"bank/{source}")
                    self._bodies[identity] = (wanted[identity], raw)
                    self._size_bytes += len(raw)
                    raws.append(raw)
        finally:
            for identity in wanted:
                self._fetching.pop(identity, None)
            fetched.set()
        # Whoever needs one of these joins its verification; what is refused now is judged again.
        await asyncio.gather(
            *(self._admission.verify(raw, f"bank/{source}") for raw in raws),
            return_exceptions=True,
        )

    def _drop_applied(self) -> None:
        height = self._chain.height
        for identity, (needed_at, raw) in list(self._bodies.items()):
            if needed_at <= height:
                del self._bodies[identity]
                self._size_bytes -= len(raw)

    async def transaction_bodies(
        self, transaction_ids: Sequence[TransactionId]
    ) -> Mapping[TransactionId, bytes]:
        """Return the bodies that are here, waiting for those that are on their way."""
        under_way = {
            event for item in transaction_ids if (event := self._fetching.get(item)) is not None
        }
        for event in under_way:
            await event.wait()
        ahead = {item: self._bodies[item][1] for item in transaction_ids if item in self._bodies}
        absent = [item for item in transaction_ids if item not in ahead]
        stored = await self._stored.transaction_bodies(absent) if absent else {}
        return {**stored, **ahead}

    async def close(self) -> None:
        """Stop fetching."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _sealed_height(message: Message) -> Height:
    """Return the height that a correct sender of this message has sealed at least."""
    match message:
        case SyncResponse():
            return message.top
        case SyncRequest():
            return Height(message.from_height - 1)
        case BlockResponse():
            return Height(message.block.height - 1)
        case _:
            return Height(getattr(message, "height", 1) - 1)
