"""Evidence, damage found, changes of the active set, stakes, governance, record digests."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "002"
down_revision = "001"
branch_labels = None
depends_on = None

MINOR_UNITS = sa.Numeric(39, 0)
TIMESTAMP = sa.DateTime(timezone=True)


def check(table: str, name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_{table}_{name}"))


def foreign_key(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [target], name=f"fk_{table}_{column}")


def replace_check(table: str, name: str, condition: str, *, replaced: str | None = None) -> None:
    op.drop_constraint(op.f(f"ck_{table}_{replaced or name}"), table, type_="check")
    op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, condition)


def upgrade() -> None:
    create_evidence()
    create_integrity_findings()
    create_set_changes()
    replace_check(
        "treasury",
        "negative_only_for_stake",
        "amount >= 0 OR type = 'stake'",
        replaced="amount_not_negative",
    )
    replace_check(
        "account_entries",
        "kind_known",
        "kind IN ('redeem', 'payout', 'creator-fee', 'stake-top-up', 'stake-withdrawal')",
    )
    replace_check("transactions", "kind_known", "kind IN (1, 2, 4, 16, 17, 18)")
    op.alter_column("transactions", "asset", nullable=True)
    op.create_check_constraint(
        op.f("ck_transactions_asset_unless_governance"),
        "transactions",
        "(kind < 16) = (asset IS NOT NULL)",
    )
    add_record_digest()


def downgrade() -> None:
    """Refused by PostgreSQL where rows exist that the earlier schema has no place for."""
    op.drop_column("consensus_record", "digest")
    op.drop_constraint(
        op.f("ck_transactions_asset_unless_governance"), "transactions", type_="check"
    )
    op.alter_column("transactions", "asset", nullable=False)
    replace_check("transactions", "kind_known", "kind IN (1, 2, 4)")
    replace_check("account_entries", "kind_known", "kind IN ('redeem', 'payout', 'creator-fee')")
    replace_check(
        "treasury", "amount_not_negative", "amount >= 0", replaced="negative_only_for_stake"
    )
    op.drop_table("set_changes")
    op.drop_table("integrity_findings")
    op.drop_table("evidence")


def create_evidence() -> None:
    op.create_table(
        "evidence",
        sa.Column("evidence_id", sa.LargeBinary, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("offence", sa.Text, nullable=False),
        sa.Column("offence_class", sa.SmallInteger, nullable=False),
        sa.Column("bank_id", sa.SmallInteger, nullable=False),
        sa.Column("offence_height", sa.BigInteger, nullable=False),
        sa.Column("raw", sa.LargeBinary, nullable=False),
        sa.Column("source_bank_id", sa.SmallInteger, nullable=True),
        sa.Column("found_at", TIMESTAMP, server_default=sa.func.now(), nullable=False),
        sa.Column("status", sa.Text, server_default=sa.text("'pending'"), nullable=False),
        sa.Column("block_number", sa.BigInteger, nullable=True),
        sa.Column("stake_before", MINOR_UNITS, nullable=True),
        sa.Column("penalty", MINOR_UNITS, nullable=True),
        sa.Column("ordinal", sa.Integer, nullable=True),
        sa.PrimaryKeyConstraint("evidence_id", name="pk_evidence"),
        sa.UniqueConstraint("sequence", name="uq_evidence_sequence"),
        check("evidence", "evidence_id_length", "octet_length(evidence_id) = 32"),
        check("evidence", "sequence_not_negative", "sequence >= 0"),
        check(
            "evidence",
            "offence_known",
            "offence IN ('E1', 'E2', 'E3', 'E4', 'E5', 'E6', 'E7', 'E8')",
        ),
        check("evidence", "offence_class_known", "offence_class BETWEEN 1 AND 6"),
        check("evidence", "offence_height_not_negative", "offence_height >= 0"),
        check(
            "evidence",
            "status_known",
            "status IN ('pending', 'recorded', 'superseded', 'expired')",
        ),
        check(
            "evidence",
            "block_if_settled",
            "(status IN ('recorded', 'superseded')) = (block_number IS NOT NULL)",
        ),
        check(
            "evidence",
            "penalty_if_recorded",
            "(status = 'recorded') = (penalty IS NOT NULL)"
            " AND (status = 'recorded') = (stake_before IS NOT NULL)"
            " AND (status = 'recorded') = (ordinal IS NOT NULL)",
        ),
        check("evidence", "penalty_within_stake", "penalty BETWEEN 0 AND stake_before"),
        check("evidence", "ordinal_positive", "ordinal >= 1"),
        foreign_key("evidence", "bank_id", "banks.id"),
        foreign_key("evidence", "source_bank_id", "banks.id"),
        foreign_key("evidence", "block_number", "blocks.block_number"),
    )
    key = ["bank_id", "offence_height", "offence_class"]
    op.create_index("ix_evidence_bank_id_offence_height", "evidence", key)
    op.create_index(
        "uq_evidence_punished",
        "evidence",
        key,
        unique=True,
        postgresql_where=sa.text("status = 'recorded'"),
    )
    op.create_index(
        "ix_evidence_pending",
        "evidence",
        ["sequence"],
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_index("ix_evidence_source_bank_id", "evidence", ["source_bank_id"])
    op.create_index("ix_evidence_block_number", "evidence", ["block_number"])
    op.execute("ALTER TABLE evidence ALTER COLUMN raw SET STORAGE EXTERNAL")


def create_integrity_findings() -> None:
    op.create_table(
        "integrity_findings",
        sa.Column("finding_id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("found_at", TIMESTAMP, server_default=sa.func.now(), nullable=False),
        sa.Column("damaged_table", sa.Text, nullable=False),
        sa.Column("height", sa.BigInteger, nullable=True),
        sa.Column("detail", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("finding_id", name="pk_integrity_findings"),
    )


def create_set_changes() -> None:
    op.create_table(
        "set_changes",
        sa.Column("block_number", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("active_set", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("block_number", name="pk_set_changes"),
        foreign_key("set_changes", "block_number", "blocks.block_number"),
    )


def add_record_digest() -> None:
    op.add_column("consensus_record", sa.Column("digest", sa.LargeBinary, nullable=True))
    op.execute("UPDATE consensus_record SET digest = sha256(record)")
    op.alter_column("consensus_record", "digest", nullable=False)
    op.create_check_constraint(
        op.f("ck_consensus_record_digest_length"), "consensus_record", "octet_length(digest) = 32"
    )
