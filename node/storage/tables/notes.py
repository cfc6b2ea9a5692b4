"""Notes, the bins they hide in, and the nullifiers of spent ones (IDX1 3 and 4)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    SmallInteger,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from node.storage.tables.base import Base, Bytes, fixed_length, not_negative


class BinRow(Base):
    """A bin of one asset; open until `closed_at_height` is set."""

    __tablename__ = "bins"
    __table_args__ = (
        not_negative("bin_id"),
        fixed_length("asset", 16),
        fixed_length("digest", 32),
        CheckConstraint(
            "(closed_at_height IS NULL) = (digest IS NULL)"
            " AND (closed_at_height IS NULL) = (note_count IS NULL)"
            " AND (closed_at_height IS NULL) = (closed_sequence IS NULL)",
            name="closed_whole",
        ),
        CheckConstraint("note_count BETWEEN 1 AND 256", name="note_count_range"),
    )

    bin_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    asset: Mapped[bytes] = mapped_column(Bytes)
    opened_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    """Header time of the block of its first note; empty for what closed before a snapshot."""
    closed_at_height: Mapped[int | None] = mapped_column(
        BigInteger, ForeignKey("blocks.block_number"), index=True
    )
    closed_sequence: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    """Position in the order of closing, from 0 without gaps."""
    note_count: Mapped[int | None] = mapped_column(SmallInteger)
    """Real notes; the other positions hold the fixed padding (IDX1 4.1)."""
    digest: Mapped[bytes | None] = mapped_column(Bytes)


class NoteRow(Base):
    """An output of a transaction; the asset is its bin's, the height its transaction's batch."""

    __tablename__ = "notes"
    __table_args__ = (
        not_negative("sequence"),
        fixed_length("one_time_key", 96),
        fixed_length("commitment", 96),
        fixed_length("ephemeral_key", 32),
        fixed_length("ciphertext", 56),
        UniqueConstraint("bin_id", "position"),
        UniqueConstraint("transaction_sequence", "output_index"),
    )

    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Place in ledger order, from 0 without gaps."""
    one_time_key: Mapped[bytes] = mapped_column(Bytes, unique=True)
    commitment: Mapped[bytes] = mapped_column(Bytes)
    ephemeral_key: Mapped[bytes] = mapped_column(Bytes)
    view_tag: Mapped[int] = mapped_column(SmallInteger)
    ciphertext: Mapped[bytes] = mapped_column(Bytes)
    bin_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("bins.bin_id"))
    position: Mapped[int] = mapped_column(SmallInteger)
    transaction_sequence: Mapped[int | None] = mapped_column(
        BigInteger, ForeignKey("transactions.sequence_number")
    )
    """Empty for a note that came with a snapshot."""
    output_index: Mapped[int] = mapped_column(SmallInteger)


class NullifierRow(Base):
    """A spent note's nullifier; the unique index is what a double spend runs into."""

    __tablename__ = "nullifiers"
    __table_args__ = (not_negative("sequence"), fixed_length("nullifier", 96))

    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Place in ledger order, from 0 without gaps."""
    nullifier: Mapped[bytes] = mapped_column(Bytes, unique=True)
    transaction_sequence: Mapped[int | None] = mapped_column(
        BigInteger, ForeignKey("transactions.sequence_number"), index=True
    )
    """Empty for one that came with a snapshot."""
