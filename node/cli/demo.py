"""The demonstration: funded wallets at every bank pay each other, one tries to spend twice.

Nothing here is simulated: each wallet is a file of its own with its own keys, builds its own
proofs, talks gRPC to its home bank as any client does, and believes a payment sealed only when it
has verified the inclusion proof itself.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from node.cli.access import Consortium
from node.cli.demo_double_spend import DoubleSpend, try_double_spend
from node.cli.demo_wallets import (
    DemoWallet,
    Departures,
    TimedLedger,
    fund,
    open_or_create,
    open_wallets,
    timed_ledger,
)
from node.cli.demo_years import DemoTreasury
from node.cli.doctor_report import DoctorReport
from node.cli.seal_watch import SealWatch
from node.client.errors import ClientError, InsufficientFunds
from node.client.wallet_data import PaymentRecord
from node.ledger.types import BankIndex
from node.runtime.consortium_directory import short_name

WALLETS_A_BANK = 1
NOTES_A_WALLET_MOST = 32
"""More payments than this wait for change."""
IN_FLIGHT_A_WALLET = 16
DEPART_TOGETHER = 100
"""A block's worth."""
AMOUNT_LOWEST, AMOUNT_HIGHEST = 100, 5_000
"""Minor units of a payment."""
FUNDS_WITHIN_MS = 60_000
SEALED_WITHIN_S = 60.0
ATTACKER_BANK = BankIndex(0)

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class DemoSummary:
    """What came of the demonstration; the fields of `consortium up --demo N --json`."""

    banks: int
    transactions_submitted: int
    """Payments asked for; funding and the double spend are not counted."""
    transactions_sealed: int
    """Payments whose inclusion proof their payer verified."""
    blocks: int
    """Sealed during the demonstration."""
    height: int
    double_spend_rejected: bool
    state_roots_identical: bool
    doctor_clean: bool
    seconds_to_healthy: float
    seconds_total: float
    sealed_per_second: float
    """Payments, from the first submission to the last seal."""
    finality_ms_p50: float
    """From submission of a payment until its home bank told that it is sealed."""
    finality_ms_p95: float
    settlements: int
    """Fiscal years settled during the demonstration."""
    rewards_paid: int
    """By these settlements, in minor units of the base asset."""
    penalties: int
    """Taken from stakes during the demonstration, in minor units of the base asset."""
    treasury_balanced: bool
    """Whether stakes, pots, fees and rewards add up, from genesis on."""

    @property
    def held(self) -> bool:
        """Whether everything is as it must be."""
        return (
            self.transactions_sealed == self.transactions_submitted
            and self.double_spend_rejected
            and self.state_roots_identical
            and self.doctor_clean
            and self.treasury_balanced
        )

    def to_json_object(self) -> dict[str, object]:
        """Return the fields by name."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class SealedPayment:
    """Times of one payment, by `time.monotonic`."""

    submitted_s: float
    sealed_s: float


@dataclass(frozen=True, slots=True)
class DemoOutcome:
    """What the demonstration saw before the doctor came."""

    payments: tuple[SealedPayment, ...]
    failures: tuple[str, ...]
    double_spend: DoubleSpend
    issues: int
    first_height: int
    funding_s: float
    paying_s: float

    def summarise(
        self,
        asked: int,
        doctor: DoctorReport,
        treasury: DemoTreasury,
        *,
        banks: int,
        healthy_s: float,
        total_s: float,
    ) -> DemoSummary:
        """Return the summary with the doctor's findings."""
        finality_ms = sorted(
            (payment.sealed_s - payment.submitted_s) * 1000 for payment in self.payments
        )
        return DemoSummary(
            banks=banks,
            transactions_submitted=asked,
            transactions_sealed=len(self.payments),
            blocks=doctor.height - self.first_height,
            height=doctor.height,
            double_spend_rejected=self.double_spend.rejected,
            state_roots_identical=doctor.state_roots_identical,
            doctor_clean=doctor.clean,
            seconds_to_healthy=round(healthy_s, 2),
            seconds_total=round(total_s, 2),
            sealed_per_second=round(self._rate(), 2),
            finality_ms_p50=round(_percentile(finality_ms, 50), 1),
            finality_ms_p95=round(_percentile(finality_ms, 95), 1),
            settlements=treasury.settlements,
            rewards_paid=treasury.rewards_paid,
            penalties=treasury.penalties,
            treasury_balanced=treasury.balanced,
        )

    def _rate(self) -> float:
        if not self.payments:
            return 0.0
        begun_s = min(payment.submitted_s for payment in self.payments)
        ended_s = max(payment.sealed_s for payment in self.payments)
        return len(self.payments) / max(ended_s - begun_s, 1e-3)


async def run_demo(consortium: Consortium, payments: int, progress: Progress) -> DemoOutcome:
    """Fund wallets, make `payments` payments between banks and one double spend; return times.

    Raises `ClientError` if funding fails; a payment that fails is counted and described.
    """
    banks = [bank.index for bank in consortium.genesis.banks]
    ledgers = [timed_ledger(consortium, bank) for bank in banks]
    try:
        first_height = (await ledgers[0].node_status()).height
        async with SealWatch(consortium, first_height + 1) as watch:
            demonstration = _Demonstration(consortium, ledgers, watch, payments, progress)
            return await demonstration.run(first_height)
    finally:
        for ledger in ledgers:
            await ledger.close()


