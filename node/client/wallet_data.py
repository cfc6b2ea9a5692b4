"""What a wallet remembers, and the canonical encoding that is encrypted on disk.

Everything here can be found again from the seed and the ledger, except names, addresses and memos
of outgoing payments. Notes are kept when they are spent: they are the history.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from node.ledger.encoding import MalformedEncoding, Reader, Writer
from node.ledger.state import Accumulated, LedgerState
from node.ledger.types import (
    ASSET_BYTES,
    HASH_BYTES,
    POINT_BYTES,
    Amount,
    AssetId,
    Height,
    TimeMs,
    TransactionId,
)

CONTENTS_DOMAIN = b"consortium/wallet-contents/1"
SECRET_BYTES = 32
MEMO_BYTES = 32
ADDRESS_BYTES = 128
MAX_RECORDS = 10_000_000
MAX_ATTEMPTS = 64
MAX_RAW_BYTES = 64 << 10
MAX_TEXT_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The sealed state up to which the wallet has read the ledger and found it complete."""

    height: Height
    notes: Accumulated
    nullifiers: Accumulated
    closed_bins: Accumulated

    @staticmethod
    def of(state: LedgerState) -> Checkpoint:
        """Return the point of a verified state from which reading can go on."""
        return Checkpoint(state.height, state.notes, state.nullifiers, state.closed_bins)


@dataclass(frozen=True, slots=True)
class KnownBin:
    """A closed bin as certified by the ledger state, kept for the bins that hold our notes."""

    bin_id: int
    digest: bytes
    """IDX1 4.2."""
    count: int
    """Real notes: the effective ring size, at most ring base squared (IDX1 4.3)."""


@dataclass(frozen=True, slots=True)
class Spent:
    """Which sealed transaction spent a note."""

    transaction_id: TransactionId
    height: Height


@dataclass(frozen=True, slots=True)
class OwnedNote:
    """One note that was paid to this wallet (IDX1 3.3)."""

    sequence: int
    """Position in the ledger's list of all notes."""
    transaction_id: TransactionId
    output_index: int
    height: Height
    asset: AssetId
    bin_id: int
    position: int
    """Slot in the bin."""
    session: int
    value: Amount
    memo: bytes
    one_time_key: bytes
    commitment: bytes
    nullifier: bytes
    minted: bool
    """Created by ISSUE or PAYOUT, not by another wallet's payment."""
    spend_key: int = field(repr=False)
    """x of IDX1 3.3."""
    blinding: int = field(repr=False)
    """b of IDX1 3.3."""
    spent: Spent | None = None


class PaymentStatus(IntEnum):
    """What has become of a payment."""

    PENDING = 1
    """One of its attempts may still be sealed; its notes are reserved."""
    SEALED = 2
    """An attempt is sealed, and its inclusion was verified against the seal."""
    FAILED = 3
    """Given up for good: refused, or its notes were spent otherwise."""
    EXPIRED = 4
    """No attempt was sealed before its expiry height; the notes are free, and the payment can be
    taken up again."""


class PaymentPurpose(IntEnum):
    """Why notes were spent."""

    PAYMENT = 1
    REDEMPTION = 2
    CONSOLIDATION = 3


@dataclass(frozen=True, slots=True)
class Recipient:
    """One payment inside a transaction."""

    address: bytes
    amount: Amount
    memo: bytes


@dataclass(frozen=True, slots=True)
class Attempt:
    """One transaction that would carry out the payment."""

    transaction_id: TransactionId
    expiry: Height
    change_key: bytes
    """One-time key of the change output. Nobody else can open its commitment, so its appearance
    among the certified notes proves that this attempt was sealed."""
    raw: bytes
    """Canonical bytes, so that the same attempt can be submitted again after a crash; empty once
    the payment is final."""


