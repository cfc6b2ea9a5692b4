"""When transactions were sealed, as each bank's block stream tells it to its clients."""

from __future__ import annotations

import asyncio
import contextlib
import time
from types import TracebackType

from node.cli.access import Consortium
from node.client.errors import LedgerError
from node.client.ledger_client import LedgerClient
from node.ledger.blocks import Block
from node.ledger.types import BankIndex, Height, TransactionId

RETRY_S = 0.5


class SealWatch:
    """Follows the blocks of every bank; `async with SealWatch(...)` runs it."""

    def __init__(self, consortium: Consortium, from_height: int) -> None:
        self._consortium = consortium
        self._from_height = from_height
        self._sealed_s: dict[tuple[BankIndex, TransactionId], float] = {}
        self._waiting: dict[tuple[BankIndex, TransactionId], asyncio.Future[float]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> SealWatch:
        self._tasks = [
            asyncio.create_task(self._follow(bank.index)) for bank in self._consortium.genesis.banks
        ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def sealed_s(
        self, bank: BankIndex, transaction_id: TransactionId, timeout_s: float
    ) -> float:
        """Return when this bank told that it sealed the transaction (`time.monotonic`).

        Waits for it if need be; raises `TimeoutError`.
        """
        key = (bank, transaction_id)
        if key in self._sealed_s:
            return self._sealed_s[key]
        future = self._waiting.setdefault(key, asyncio.get_running_loop().create_future())
        return await asyncio.wait_for(asyncio.shield(future), timeout_s)

    async def _follow(self, bank: BankIndex) -> None:
        height = self._from_height
        endpoint = self._consortium.endpoints[bank]
        async with LedgerClient([endpoint], self._consortium.client_credentials(bank)) as ledger:
            while True:
                with contextlib.suppress(LedgerError):
                    async for stored in ledger.stream_blocks(Height(height), follow=True):
                        if stored.block:
                            block = Block.decode(stored.block)
                            height = block.header.height + 1
                            self._note(bank, block)
                await asyncio.sleep(RETRY_S)

    def _note(self, bank: BankIndex, block: Block) -> None:
        now_s = time.monotonic()
        for transaction_id in block.transaction_ids:
            key = (bank, transaction_id)
            self._sealed_s.setdefault(key, now_s)
            future = self._waiting.pop(key, None)
            if future is not None and not future.done():
                future.set_result(now_s)
