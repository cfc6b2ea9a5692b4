"""A ledger that begins with a snapshot: headers without blocks, notes without transactions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "003"
down_revision = "002"
branch_labels = None
depends_on = None

TIMESTAMP = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "snapshot_origin",
        sa.Column("singleton", sa.Boolean, server_default=sa.true(), nullable=False),
        sa.Column("block_number", sa.BigInteger, nullable=False),
        sa.Column("bank_id", sa.SmallInteger, nullable=False),
        sa.Column("transaction_count", sa.BigInteger, nullable=False),
        sa.Column("note_count", sa.BigInteger, nullable=False),
        sa.Column("nullifier_count", sa.BigInteger, nullable=False),
        sa.Column("joined_at", TIMESTAMP, server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("singleton", name="pk_snapshot_origin"),
        sa.ForeignKeyConstraint(
            ["block_number"], ["blocks.block_number"], name="fk_snapshot_origin_block_number"
        ),
        sa.ForeignKeyConstraint(["bank_id"], ["banks.id"], name="fk_snapshot_origin_bank_id"),
        sa.CheckConstraint("singleton", name=op.f("ck_snapshot_origin_singleton_true")),
        sa.CheckConstraint(
            "transaction_count >= 0",
            name=op.f("ck_snapshot_origin_transaction_count_not_negative"),
        ),
        sa.CheckConstraint(
            "note_count >= 0", name=op.f("ck_snapshot_origin_note_count_not_negative")
        ),
        sa.CheckConstraint(
            "nullifier_count >= 0", name=op.f("ck_snapshot_origin_nullifier_count_not_negative")
        ),
    )
    op.create_index("ix_snapshot_origin_block_number", "snapshot_origin", ["block_number"])
    op.create_index("ix_snapshot_origin_bank_id", "snapshot_origin", ["bank_id"])
    op.drop_constraint(op.f("ck_blocks_seal_unless_genesis"), "blocks", type_="check")
    op.create_check_constraint(
        op.f("ck_blocks_seal_if_whole"),
        "blocks",
        "CASE WHEN block_number = 0 THEN seal IS NULL"
        " ELSE seal IS NOT NULL OR octet_length(contents) = 0 END",
    )
    for table in ("notes", "nullifiers"):
        op.alter_column(table, "transaction_sequence", nullable=True)
    op.alter_column("bins", "opened_at", nullable=True)


def downgrade() -> None:
    """Refused by PostgreSQL where rows exist that the earlier schema has no place for."""
    op.alter_column("bins", "opened_at", nullable=False)
    for table in ("nullifiers", "notes"):
        op.alter_column(table, "transaction_sequence", nullable=False)
    op.drop_constraint(op.f("ck_blocks_seal_if_whole"), "blocks", type_="check")
    op.create_check_constraint(
        op.f("ck_blocks_seal_unless_genesis"),
        "blocks",
        "(block_number = 0) = (seal IS NULL)",
    )
    op.drop_table("snapshot_origin")
