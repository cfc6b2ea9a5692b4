"""The agreed voting record of sealed blocks, and ballots that contradict each other."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    SmallInteger,
    Text,
    UniqueConstraint,
    func,
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

TAG_BYTES = 96


class VotingRecord(Base):
    """One ballot on a batch, written with the next block (BFT-12 section 17).

    `tag` is the same for two ballots of one bank in one view, so that it cannot vote twice. Which
    bank that is, no bank knows: the column is there and stays empty, because only the regulator can
    open a ballot, and it keeps what it opened in a database of its own.
    """

    __tablename__ = "bank_voting_records"
    __table_args__ = (
        one_of("decision", "approve", "reject"),
        fixed_length("tag", TAG_BYTES),
        CheckConstraint("bank_id IS NULL", name="bank_unknown"),
        UniqueConstraint("batch_id", "tag"),
    )

    vote_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    """In the order of the tags within a batch: it says nothing about the bank either."""
    bank_id: Mapped[int | None] = mapped_column(SmallInteger, ForeignKey("banks.id"), index=True)
    batch_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("transaction_batches.batch_id"))
    decision: Mapped[str] = mapped_column(Text)
    tag: Mapped[bytes] = mapped_column(Bytes)
    timestamp: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    """Header time of the block voted on."""
    group_signature: Mapped[bytes] = mapped_column(Bytes)
    """The whole ballot (IDX1 section 9)."""


class BallotConflict(Base):
    """Two ballots with one tag and different messages: one bank voted twice (BFT-12 E8).

    This bank verified both. Who cast them is for the regulator to open.
    """

    __tablename__ = "ballot_conflicts"
    __table_args__ = (
        not_negative("sequence"),
        not_negative("height"),
        not_negative("view"),
        fixed_length("tag", TAG_BYTES),
        CheckConstraint("first < second", name="first_before_second"),
        UniqueConstraint("height", "view", "tag"),
    )

    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """In the order in which this bank found them, from 0; differs from bank to bank."""
    height: Mapped[int] = mapped_column(BigInteger)
    view: Mapped[int] = mapped_column(BigInteger)
    tag: Mapped[bytes] = mapped_column(Bytes)
    first: Mapped[bytes] = mapped_column(Bytes)
    second: Mapped[bytes] = mapped_column(Bytes)
    """In increasing byte order, so that banks that find the same pair store the same."""
    found_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    """By this bank's database's clock."""


store_uncompressed("bank_voting_records", "group_signature")
store_uncompressed("ballot_conflicts", "first", "second")
