"""Whose database this is, the ledger state at the tip, and what consensus must not forget."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, DateTime, ForeignKey, SmallInteger, func, true
from sqlalchemy.orm import Mapped, mapped_column

from node.storage.tables.base import (
    Base,
    Bytes,
    fixed_length,
    not_negative,
    only_row,
    store_uncompressed,
)


class LedgerIdentity(Base):
    """The chain and the bank that this database belongs to; one row, written once."""

    __tablename__ = "ledger_identity"
    __table_args__ = (
        only_row(),
        fixed_length("chain_id", 32),
        fixed_length("base_asset", 16),
        not_negative("base_asset_decimals"),
    )

    singleton: Mapped[bool] = mapped_column(primary_key=True, server_default=true())
    chain_id: Mapped[bytes] = mapped_column(Bytes)
    bank_id: Mapped[int] = mapped_column(SmallInteger, ForeignKey("banks.id"), index=True)
    base_asset: Mapped[bytes] = mapped_column(Bytes)
    base_asset_decimals: Mapped[int] = mapped_column(SmallInteger)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class LedgerStateRow(Base):
    """The canonical ledger state after the tip, and how many rows precede the next of each kind.

    The update of this row, guarded by the parent's hash, is what makes blocks follow one another.
    """

    __tablename__ = "ledger_state"
    __table_args__ = (
        only_row(),
        not_negative("account_entry_count"),
        not_negative("treasury_count"),
    )

    singleton: Mapped[bool] = mapped_column(primary_key=True, server_default=true())
    block_hash: Mapped[bytes] = mapped_column(Bytes, ForeignKey("blocks.block_hash"), index=True)
    state: Mapped[bytes] = mapped_column(Bytes)
    account_entry_count: Mapped[int] = mapped_column(BigInteger)
    treasury_count: Mapped[int] = mapped_column(BigInteger)


class ConsensusRecord(Base):
    """The durable row of BFT-12 section 4; present only while a statement of its height is out."""

    __tablename__ = "consensus_record"
    __table_args__ = (
        only_row(),
        not_negative("height"),
        not_negative("view"),
        not_negative("step"),
        fixed_length("digest", 32),
    )

    singleton: Mapped[bool] = mapped_column(primary_key=True, server_default=true())
    height: Mapped[int] = mapped_column(BigInteger)
    view: Mapped[int] = mapped_column(BigInteger)
    step: Mapped[int] = mapped_column(BigInteger)
    record: Mapped[bytes] = mapped_column(Bytes)
    digest: Mapped[bytes] = mapped_column(Bytes)
    """SHA-256 of `record`: nothing else in the database tells whether it is what was written."""


class ConsensusBody(Base):
    """A block that this bank proposed or voted on at the current height (BFT-12 D2)."""

    __tablename__ = "consensus_bodies"
    __table_args__ = (fixed_length("block_id", 32), not_negative("height"))

    block_id: Mapped[bytes] = mapped_column(Bytes, primary_key=True)
    height: Mapped[int] = mapped_column(BigInteger)
    block: Mapped[bytes] = mapped_column(Bytes)


store_uncompressed("ledger_state", "state")
store_uncompressed("consensus_record", "record")
store_uncompressed("consensus_bodies", "block")
