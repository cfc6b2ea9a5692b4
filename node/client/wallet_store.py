"""The contents of an open wallet, kept equal to the file and to the verified ledger."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace

from crypto.note import SessionKeys
from node.client import wallet_state
from node.client.ledger_client import LedgerClient
from node.client.ledger_replay import WalletReader
from node.client.synchronisation import read_update
from node.client.verification import SealVerifier
from node.client.wallet_data import Checkpoint, PaymentRecord, PaymentStatus, WalletData
from node.client.wallet_file import WalletFile
from node.ledger.genesis import Genesis
from node.ledger.state import genesis_state
from node.ledger.types import Height


class WalletStore:
    """Contents, file and ledger of one wallet; changes never overtake each other."""

    def __init__(
        self, file: WalletFile, data: WalletData, ledger: LedgerClient, genesis: Genesis
    ) -> None:
        self.file = file
        self.ledger = ledger
        self.genesis = genesis
        self.verifier = SealVerifier(genesis)
        self.data = wallet_state.drop_unsent(data)
        self.sessions: tuple[SessionKeys, ...] = ()
        self._derive_sessions()
        self.change = asyncio.Lock()
        """Held from reading the contents until what was changed is stored."""
        self._synchronised_s: float | None = None

    @property
    def height(self) -> Height:
        return self.data.checkpoint.height

    def payment(self, number: int) -> PaymentRecord:
        return wallet_state.find_payment(self.data, number)

    def hold(self, payment: PaymentRecord) -> None:
        """Reserve the notes of a payment for which nothing was built yet; in memory only."""
        self.data = wallet_state.put_payment(self.data, payment)

    async def save(self, data: WalletData) -> None:
        """Make these the contents, on disk first; the caller holds `change`."""
        await asyncio.to_thread(self.file.save, data)
        self.data = data

    async def save_payment(self, payment: PaymentRecord) -> None:
        """Store one payment's record; the caller holds `change`."""
        await self.save(wallet_state.put_payment(self.data, payment))

    def release(self, number: int) -> None:
        """Forget a payment for which nothing was ever built, and free its notes."""
        self.data = replace(
            self.data,
            payments=tuple(
                payment
                for payment in self.data.payments
                if payment.number != number
                or payment.attempts
                or payment.status is not PaymentStatus.PENDING
            ),
        )

    async def add_session(self) -> None:
        """Store one more session and derive its keys."""
        async with self.change:
            await self.save(replace(self.data, session_count=self.data.session_count + 1))
            self._derive_sessions()

    async def sync(self) -> Height:
        """Read and verify what is new on the ledger; raises `VerificationError`, `LedgerError`."""
        async with self.change:
            reader = WalletReader(self.data.chain_id, self.sessions)
            update = await read_update(self.ledger, self.verifier, self.data, reader)
            if update.checkpoint != self.data.checkpoint:
                await self.save(wallet_state.apply_update(self.data, update))
            self._synchronised_s = time.monotonic()
            return self.height

    async def rescan(self) -> Height:
        """Read the ledger from its beginning, from the next bank if there is one.

        Payments are kept. Nothing changes unless all of it verifies.
        """
        self.ledger.prefer_next_endpoint()
        async with self.change:
            start = Checkpoint.of(genesis_state(self.genesis))
            blank = replace(self.data, checkpoint=start, notes=(), bins=())
            reader = WalletReader(self.data.chain_id, self.sessions)
            update = await read_update(self.ledger, self.verifier, blank, reader)
            await self.save(wallet_state.apply_update(blank, update))
            return self.height

    async def sync_if_older(self, age_ms: int) -> None:
        """Synchronise unless that was done less than `age_ms` ago."""
        if self._synchronised_s is None or time.monotonic() - self._synchronised_s > age_ms / 1000:
            await self.sync()

    async def sync_to(self, height: Height) -> None:
        """Synchronise unless this height is verified already, as after another task's `sync`."""
        if self.height < height:
            await self.sync()

    async def sync_until(self, done: Callable[[], bool]) -> None:
        """Follow the ledger block by block until `done` holds for the contents."""
        await self.sync()
        while not done():
            stream = self.ledger.stream_blocks(Height(self.height + 1), follow=True)
            async with aclosing(stream):
                async for _ in stream:
                    await self.sync()
                    if done():
                        return

    def _derive_sessions(self) -> None:
        self.sessions += tuple(
            SessionKeys.derive(self.data.seed, session)
            for session in range(len(self.sessions), self.data.session_count)
        )
