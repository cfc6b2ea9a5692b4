"""Pure questions to, and changes of, a wallet's contents.

A note is *maturing* until its bin closes, then *spendable*, *pending* while a payment that spends
it may still be sealed, and *spent* when its nullifier is on the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from node.client.wallet_data import (
    Attempt,
    Checkpoint,
    KnownBin,
    OwnedNote,
    PaymentPurpose,
    PaymentRecord,
    PaymentStatus,
    Spent,
    WalletData,
)
from node.ledger.types import Amount, AssetId, Height, TransactionId


class NoteState(StrEnum):
    """Whether a note can be spent now."""

    MATURING = "maturing"
    """Its bin is still open (IDX1 4.3)."""
    SPENDABLE = "spendable"
    """Its bin is closed and nothing spends it."""
    PENDING = "pending"
    """A payment that spends it is under way."""
    SPENT = "spent"
    """Its nullifier is on the ledger."""


@dataclass(frozen=True, slots=True)
class Balance:
    """Minor units of one asset by what can be done with them."""

    spendable: Amount
    maturing: Amount
    pending: Amount
    """Held by payments under way; what exceeds the payment comes back as change."""

    @property
    def total(self) -> Amount:
        return Amount(self.spendable + self.maturing + self.pending)


@dataclass(frozen=True, slots=True)
class NoteView:
    """One note as its owner sees it."""

    note: OwnedNote
    state: NoteState
    ring_size: int | None
    """Real notes of its bin, among which a spend hides at best (IDX1 12.4); None while the bin is
    open."""


class HistoryKind(StrEnum):
    """What happened, from the owner's point of view."""

    RECEIVED = "received"
    ISSUED = "issued"
    """Received from an ISSUE or a PAYOUT."""
    SENT = "sent"
    REDEEMED = "redeemed"
    CONSOLIDATED = "consolidated"
    FAILED = "failed"
    """A payment that was never sealed: nothing moved."""


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One transaction in the wallet's history, or one payment that is not sealed (yet)."""

    kind: HistoryKind
    transaction_id: TransactionId | None
    height: Height | None
    """None while the payment is pending, and if it failed."""
    asset: AssetId
    amount: Amount
    """Received, or sent besides the fee."""
    fee: Amount
    memos: tuple[bytes, ...]
    recipients: tuple[bytes, ...] = ()
    """Addresses paid; empty for what came in, and for payments found again from the seed."""
    note: str = ""
    """Why it failed; for a redemption, the account."""


@dataclass(frozen=True, slots=True)
class LedgerUpdate:
    """What a replay of the ledger found between two checkpoints."""

    checkpoint: Checkpoint
    notes: tuple[OwnedNote, ...]
    spent: Mapping[int, Spent]
    bins: tuple[KnownBin, ...]


def reserved_sequences(data: WalletData) -> frozenset[int]:
    """Return the sequence numbers of notes that pending payments spend."""
    return frozenset(
        sequence
        for payment in data.payments
        if payment.status is PaymentStatus.PENDING
        for sequence in payment.inputs
    )


def view_notes(data: WalletData, asset: AssetId | None = None) -> tuple[NoteView, ...]:
    """Return the notes (of one asset) with their states, in ledger order."""
    reserved = reserved_sequences(data)
    ring_sizes = {known.bin_id: known.count for known in data.bins}
    return tuple(
        NoteView(note, _state(note, reserved, ring_sizes), ring_sizes.get(note.bin_id))
        for note in data.notes
        if asset is None or note.asset == asset
    )


def _state(note: OwnedNote, reserved: frozenset[int], closed: Mapping[int, int]) -> NoteState:
    if note.spent is not None:
        return NoteState.SPENT
    if note.sequence in reserved:
        return NoteState.PENDING
    return NoteState.SPENDABLE if note.bin_id in closed else NoteState.MATURING


