"""The wallets of the demonstration: opened or made, and funded by their banks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from crypto.transaction import transaction_id
from node.cli.access import Consortium
from node.cli.seal_watch import SealWatch
from node.client import KeyFile, LedgerClient, Wallet, issue, list_wallets, recipient
from node.ledger.types import BankIndex, TransactionId
from node.runtime.consortium_directory import short_name
from node.runtime.secrets_directory import read_secret
from node.wire.records import Receipt

NOTE_VALUE = 100_000
"""Minor units: a thousand rupees in each note issued."""
OUTPUTS_AN_ISSUE = 4
"""The most that one ISSUE makes (IDX1 5.3)."""
SEALED_WITHIN_S = 60.0


class TimedLedger(LedgerClient):
    """A ledger client that remembers when it first submitted each transaction."""

    submitted_s: dict[TransactionId, float]

    async def submit(self, transaction: bytes) -> Receipt:
        """Submit, and note the time of the first attempt (`time.monotonic`)."""
        identity = TransactionId(transaction_id(transaction))
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
    minted = [
        await issue(
            ledger,
            secret,
            payees[start : start + OUTPUTS_AN_ISSUE],
            chain_id=consortium.genesis.chain_id,
        )
        for start in range(0, len(payees), OUTPUTS_AN_ISSUE)
    ]
    await asyncio.gather(
        *(watch.sealed_s(bank, mint.transaction_id, SEALED_WITHIN_S) for mint in minted)
    )
    return len(minted)