@dataclass(frozen=True, slots=True)
class PaymentRecord:
    """One order of the owner and every transaction built for it.

    All attempts spend the same notes, so that at most one of them can ever be sealed: retrying
    never pays twice.
    """

    number: int
    """Counts this wallet's payments from 1."""
    purpose: PaymentPurpose
    created_ms: TimeMs
    """By the client's clock."""
    asset: AssetId
    recipients: tuple[Recipient, ...]
    fee: Amount
    redeem: Amount
    account: bytes
    """Public account credited by a redemption, 32 zero bytes otherwise."""
    inputs: tuple[int, ...]
    """Sequence numbers of the notes spent."""
    attempts: tuple[Attempt, ...]
    status: PaymentStatus = PaymentStatus.PENDING
    sealed_height: Height | None = None
    failure: str = ""

    @property
    def last_attempt(self) -> Attempt | None:
        """The newest transaction built for this payment; of a sealed payment, the sealed one."""
        return self.attempts[-1] if self.attempts else None

    @property
    def amount(self) -> Amount:
        """What leaves the wallet besides the fee."""
        return Amount(sum(recipient.amount for recipient in self.recipients) + self.redeem)


@dataclass(frozen=True, slots=True)
class WalletData:
    """The whole contents of one wallet."""

    chain_id: bytes
    home_bank: str
    """Name of the bank the wallet submits to first; informative."""
    seed: bytes = field(repr=False)
    """32 bytes from which all session keys derive (IDX1 3.1)."""
    session_count: int
    checkpoint: Checkpoint
    notes: tuple[OwnedNote, ...] = ()
    """In ledger order."""
    bins: tuple[KnownBin, ...] = ()
    """Closed bins that hold notes of ours, by bin id."""
    payments: tuple[PaymentRecord, ...] = ()
    """In order of creation."""

    def encode(self) -> bytes:
        """Return the canonical bytes; they hold secrets and are only ever stored encrypted."""
        writer = Writer().blob(CONTENTS_DOMAIN).fixed(self.chain_id, HASH_BYTES)
        writer.text(self.home_bank).fixed(self.seed, SECRET_BYTES).u32(self.session_count)
        _write_checkpoint(writer, self.checkpoint)
        writer.many(self.notes, _write_note)
        writer.many(self.bins, _write_bin)
        writer.many(self.payments, _write_payment)
        return writer.finish()

    @staticmethod
    def decode(data: bytes) -> WalletData:
        """Decode canonical bytes; raises `MalformedEncoding`."""
        reader = Reader(data)
        if reader.blob(len(CONTENTS_DOMAIN)) != CONTENTS_DOMAIN:
            raise MalformedEncoding("these are not the contents of a wallet of this version")
        contents = WalletData(
            chain_id=reader.fixed(HASH_BYTES),
            home_bank=reader.text(MAX_TEXT_BYTES),
            seed=reader.fixed(SECRET_BYTES),
            session_count=reader.u32(),
            checkpoint=_read_checkpoint(reader),
            notes=reader.many(MAX_RECORDS, _read_note),
            bins=reader.many(MAX_RECORDS, _read_bin),
            payments=reader.many(MAX_RECORDS, _read_payment),
        )
        reader.finish()
        return contents


def _write_checkpoint(writer: Writer, checkpoint: Checkpoint) -> None:
    writer.u64(checkpoint.height)
    for accumulated in (checkpoint.notes, checkpoint.nullifiers, checkpoint.closed_bins):
        accumulated.write(writer)


def _read_checkpoint(reader: Reader) -> Checkpoint:
    return Checkpoint(
        Height(reader.u64()),
        Accumulated.read(reader),
        Accumulated.read(reader),
        Accumulated.read(reader),
    )


def _write_spent(writer: Writer, spent: Spent) -> None:
    writer.fixed(spent.transaction_id, HASH_BYTES).u64(spent.height)


def _read_spent(reader: Reader) -> Spent:
    return Spent(TransactionId(reader.fixed(HASH_BYTES)), Height(reader.u64()))


def _write_note(writer: Writer, note: OwnedNote) -> None:
    writer.u64(note.sequence).fixed(note.transaction_id, HASH_BYTES).u8(note.output_index)
    writer.u64(note.height).fixed(note.asset, ASSET_BYTES).u64(note.bin_id).u16(note.position)
    writer.u32(note.session).u64(note.value).fixed(note.memo, MEMO_BYTES)
    writer.fixed(note.one_time_key, POINT_BYTES).fixed(note.commitment, POINT_BYTES)
    writer.fixed(note.nullifier, POINT_BYTES).flag(note.minted)
    for secret in (note.spend_key, note.blinding):
        writer.fixed(secret.to_bytes(SECRET_BYTES, "big"), SECRET_BYTES)
    writer.optional(note.spent, _write_spent)


