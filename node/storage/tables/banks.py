"""Banks, their stakes and accounts, the creators of blocks, and the treasury.

`banks` and `miners` mirror the ledger state for queries; the state of `ledger_state` decides.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    Text,
    func,
    text,
    true,
)
from sqlalchemy.orm import Mapped, mapped_column

from node.storage.tables.base import (
    Base,
    Bytes,
    MinorUnits,
    after_create,
    fixed_length,
    not_negative,
    one_of,
)


class BankRow(Base):
    """A bank of the consortium; the id is its index in genesis."""

    __tablename__ = "banks"
    __table_args__ = (
        one_of("type", "public", "private"),
        not_negative("id"),
        not_negative("stake"),
        not_negative("initial_stake"),
        not_negative("account_balance"),
        not_negative("offences"),
        fixed_length("consensus_key", 32),
        fixed_length("ballot_key", 96),
        fixed_length("issuer_key", 32),
    )

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(Text, unique=True)
    type: Mapped[str] = mapped_column(Text)
    stake: Mapped[int] = mapped_column(MinorUnits)
    initial_stake: Mapped[int] = mapped_column(MinorUnits)
    account_balance: Mapped[int] = mapped_column(MinorUnits, server_default=text("0"))
    """Public base-asset account (BFT-12 section 18)."""
    offences: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    is_active: Mapped[bool] = mapped_column(server_default=true())
    consensus_key: Mapped[bytes] = mapped_column(Bytes)
    ballot_key: Mapped[bytes] = mapped_column(Bytes)
    issuer_key: Mapped[bytes] = mapped_column(Bytes)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class Miner(Base):
    """A bank in its role as creator of blocks."""

    __tablename__ = "miners"
    __table_args__ = (
        fixed_length("public_key", 32),
        not_negative("blocks_mined"),
        not_negative("total_rewards"),
    )

    idx: Mapped[int] = mapped_column(
        SmallInteger, ForeignKey("banks.id"), primary_key=True, autoincrement=False
    )
    public_key: Mapped[bytes] = mapped_column(Bytes)
    blocks_mined: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    total_rewards: Mapped[int] = mapped_column(MinorUnits, server_default=text("0"))
    is_active: Mapped[bool] = mapped_column(server_default=true())


class TreasuryRecord(Base):
    """One movement of stakes or pots; numbered without gaps, alike in every bank."""

    __tablename__ = "treasury"
    __table_args__ = (
        one_of("type", "reward", "penalty", "stake", "fee", "carry"),
        not_negative("record"),
        CheckConstraint(
            "amount >= 0 OR type IN ('stake', 'carry')", name="negative_only_for_stake_and_carry"
        ),
        CheckConstraint(
            "(type IN ('fee', 'carry')) = (bank_id IS NULL)", name="bank_of_what_has_one"
        ),
        Index("ix_treasury_bank_id_fiscal_year", "bank_id", "fiscal_year"),
        Index("ix_treasury_fiscal_year_record", "fiscal_year", "record"),
    )

    record: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    bank_id: Mapped[int | None] = mapped_column(SmallInteger, ForeignKey("banks.id"))
    """Empty for what concerns no single bank, such as the approvers' pot."""
    fiscal_year: Mapped[int] = mapped_column(BigInteger)
    amount: Mapped[int] = mapped_column(MinorUnits)
    """Negative for a withdrawal of stake, and for what is carried out of a year's pot.

    A bank's stake is its stake rows less penalties; a year's pot is its fees, penalties and carries
    less rewards, and nothing once it is settled.
    """
    type: Mapped[str] = mapped_column(Text)
    block_number: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("blocks.block_number"), index=True
    )
    timestamp: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    reason: Mapped[str] = mapped_column(Text)


class AccountEntry(Base):
    """One movement of a bank's public account (BFT-12 section 18); the kind tells its direction."""

    __tablename__ = "account_entries"
    __table_args__ = (
        one_of(
            *("kind", "redeem", "payout", "creator-fee"),
            *("stake-top-up", "stake-withdrawal", "reward"),
        ),
        fixed_length("asset", 16),
        not_negative("entry"),
        not_negative("amount"),
        Index("ix_account_entries_bank_id_entry", "bank_id", "entry"),
    )

    entry: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    bank_id: Mapped[int] = mapped_column(SmallInteger, ForeignKey("banks.id"))
    kind: Mapped[str] = mapped_column(Text)
    asset: Mapped[bytes] = mapped_column(Bytes)
    amount: Mapped[int] = mapped_column(MinorUnits)
    transaction_sequence: Mapped[int | None] = mapped_column(
        BigInteger, ForeignKey("transactions.sequence_number"), index=True
    )
    block_number: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("blocks.block_number"), index=True
    )


TREASURY_VIEW = """
CREATE VIEW treasury_in_major_units AS
SELECT t.record, t.bank_id, t.fiscal_year,
       (t.amount / power(10::numeric, i.base_asset_decimals))::numeric(40, 2) AS amount,
       t.type, t.block_number, t.timestamp, t.reason
FROM treasury t CROSS JOIN ledger_identity i
"""
"""The amounts as people write them; NUMERIC(40, 2) holds every sum of the ledger."""

BANKS_VIEW = """
CREATE VIEW banks_in_major_units AS
SELECT b.id, b.name, b.type,
       (b.stake / u.unit)::numeric(40, 2) AS stake,
       (b.initial_stake / u.unit)::numeric(40, 2) AS initial_stake,
       (b.account_balance / u.unit)::numeric(40, 2) AS account_balance,
       b.offences, b.is_active, b.created_at
FROM banks b
CROSS JOIN (SELECT power(10::numeric, base_asset_decimals) AS unit FROM ledger_identity) u
"""

after_create(Base.metadata, TREASURY_VIEW)
after_create(Base.metadata, BANKS_VIEW)
