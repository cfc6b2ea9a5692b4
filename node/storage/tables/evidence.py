"""Evidence of offences that this bank holds, and damage that it found in its own database."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
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
    MinorUnits,
    fixed_length,
    not_negative,
    one_of,
    store_uncompressed,
)


class EvidenceRow(Base):
    """One evidence item (BFT-12 section 9): verified by this bank, or part of a sealed block.

    `pending` until a block punishes its key: then `recorded` if the block holds this very item,
    `superseded` if it holds another of the same key; `expired` once it is too old to be recorded.
    """

    __tablename__ = "evidence"
    __table_args__ = (
        fixed_length("evidence_id", 32),
        not_negative("sequence"),
        one_of("offence", "E1", "E2", "E3", "E4", "E5", "E6", "E7", "E8"),
        CheckConstraint("offence_class BETWEEN 1 AND 6", name="offence_class_known"),
        not_negative("offence_height"),
        one_of("status", "pending", "recorded", "superseded", "expired"),
        CheckConstraint(
            "(status IN ('recorded', 'superseded')) = (block_number IS NOT NULL)",
            name="block_if_settled",
        ),
        CheckConstraint(
            "(status = 'recorded') = (penalty IS NOT NULL)"
            " AND (status = 'recorded') = (stake_before IS NOT NULL)"
            " AND (status = 'recorded') = (ordinal IS NOT NULL)",
            name="penalty_if_recorded",
        ),
        CheckConstraint("penalty BETWEEN 0 AND stake_before", name="penalty_within_stake"),
        CheckConstraint("ordinal >= 1", name="ordinal_positive"),
        Index("ix_evidence_bank_id_offence_height", "bank_id", "offence_height", "offence_class"),
        Index(
            "uq_evidence_punished",
            "bank_id",
            "offence_height",
            "offence_class",
            unique=True,
            postgresql_where=text("status = 'recorded'"),
        ),
        Index("ix_evidence_pending", "sequence", postgresql_where=text("status = 'pending'")),
    )

    evidence_id: Mapped[bytes] = mapped_column(Bytes, primary_key=True)
    """SHA-256 of `raw`."""
    sequence: Mapped[int] = mapped_column(BigInteger, unique=True)
    """In the order in which this bank got them, from 0; differs from bank to bank."""
    offence: Mapped[str] = mapped_column(Text)
    offence_class: Mapped[int] = mapped_column(SmallInteger)
    """With accused and height, the key that is punished once."""
    bank_id: Mapped[int] = mapped_column(SmallInteger, ForeignKey("banks.id"))
    """The accused."""
    offence_height: Mapped[int] = mapped_column(BigInteger)
    raw: Mapped[bytes] = mapped_column(Bytes)
    source_bank_id: Mapped[int | None] = mapped_column(
        SmallInteger, ForeignKey("banks.id"), index=True
    )
    """Who sent it, this bank itself for a conflict it found; empty if a sealed block brought it."""
    found_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    """By this bank's database's clock."""
    status: Mapped[str] = mapped_column(Text, server_default=text("'pending'"))
    block_number: Mapped[int | None] = mapped_column(
        BigInteger, ForeignKey("blocks.block_number"), index=True
    )
    """The block that punished the key."""
    stake_before: Mapped[int | None] = mapped_column(MinorUnits)
    penalty: Mapped[int | None] = mapped_column(MinorUnits)
    ordinal: Mapped[int | None] = mapped_column(Integer)
    """Which of the bank's offences it was, from 1; decides the rate (BFT-12 section 18)."""


class IntegrityFinding(Base):
    """A row that is not what this bank wrote; as long as there is one, the bank signs nothing.

    Goes with the database when it is rebuilt; a restart alone does not make a bank forget it.
    """

    __tablename__ = "integrity_findings"

    finding_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    found_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    damaged_table: Mapped[str] = mapped_column(Text)
    height: Mapped[int | None] = mapped_column(BigInteger)
    """Of the block that the damaged row belongs to, as far as that can be told."""
    detail: Mapped[str] = mapped_column(Text)


store_uncompressed("evidence", "raw")