def _read_note(reader: Reader) -> OwnedNote:
    return OwnedNote(
        sequence=reader.u64(),
        transaction_id=TransactionId(reader.fixed(HASH_BYTES)),
        output_index=reader.u8(),
        height=Height(reader.u64()),
        asset=AssetId(reader.fixed(ASSET_BYTES)),
        bin_id=reader.u64(),
        position=reader.u16(),
        session=reader.u32(),
        value=Amount(reader.u64()),
        memo=reader.fixed(MEMO_BYTES),
        one_time_key=reader.fixed(POINT_BYTES),
        commitment=reader.fixed(POINT_BYTES),
        nullifier=reader.fixed(POINT_BYTES),
        minted=reader.flag(),
        spend_key=int.from_bytes(reader.fixed(SECRET_BYTES), "big"),
        blinding=int.from_bytes(reader.fixed(SECRET_BYTES), "big"),
        spent=reader.optional(_read_spent),
    )


def _write_bin(writer: Writer, record: KnownBin) -> None:
    writer.u64(record.bin_id).fixed(record.digest, HASH_BYTES).u16(record.count)


def _read_bin(reader: Reader) -> KnownBin:
    return KnownBin(reader.u64(), reader.fixed(HASH_BYTES), reader.u16())


def _write_recipient(writer: Writer, recipient: Recipient) -> None:
    writer.fixed(recipient.address, ADDRESS_BYTES).u64(recipient.amount)
    writer.fixed(recipient.memo, MEMO_BYTES)


def _read_recipient(reader: Reader) -> Recipient:
    return Recipient(reader.fixed(ADDRESS_BYTES), Amount(reader.u64()), reader.fixed(MEMO_BYTES))


def _write_attempt(writer: Writer, attempt: Attempt) -> None:
    writer.fixed(attempt.transaction_id, HASH_BYTES).u64(attempt.expiry)
    writer.fixed(attempt.change_key, POINT_BYTES).blob(attempt.raw)


def _read_attempt(reader: Reader) -> Attempt:
    return Attempt(
        transaction_id=TransactionId(reader.fixed(HASH_BYTES)),
        expiry=Height(reader.u64()),
        change_key=reader.fixed(POINT_BYTES),
        raw=reader.blob(MAX_RAW_BYTES),
    )


def _write_payment(writer: Writer, payment: PaymentRecord) -> None:
    writer.u64(payment.number).u8(payment.purpose).u64(payment.created_ms)
    writer.fixed(payment.asset, ASSET_BYTES).many(payment.recipients, _write_recipient)
    writer.u64(payment.fee).u64(payment.redeem).fixed(payment.account, HASH_BYTES)
    writer.many(payment.inputs, Writer.u64).many(payment.attempts, _write_attempt)
    writer.u8(payment.status).optional(payment.sealed_height, Writer.u64).text(payment.failure)


def _read_payment(reader: Reader) -> PaymentRecord:
    try:
        return PaymentRecord(
            number=reader.u64(),
            purpose=PaymentPurpose(reader.u8()),
            created_ms=TimeMs(reader.u64()),
            asset=AssetId(reader.fixed(ASSET_BYTES)),
            recipients=reader.many(4, _read_recipient),
            fee=Amount(reader.u64()),
            redeem=Amount(reader.u64()),
            account=reader.fixed(HASH_BYTES),
            inputs=reader.many(4, Reader.u64),
            attempts=reader.many(MAX_ATTEMPTS, _read_attempt),
            status=PaymentStatus(reader.u8()),
            sealed_height=_optional_height(reader),
            failure=reader.text(MAX_TEXT_BYTES),
        )
    except ValueError as error:
        raise MalformedEncoding(f"a payment record is malformed: {error}") from error


def _optional_height(reader: Reader) -> Height | None:
    value = reader.optional(Reader.u64)
    return None if value is None else Height(value)
