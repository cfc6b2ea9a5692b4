"""What other banks ask of a bank: frames of gossip and consensus messages, bodies and blocks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from node.consensus.events import MessageReceived
from node.consensus.messages import MAX_SYNC_BLOCKS, MAX_SYNC_BYTES, Message
from node.ledger.types import BankIndex, BlockId, Height, TransactionId
from node.rpc.backend import NotFound
from node.runtime.catch_up import CatchUp
from node.runtime.chain import Chain
from node.runtime.clock import Clock
from node.runtime.incoming_links import IncomingLinks
from node.runtime.snapshot_serving import SnapshotServer
from node.runtime.stored_blocks import naming_the_snapshot, sealed_block
from node.runtime.transaction_pool import UNVERIFIED, TransactionPool
from node.runtime.version import SOFTWARE_VERSION
from node.storage.database import Database
from node.storage.errors import NotFound as NotStored
from node.wire.records import BlockRange, Hello
from node.wire.snapshot_records import SnapshotPart

logger = logging.getLogger(__name__)

MISBEHAVIOUR_ALARM_S = 60.0
"""Between two alarms about the same misbehaviour of one bank: it must not push out all others."""
GOSSIP_IN_FLIGHT = 1_000
"""Transactions of one bank that may wait for verification here; beyond it its stream waits."""


@dataclass(slots=True)
class _Gossip:
    """What one bank has told and this bank has not judged yet."""

    in_flight: int = 0
    has_room: asyncio.Event = field(default_factory=asyncio.Event)


class PeerBackend:
    """Implements `node.rpc.backend.PeerBackend` for one bank."""

    def __init__(
        self,
        bank: BankIndex,
        chain: Chain,
        database: Database,
        pool: TransactionPool,
        incoming: IncomingLinks,
        clock: Clock,
        on_linked: Callable[[BankIndex], None],
        post: Callable[[MessageReceived], Awaitable[None]],
        raise_alarm: Callable[[str, str], None],
        catch_up: CatchUp,
    ) -> None:
        self._bank = bank
        self._chain = chain
        self._database = database
        self._pool = pool
        self._incoming = incoming
        self._clock = clock
        self._on_linked = on_linked
        self._post = post
        self._raise_alarm = raise_alarm
        self._catch_up = catch_up
        self._gossip = {peer.index: _Gossip() for peer in chain.genesis.banks}
        self._tasks: set[asyncio.Task[None]] = set()
        self._snapshots = SnapshotServer(chain.genesis, database)

    def hello(self) -> Hello:
        return Hello(self._chain.genesis.chain_id, self._bank, SOFTWARE_VERSION, self._chain.height)

    def linked(self, bank: BankIndex, hello: Hello) -> None:
        link = self._incoming[bank]
        link.linked, link.height, link.heard_s = True, hello.height, self._clock.monotonic_s()
        logger.info("bank linked", extra={"peer": bank, "height": hello.height})
        self._on_linked(bank)

    def unlinked(self, bank: BankIndex) -> None:
        self._incoming[bank].linked = False
        logger.info("bank unlinked", extra={"peer": bank})

    async def receive(
        self,
        sender: BankIndex,
        transactions: Sequence[bytes],
        messages: Sequence[Message],
        unverified: Sequence[bytes] = (),
    ) -> None:
        self._incoming[sender].heard_s = self._clock.monotonic_s()
        if not self._catch_up.far_behind:
            if transactions:
                await self._begin_gossip(sender, transactions, f"bank/{sender}")
            if unverified:
                await self._begin_gossip(sender, unverified, f"bank/{sender}{UNVERIFIED}")
        for message in messages:
            self._catch_up.heard(sender, message)
            await self._post(MessageReceived(sender, message))

    async def _begin_gossip(self, sender: BankIndex, raws: Sequence[bytes], source: str) -> None:
        gossip = self._gossip[sender]
        while gossip.in_flight >= GOSSIP_IN_FLIGHT:
            gossip.has_room.clear()
            await gossip.has_room.wait()
        gossip.in_flight += len(raws)
        task = asyncio.get_running_loop().create_task(self._take_gossip(sender, raws, source))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take_gossip(self, sender: BankIndex, raws: Sequence[bytes], source: str) -> None:
        gossip = self._gossip[sender]
        try:
            await self._pool.take_gossip(raws, source)
        finally:
            gossip.in_flight -= len(raws)
            gossip.has_room.set()

    def misbehaved(self, sender: BankIndex, reason: str, message: str) -> None:
        link, now_s = self._incoming[sender], self._clock.monotonic_s()
        link.misbehaved += 1
        if now_s < link.alarm_due_s.get(reason, now_s):
            return
        link.alarm_due_s[reason] = now_s + MISBEHAVIOUR_ALARM_S
        self._raise_alarm("peer-misbehaved", f"bank {sender}: {reason}: {message}")
        logger.warning("peer misbehaved", extra={"peer": sender, "reason": reason})

    async def transactions(self, transaction_ids: Sequence[TransactionId]) -> Sequence[bytes]:
        held = {item: self._pool.known(item) for item in transaction_ids}
        absent = [item for item, verified in held.items() if verified is None]
        stored = await self._database.transaction_bodies(absent) if absent else {}
        found = [
            verified.raw if verified is not None else stored.get(item)
            for item, verified in held.items()
        ]
        return [raw for raw in found if raw is not None]

    async def sealed_blocks(self, from_height: Height) -> BlockRange:
        with naming_the_snapshot():
            page = await self._database.blocks(
                from_height, limit=MAX_SYNC_BLOCKS, max_bytes=MAX_SYNC_BYTES
            )
        return BlockRange(tuple([sealed_block(stored) for stored in page]), self._chain.height)

    async def block(self, block_id: BlockId) -> bytes:
        try:
            with naming_the_snapshot():
                return (await self._database.block_by_id(block_id)).encoded
        except NotStored:
            pass
        try:
            return await self._database.held_block(block_id)
        except NotStored as error:
            raise NotFound(f"block {block_id.hex()} is unknown at this bank") from error

    def snapshot(self, minimum_height: Height) -> AsyncGenerator[SnapshotPart, None]:
        return self._snapshots.serve(minimum_height)
