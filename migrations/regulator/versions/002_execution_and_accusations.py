"""What blocks are executed again from, and evidence of those that were found invalid."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "002"
down_revision = "001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "kept_states",
        sa.Column("height", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("state", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("height", name="pk_kept_states"),
    )
    op.create_table(
        "accusations",
        sa.Column("evidence_id", sa.LargeBinary, nullable=False),
        sa.Column("height", sa.BigInteger, nullable=False),
        sa.Column("bank", sa.SmallInteger, nullable=False),
        sa.Column("item", sa.LargeBinary, nullable=False),
        sa.Column("outcome", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("evidence_id", name="pk_accusations"),
        sa.UniqueConstraint("height", "bank", name="uq_accusations_height_bank"),
        sa.CheckConstraint(
            "octet_length(evidence_id) = 32", name=op.f("ck_accusations_evidence_id_length")
        ),
    )
    op.create_table(
        "spent_nullifiers",
        sa.Column("nullifier", sa.LargeBinary, nullable=False),
        sa.Column("height", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("nullifier", name="pk_spent_nullifiers"),
        sa.CheckConstraint(
            "octet_length(nullifier) = 96", name=op.f("ck_spent_nullifiers_nullifier_length")
        ),
    )


def downgrade() -> None:
    op.drop_table("spent_nullifiers")
    op.drop_table("accusations")
    op.drop_table("kept_states")