def balance(data: WalletData, asset: AssetId) -> Balance:
    """Return the balance of one asset."""
    sums = dict.fromkeys(NoteState, 0)
    for view in view_notes(data, asset):
        sums[view.state] += view.note.value
    return Balance(
        spendable=Amount(sums[NoteState.SPENDABLE]),
        maturing=Amount(sums[NoteState.MATURING]),
        pending=Amount(sums[NoteState.PENDING]),
    )


def spendable_notes(data: WalletData, asset: AssetId) -> tuple[OwnedNote, ...]:
    """Return the notes of one asset that a new payment may spend."""
    return tuple(view.note for view in view_notes(data, asset) if view.state is NoteState.SPENDABLE)


def put_payment(data: WalletData, payment: PaymentRecord) -> WalletData:
    """Return the contents with this payment added, or put in the place of its former record."""
    kept = [other for other in data.payments if other.number != payment.number]
    return replace(data, payments=tuple(sorted((*kept, payment), key=lambda record: record.number)))


def find_payment(data: WalletData, number: int) -> PaymentRecord:
    """Return the payment of this number; it is our bug to ask for one that is not there."""
    return next(payment for payment in data.payments if payment.number == number)


def next_payment_number(data: WalletData) -> int:
    """Return the number of the next payment."""
    return 1 + max((payment.number for payment in data.payments), default=0)


def apply_update(data: WalletData, update: LedgerUpdate) -> WalletData:
    """Return the contents after a verified replay, with every payment it decides settled."""
    notes = tuple(
        replace(note, spent=update.spent[note.sequence]) if note.sequence in update.spent else note
        for note in (*data.notes, *update.notes)
    )
    bins = {known.bin_id: known for known in (*data.bins, *update.bins)}
    appeared = {note.one_time_key: note for note in update.notes}
    spent = {note.sequence for note in notes if note.spent is not None}
    return replace(
        data,
        checkpoint=update.checkpoint,
        notes=notes,
        bins=tuple(bins[bin_id] for bin_id in sorted(bins)),
        payments=tuple(
            _settle(payment, appeared, spent, update.checkpoint.height) for payment in data.payments
        ),
    )


def fail_payment(payment: PaymentRecord, failure: str) -> PaymentRecord:
    """Return the record of a payment that is given up; its notes are free again.

    Should an attempt be sealed after all, `apply_update` finds its change note and sets this
    right.
    """
    return _give_up(payment, PaymentStatus.FAILED, failure)


def reopen_payment(data: WalletData, number: int) -> WalletData | None:
    """Return the contents with an expired payment pending again, its notes reserved.

    None if the payment is not expired, or one of its notes is no longer free.
    """
    payment = find_payment(data, number)
    free = {note.sequence for note in spendable_notes(data, payment.asset)}
    if payment.status is not PaymentStatus.EXPIRED or not free.issuperset(payment.inputs):
        return None
    return put_payment(data, replace(payment, status=PaymentStatus.PENDING, failure=""))


def drop_unsent(data: WalletData) -> WalletData:
    """Return the contents without payments that were cut short before anything was built."""
    return replace(
        data,
        payments=tuple(
            payment
            for payment in data.payments
            if payment.attempts or payment.status is not PaymentStatus.PENDING
        ),
    )


def _give_up(payment: PaymentRecord, status: PaymentStatus, failure: str) -> PaymentRecord:
    return replace(
        payment,
        status=status,
        failure=failure,
        attempts=tuple(replace(attempt, raw=b"") for attempt in payment.attempts),
    )


def _settle(
    payment: PaymentRecord,
    appeared: Mapping[bytes, OwnedNote],
    spent: set[int],
    height: Height,
) -> PaymentRecord:
    if payment.status is PaymentStatus.SEALED:
        return payment
    for attempt in payment.attempts:
        change = appeared.get(attempt.change_key)
        if change is not None:
            return _sealed(payment, attempt, change.height)
    if payment.status is not PaymentStatus.PENDING:
        return payment
    if spent.intersection(payment.inputs):
        return fail_payment(payment, "its notes were spent by another transaction of this wallet")
    if payment.attempts and all(attempt.expiry <= height for attempt in payment.attempts):
        return _give_up(
            payment, PaymentStatus.EXPIRED, "it was not sealed before its expiry height"
        )
    return payment


