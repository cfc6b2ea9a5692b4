"""A peer backend whose incoming links can be cut, slowed down or made to lose frames on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from node.consensus.messages import Message
from node.ledger.types import BankIndex, BlockId, Height, TransactionId
from node.rpc.backend import NotReady
from node.rpc.gate import caller
from node.rpc.link_conditions import CUT, DelayLine, LinkConditions
from node.runtime.peer_backend import PeerBackend
from node.wire.identity import Role
from node.wire.records import BlockRange, Hello

Frame = tuple[Sequence[bytes], Sequence[Message], Sequence[bytes]]


class DisturbedPeerBackend(PeerBackend):
    """The peer backend of a node that may be disturbed; undisturbed, it is the other one."""

    def __init__(self, *parts: Any) -> None:
        """Takes what `PeerBackend` takes."""
        super().__init__(*parts)
        self._lines: dict[BankIndex, tuple[DelayLine[Frame], asyncio.Task[None]]] = {}

    def disturb(self, peer: BankIndex, conditions: LinkConditions) -> None:
        """Disturb what one bank sends to this one; a cut link counts as down at once."""
        if peer not in self._lines:
            ripe: asyncio.Queue[Frame] = asyncio.Queue()
            pump = asyncio.get_running_loop().create_task(self._pump(peer, ripe))
            self._lines[peer] = (DelayLine(ripe.put_nowait), pump)
        self._lines[peer][0].conditions = conditions
        if conditions.cut:
            self._incoming[peer].linked = False

    def close(self) -> None:
        """Stop delivering what was held back."""
        for line, pump in self._lines.values():
            line.close()
            pump.cancel()

    def linked(self, bank: BankIndex, hello: Hello) -> None:
        self._require_open(bank)
        super().linked(bank, hello)

    async def receive(
        self,
        sender: BankIndex,
        transactions: Sequence[bytes],
        messages: Sequence[Message],
        unverified: Sequence[bytes] = (),
    ) -> None:
        held = self._lines.get(sender)
        if held is None:
            await super().receive(sender, transactions, messages, unverified)
        else:
            self._require_open(sender)
            held[0].put((transactions, messages, unverified))

    async def transactions(self, transaction_ids: Sequence[TransactionId]) -> Sequence[bytes]:
        await self._delay_caller()
        return await super().transactions(transaction_ids)

    async def sealed_blocks(self, from_height: Height) -> BlockRange:
        await self._delay_caller()
        return await super().sealed_blocks(from_height)

    async def block(self, block_id: BlockId) -> bytes:
        await self._delay_caller()
        return await super().block(block_id)

    async def _pump(self, peer: BankIndex, ripe: asyncio.Queue[Frame]) -> None:
        while True:
            transactions, messages, unverified = await ripe.get()
            await super().receive(peer, transactions, messages, unverified)

    def _require_open(self, bank: BankIndex) -> None:
        held = self._lines.get(bank)
        if held is not None and held[0].conditions.cut:
            raise NotReady(f"the link from bank {bank} is {CUT}")

    async def _delay_caller(self) -> None:
        """A bank that asks for bodies or blocks waits as its messages would."""
        if not self._lines or caller().role is not Role.BANK:
            return
        bank = caller().bank
        self._require_open(bank)
        held = self._lines.get(bank)
        if held is not None and held[0].conditions.delay_ms:
            await asyncio.sleep(held[0].conditions.delay_ms / 1_000)
