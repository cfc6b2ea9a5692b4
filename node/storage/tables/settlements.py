"""Fiscal years that were settled (BFT-12 section 18)."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, SmallInteger
from sqlalchemy.orm import Mapped, mapped_column

from node.storage.tables.base import Base, Bytes, MinorUnits, fixed_length, not_negative


class SettlementRow(Base):
    """One settled year: what its pot held, and the tally that the counts were proven against.

    The proof is in the transaction's body. A year whose pot was carried forward without a count has
    no shares. Amounts are minor units of the base asset.
    """

    __tablename__ = "settlements"
    __table_args__ = (
        CheckConstraint("carried BETWEEN 0 AND pot", name="carried_within_pot"),
        not_negative("ballots"),
        not_negative("blocks"),
        fixed_length("ciphertext_sum", 192),
    )

    fiscal_year: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    block_number: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("blocks.block_number"), index=True
    )
    transaction_sequence: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("transactions.sequence_number"), unique=True
    )
    pot: Mapped[int] = mapped_column(MinorUnits)
    """Penalties, approvers' fees and what was carried into the year."""
    carried: Mapped[int] = mapped_column(MinorUnits)
    """What the current year's pot took over: all or nothing."""
    ballots: Mapped[int] = mapped_column(BigInteger)
    """Recorded APPROVE ballots of the year."""
    blocks: Mapped[int] = mapped_column(BigInteger)
    """Blocks that they approve."""
    ciphertext_sum: Mapped[bytes] = mapped_column(Bytes)
    """Sum of the ballots' encryptions; all zero is the empty sum."""


class SettlementShare(Base):
    """What one bank's approvals of a settled year were, and what it got for them."""

    __tablename__ = "settlement_shares"
    __table_args__ = (not_negative("count"), not_negative("reward"))

    fiscal_year: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("settlements.fiscal_year"), primary_key=True
    )
    bank_id: Mapped[int] = mapped_column(
        SmallInteger, ForeignKey("banks.id"), primary_key=True, index=True
    )
    count: Mapped[int] = mapped_column(BigInteger)
    reward: Mapped[int] = mapped_column(MinorUnits)
