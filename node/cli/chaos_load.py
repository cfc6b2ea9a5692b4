"""Payments that go on while a consortium is being broken, and a memory of what was acknowledged.

Acknowledged is what the payer has verified to be sealed. Everything else may be lost, delayed or
built again over the same notes; no payment is ever made twice (`node.client.payment_engine`).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Sequence
from types import TracebackType

from node.cli.access import Consortium
from node.cli.demo_wallets import (
    DemoWallet,
    Departures,
    TimedLedger,
    fund,
    open_or_create,
    timed_ledger,
)
from node.cli.seal_watch import SealWatch
from node.client.errors import ClientError, InsufficientFunds
from node.client.wallet_data import PaymentStatus
from node.ledger.types import BankIndex, Height, TransactionId
from node.runtime.consortium_directory import short_name

PAYERS = 4
"""Wallets, each with its home at another bank and one payment at a time."""
NOTES_EACH = 8
AMOUNT_LOWEST, AMOUNT_HIGHEST = 100, 2_000
"""Minor units of a payment."""
SEALED_WITHIN_MS = 120_000
RETRY_S = 0.5


class ChaosLoad:
    """Pays until it is left; `async with ChaosLoad(...) as load:`."""

    def __init__(
        self, consortium: Consortium, seed: int, pause_s: float, *, payers: int = PAYERS
    ) -> None:
        """`pause_s` is how long a payer rests between two payments.

        The payers have their homes at the first banks.
        """
        self._consortium = consortium
        self._payers = payers
        self._random = random.Random(seed)
        self._pause_s = pause_s
        self._wallets: list[DemoWallet] = []
        self._ledgers: list[TimedLedger] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False
        self.acknowledged: dict[TransactionId, Height] = {}
        """What a payer has verified to be sealed, and where."""
        self.failures = 0
        """Tries that ended in an error and were taken up again."""

    async def __aenter__(self) -> ChaosLoad:
        await self._open()
        self._tasks = [asyncio.create_task(self._pay_for_ever(wallet)) for wallet in self._wallets]
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
        for item in self._wallets:
            item.wallet.close()
        for ledger in self._ledgers:
            await ledger.close()

    @property
    def waiting(self) -> int:
        """Payments that are not settled yet."""
        return sum(
            payment.status is PaymentStatus.PENDING
            for item in self._wallets
            for payment in item.wallet.payments
        )

    async def finish(self, timeout_s: float) -> int:
        """Order no more, settle what is open; return how many payments are open still."""
        self._stopping = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await asyncio.gather(*self._tasks)
                await asyncio.gather(*(self._settle(item) for item in self._wallets))
        return self.waiting

    async def _open(self) -> None:
        banks = [bank.index for bank in self._consortium.genesis.banks][: self._payers]
        self._ledgers = [timed_ledger(self._consortium, bank) for bank in banks]
        for bank, ledger in zip(banks, self._ledgers, strict=True):
            name = f"chaos-{short_name(bank)}"
            wallet = await open_or_create(self._consortium, name, ledger, bank)
            self._wallets.append(DemoWallet(bank, wallet, ledger))
        first_height = (await self._ledgers[0].node_status()).height
        async with SealWatch(self._consortium, first_height + 1) as watch:
            await asyncio.gather(*(self._fund(watch, item) for item in self._wallets))

    async def _fund(self, watch: SealWatch, item: DemoWallet) -> None:
        bank: BankIndex = item.bank
        await item.wallet.sync()
        if item.wallet.balance().spendable >= AMOUNT_HIGHEST * NOTES_EACH:
            return
        departures = Departures(1)
        await fund(
            self._consortium, watch, departures, item.ledger, bank, [item.wallet], NOTES_EACH
        )

    async def _pay_for_ever(self, payer: DemoWallet) -> None:
        others: Sequence[DemoWallet] = [item for item in self._wallets if item is not payer]
        while not self._stopping:
            try:
                await self._settle(payer)
                await self._pay(payer, self._random.choice(others))
            except (ClientError, TimeoutError):
                self.failures += 1
                await asyncio.sleep(RETRY_S)
            await asyncio.sleep(self._pause_s)

    async def _pay(self, payer: DemoWallet, payee: DemoWallet) -> None:
        amount = self._random.randint(AMOUNT_LOWEST, AMOUNT_HIGHEST)
        try:
            record = await payer.wallet.pay(payee.wallet.address, amount, memo="chaos")
        except InsufficientFunds as error:
            await payer.wallet.wait_for_funds(error.needed, timeout_ms=SEALED_WITHIN_MS)
            return
        await self._acknowledge(payer, record.number)

    async def _settle(self, payer: DemoWallet) -> None:
        """Take up payments that an error left open."""
        if any(item.status is PaymentStatus.PENDING for item in payer.wallet.payments):
            for payment in await payer.wallet.resume():
                if payment.status in (PaymentStatus.PENDING, PaymentStatus.SEALED):
                    await self._acknowledge(payer, payment.number)

    async def _acknowledge(self, payer: DemoWallet, number: int) -> None:
        place = await payer.wallet.wait_sealed(number, timeout_ms=SEALED_WITHIN_MS)
        self.acknowledged[place.transaction_id] = Height(place.header.height)
