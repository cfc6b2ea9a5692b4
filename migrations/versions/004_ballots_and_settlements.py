"""The agreed voting record, ballots in conflict, settlements of fiscal years, digests of seals."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "004"
down_revision = "003"
branch_labels = None
depends_on = None

MINOR_UNITS = sa.Numeric(39, 0)
TIMESTAMP = sa.DateTime(timezone=True)

ENTRY_KINDS = "'redeem', 'payout', 'creator-fee', 'stake-top-up', 'stake-withdrawal'"


def check(table: str, name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_{table}_{name}"))


def foreign_key(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [target], name=f"fk_{table}_{column}")


def replace_check(table: str, name: str, condition: str, *, replaced: str | None = None) -> None:
    op.drop_constraint(op.f(f"ck_{table}_{replaced or name}"), table, type_="check")
    op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, condition)


def upgrade() -> None:
    replace_check(
        "bank_voting_records", "tag_length", "octet_length(tag) = 96", replaced="tag_present"
    )
    op.create_check_constraint(
        op.f("ck_bank_voting_records_bank_unknown"), "bank_voting_records", "bank_id IS NULL"
    )
    op.execute("ALTER TABLE bank_voting_records ALTER COLUMN group_signature SET STORAGE EXTERNAL")
    create_ballot_conflicts()
    widen_treasury()
    create_settlements()
    add_seal_digest()


def downgrade() -> None:
    """Refused by PostgreSQL where rows exist that the earlier schema has no place for."""
    op.drop_constraint(op.f("ck_blocks_seal_digest_beside_seal"), "blocks", type_="check")
    op.drop_column("blocks", "seal_digest")
    op.drop_table("settlement_shares")
    op.drop_table("settlements")
    op.drop_index("ix_treasury_fiscal_year_record", "treasury")
    op.drop_constraint(op.f("ck_treasury_bank_of_what_has_one"), "treasury", type_="check")
    replace_check(
        "treasury",
        "negative_only_for_stake",
        "amount >= 0 OR type = 'stake'",
        replaced="negative_only_for_stake_and_carry",
    )
    replace_check("treasury", "type_known", "type IN ('reward', 'penalty', 'stake', 'fee')")
    replace_check("account_entries", "kind_known", f"kind IN ({ENTRY_KINDS})")
    replace_check("transactions", "kind_known", "kind IN (1, 2, 4, 16, 17, 18)")
    op.drop_table("ballot_conflicts")
    op.execute("ALTER TABLE bank_voting_records ALTER COLUMN group_signature SET STORAGE EXTENDED")
    op.drop_constraint(
        op.f("ck_bank_voting_records_bank_unknown"), "bank_voting_records", type_="check"
    )
    replace_check(
        "bank_voting_records", "tag_present", "octet_length(tag) > 0", replaced="tag_length"
    )


def create_ballot_conflicts() -> None:
    op.create_table(
        "ballot_conflicts",
        sa.Column("sequence", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("height", sa.BigInteger, nullable=False),
        sa.Column("view", sa.BigInteger, nullable=False),
        sa.Column("tag", sa.LargeBinary, nullable=False),
        sa.Column("first", sa.LargeBinary, nullable=False),
        sa.Column("second", sa.LargeBinary, nullable=False),
        sa.Column("found_at", TIMESTAMP, server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_ballot_conflicts"),
        sa.UniqueConstraint(*("height", "view", "tag"), name="uq_ballot_conflicts_height_view_tag"),
        check("ballot_conflicts", "first_before_second", "first < second"),
        check("ballot_conflicts", "height_not_negative", "height >= 0"),
        check("ballot_conflicts", "sequence_not_negative", "sequence >= 0"),
        check("ballot_conflicts", "tag_length", "octet_length(tag) = 96"),
        check("ballot_conflicts", "view_not_negative", "view >= 0"),
    )
    for column in ("first", "second"):
        op.execute(f"ALTER TABLE ballot_conflicts ALTER COLUMN {column} SET STORAGE EXTERNAL")


def widen_treasury() -> None:
    """Rewards, and pots that are carried from one year to another."""
    replace_check("transactions", "kind_known", "kind IN (1, 2, 4, 16, 17, 18, 19, 20)")
    replace_check("account_entries", "kind_known", f"kind IN ({ENTRY_KINDS}, 'reward')")
    replace_check(
        "treasury", "type_known", "type IN ('reward', 'penalty', 'stake', 'fee', 'carry')"
    )
    replace_check(
        "treasury",
        "negative_only_for_stake_and_carry",
        "amount >= 0 OR type IN ('stake', 'carry')",
        replaced="negative_only_for_stake",
    )
    op.create_check_constraint(
        op.f("ck_treasury_bank_of_what_has_one"),
        "treasury",
        "(type IN ('fee', 'carry')) = (bank_id IS NULL)",
    )
    op.create_index("ix_treasury_fiscal_year_record", "treasury", ["fiscal_year", "record"])


def create_settlements() -> None:
    op.create_table(
        "settlements",
        sa.Column("fiscal_year", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("block_number", sa.BigInteger, nullable=False),
        sa.Column("transaction_sequence", sa.BigInteger, nullable=False),
        sa.Column("pot", MINOR_UNITS, nullable=False),
        sa.Column("carried", MINOR_UNITS, nullable=False),
        sa.Column("ballots", sa.BigInteger, nullable=False),
        sa.Column("blocks", sa.BigInteger, nullable=False),
        sa.Column("ciphertext_sum", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("fiscal_year", name="pk_settlements"),
        sa.UniqueConstraint("transaction_sequence", name="uq_settlements_transaction_sequence"),
        check("settlements", "ballots_not_negative", "ballots >= 0"),
        check("settlements", "blocks_not_negative", "blocks >= 0"),
        check("settlements", "carried_within_pot", "carried BETWEEN 0 AND pot"),
        check("settlements", "ciphertext_sum_length", "octet_length(ciphertext_sum) = 192"),
        foreign_key("settlements", "block_number", "blocks.block_number"),
        foreign_key("settlements", "transaction_sequence", "transactions.sequence_number"),
    )
    op.create_index("ix_settlements_block_number", "settlements", ["block_number"])
    op.create_table(
        "settlement_shares",
        sa.Column("fiscal_year", sa.BigInteger, nullable=False),
        sa.Column("bank_id", sa.SmallInteger, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("reward", MINOR_UNITS, nullable=False),
        sa.PrimaryKeyConstraint("fiscal_year", "bank_id", name="pk_settlement_shares"),
        check("settlement_shares", "count_not_negative", "count >= 0"),
        check("settlement_shares", "reward_not_negative", "reward >= 0"),
        foreign_key("settlement_shares", "fiscal_year", "settlements.fiscal_year"),
        foreign_key("settlement_shares", "bank_id", "banks.id"),
    )
    op.create_index("ix_settlement_shares_bank_id", "settlement_shares", ["bank_id"])


def add_seal_digest() -> None:
    op.add_column("blocks", sa.Column("seal_digest", sa.LargeBinary, nullable=True))
    op.execute("UPDATE blocks SET seal_digest = sha256(seal) WHERE seal IS NOT NULL")
    op.create_check_constraint(
        op.f("ck_blocks_seal_digest_beside_seal"),
        "blocks",
        "(seal IS NULL) = (seal_digest IS NULL) AND octet_length(seal_digest) = 32",
    )