class _Demonstration:
    def __init__(
        self,
        consortium: Consortium,
        ledgers: Sequence[TimedLedger],
        watch: SealWatch,
        payments: int,
        progress: Progress,
    ) -> None:
        self._consortium = consortium
        self._ledgers = ledgers
        self._watch = watch
        self._asked = payments
        self._progress = progress
        self._sealed: list[SealedPayment] = []
        self._failures: list[str] = []
        self._departures = Departures(DEPART_TOGETHER)
        for ledger in ledgers:
            ledger.departures = self._departures

    async def run(self, first_height: int) -> DemoOutcome:
        begun_s = time.monotonic()
        wallets = await open_wallets(self._consortium, self._ledgers, WALLETS_A_BANK)
        attacker = f"demo-double-spend-{first_height}"
        try:
            issues = await self._fund(wallets, attacker)
            funded_s = time.monotonic()
            spending_twice = asyncio.create_task(
                try_double_spend(
                    self._consortium,
                    attacker,
                    ATTACKER_BANK,
                    [wallets[1].wallet.address, wallets[2].wallet.address],
                )
            )
            try:
                await self._pay_all(wallets)
                double_spend = await spending_twice
            finally:
                spending_twice.cancel()
        finally:
            for item in wallets:
                item.wallet.close()
        return DemoOutcome(
            payments=tuple(self._sealed),
            failures=tuple(self._failures),
            double_spend=double_spend,
            issues=issues,
            first_height=first_height,
            funding_s=funded_s - begun_s,
            paying_s=time.monotonic() - funded_s,
        )

    async def _fund(self, wallets: Sequence[DemoWallet], attacker: str) -> int:
        """Issue at all banks at the same time, the attacker's one note among them."""
        each = min(-(-self._asked // len(wallets)) + 1, NOTES_A_WALLET_MOST)
        home = self._ledgers[ATTACKER_BANK]
        attacking = await open_or_create(self._consortium, attacker, home, ATTACKER_BANK)
        try:
            rounds = [
                fund(
                    self._consortium,
                    self._watch,
                    self._departures,
                    home,
                    ATTACKER_BANK,
                    [attacking],
                    1,
                ),
                *(
                    fund(
                        self._consortium,
                        self._watch,
                        self._departures,
                        self._ledgers[bank.index],
                        bank.index,
                        [item.wallet for item in wallets if item.bank == bank.index],
                        each,
                    )
                    for bank in self._consortium.genesis.banks
                ),
            ]
            return sum(await asyncio.gather(*rounds))
        finally:
            attacking.close()

    async def _pay_all(self, wallets: Sequence[DemoWallet]) -> None:
        orders: asyncio.Queue[tuple[DemoWallet, DemoWallet, int]]
        queues = []
        for position, payer in enumerate(wallets):
            orders = asyncio.Queue()
            elsewhere = [item for item in wallets if item.bank != payer.bank]
            for _ in range(position, self._asked, len(wallets)):
                amount = random.randint(AMOUNT_LOWEST, AMOUNT_HIGHEST)
                orders.put_nowait((payer, random.choice(elsewhere), amount))
            queues.append(orders)
        self._progress(0, self._asked)
        await asyncio.gather(
            *(self._work_off(queue) for queue in queues for _ in range(IN_FLIGHT_A_WALLET))
        )

    async def _work_off(self, orders: asyncio.Queue[tuple[DemoWallet, DemoWallet, int]]) -> None:
        while not orders.empty():
            payer, payee, amount = orders.get_nowait()
            try:
                self._sealed.append(await self._pay(payer, payee, amount))
            except (ClientError, TimeoutError) as error:
                self._failures.append(
                    f"a payment from {short_name(payer.bank)} to {short_name(payee.bank)} failed: "
                    f"{str(error) or 'it was not sealed in time'}"
                )
            self._progress(len(self._sealed), self._asked)

    async def _pay(self, payer: DemoWallet, payee: DemoWallet, amount: int) -> SealedPayment:
        """Pay, wait until the home bank has sealed it, and verify that from the proof."""
        record = await self._submit(payer, payee, amount)
        attempt = record.last_attempt
        assert attempt is not None, "an admitted payment has a transaction"
        try:
            sealed_s = await self._watch.sealed_s(
                payer.bank, attempt.transaction_id, SEALED_WITHIN_S
            )
        except TimeoutError:
            # It may have been built again over the same notes.
            sealed_s = time.monotonic()
        place = await payer.wallet.wait_sealed(record)
        if place.transaction_id != attempt.transaction_id:
            sealed_s = time.monotonic()
        return SealedPayment(payer.ledger.submitted_s[attempt.transaction_id], sealed_s)

    async def _submit(self, payer: DemoWallet, payee: DemoWallet, amount: int) -> PaymentRecord:
        while True:
            try:
                with self._departures.preparing():
                    return await payer.wallet.pay(payee.wallet.address, amount, memo="demo")
            except InsufficientFunds as error:
                await payer.wallet.wait_for_funds(error.needed, timeout_ms=FUNDS_WITHIN_MS)


def _percentile(ordered: Sequence[float], percent: int) -> float:
    """Return the smallest value that `percent` of all do not exceed; 0 of no values."""
    if not ordered:
        return 0.0
    return ordered[max(0, -(-percent * len(ordered) // 100) - 1)]
