"""Initial schema of the regulator's database; `node.storage.regulator.tables` describes it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    "followed_blocks",
    "recorded_ballots",
    "active_sets",
    "closed_bins",
    "year_counts",
    "settlements",
    "challenges",
    "reverifications",
    "alarms",
    "handled_conflicts",
    "audit_log",
)
APPEND_ONLY = ("challenges", "reverifications", "alarms", "audit_log")

REFUSE_CHANGE = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
END $$
"""


def upgrade() -> None:
    create_chain()
    create_counting()
    create_supervision()
    op.execute(REFUSE_CHANGE)
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
    op.execute("DROP FUNCTION refuse_change()")


def fixed_length(table: str, column: str, length: int) -> sa.CheckConstraint:
    return sa.CheckConstraint(
        f"octet_length({column}) = {length}", name=op.f(f"ck_{table}_{column}_length")
    )


def one_of(table: str, column: str, *values: str) -> sa.CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=op.f(f"ck_{table}_{column}_known"))


def create_chain() -> None:
    op.create_table(
        "followed_blocks",
        sa.Column("height", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("block_id", sa.LargeBinary, nullable=False),
        sa.Column("header", sa.LargeBinary, nullable=False),
        sa.Column("fiscal_year", sa.BigInteger, nullable=False),
        sa.Column("drawn", sa.Boolean, nullable=False),
        sa.Column("ciphertext_sum", sa.LargeBinary, nullable=True),
        sa.Column("approvals", sa.SmallInteger, nullable=True),
        sa.Column("rejections", sa.SmallInteger, nullable=True),
        sa.PrimaryKeyConstraint("height", name="pk_followed_blocks"),
        fixed_length("followed_blocks", "block_id", 32),
        fixed_length("followed_blocks", "ciphertext_sum", 192),
    )
    op.create_index("ix_followed_blocks_fiscal_year", "followed_blocks", ["fiscal_year"])
    op.create_table(
        "recorded_ballots",
        sa.Column("tag", sa.LargeBinary, nullable=False),
        sa.Column("height", sa.BigInteger, nullable=False),
        sa.Column("approve", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("tag", name="pk_recorded_ballots"),
        sa.ForeignKeyConstraint(
            ["height"], ["followed_blocks.height"], name="fk_recorded_ballots_height"
        ),
        fixed_length("recorded_ballots", "tag", 96),
    )
    op.create_index("ix_recorded_ballots_height", "recorded_ballots", ["height"])
    op.create_table(
        "active_sets",
        sa.Column("from_height", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("set_hash", sa.LargeBinary, nullable=False),
        sa.Column("encoded", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("from_height", name="pk_active_sets"),
        fixed_length("active_sets", "set_hash", 32),
    )
    op.create_table(
        "closed_bins",
        sa.Column("sequence", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("bin_id", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("notes", sa.Integer, nullable=False),
        sa.Column("accumulator", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_closed_bins"),
        sa.UniqueConstraint("bin_id", name="uq_closed_bins_bin_id"),
        fixed_length("closed_bins", "digest", 32),
        fixed_length("closed_bins", "accumulator", 32),
    )


def create_counting() -> None:
    op.create_table(
        "year_counts",
        sa.Column("fiscal_year", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("bank", sa.SmallInteger, autoincrement=False, nullable=False),
        sa.Column("approvals", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("fiscal_year", "bank", name="pk_year_counts"),
    )
    op.create_table(
        "settlements",
        sa.Column("fiscal_year", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("transaction_id", sa.LargeBinary, nullable=False),
        sa.Column("raw", sa.LargeBinary, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("submitted_ms", sa.BigInteger, nullable=False),
        sa.Column("sealed_height", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("fiscal_year", name="pk_settlements"),
        fixed_length("settlements", "transaction_id", 32),
    )


def create_supervision() -> None:
    op.create_table(
        "challenges",
        sa.Column("challenge", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("height", sa.BigInteger, nullable=False),
        sa.Column("challenged_by", sa.SmallInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("time_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("challenge", name="pk_challenges"),
    )
    op.create_index("ix_challenges_height", "challenges", ["height"])
    op.create_table(
        "reverifications",
        sa.Column("reverification", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("height", sa.BigInteger, nullable=False),
        sa.Column("block_id", sa.LargeBinary, nullable=False),
        sa.Column("fiscal_year", sa.BigInteger, nullable=False),
        sa.Column("challenge", sa.BigInteger, nullable=True),
        sa.Column("bank", sa.SmallInteger, nullable=False),
        sa.Column("result", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("transactions", sa.Integer, nullable=False),
        sa.Column("time_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("reverification", name="pk_reverifications"),
        sa.ForeignKeyConstraint(
            ["challenge"], ["challenges.challenge"], name="fk_reverifications_challenge"
        ),
        one_of("reverifications", "result", "correct", "bytes-differ", "invalid"),
    )
    op.create_index("ix_reverifications_height", "reverifications", ["height"])
    op.create_index("ix_reverifications_challenge", "reverifications", ["challenge"])
    op.create_table(
        "alarms",
        sa.Column("alarm", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("bank", sa.SmallInteger, nullable=True),
        sa.Column("height", sa.BigInteger, nullable=True),
        sa.Column("proof", sa.LargeBinary, nullable=True),
        sa.Column("time_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("alarm", name="pk_alarms"),
    )
    op.create_table(
        "handled_conflicts",
        sa.Column("tag", sa.LargeBinary, nullable=False),
        sa.Column("height", sa.BigInteger, nullable=False),
        sa.Column("bank", sa.SmallInteger, nullable=False),
        sa.Column("item", sa.LargeBinary, nullable=False),
        sa.Column("handed_in", sa.Boolean, server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("tag", name="pk_handled_conflicts"),
        fixed_length("handled_conflicts", "tag", 96),
    )
    op.create_table(
        "audit_log",
        sa.Column("sequence", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("time_ms", sa.BigInteger, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("event_data", sa.Text, nullable=False),
        sa.Column("previous_hash", sa.LargeBinary, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_audit_log"),
        sa.UniqueConstraint("previous_hash", name="uq_audit_log_previous_hash"),
        fixed_length("audit_log", "previous_hash", 32),
        fixed_length("audit_log", "hash", 32),
    )
    op.create_index("ix_audit_log_action", "audit_log", ["action"])
