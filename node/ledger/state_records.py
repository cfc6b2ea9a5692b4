"""The records that the ledger's state is made of, each with its encoding (see `state`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from node.ledger import accumulators
from node.ledger.definitions import MAX_BANKS
from node.ledger.encoding import MalformedEncoding, Reader, Writer
from node.ledger.types import (
    ASSET_BYTES,
    HASH_BYTES,
    POINT_BYTES,
    Amount,
    AssetId,
    BankIndex,
    FiscalYear,
    Height,
    TimeMs,
)

TALLY_BYTES = 2 * POINT_BYTES
"""An ElGamal ciphertext: two group elements."""
NOTHING = Amount(0)
MAX_BIN_NOTES = 256
"""16^2, the largest ring (IDX1 4.5)."""


def require_increasing(values: Sequence[Any], name: str) -> None:
    """Raise `MalformedEncoding` unless the values increase strictly: one list, one encoding."""
    if any(not earlier < later for earlier, later in pairwise(values)):
        raise MalformedEncoding(f"{name} are not in increasing order")


@dataclass(frozen=True, slots=True)
class BankState:
    """What the ledger knows of one bank; amounts are minor units of the base asset."""

    index: BankIndex
    initial_stake: Amount
    stake: Amount
    offences: int
    """Punished offences, for life (BFT-12 9)."""
    active: bool
    balance: Amount
    """Public account (BFT-12 18)."""
    blocks_created: int
    creator_fees: Amount
    """Sum of the creator's thirds it was ever credited."""
    topped_up: Amount = NOTHING
    """Sum of its stake top-ups ever."""
    withdrawn: Amount = NOTHING
    """Sum of its stake withdrawals ever."""
    penalties: Amount = NOTHING
    """Sum of what it was ever slashed."""
    stake_nonce: int = 0
    """What its next stake movement must carry: their number so far."""
    rewards: Amount = NOTHING
    """Sum of what settlements ever credited."""

    def write(self, writer: Writer) -> Writer:
        """Append the canonical encoding."""
        return (
            writer.u16(self.index)
            .u64(self.initial_stake)
            .u64(self.stake)
            .u32(self.offences)
            .flag(self.active)
            .u128(self.balance)
            .u64(self.blocks_created)
            .u128(self.creator_fees)
            .u128(self.topped_up)
            .u128(self.withdrawn)
            .u128(self.penalties)
            .u64(self.stake_nonce)
            .u128(self.rewards)
        )

    @staticmethod
    def read(reader: Reader) -> BankState:
        """Read what `write` wrote; raises `MalformedEncoding`."""
        return BankState(
            index=BankIndex(reader.u16()),
            initial_stake=Amount(reader.u64()),
            stake=Amount(reader.u64()),
            offences=reader.u32(),
            active=reader.flag(),
            balance=Amount(reader.u128()),
            blocks_created=reader.u64(),
            creator_fees=Amount(reader.u128()),
            topped_up=Amount(reader.u128()),
            withdrawn=Amount(reader.u128()),
            penalties=Amount(reader.u128()),
            stake_nonce=reader.u64(),
            rewards=Amount(reader.u128()),
        )


@dataclass(frozen=True, slots=True)
class Issuance:
    """How much of one asset a bank may issue in all, and has issued; minor units."""

    bank: BankIndex
    limit: Amount
    issued: Amount

    def write(self, writer: Writer) -> Writer:
        """Append the canonical encoding."""
        return writer.u16(self.bank).u64(self.limit).u64(self.issued)

    @staticmethod
    def read(reader: Reader) -> Issuance:
        """Read what `write` wrote; raises `MalformedEncoding`."""
        return Issuance(BankIndex(reader.u16()), Amount(reader.u64()), Amount(reader.u64()))


@dataclass(frozen=True, slots=True)
class FillingBin:
    """The open bin of an asset with the notes it has so far (IDX1 4.1)."""

    bin_id: int
    opened_at_ms: TimeMs
    """Header time of the block of its first note."""
    notes: tuple[tuple[bytes, bytes], ...]
    """(P, C) in ledger order; never empty, never a full ring."""

    def write(self, writer: Writer) -> Writer:
        """Append the canonical encoding."""
        writer.u64(self.bin_id).u64(self.opened_at_ms).u32(len(self.notes))
        return writer.fixed(
            b"".join([key + commitment for key, commitment in self.notes]),
            2 * POINT_BYTES * len(self.notes),
        )

    @staticmethod
    def read(reader: Reader) -> FillingBin:
        """Read what `write` wrote; raises `MalformedEncoding`."""
        filling = FillingBin(
            bin_id=reader.u64(),
            opened_at_ms=TimeMs(reader.u64()),
            notes=reader.many(
                MAX_BIN_NOTES, lambda r: (r.fixed(POINT_BYTES), r.fixed(POINT_BYTES))
            ),
        )
        if not filling.notes:
            raise MalformedEncoding("an open bin without a note")
        return filling


