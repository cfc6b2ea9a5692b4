"""What `issue` and `payout` share: a bank's operator brings notes into being for a wallet.

A mint spends no note, so a second order is a second mint. A submission whose answer was lost is
therefore repeated here with the same bytes; if its fate stays open, the command says so.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from crypto.layout import MAX_OUTPUTS
from node.cli.access import Consortium, nobody_answers
from node.cli.activity import Tell, activity
from node.cli.failure import EXIT_UNREACHABLE, EXIT_USAGE, CommandFailed
from node.cli.terminal import answer, answer_json
from node.client import LedgerClient, SealVerifier, recipient, wait_sealed
from node.client.errors import (
    LedgerOverloaded,
    LedgerTimeout,
    LedgerUnavailable,
    SubmissionUnsettled,
    TransactionRefused,
)
from node.client.issuing import SubmittedMint
from node.client.money import Money
from node.client.verification import SealedPlace
from node.client.wallet_data import Recipient
from node.ledger.rejection import Reason
from node.ledger.types import BankIndex, TransactionId
from node.runtime.consortium_directory import short_name
from node.runtime.secrets_directory import read_secret

ISSUER_KEY_FILE = "issuer.key"
REPEAT_FOR_S = 20.0
REPEAT_EVERY_S = 1.0

Mint = Callable[[LedgerClient, bytes, Sequence[Recipient]], Awaitable[SubmittedMint]]
"""Submits one ISSUE or PAYOUT, given the issuer's secret and at most four notes to make."""


@dataclass(frozen=True, slots=True)
class MintOrder:
    """So much money of a bank for one address, in so many notes."""

    bank: BankIndex
    to: str
    """Name of the payee, or the abbreviated address."""
    address: str
    money: Money
    note_count: int
    timeout_s: int

    def shares(self) -> list[int]:
        """Return the notes' values in minor units, as equal as can be, the larger ones first."""
        if self.note_count > self.money.amount:
            raise CommandFailed(
                f"{self.money} cannot be divided into {self.note_count} notes",
                "give a smaller --notes",
                EXIT_USAGE,
            )
        share, left = divmod(self.money.amount, self.note_count)
        return [share + (index < left) for index in range(self.note_count)]


@dataclass(frozen=True, slots=True)
class MintOutcome:
    """Where the transactions of an order are sealed, in the order of submission."""

    order: MintOrder
    places: tuple[SealedPlace, ...]
    elapsed_ms: int

    def show(self, verb: str, *, as_json: bool) -> None:
        """Print it; `verb` is what was done, for example `issued`."""
        order = self.order
        bank = short_name(order.bank)
        if as_json:
            answer_json(
                {
                    "status": "sealed",
                    "bank": bank,
                    "to": order.to,
                    "amount": order.money.text,
                    "amount_minor": order.money.amount,
                    "asset": order.money.asset.code,
                    "notes": order.note_count,
                    "transactions": [
                        {
                            "transaction_id": place.transaction_id.hex(),
                            "height": place.header.height,
                            "index": place.index,
                        }
                        for place in self.places
                    ],
                    "elapsed_ms": self.elapsed_ms,
                }
            )
            return
        noun = "note" if order.note_count == 1 else "notes"
        answer(f"{bank} {verb} {order.money} to {order.to} in {order.note_count} {noun}")
        for place in self.places:
            answer(
                f"sealed in block {place.header.height}: transaction {place.transaction_id.hex()}"
            )


async def mint(consortium: Consortium, order: MintOrder, submit: Mint) -> MintOutcome:
    """Submit the order, four notes a transaction, and wait for every seal.

    Raises `CommandFailed` for a submission whose fate is open, otherwise what `issue` raises.
    """
    shares = order.shares()
    secret = _issuer_secret(consortium, order.bank)
    begun_s = time.monotonic()
    with activity() as tell:
        async with consortium.ledger(order.bank) as ledger:
            # The genesis is ours: a bank of another chain is refused before anything is built.
            await _reach(consortium, ledger)
            submitted: list[TransactionId] = []
            for start in range(0, len(shares), MAX_OUTPUTS):
                tell(f"proving and handing in note {start + 1} of {len(shares)}")
                notes = [
                    recipient(order.address, value) for value in shares[start : start + MAX_OUTPUTS]
                ]
                try:
                    submitted.append(await _submit(ledger, submit, secret, notes, tell))
                except TransactionRefused as refusal:
                    raise await _explained(consortium, ledger, order, refusal) from refusal
            tell("waiting for the seal")
            places = await _sealed(consortium, ledger, submitted, order.timeout_s)
    elapsed_ms = int((time.monotonic() - begun_s) * 1000)
    return MintOutcome(order, places, elapsed_ms)


