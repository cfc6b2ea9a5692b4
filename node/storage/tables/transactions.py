"""Transactions and their canonical bytes."""

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
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from node.storage.tables.base import (
    Base,
    Bytes,
    MinorUnits,
    after_create,
    fixed_length,
    keep_inline,
    not_negative,
    one_of,
    store_uncompressed,
)


class TransactionBody(Base):
    """The canonical bytes of a transaction, written once, when this bank votes (BFT-12 D2)."""

    __tablename__ = "transaction_bodies"
    __table_args__ = (fixed_length("transaction_id", 32),)

    transaction_id: Mapped[bytes] = mapped_column(Bytes, primary_key=True)
    body: Mapped[bytes] = mapped_column(Bytes)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class TransactionRow(Base):
    """A sealed transaction: what its bytes say in public, and its place in the ledger.

    `sequence_number` counts all transactions of the ledger from 0 without gaps. A transaction's
    nullifiers and notes refer to it by that number: eight bytes in ascending order make small,
    fast indexes where 32 random bytes would not.
    """

    __tablename__ = "transactions"
    __table_args__ = (
        UniqueConstraint("batch_id", "position"),
        not_negative("sequence_number"),
        not_negative("fee"),
        not_negative("redeem"),
        fixed_length("asset", 16),
        fixed_length("leaf_hash", 32),
        CheckConstraint("kind IN (1, 2, 4, 16, 17, 18, 19, 20)", name="kind_known"),
        CheckConstraint("(kind < 16) = (asset IS NOT NULL)", name="asset_unless_governance"),
        one_of("status", "pending", "approved", "rejected", "completed"),
    )

    transaction_id: Mapped[bytes] = mapped_column(
        Bytes, ForeignKey("transaction_bodies.transaction_id"), primary_key=True
    )
    sequence_number: Mapped[int] = mapped_column(BigInteger, unique=True)
    batch_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("transaction_batches.batch_id"))
    position: Mapped[int] = mapped_column(SmallInteger)
    """Index in the block, the leaf index of the inclusion proof."""
    kind: Mapped[int] = mapped_column(SmallInteger)
    """Kind byte of IDX1 5.1: 1 TRANSFER, 2 ISSUE, 4 PAYOUT; or of governance
    (`node.ledger.governance`): 16 STAKE_TOP_UP, 17 STAKE_WITHDRAWAL, 18 READMISSION."""
    asset: Mapped[bytes | None] = mapped_column(Bytes)
    """Empty for governance, which moves no notes."""
    fee: Mapped[int] = mapped_column(MinorUnits)
    redeem: Mapped[int] = mapped_column(MinorUnits)
    leaf_hash: Mapped[bytes] = mapped_column(Bytes)
    """Leaf of the block's Merkle tree (IDX1 11.1), kept so that a proof reads no bodies."""
    size: Mapped[int] = mapped_column(Integer)
    """Bytes of the body."""
    timestamp: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    """Header time of the block."""
    status: Mapped[str] = mapped_column(Text, server_default=text("'pending'"))


keep_inline("transaction_bodies")
store_uncompressed("transaction_bodies", "body")

STATUS_FUNCTION = """
CREATE FUNCTION check_transaction_status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.status, NEW.status) NOT IN
        (('pending', 'approved'), ('pending', 'rejected'), ('approved', 'completed'))
    THEN
        RAISE EXCEPTION 'a transaction does not go from % to %', OLD.status, NEW.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'transactions_status_transition';
    END IF;
    RETURN NEW;
END $$
"""

STATUS_TRIGGER = """
CREATE TRIGGER transactions_status_transition BEFORE UPDATE OF status ON transactions
FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status)
EXECUTE FUNCTION check_transaction_status()
"""
"""Only legal transitions; costs nothing on insertion."""

after_create(Base.metadata.tables["transactions"], STATUS_FUNCTION)
after_create(Base.metadata.tables["transactions"], STATUS_TRIGGER)
