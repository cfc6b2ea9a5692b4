"""The attack of the demonstration: one note spent twice, at two banks, at the same moment.

The attacker keeps two copies of one wallet file. Each copy builds a correct payment of the same
note to another payee; both are submitted at once, each to its own bank. At most one may be sealed,
the same at every bank, and the other must be gone everywhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from node.cli.access import Consortium
from node.cli.demo_wallets import NOTE_VALUE
from node.client import KeyFile, LedgerClient, Wallet
from node.client.errors import ClientError, LedgerError, RecordNotFound
from node.ledger.types import BankIndex, TransactionId
from node.runtime.consortium_directory import short_name
from node.wire.records import Receipt, TransactionState

FUNDS_WITHIN_MS = 60_000
MEETING_WITHIN_S = 30.0
SETTLED_WITHIN_S = 30.0
POLL_S = 0.25
STOLEN_AMOUNT = NOTE_VALUE // 2 + 1


@dataclass(frozen=True, slots=True)
class DoubleSpend:
    """How the attempt ended."""

    transaction_ids: tuple[TransactionId, ...]
    banks: tuple[BankIndex, BankIndex]
    sealed: tuple[TransactionId, ...]
    """Those sealed at all banks."""
    refused: tuple[TransactionId, ...]
    """Those that no bank sealed or still holds."""
    refusals: tuple[str, ...]
    """What banks said of the refused one, each reason once."""

    @property
    def rejected(self) -> bool:
        """Whether exactly one payment went through, the same everywhere."""
        return len(self.transaction_ids) == 2 and len(self.sealed) == len(self.refused) == 1

    def __str__(self) -> str:
        where = " and ".join(map(short_name, self.banks))
        if not self.rejected:
            return f"a double spend at {where} was NOT refused: {len(self.sealed)} were sealed"
        why = f" ({', '.join(self.refusals)})" if self.refusals else ""
        return f"a double spend at {where} was refused everywhere{why}: one of the two was sealed"


class _Meeting(LedgerClient):
    """Submits only when the other copy is ready to submit too."""

    barrier: asyncio.Barrier

    async def submit(self, transaction: bytes) -> Receipt:
        """Wait for the other copy the first time, then submit."""
        # After an error the other copy will never come: then submit alone.
        with contextlib.suppress(TimeoutError, asyncio.BrokenBarrierError):
            await asyncio.wait_for(self.barrier.wait(), MEETING_WITHIN_S)
        await self.barrier.abort()
        return await super().submit(transaction)


async def try_double_spend(
    consortium: Consortium,
    attacker: str,
    home: BankIndex,
    payees: Sequence[str],
) -> DoubleSpend:
    """Spend the one note of the wallet `attacker` twice, to two addresses, at two banks."""
    other = BankIndex((home + len(consortium.genesis.banks) // 2) % len(consortium.genesis.banks))
    banks = (home, other)
    directory = consortium.directory.wallets
    barrier = asyncio.Barrier(2)
    with tempfile.TemporaryDirectory(prefix="consortium-demo-") as copy:
        for suffix in (".wallet", ".key"):
            shutil.copy(directory / f"{attacker}{suffix}", Path(copy))
        attempts = [
            _pay_once(consortium, place, attacker, bank, payee, barrier)
            for place, bank, payee in zip((directory, Path(copy)), banks, payees, strict=True)
        ]
        identities = tuple(identity for identity in await asyncio.gather(*attempts) if identity)
    return await _settle(consortium, banks, identities)


async def _pay_once(
    consortium: Consortium,
    directory: Path,
    name: str,
    bank: BankIndex,
    payee: str,
    barrier: asyncio.Barrier,
) -> TransactionId | None:
    ledger = _Meeting(consortium.endpoints_from(bank), consortium.client_credentials(bank))
    ledger.barrier = barrier
    secret = KeyFile(directory / f"{name}.key")
    async with ledger, await Wallet.open(directory, name, secret, ledger) as wallet:
        await wallet.wait_for_funds(STOLEN_AMOUNT, timeout_ms=FUNDS_WITHIN_MS)
        # A refusal is what is hoped for; which payment was refused is asked of every bank.
        with contextlib.suppress(ClientError):
            await wallet.pay(payee, STOLEN_AMOUNT, memo="spent twice")
        attempts = [attempt for payment in wallet.payments for attempt in payment.attempts]
        return attempts[0].transaction_id if attempts else None


async def _settle(
    consortium: Consortium,
    banks: tuple[BankIndex, BankIndex],
    identities: tuple[TransactionId, ...],
) -> DoubleSpend:
    """Ask every bank until each payment is sealed everywhere or nowhere held any more."""
    deadline_s = time.monotonic() + SETTLED_WITHIN_S
    while True:
        found = {identity: await _everywhere(consortium, identity) for identity in identities}
        sealed = tuple(
            identity
            for identity, states in found.items()
            if all(state is TransactionState.SEALED for state, _ in states)
        )
        refused = tuple(
            identity
            for identity, states in found.items()
            if all(state in _GONE for state, _ in states)
        )
        settled = len(sealed) + len(refused) == len(identities)
        if settled or time.monotonic() > deadline_s:
            reasons = {reason for identity in refused for _, reason in found[identity] if reason}
            return DoubleSpend(identities, banks, sealed, refused, tuple(sorted(reasons)))
        await asyncio.sleep(POLL_S)


_GONE = frozenset({TransactionState.UNKNOWN, TransactionState.REJECTED, TransactionState.EXPIRED})


async def _everywhere(
    consortium: Consortium, identity: TransactionId
) -> list[tuple[TransactionState | None, str]]:
    """Return state and refusal of a transaction at each bank; None where none answers."""

    async def ask(bank: BankIndex) -> tuple[TransactionState | None, str]:
        credentials = consortium.client_credentials(bank)
        async with LedgerClient([consortium.endpoints[bank]], credentials) as ledger:
            try:
                status = (await ledger.transaction(identity)).status
            except RecordNotFound:
                return TransactionState.UNKNOWN, ""
            except LedgerError:
                return None, ""
            return status.state, status.refusal.reason if status.refusal else ""

    return await asyncio.gather(*(ask(bank.index) for bank in consortium.genesis.banks))
