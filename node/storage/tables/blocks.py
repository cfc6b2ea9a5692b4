"""Sealed blocks and their batches of transactions."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Integer,
    SmallInteger,
    Text,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from node.storage.tables.base import (
    Base,
    Bytes,
    fixed_length,
    not_negative,
    one_of,
    store_uncompressed,
)


class BlockRow(Base):
    """A sealed block; row 0 is genesis, which has no seal, no parent and no creator.

    `header` followed by `contents` is the canonical encoding of the block; the other columns repeat
    header fields for queries and constraints. Up to the height of `snapshot_origin` there are
    headers alone: `contents` is empty, and so is the seal where none proves anything.
    """

    __tablename__ = "blocks"
    __table_args__ = (
        fixed_length("block_hash", 32),
        fixed_length("merkle_root", 32),
        fixed_length("state_root", 32),
        not_negative("block_number"),
        not_negative("transaction_count"),
        CheckConstraint(
            "CASE WHEN block_number = 0 THEN seal IS NULL"
            " ELSE seal IS NOT NULL OR octet_length(contents) = 0 END",
            name="seal_if_whole",
        ),
        CheckConstraint(
            "(seal IS NULL) = (seal_digest IS NULL) AND octet_length(seal_digest) = 32",
            name="seal_digest_beside_seal",
        ),
        CheckConstraint("(block_number = 0) = (miner_idx IS NULL)", name="miner_unless_genesis"),
        CheckConstraint(
            "(block_number = 0) = (previous_hash IS NULL)", name="parent_unless_genesis"
        ),
    )

    block_hash: Mapped[bytes] = mapped_column(Bytes, primary_key=True)
    block_number: Mapped[int] = mapped_column(BigInteger, unique=True)
    previous_hash: Mapped[bytes | None] = mapped_column(
        Bytes, ForeignKey("blocks.block_hash"), unique=True
    )
    """Unique: two blocks with one parent would be a fork."""
    merkle_root: Mapped[bytes] = mapped_column(Bytes)
    timestamp: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    """Header time."""
    miner_idx: Mapped[int | None] = mapped_column(
        SmallInteger, ForeignKey("miners.idx"), index=True
    )
    state_root: Mapped[bytes] = mapped_column(Bytes)
    transaction_count: Mapped[int] = mapped_column(Integer)
    header: Mapped[bytes] = mapped_column(Bytes)
    contents: Mapped[bytes] = mapped_column(Bytes)
    seal: Mapped[bytes | None] = mapped_column(Bytes)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    """When this bank applied the block, by its database's clock."""
    seal_digest: Mapped[bytes | None] = mapped_column(Bytes)
    """SHA-256 of the seal: headers hash everything of a block but the signatures and ballots that
    seal it, which differ from bank to bank."""


class SetChangeRow(Base):
    """The active set that decides from the height after this block on (BFT-12 section 10).

    One row a change, so that a proof can carry all of them; the genesis set has no row.
    """

    __tablename__ = "set_changes"

    block_number: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("blocks.block_number"), primary_key=True, autoincrement=False
    )
    active_set: Mapped[bytes] = mapped_column(Bytes)
    """Canonical bytes, whose hash is the header's next-set hash."""


class TransactionBatch(Base):
    """The transactions of one block; the batch id is the block number.

    The voting record of a block is agreed in its child (BFT-12 section 17), so the batch at the
    tip is `pending` and its counts are empty.
    """

    __tablename__ = "transaction_batches"
    __table_args__ = (
        one_of("status", "pending", "approved", "rejected"),
        fixed_length("merkle_root", 32),
        CheckConstraint(
            "(status = 'pending') = (approved_banks IS NULL)"
            " AND (status = 'pending') = (rejected_banks IS NULL)",
            name="counted_unless_pending",
        ),
        CheckConstraint("approved_banks >= 0 AND rejected_banks >= 0", name="counts_not_negative"),
    )

    batch_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("blocks.block_number"), primary_key=True, autoincrement=False
    )
    block_hash: Mapped[bytes] = mapped_column(Bytes, ForeignKey("blocks.block_hash"), unique=True)
    merkle_root: Mapped[bytes] = mapped_column(Bytes)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    approved_banks: Mapped[int | None] = mapped_column(SmallInteger)
    rejected_banks: Mapped[int | None] = mapped_column(SmallInteger)
    status: Mapped[str] = mapped_column(Text, server_default=text("'pending'"))


store_uncompressed("blocks", "contents", "seal")
