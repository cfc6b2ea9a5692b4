"""A wallet: one encrypted file, one ledger client, and the rules that keep its owner's money safe.

1. Nothing is believed that no quorum sealed. `sync` replays the ledger against a sealed state,
   proofs are built over certified rings only, `wait_sealed` verifies an inclusion proof.
2. A payment never pays twice (`payment_engine`), whatever crashes or is lost on the way.
3. Notes of a payment under way are reserved until the ledger has settled it.
4. Proofs are made in threads: the event loop stays free.

One wallet may serve any number of tasks of one event loop.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType

from crypto.note import Address
from node.client import wallet_state
from node.client.address import encode_address
from node.client.amount import MAX_AMOUNT
from node.client.coin_selection import plan_consolidation
from node.client.errors import (
    LedgerTimeout,
    PaymentFailed,
    PaymentInvalid,
    TransactionRefused,
    WrongConsortium,
)
from node.client.ledger_client import LedgerClient
from node.client.payment_engine import PaymentEngine
from node.client.payment_order import (
    PaymentOrder,
    find_asset,
    flat_fee,
    recipient,
    require_recipients,
)
from node.client.verification import SealedPlace, SealVerifier
from node.client.wallet_data import (
    SECRET_BYTES,
    Checkpoint,
    PaymentPurpose,
    PaymentRecord,
    PaymentStatus,
    Recipient,
    WalletData,
)
from node.client.wallet_file import Secret, WalletFile
from node.client.wallet_state import Balance, HistoryEntry, NoteState, NoteView
from node.client.wallet_store import WalletStore
from node.ledger.genesis import Genesis
from node.ledger.state import genesis_state
from node.ledger.types import Amount, BankIndex, Height

DEFAULT_TIMEOUT_MS = 60_000


class Wallet:
    """An open wallet. Make one with `create`, `restore` or `open`; use `async with` or `close`."""

    def __init__(self, store: WalletStore) -> None:
        self._store = store
        self._engine = PaymentEngine(store)

    def __repr__(self) -> str:
        return f"Wallet({self._store.file.path.stem!r})"

    @staticmethod
    async def create(
        directory: Path,
        name: str,
        secret: Secret,
        ledger: LedgerClient,
        *,
        home_bank: str = "",
        chain_id: bytes | None = None,
    ) -> Wallet:
        """Create a wallet with a fresh seed; it reads the ledger from the present tip on.

        Without `chain_id` the consortium of the bank that answers is pinned. Raises
        `WalletExists`, `VerificationError`, `LedgerError`.
        """
        genesis = await ledger.genesis(chain_id)
        _, state = SealVerifier(genesis).verify_state(await ledger.sealed_state())
        seed = os.urandom(SECRET_BYTES)
        data = WalletData(genesis.chain_id, home_bank, seed, 1, Checkpoint.of(state))
        return await _create(directory, name, secret, data, ledger, genesis)

    @staticmethod
    async def restore(
        directory: Path,
        name: str,
        secret: Secret,
        ledger: LedgerClient,
        seed: bytes,
        *,
        session_count: int = 1,
        home_bank: str = "",
        chain_id: bytes | None = None,
    ) -> Wallet:
        """Recreate a wallet from its seed; the next `sync` reads the ledger from its beginning.

        `session_count` is how many addresses it had. Raises as `create`, and `PaymentInvalid` for
        a seed of another length or a count below 1.
        """
        if len(seed) != SECRET_BYTES or session_count < 1:
            raise PaymentInvalid(f"a wallet has a seed of {SECRET_BYTES} bytes and an address")
        genesis = await ledger.genesis(chain_id)
        start = Checkpoint.of(genesis_state(genesis))
        data = WalletData(genesis.chain_id, home_bank, seed, session_count, start)
        return await _create(directory, name, secret, data, ledger, genesis)

    @staticmethod
    async def open(directory: Path, name: str, secret: Secret, ledger: LedgerClient) -> Wallet:
        """Open a wallet; raises as `WalletFile.open`, and `WrongConsortium`, `LedgerError`."""
        file, data = await asyncio.to_thread(WalletFile.open, directory, name, secret)
        return await Wallet.attach(file, data, ledger)

    @staticmethod
    async def attach(file: WalletFile, data: WalletData, ledger: LedgerClient) -> Wallet:
        """Return the wallet of an open file, for whoever must read it to choose the ledger client.

        The file is closed if this fails. Raises `WrongConsortium`, `LedgerError`.
        """
        try:
            genesis = await ledger.genesis()
            if genesis.chain_id != data.chain_id:
                raise WrongConsortium(
                    f"wallet {file.path.stem!r} belongs to chain {data.chain_id.hex()}, "
                    f"the bank to {genesis.chain_id.hex()}"
                )
        except BaseException:
            file.close()
            raise
        return Wallet(WalletStore(file, data, ledger, genesis))

    async def __aenter__(self) -> Wallet:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the file. The ledger client is the caller's and stays open."""
        self._store.file.close()

    @property
    def height(self) -> Height:
        """Height of the sealed state up to which the wallet has verified the ledger."""
        return self._store.height

    @property
    def address(self) -> str:
        """The newest address, as text."""
        return encode_address(self._store.sessions[-1].address)

    @property
    def addresses(self) -> tuple[str, ...]:
        """Every address, one a session, oldest first; payments to any of them arrive."""
        return tuple(encode_address(keys.address) for keys in self._store.sessions)

    @property
    def payments(self) -> tuple[PaymentRecord, ...]:
        """The owner's payments in order of creation."""
        return self._store.data.payments

    def reveal_seed(self) -> bytes:
        """Return the seed for a backup on paper. Whoever has it has the money."""
        return self._store.data.seed

    async def new_address(self) -> str:
        """Begin a new session and return its address, which nobody can link to former ones."""
        await self._store.add_session()
        return self.address

    async def sync(self) -> Height:
        """Read and verify what is new on the ledger; return the verified height.

        Raises `VerificationError` if no bank shows a ledger that adds up, `LedgerError`.
        """
        return await self._store.sync()

    async def rescan(self) -> Height:
        """Read the whole ledger anew, from the next bank if there is one.

        Everything that a scan reads is certified, so this finds what `sync` would have found; it
        serves a wallet file that was restored from an old copy.
        """
        return await self._store.rescan()

    def balance(self, asset: str | None = None) -> Balance:
        """Return the balance of an asset (None: the base asset) as of the last `sync`."""
        return wallet_state.balance(self._store.data, self._asset_order(asset).asset)

    def notes(self, asset: str | None = None) -> tuple[NoteView, ...]:
        """Return the notes of an asset with state and effective ring size, in ledger order."""
        return wallet_state.view_notes(self._store.data, self._asset_order(asset).asset)

    def history(self) -> tuple[HistoryEntry, ...]:
        """Return what happened, oldest first, unsettled and failed payments last."""
        genesis = self._store.genesis
        fees = {asset.asset_id: flat_fee(genesis, asset) for asset in genesis.assets}
        return wallet_state.history(self._store.data, fees)

    async def pay(
        self,
        to: Address | str,
        amount: int,
        *,
        asset: str | None = None,
        memo: str | bytes = b"",
        consolidate: bool = False,
    ) -> PaymentRecord:
        """Pay an address; returns when a bank has admitted the payment (see `wait_sealed`).

        With `consolidate`, notes are merged first if more than four would be needed. Raises
        `AddressInvalid`, `PaymentInvalid`, `InsufficientFunds`, `ConsolidationNeeded`,
        `TransactionRefused`, `LedgerError`.
        """
        return await self.pay_many(
            [recipient(to, amount, memo)], asset=asset, consolidate=consolidate
        )

    async def pay_many(
        self,
        recipients: Sequence[Recipient],
        *,
        asset: str | None = None,
        consolidate: bool = False,
    ) -> PaymentRecord:
        """Pay up to three recipients (`payment_order.recipient`) in one transaction."""
        require_recipients(recipients)
        order = replace(self._asset_order(asset), recipients=tuple(recipients))
        return await self._carry_out(order, consolidate=consolidate, asset=asset)

    async def redeem(
        self, amount: int, bank: BankIndex, *, consolidate: bool = False
    ) -> PaymentRecord:
        """Turn notes of the base asset into a balance of a bank's public account.

        The amount becomes public. Raises as `pay`.
        """
        if not 0 <= bank < len(self._store.genesis.banks):
            raise PaymentInvalid(f"there is no bank {bank}")
        if not 1 <= amount <= MAX_AMOUNT:
            raise PaymentInvalid(f"an amount of {amount} minor units cannot be redeemed")
        order = replace(
            self._asset_order(None),
            purpose=PaymentPurpose.REDEMPTION,
            redeem=Amount(amount),
            account=self._store.genesis.account_of(bank),
        )
        return await self._carry_out(order, consolidate=consolidate, asset=None)

    async def consolidate(
        self,
        *,
        asset: str | None = None,
        target: int | None = None,
        timeout_ms: int = DEFAULT_TIMEOUT_MS,
    ) -> int:
        """Merge notes by payments to oneself until four of them hold `target` (fees included).

        Without a target until at most four are left. Each merge costs the fee and waits until it
        is sealed and its bin closed. Returns the number of transactions. Raises as `pay`,
        `LedgerTimeout`.
        """
        order = replace(self._asset_order(asset), purpose=PaymentPurpose.CONSOLIDATION)
        merges = 0
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                await self._store.sync()
                while numbers := await self._merge_once(order, target):
                    merges += len(numbers)
                    for number in numbers:
                        await self._engine.wait_sealed(number, timeout_ms=timeout_ms)
                    await self._store.sync_until(partial(self._matured, numbers))
        except TimeoutError:
            raise LedgerTimeout(
                f"notes were not consolidated within {timeout_ms} ms; {merges} merges were made"
            ) from None
        return merges

    async def resume(self) -> tuple[PaymentRecord, ...]:
        """Hand in again what a crash or a lost connection left open; return those payments."""
        await self._store.sync()
        pending = [
            payment.number
            for payment in self.payments
            if payment.status is PaymentStatus.PENDING and payment.attempts
        ]
        for number in pending:
            # The record says why a payment has failed.
            with suppress(PaymentFailed, TransactionRefused):
                await self._engine.carry_out(number)
        return tuple(self._store.payment(number) for number in pending)

    async def wait_sealed(
        self, payment: PaymentRecord | int, *, timeout_ms: int = DEFAULT_TIMEOUT_MS
    ) -> SealedPlace:
        """Wait until a payment is sealed, verify its inclusion proof and return its place.

        A payment that a bank rejects or that expires meanwhile is rebuilt over the same notes;
        one that stalls is handed to the next bank too. Raises `PaymentFailed`, `LedgerTimeout`,
        `TransactionRefused`.
        """
        number = payment if isinstance(payment, int) else payment.number
        return await self._engine.wait_sealed(number, timeout_ms=timeout_ms)

    async def wait_for_funds(
        self, amount: int, *, asset: str | None = None, timeout_ms: int = DEFAULT_TIMEOUT_MS
    ) -> None:
        """Wait until this much of an asset is spendable; raises `LedgerTimeout`."""
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                await self._store.sync_until(lambda: self.balance(asset).spendable >= amount)
        except TimeoutError:
            raise LedgerTimeout(
                f"{amount} minor units were not spendable within {timeout_ms} ms"
            ) from None

    def _asset_order(self, asset: str | None) -> PaymentOrder:
        definition = find_asset(self._store.genesis, asset)
        fee = flat_fee(self._store.genesis, definition)
        return PaymentOrder(PaymentPurpose.PAYMENT, definition.asset_id, (), fee)

    async def _carry_out(
        self, order: PaymentOrder, *, consolidate: bool, asset: str | None
    ) -> PaymentRecord:
        if consolidate:
            await self.consolidate(asset=asset, target=order.needed)
        return await self._engine.carry_out(await self._engine.reserve(order))

    def _matured(self, numbers: Sequence[int]) -> bool:
        """Whether the change notes of these payments can be spent."""
        keys = {
            attempt.change_key
            for number in numbers
            for attempt in self._store.payment(number).attempts
        }
        views = wallet_state.view_notes(self._store.data)
        return not any(
            view.state is NoteState.MATURING and view.note.one_time_key in keys for view in views
        )

    async def _merge_once(self, order: PaymentOrder, target: int | None) -> list[int]:
        """Submit one round of merges; return the payments' numbers."""
        notes = wallet_state.spendable_notes(self._store.data, order.asset)
        numbers = []
        for group in plan_consolidation([note.value for note in notes], order.fee, target):
            number = await self._engine.reserve_notes(order, [notes[index] for index in group])
            if number is not None:
                await self._engine.carry_out(number)
                numbers.append(number)
        return numbers


async def _create(
    directory: Path,
    name: str,
    secret: Secret,
    data: WalletData,
    ledger: LedgerClient,
    genesis: Genesis,
) -> Wallet:
    file = await asyncio.to_thread(WalletFile.create, directory, name, secret, data)
    return Wallet(WalletStore(file, data, ledger, genesis))