@dataclass(frozen=True, slots=True)
class AssetState:
    """Public totals of one asset, in minor units, and its open bin."""

    asset_id: AssetId
    issued: Amount
    redeemed: Amount
    paid_out: Amount
    fees: Amount
    issuance: tuple[Issuance, ...]
    open_bin: FillingBin | None

    def issuance_of(self, bank: BankIndex) -> Issuance | None:
        """Return the bank's entry, None if its issuer key is not registered for this asset."""
        return next((entry for entry in self.issuance if entry.bank == bank), None)

    def write(self, writer: Writer) -> Writer:
        """Append the canonical encoding."""
        return (
            writer.fixed(self.asset_id, ASSET_BYTES)
            .u128(self.issued)
            .u128(self.redeemed)
            .u128(self.paid_out)
            .u128(self.fees)
            .many(self.issuance, lambda out, entry: entry.write(out))
            .optional(self.open_bin, lambda out, filling: filling.write(out))
        )

    @staticmethod
    def read(reader: Reader) -> AssetState:
        """Read what `write` wrote; raises `MalformedEncoding`."""
        asset = AssetState(
            asset_id=AssetId(reader.fixed(ASSET_BYTES)),
            issued=Amount(reader.u128()),
            redeemed=Amount(reader.u128()),
            paid_out=Amount(reader.u128()),
            fees=Amount(reader.u128()),
            issuance=reader.many(MAX_BANKS, Issuance.read),
            open_bin=reader.optional(FillingBin.read),
        )
        require_increasing([entry.bank for entry in asset.issuance], "issuance")
        return asset


@dataclass(frozen=True, slots=True)
class Accumulated:
    """A growing list outside the state: how long it is, and its running hash."""

    count: int = 0
    accumulator: bytes = accumulators.EMPTY

    def write(self, writer: Writer) -> Writer:
        """Append the canonical encoding."""
        return writer.u64(self.count).fixed(self.accumulator, HASH_BYTES)

    @staticmethod
    def read(reader: Reader) -> Accumulated:
        """Read what `write` wrote; raises `MalformedEncoding`."""
        return Accumulated(reader.u64(), reader.fixed(HASH_BYTES))


@dataclass(frozen=True, slots=True)
class Pot:
    """What a fiscal year's settlement will share out (BFT-12 18); minor units."""

    year: FiscalYear
    approver_fees: Amount
    penalties: Amount
    carried: Amount = NOTHING
    """What earlier years' settlements left over because nobody was eligible."""
    slashed: tuple[BankIndex, ...] = ()
    """Banks punished in the year, in increasing index: they get no reward."""

    @property
    def total(self) -> Amount:
        """What the year's settlement shares out."""
        return Amount(self.approver_fees + self.penalties + self.carried)

    def write(self, writer: Writer) -> Writer:
        """Append the canonical encoding."""
        return (
            writer.u64(self.year)
            .u128(self.approver_fees)
            .u128(self.penalties)
            .u128(self.carried)
            .many(self.slashed, Writer.u16)
        )

    @staticmethod
    def read(reader: Reader) -> Pot:
        """Read what `write` wrote; raises `MalformedEncoding`."""
        pot = Pot(
            year=FiscalYear(reader.u64()),
            approver_fees=Amount(reader.u128()),
            penalties=Amount(reader.u128()),
            carried=Amount(reader.u128()),
            slashed=reader.many(MAX_BANKS, lambda r: BankIndex(r.u16())),
        )
        require_increasing(pot.slashed, "slashed banks of a pot")
        return pot


@dataclass(frozen=True, slots=True)
class Tally:
    """Sum of the recorded APPROVE ballots of one year under one opener key (BFT-12 18)."""

    year: FiscalYear
    opener_key: bytes
    ciphertext_sum: bytes
    """192 bytes; all zero is the empty sum."""
    ballots: int
    blocks: int

    def write(self, writer: Writer) -> Writer:
        """Append the canonical encoding."""
        return (
            writer.u64(self.year)
            .fixed(self.opener_key, POINT_BYTES)
            .fixed(self.ciphertext_sum, TALLY_BYTES)
            .u64(self.ballots)
            .u64(self.blocks)
        )

    @staticmethod
    def read(reader: Reader) -> Tally:
        """Read what `write` wrote; raises `MalformedEncoding`."""
        return Tally(
            year=FiscalYear(reader.u64()),
            opener_key=reader.fixed(POINT_BYTES),
            ciphertext_sum=reader.fixed(TALLY_BYTES),
            ballots=reader.u64(),
            blocks=reader.u64(),
        )


@dataclass(frozen=True, slots=True, order=True)
class PunishedOffence:
    """An evidence key that was punished and cannot be again (BFT-12 9)."""

    height: Height
    bank: BankIndex
    offence_class: int

    def write(self, writer: Writer) -> Writer:
        """Append the canonical encoding."""
        return writer.u64(self.height).u16(self.bank).u8(self.offence_class)

    @staticmethod
    def read(reader: Reader) -> PunishedOffence:
        """Read what `write` wrote; raises `MalformedEncoding`."""
        return PunishedOffence(Height(reader.u64()), BankIndex(reader.u16()), reader.u8())


@dataclass(frozen=True, slots=True)
class SetRecord:
    """The active set from one height until the next record's (BFT-12 9)."""

    from_height: Height
    set_hash: bytes
    banks: tuple[BankIndex, ...]

    def write(self, writer: Writer) -> Writer:
        """Append the canonical encoding."""
        writer.u64(self.from_height).fixed(self.set_hash, HASH_BYTES)
        return writer.many(self.banks, Writer.u16)

    @staticmethod
    def read(reader: Reader) -> SetRecord:
        """Read what `write` wrote; raises `MalformedEncoding`."""
        record = SetRecord(
            from_height=Height(reader.u64()),
            set_hash=reader.fixed(HASH_BYTES),
            banks=reader.many(MAX_BANKS, lambda r: BankIndex(r.u16())),
        )
        require_increasing(record.banks, "banks of a set record")
        return record
