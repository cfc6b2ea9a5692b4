"""Carrying a payment through, from the choice of notes to the seal.

A payment is one record with one choice of notes and any number of transactions built over it
(`Attempt`). All of them spend the same notes, so the ledger seals at most one: sending again,
rebuilding and asking other banks are always safe. An attempt is on disk before it is sent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace

from node.client import wallet_state
from node.client.certified_rings import CertifiedRings
from node.client.coin_selection import select_notes
from node.client.errors import (
    InsufficientFunds,
    LedgerOverloaded,
    LedgerTimeout,
    NotYet,
    PaymentFailed,
    RecordNotFound,
    TransactionRefused,
    VerificationError,
)
from node.client.payment_order import PaymentOrder, build_attempt
from node.client.retry_policy import Reaction, reaction_to
from node.client.sealing import confirm_sealed, final_status
from node.client.status import error_of_refusal
from node.client.verification import SealedPlace
from node.client.wallet_data import Attempt, OwnedNote, PaymentRecord, PaymentStatus
from node.client.wallet_store import WalletStore
from node.ledger.types import Height, TimeMs
from node.wire.records import TransactionState, TransactionStatus

EXPIRY_HEIGHTS = 200
"""A payment that is not sealed within so many blocks is given up."""
FRESH_MS = 1_000
"""A payment is built on a checkpoint at most this old."""
MAX_ATTEMPTS = 8
"""Transactions built for one payment before it is left to its expiry."""
PATIENCE_MS = 30_000
"""How long a bank without room, or behind the others, is asked again."""
RETRY_DELAY_MS = 500
"""Between two tries when the bank names no delay."""
STALL_MS = 10_000
"""Without a final state for this long, the payment is handed to the next bank as well."""


class PaymentEngine:
    """Makes and pursues the payments of one wallet."""

    def __init__(self, store: WalletStore) -> None:
        self._store = store
        self._ledger = store.ledger
        self._rings = CertifiedRings(store.ledger, store.genesis.parameters.ring_base)

    async def reserve(self, order: PaymentOrder) -> int:
        """Choose notes for an order and reserve them; return the payment's number.

        Raises `InsufficientFunds`, `ConsolidationNeeded`.
        """
        await self._store.sync_if_older(FRESH_MS)
        try:
            return await self._reserve(order)
        except InsufficientFunds:
            # What is missing may have matured a moment ago.
            await self._store.sync()
            return await self._reserve(order)

    async def reserve_notes(self, order: PaymentOrder, notes: Sequence[OwnedNote]) -> int | None:
        """Reserve exactly these notes, or return None if one of them is no longer free."""
        async with self._store.change:
            free = wallet_state.spendable_notes(self._store.data, order.asset)
            if not {note.sequence for note in notes} <= {note.sequence for note in free}:
                return None
            return self._hold(order, notes)

    async def carry_out(self, number: int) -> PaymentRecord:
        """Build the payment's transaction if there is none yet, and submit it.

        Returns when a bank has admitted it or the ledger has decided. Raises `PaymentFailed`,
        `TransactionRefused`, and `LedgerError` with the payment left pending.
        """
        deadline_s = time.monotonic() + PATIENCE_MS / 1000
        while True:
            record = self._store.payment(number)
            if record.status is not PaymentStatus.PENDING:
                return _require_not_failed(record)
            attempt = record.last_attempt
            if attempt is None or not attempt.raw:
                await self._build(number)
                continue
            try:
                await self._ledger.submit(attempt.raw)
                return self._store.payment(number)
            except LedgerOverloaded as error:
                await _pause(error.retry_delay_ms, deadline_s, error)
            except TransactionRefused as refusal:
                if reaction_to(refusal.reason) is Reaction.RESEND:
                    await _pause(refusal.retry_delay_ms, deadline_s, refusal)
                elif not await self._may_go_on(number, refusal):
                    return _require_not_failed(self._store.payment(number))

    async def wait_sealed(self, number: int, *, timeout_ms: int) -> SealedPlace:
        """Pursue a payment until it is sealed and its inclusion proof is verified.

        Raises `PaymentFailed`, `LedgerTimeout`, `TransactionRefused`.
        """
        deadline_s = time.monotonic() + timeout_ms / 1000
        while True:
            record = _require_not_failed(self._store.payment(number))
            attempt = record.last_attempt
            if attempt is None:
                await self.carry_out(number)
                continue
            if record.status is PaymentStatus.SEALED:
                return await self._confirm(attempt, deadline_s)
            remaining_ms = int((deadline_s - time.monotonic()) * 1000)
            if remaining_ms <= 0:
                raise LedgerTimeout(f"payment {number} was not sealed within {timeout_ms} ms")
            if record.status is PaymentStatus.EXPIRED:
                await self._take_up_again(number)
            else:
                await self._advance(number, attempt, min(remaining_ms, STALL_MS))

    async def _reserve(self, order: PaymentOrder) -> int:
        async with self._store.change:
            notes = wallet_state.spendable_notes(self._store.data, order.asset)
            try:
                chosen = select_notes([note.value for note in notes], order.needed)
            except InsufficientFunds:
                funds = wallet_state.balance(self._store.data, order.asset)
                raise InsufficientFunds(
                    order.needed, funds.spendable, funds.maturing, funds.pending
                ) from None
            return self._hold(order, [notes[index] for index in chosen])

    def _hold(self, order: PaymentOrder, notes: Sequence[OwnedNote]) -> int:
        number = wallet_state.next_payment_number(self._store.data)
        self._store.hold(
            PaymentRecord(
                number=number,
                purpose=order.purpose,
                created_ms=TimeMs(time.time_ns() // 1_000_000),
                asset=order.asset,
                recipients=order.recipients,
                fee=order.fee,
                redeem=order.redeem,
                account=order.account,
                inputs=tuple(note.sequence for note in notes),
                attempts=(),
            )
        )
        return number

    async def _confirm(self, attempt: Attempt, deadline_s: float) -> SealedPlace:
        """Verify the inclusion of a sealed attempt, with any bank that can prove it."""
        while True:
            try:
                return await confirm_sealed(
                    self._ledger, self._store.verifier, attempt.transaction_id
                )
            except (NotYet, RecordNotFound, VerificationError) as error:
                self._ledger.prefer_next_endpoint()
                await _pause(getattr(error, "retry_delay_ms", None), deadline_s, error)

    async def _take_up_again(self, number: int) -> None:
        """Rebuild an expired payment over the same notes; raises `PaymentFailed`."""
        async with self._store.change:
            record = self._store.payment(number)
            reopened = wallet_state.reopen_payment(self._store.data, number)
            if reopened is None or len(record.attempts) >= MAX_ATTEMPTS:
                raise PaymentFailed(f"payment {number} failed: {record.failure}")
            await self._store.save(reopened)
        await self.carry_out(number)

    async def _build(self, number: int) -> None:
        """Prove a new transaction for a payment and store it before anybody may send it."""
        store = self._store
        try:
            await store.sync_if_older(FRESH_MS)
            record = store.payment(number)
            notes = [note for note in store.data.notes if note.sequence in record.inputs]
            parameters = store.genesis.parameters
            window = min(EXPIRY_HEIGHTS, parameters.max_expiry_heights)
            attempt = await asyncio.to_thread(
                build_attempt,
                chain_id=store.genesis.chain_id,
                ring_base=parameters.ring_base,
                payment=record,
                inputs=await self._rings.spendable(notes, store.data.bins),
                change_to=store.sessions[-1].address,
                expiry=Height(store.height + window),
            )
            async with store.change:
                record = store.payment(number)
                if record.status is PaymentStatus.PENDING:
                    await store.save_payment(replace(record, attempts=(*record.attempts, attempt)))
        finally:
            store.release(number)

    async def _may_go_on(self, number: int, refusal: TransactionRefused) -> bool:
        """Deal with a refusal; return whether the payment is to be submitted again.

        Raises the refusal if the payment is given up.
        """
        reaction = reaction_to(refusal.reason)
        await self._store.sync()
        record = self._store.payment(number)
        if record.status is PaymentStatus.EXPIRED:
            await self._take_up_again(number)
            return False
        if record.status is not PaymentStatus.PENDING:
            return False
        if reaction is Reaction.GIVE_UP or len(record.attempts) >= MAX_ATTEMPTS:
            await self._give_up(number, refusal)
            raise refusal
        if reaction is Reaction.REBUILD:
            await self._build(number)
        return reaction is not Reaction.LOOK

    async def _give_up(self, number: int, refusal: TransactionRefused) -> None:
        async with self._store.change:
            record = self._store.payment(number)
            if record.status is PaymentStatus.PENDING:
                await self._store.save_payment(
                    wallet_state.fail_payment(record, f"a bank refused it: {refusal}")
                )

    async def _advance(self, number: int, attempt: Attempt, timeout_ms: int) -> None:
        """Wait for what becomes of an attempt, and do what follows from it."""
        try:
            status = await final_status(
                self._ledger,
                attempt.transaction_id,
                timeout_ms=timeout_ms,
                accept_unknown=True,
            )
        except LedgerTimeout:
            # Nobody knows whether this bank passed the payment on; another one will.
            self._ledger.prefer_next_endpoint()
            await self._store.sync()
            await self.carry_out(number)
            return
        if status.state is TransactionState.UNKNOWN:
            # Banks that are asked in turn have all been handed the payment before long.
            await self._store.sync()
            await self.carry_out(number)
            await self._turn_unless_settled(number)
        elif status.position is not None:
            await self._store.sync_to(status.position.height)
            # If no sealed state shows it, this bank's word cannot be relied on.
            await self._turn_unless_settled(number)
        else:
            await self._after_rejection(number, status)

    async def _after_rejection(self, number: int, status: TransactionStatus) -> None:
        """Go on with a payment whose last attempt was rejected after admission, or expired."""
        if status.refusal is not None:
            error = error_of_refusal(status.refusal, str(self._ledger.preferred_endpoint))
            if not isinstance(error, TransactionRefused):
                raise error
            if await self._may_go_on(number, error):
                await self.carry_out(number)
                return
        else:
            # Expired, that bank says: whether it is, the sealed height decides.
            await self._store.sync()
        await self._turn_unless_settled(number)

    async def _turn_unless_settled(self, number: int) -> None:
        """Go on with the next bank, a moment later, unless the ledger has decided."""
        if self._store.payment(number).status is PaymentStatus.PENDING:
            self._ledger.prefer_next_endpoint()
            await asyncio.sleep(RETRY_DELAY_MS / 1000)


async def _pause(retry_delay_ms: int | None, deadline_s: float, error: Exception) -> None:
    """Wait as the bank asks; raise `error` if that would exceed our patience."""
    delay_s = (RETRY_DELAY_MS if retry_delay_ms is None else retry_delay_ms) / 1000
    if time.monotonic() + delay_s > deadline_s:
        raise error
    await asyncio.sleep(delay_s)


def _require_not_failed(record: PaymentRecord) -> PaymentRecord:
    if record.status is PaymentStatus.FAILED:
        raise PaymentFailed(f"payment {record.number} failed: {record.failure}")
    return record