def _issuer_secret(consortium: Consortium, bank: BankIndex) -> bytes:
    """Read the key that only the bank's own machine has; raises `CommandFailed` elsewhere."""
    file = consortium.directory.bank(bank).keys / ISSUER_KEY_FILE
    if not file.exists():
        name = short_name(bank)
        raise CommandFailed(
            f"the key with which {name} issues is not on this machine: there is no {file}",
            f"run this on {name}'s own machine, or choose a bank whose keys are here",
        )
    return read_secret(file)


async def _reach(consortium: Consortium, ledger: LedgerClient) -> None:
    try:
        await ledger.genesis(consortium.genesis.chain_id)
    except LedgerUnavailable as error:
        raise nobody_answers(consortium) from error


async def _submit(
    ledger: LedgerClient, submit: Mint, secret: bytes, notes: Sequence[Recipient], tell: Tell
) -> TransactionId:
    try:
        return (await submit(ledger, secret, notes)).transaction_id
    except SubmissionUnsettled as error:
        unsettled = error
    tell("handing in the same bytes again, because no bank has answered")
    deadline_s = time.monotonic() + REPEAT_FOR_S
    while time.monotonic() < deadline_s:
        await asyncio.sleep(REPEAT_EVERY_S)
        try:
            return (await ledger.submit(unsettled.raw)).transaction_id
        except (LedgerUnavailable, LedgerTimeout, LedgerOverloaded):
            continue
    unsettled_id = TransactionId(unsettled.transaction_id)
    raise _open(unsettled_id, "no bank has answered whether it took") from unsettled


async def _sealed(
    consortium: Consortium,
    ledger: LedgerClient,
    submitted: Sequence[TransactionId],
    timeout_s: int,
) -> tuple[SealedPlace, ...]:
    verifier = SealVerifier(consortium.genesis)
    places = []
    for transaction_id in submitted:
        try:
            places.append(
                await wait_sealed(ledger, verifier, transaction_id, timeout_ms=timeout_s * 1000)
            )
        except (LedgerTimeout, LedgerUnavailable) as error:
            raise _open(transaction_id, f"{timeout_s} s were too short for") from error
    return tuple(places)


async def _explained(
    consortium: Consortium, ledger: LedgerClient, order: MintOrder, refusal: TransactionRefused
) -> Exception:
    """Return the refusal in the bank's own figures, as the sealed state has them."""
    _, state = SealVerifier(consortium.genesis).verify_state(await ledger.sealed_state())
    bank = short_name(order.bank)
    if refusal.reason is Reason.INSUFFICIENT_ACCOUNT:
        held = order.money.of(state.banks[order.bank].balance)
        return CommandFailed(
            f"the public account of {bank} holds {held}, less than {order.money}",
            f"redeem into it first: `consortium redeem WALLET AMOUNT {bank}`",
        )
    asset = state.asset(order.money.asset.asset_id)
    issuance = None if asset is None else asset.issuance_of(order.bank)
    if refusal.reason is Reason.ISSUANCE_LIMIT and issuance is not None:
        left = order.money.of(issuance.limit - issuance.issued)
        return CommandFailed(
            f"{bank} may issue {left} more, not {order.money}",
            "issue less, or let another bank issue",
        )
    return refusal


def _open(transaction_id: TransactionId, what: str) -> CommandFailed:
    return CommandFailed(
        f"{what} transaction {transaction_id.hex()}, which may still be sealed",
        f"see `consortium tx {transaction_id.hex()}` before you order the same again",
        EXIT_UNREACHABLE,
    )