def _sealed(payment: PaymentRecord, attempt: Attempt, height: Height) -> PaymentRecord:
    return replace(
        payment,
        status=PaymentStatus.SEALED,
        attempts=(replace(attempt, raw=b""),),
        sealed_height=height,
        failure="",
    )


def history(data: WalletData, fees: Mapping[AssetId, Amount]) -> tuple[HistoryEntry, ...]:
    """Return what happened, oldest first, pending payments last.

    Derived from notes and payments each time, so a wallet restored from its seed shows the same
    amounts; only addresses and memos of outgoing payments are lost with the old file. `fees` is
    the flat fee of a TRANSFER by asset.
    """
    payments = {
        attempt.transaction_id: payment
        for payment in data.payments
        if payment.status is PaymentStatus.SEALED
        for attempt in payment.attempts
    }
    incoming: dict[TransactionId, list[OwnedNote]] = {}
    outgoing: dict[TransactionId, list[OwnedNote]] = {}
    heights: dict[TransactionId, Height] = {}
    for note in data.notes:
        incoming.setdefault(note.transaction_id, []).append(note)
        heights[note.transaction_id] = note.height
        if note.spent is not None:
            outgoing.setdefault(note.spent.transaction_id, []).append(note)
            heights[note.spent.transaction_id] = note.spent.height
    sealed = [
        _sealed_entry(
            transaction_id,
            heights[transaction_id],
            incoming.get(transaction_id, []),
            outgoing.get(transaction_id, []),
            payments.get(transaction_id),
            fees,
        )
        for transaction_id in sorted(heights, key=lambda key: (heights[key], key))
    ]
    unsealed = [
        _payment_entry(payment)
        for payment in data.payments
        if payment.status is not PaymentStatus.SEALED
    ]
    return (*sealed, *unsealed)


def _sealed_entry(
    transaction_id: TransactionId,
    height: Height,
    incoming: Sequence[OwnedNote],
    outgoing: Sequence[OwnedNote],
    payment: PaymentRecord | None,
    fees: Mapping[AssetId, Amount],
) -> HistoryEntry:
    if payment is not None:
        return replace(_payment_entry(payment), transaction_id=transaction_id, height=height)
    received = sum(note.value for note in incoming)
    asset = (*incoming, *outgoing)[0].asset
    if not outgoing:
        minted = any(note.minted for note in incoming)
        return HistoryEntry(
            kind=HistoryKind.ISSUED if minted else HistoryKind.RECEIVED,
            transaction_id=transaction_id,
            height=height,
            asset=asset,
            amount=Amount(received),
            fee=Amount(0),
            memos=tuple(note.memo for note in incoming),
        )
    fee = fees.get(asset, Amount(0))
    left = sum(note.value for note in outgoing) - received - fee
    return HistoryEntry(
        kind=HistoryKind.SENT if left else HistoryKind.CONSOLIDATED,
        transaction_id=transaction_id,
        height=height,
        asset=asset,
        amount=Amount(left),
        fee=fee,
        memos=(),
    )


_KINDS = {
    PaymentPurpose.PAYMENT: HistoryKind.SENT,
    PaymentPurpose.REDEMPTION: HistoryKind.REDEEMED,
    PaymentPurpose.CONSOLIDATION: HistoryKind.CONSOLIDATED,
}


def _payment_entry(payment: PaymentRecord) -> HistoryEntry:
    failed = payment.status in (PaymentStatus.FAILED, PaymentStatus.EXPIRED)
    attempt = payment.last_attempt
    return HistoryEntry(
        kind=HistoryKind.FAILED if failed else _KINDS[payment.purpose],
        transaction_id=attempt.transaction_id if attempt else None,
        height=None,
        asset=payment.asset,
        amount=payment.amount,
        fee=payment.fee,
        memos=tuple(recipient.memo for recipient in payment.recipients),
        recipients=tuple(recipient.address for recipient in payment.recipients),
        note=payment.failure or (payment.account.hex() if payment.redeem else ""),
    )
