"""Carrying a wallet's payment through on the command line, and saying what became of it.

What was left open by an earlier command is handed in again first. A command that ends before the
seal says so: ordering the same payment a second time would pay twice, resuming it does not.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import click

from node.cli.activity import Tell, activity
from node.cli.failure import EXIT_FAILED, EXIT_UNREACHABLE, CommandFailed
from node.cli.terminal import answer, answer_json, say, warn
from node.cli.wallet_book import WalletBook
from node.client import Wallet
from node.client.errors import ConsolidationNeeded, InsufficientFunds, LedgerError, LedgerTimeout
from node.client.money import Money
from node.client.verification import SealedPlace
from node.client.wallet_data import PaymentRecord, PaymentStatus

DEFAULT_TIMEOUT_S = 60

Submit = Callable[[Wallet], Awaitable[PaymentRecord]]
"""Orders the payment from an open wallet; returns when a bank has admitted it."""

timeout_option = click.option(
    "--timeout",
    "timeout_s",
    type=click.IntRange(min=1),
    default=DEFAULT_TIMEOUT_S,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for the seal.",
)
wait_option = click.option(
    "--no-wait",
    "wait",
    is_flag=True,
    flag_value=False,
    default=True,
    help="Return when a bank has admitted it, which is no promise.",
)
merge_option = click.option(
    "--merge",
    is_flag=True,
    help="Merge notes first if more than four are needed; each merge costs the fee.",
)


@dataclass(frozen=True, slots=True)
class Spending:
    """What is to leave a wallet."""

    wallet: str
    money: Money
    to: str
    """Name of the payee, or the abbreviated address."""
    wait: bool
    timeout_s: int

    @property
    def timeout_ms(self) -> int:
        return self.timeout_s * 1000


@dataclass(frozen=True, slots=True)
class PaymentOutcome:
    """What became of a payment."""

    spending: Spending
    payment: PaymentRecord
    place: SealedPlace | None
    """Where it is sealed, proven; None if that was not waited for."""
    elapsed_ms: int

    @property
    def transaction_id(self) -> str:
        attempt = self.payment.last_attempt
        return attempt.transaction_id.hex() if attempt is not None else ""

    def to_json_object(self) -> dict[str, object]:
        """Return everything by name; amounts as text in major units, and in minor units."""
        money, place = self.spending.money, self.place
        return {
            "status": "admitted" if place is None else "sealed",
            "transaction_id": self.transaction_id,
            "payment": self.payment.number,
            "from": self.spending.wallet,
            "to": self.spending.to,
            "amount": money.text,
            "amount_minor": money.amount,
            "fee_minor": self.payment.fee,
            "asset": money.asset.code,
            "height": None if place is None else place.header.height,
            "block_id": None if place is None else place.header.block_id.hex(),
            "index": None if place is None else place.index,
            "elapsed_ms": self.elapsed_ms,
        }

    def show(self, verb: str, *, as_json: bool) -> None:
        """Print it; `verb` is what was done, for example `paid`."""
        if as_json:
            answer_json(self.to_json_object())
            return
        money = self.spending.money
        fee = money.of(self.payment.fee)
        if self.place is None:
            answer(f"handed in: {money} to {self.spending.to}, fee {fee}")
            answer("admitted by a bank; only a seal makes it final: see `consortium tx`")
        else:
            answer(f"{verb} {money} to {self.spending.to}, fee {fee}")
            header = self.place.header
            answer(
                f"sealed in block {header.height} after {self.elapsed_ms / 1000:.1f} s; "
                "its proof and the seal are verified"
            )
        answer(f"transaction {self.transaction_id}")


async def spend(book: WalletBook, spending: Spending, submit: Submit) -> PaymentOutcome:
    """Order a payment and wait for its seal.

    Raises `CommandFailed` for what the owner can mend or must know, otherwise what `Wallet.pay`
    raises.
    """
    with activity() as tell:
        async with book.open(spending.wallet) as wallet:
            tell("reading the ledger")
            _tell_of_resumed(book, await wallet.resume())
            begun_s = time.monotonic()
            earlier = len(wallet.payments)
            try:
                payment = await _submit(wallet, spending, submit, tell)
                place = None
                if spending.wait:
                    tell("waiting for the seal")
                    place = await wallet.wait_sealed(payment, timeout_ms=spending.timeout_ms)
            except InsufficientFunds as error:
                raise _insufficient(spending, error) from error
            except ConsolidationNeeded as error:
                raise _consolidation(spending, error) from error
            except (LedgerError, asyncio.CancelledError) as error:
                _say_if_left_open(wallet, spending.wallet, earlier, error)
                raise
            record = next(item for item in wallet.payments if item.number == payment.number)
            elapsed_ms = int((time.monotonic() - begun_s) * 1000)
            return PaymentOutcome(spending, record, place, elapsed_ms)


async def _submit(wallet: Wallet, spending: Spending, submit: Submit, tell: Tell) -> PaymentRecord:
    tell("proving the payment and handing it in")
    try:
        return await submit(wallet)
    except InsufficientFunds as error:
        if error.spendable + error.maturing < error.needed:
            raise
        tell("waiting until what was received lately can be spent")
        await _wait_for_funds(wallet, spending, error.needed)
    tell("proving the payment and handing it in")
    return await submit(wallet)


async def _wait_for_funds(wallet: Wallet, spending: Spending, needed: int) -> None:
    code = spending.money.asset.code
    try:
        await wallet.wait_for_funds(needed, asset=code, timeout_ms=spending.timeout_ms)
    except LedgerTimeout as error:
        raise CommandFailed(
            f"what {spending.wallet} received lately could not be spent within "
            f"{spending.timeout_s} s, because no block was sealed",
            "see `consortium status`, then order it again: nothing was handed in",
            EXIT_UNREACHABLE,
        ) from error


def _consolidation(spending: Spending, error: ConsolidationNeeded) -> CommandFailed:
    money = spending.money
    return CommandFailed(
        f"{money.of(error.needed)} are needed with the fee, but the {len(error.largest)} largest "
        f"notes of {spending.wallet} hold {money.of(sum(error.largest))}",
        "add --merge: notes are merged first, which costs the fee each time",
    )


def _insufficient(spending: Spending, error: InsufficientFunds) -> CommandFailed:
    money = spending.money
    held = f"{spending.wallet} has {money.of(error.spendable)}"
    if error.maturing:
        held += f", {money.of(error.maturing)} that can be spent in a moment"
    if error.pending:
        held += f", {money.of(error.pending)} held by payments under way"
    return CommandFailed(
        f"{money.of(error.needed)} are needed with the fee; {held}",
        f"`consortium wallet resume {spending.wallet}` waits for the payments under way"
        if error.pending
        else "pay less, or receive more first",
        EXIT_FAILED,
    )


def _tell_of_resumed(book: WalletBook, payments: Sequence[PaymentRecord]) -> None:
    for payment in payments:
        if payment.status is PaymentStatus.PENDING:
            say(f"payment {payment.number} was still open and has been handed in again")
        elif payment.status is PaymentStatus.FAILED:
            warn(f"payment {payment.number}, which was still open, failed: {payment.failure}")


def _say_if_left_open(wallet: Wallet, name: str, earlier: int, error: BaseException) -> None:
    """Raise `CommandFailed` for a payment that may still be sealed; only say so if interrupted."""
    payments = wallet.payments[earlier:]
    if not payments or payments[-1].status is not PaymentStatus.PENDING:
        return
    number = payments[-1].number
    open_still = f"payment {number} may still be sealed, and its notes stay reserved for it"
    advice = f"`consortium wallet resume {name}` goes on with it; do not order it again"
    if isinstance(error, LedgerError):
        raise CommandFailed(f"{error}; {open_still}", advice, EXIT_UNREACHABLE) from error
    warn(f"{open_still}: {advice}")
