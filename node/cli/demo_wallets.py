"""The wallets of the demonstration: opened or made, and funded by their banks."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from crypto.transaction import transaction_id
from node.cli.access import Consortium
from node.cli.failure import CommandFailed
from node.cli.seal_watch import SealWatch
from node.client import KeyFile, LedgerClient, Wallet, issue, list_wallets, recipient
from node.client.issuing import SubmittedMint
from node.client.wallet_data import Recipient
from node.ledger.types import BankIndex, TransactionId
from node.runtime.consortium_directory import short_name
from node.runtime.secrets_directory import read_secret
from node.wire.records import Receipt

NOTE_VALUE = 100_000
"""Minor units: a thousand rupees in each note issued."""
OUTPUTS_AN_ISSUE = 4
"""The most that one ISSUE makes (IDX1 5.3)."""
SEALED_WITHIN_S = 60.0


class Departures:
    """Lets finished transactions leave together, as those of many independent clients would.

    On one machine, clients that prove and banks that verify compete for the same cores. Proving
    many first and submitting them together lets the banks verify whole batches.
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._preparing = 0
        self._waiting: list[asyncio.Future[None]] = []

    @contextlib.contextmanager
    def preparing(self) -> Iterator[None]:
        """Count the block as work on a transaction that may still come to `leave`."""
        self._preparing += 1
        try:
            yield
        finally:
            self._preparing -= 1
            self._release()

    async def leave(self) -> None:
        """Wait until enough are ready, or nobody else is preparing anything."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._release()
        await future

    def _release(self) -> None:
        if len(self._waiting) >= min(self._at_once, self._preparing):
            for future in self._waiting:
                if not future.done():
                    future.set_result(None)
            self._waiting.clear()


class TimedLedger(LedgerClient):
    """A ledger client that remembers when it first submitted each transaction."""

    submitted_s: dict[TransactionId, float]
    departures: Departures | None = None

    async def submit(self, transaction: bytes) -> Receipt:
        """Submit, and note the time of the first attempt (`time.monotonic`)."""
        identity = TransactionId(transaction_id(transaction))
        if identity not in self.submitted_s and self.departures is not None:
            await self.departures.leave()
        self.submitted_s.setdefault(identity, time.monotonic())
        return await super().submit(transaction)


@dataclass(frozen=True, slots=True)
class DemoWallet:
    """A customer of one bank."""

    bank: BankIndex
    wallet: Wallet
    ledger: TimedLedger


def timed_ledger(consortium: Consortium, home: BankIndex) -> TimedLedger:
    """Return a client whose home is this bank and that takes times."""
    ledger = TimedLedger(consortium.endpoints_from(home), consortium.client_credentials(home))
    ledger.submitted_s = {}
    return ledger


async def open_wallets(
    consortium: Consortium, ledgers: Sequence[TimedLedger], a_bank: int
) -> list[DemoWallet]:
    """Open or make so many wallets at each bank; `ledgers` are in bank order."""
    wallets = []
    for number in range(1, a_bank + 1):
        for bank in consortium.genesis.banks:
            ledger = ledgers[bank.index]
            name = f"demo-{short_name(bank.index)}-{number}"
            wallet = await open_or_create(consortium, name, ledger, bank.index)
            wallets.append(DemoWallet(bank.index, wallet, ledger))
    return wallets


async def open_or_create(
    consortium: Consortium, name: str, ledger: LedgerClient, home: BankIndex
) -> Wallet:
    """Open a wallet with its key file, or make both."""
    directory = consortium.directory.wallets
    key_path = directory / f"{name}.key"
    if name in list_wallets(directory):
        return await Wallet.open(directory, name, KeyFile(key_path), ledger)
    key_path.unlink(missing_ok=True)
    return await Wallet.create(
        directory,
        name,
        KeyFile.create(key_path),
        ledger,
        home_bank=short_name(home),
        chain_id=consortium.genesis.chain_id,
    )


async def fund(
    consortium: Consortium,
    watch: SealWatch,
    departures: Departures,
    ledger: TimedLedger,
    bank: BankIndex,
    wallets: Sequence[Wallet],
    notes_each: int,
) -> int:
    """Have a bank issue notes to its customers, sealed when this returns; return the issues."""
    secret = read_secret(consortium.directory.bank(bank).keys / "issuer.key")
    payees = [
        recipient(wallet.address, NOTE_VALUE, "opening balance")
        for _ in range(notes_each)
        for wallet in wallets
    ]

    async def mint(recipients: Sequence[Recipient]) -> SubmittedMint:
        with departures.preparing():
            return await issue(ledger, secret, recipients, chain_id=consortium.genesis.chain_id)

    minted = await asyncio.gather(
        *(
            mint(payees[start : start + OUTPUTS_AN_ISSUE])
            for start in range(0, len(payees), OUTPUTS_AN_ISSUE)
        )
    )
    try:
        for item in minted:
            await watch.sealed_s(bank, item.transaction_id, SEALED_WITHIN_S)
    except TimeoutError:
        raise CommandFailed(
            f"{short_name(bank)} did not see its issues sealed within {SEALED_WITHIN_S:.0f} s",
            "see `consortium status` and `consortium doctor`",
        ) from None
    return len(minted)
