"""Where a bank's ledger begins that joined by a snapshot."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, DateTime, ForeignKey, SmallInteger, func, true
from sqlalchemy.orm import Mapped, mapped_column

from node.storage.tables.base import Base, not_negative, only_row


class SnapshotOrigin(Base):
    """The block whose state this bank took over; no row in a ledger that was replayed whole.

    Below it there are headers alone: no blocks, bodies or transactions.
    """

    __tablename__ = "snapshot_origin"
    __table_args__ = (
        only_row(),
        not_negative("transaction_count"),
        not_negative("note_count"),
        not_negative("nullifier_count"),
    )

    singleton: Mapped[bool] = mapped_column(primary_key=True, server_default=true())
    block_number: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("blocks.block_number"), index=True
    )
    bank_id: Mapped[int] = mapped_column(SmallInteger, ForeignKey("banks.id"), index=True)
    """The bank that served it; it was not trusted."""
    transaction_count: Mapped[int] = mapped_column(BigInteger)
    """Sealed up to that block."""
    note_count: Mapped[int] = mapped_column(BigInteger)
    """Notes that came with the snapshot: their transactions are unknown here."""
    nullifier_count: Mapped[int] = mapped_column(BigInteger)
    """Nullifiers that came with it, likewise."""
    joined_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
