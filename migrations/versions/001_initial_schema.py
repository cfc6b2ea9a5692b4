"""Initial schema: chain, transactions, notes, banks, treasury, voting record, consensus.

A frozen copy of the tables as they were at this revision; `node.storage.tables` describes them.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "001"
down_revision = None
branch_labels = None
depends_on = None

MINOR_UNITS = sa.Numeric(39, 0)
TIMESTAMP = sa.DateTime(timezone=True)

STATUS_FUNCTION = """
CREATE FUNCTION check_transaction_status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.status, NEW.status) NOT IN
        (('pending', 'approved'), ('pending', 'rejected'), ('approved', 'completed'))
    THEN
        RAISE EXCEPTION 'a transaction does not go from % to %', OLD.status, NEW.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'transactions_status_transition';
    END IF;
    RETURN NEW;
END $$
"""

STATUS_TRIGGER = """
CREATE TRIGGER transactions_status_transition BEFORE UPDATE OF status ON transactions
FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status)
EXECUTE FUNCTION check_transaction_status()
"""

VIEWS = (
    """
CREATE VIEW treasury_in_major_units AS
SELECT t.record, t.bank_id, t.fiscal_year,
       (t.amount / power(10::numeric, i.base_asset_decimals))::numeric(40, 2) AS amount,
       t.type, t.block_number, t.timestamp, t.reason
FROM treasury t CROSS JOIN ledger_identity i
""",
    """
CREATE VIEW banks_in_major_units AS
SELECT b.id, b.name, b.type,
       (b.stake / u.unit)::numeric(40, 2) AS stake,
       (b.initial_stake / u.unit)::numeric(40, 2) AS initial_stake,
       (b.account_balance / u.unit)::numeric(40, 2) AS account_balance,
       b.offences, b.is_active, b.created_at
FROM banks b
CROSS JOIN (SELECT power(10::numeric, base_asset_decimals) AS unit FROM ledger_identity) u
""",
)

INCOMPRESSIBLE = (
    ("blocks", "contents"),
    ("blocks", "seal"),
    ("transaction_bodies", "body"),
    ("ledger_state", "state"),
    ("consensus_record", "record"),
    ("consensus_bodies", "block"),
)

TABLES = (
    "banks",
    "miners",
    "blocks",
    "transaction_batches",
    "bank_voting_records",
    "transaction_bodies",
    "transactions",
    "bins",
    "notes",
    "nullifiers",
    "treasury",
    "account_entries",
    "ledger_identity",
    "ledger_state",
    "consensus_record",
    "consensus_bodies",
)
"""In the order of their foreign keys."""


def check(table: str, name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_{table}_{name}"))


def foreign_key(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [target], name=f"fk_{table}_{column}")


def unique(table: str, *columns: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(*columns, name=f"uq_{table}_" + "_".join(columns))


def upgrade() -> None:
    create_banks()
    create_blocks()
    create_voting_records()
    create_transactions()
    create_notes()
    create_accounts()
    create_state()
    create_consensus()
    for table, column in INCOMPRESSIBLE:
        op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET STORAGE EXTERNAL")
    op.execute("ALTER TABLE transaction_bodies SET (toast_tuple_target = 8160)")
    op.execute(STATUS_FUNCTION)
    op.execute(STATUS_TRIGGER)
    for view in VIEWS:
        op.execute(view)


def downgrade() -> None:
    op.execute("DROP VIEW banks_in_major_units")
    op.execute("DROP VIEW treasury_in_major_units")
    for table in reversed(TABLES):
        op.drop_table(table)
    op.execute("DROP FUNCTION check_transaction_status()")


def create_banks() -> None:
    op.create_table(
        "banks",
        sa.Column("id", sa.SmallInteger, autoincrement=False, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("stake", MINOR_UNITS, nullable=False),
        sa.Column("initial_stake", MINOR_UNITS, nullable=False),
        sa.Column("account_balance", MINOR_UNITS, server_default=sa.text("0"), nullable=False),
        sa.Column("offences", sa.Integer, server_default=sa.text("0"), nullable=False),
        sa.Column("is_active", sa.Boolean, server_default=sa.true(), nullable=False),
        sa.Column("consensus_key", sa.LargeBinary, nullable=False),
        sa.Column("ballot_key", sa.LargeBinary, nullable=False),
        sa.Column("issuer_key", sa.LargeBinary, nullable=False),
        sa.Column("created_at", TIMESTAMP, server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_banks"),
        check("banks", "account_balance_not_negative", "account_balance >= 0"),
        check("banks", "ballot_key_length", "octet_length(ballot_key) = 96"),
        check("banks", "consensus_key_length", "octet_length(consensus_key) = 32"),
        check("banks", "id_not_negative", "id >= 0"),
        check("banks", "initial_stake_not_negative", "initial_stake >= 0"),
        check("banks", "issuer_key_length", "octet_length(issuer_key) = 32"),
        check("banks", "offences_not_negative", "offences >= 0"),
        check("banks", "stake_not_negative", "stake >= 0"),
        check("banks", "type_known", "type IN ('public', 'private')"),
        unique("banks", "name"),
    )
    op.create_table(
        "miners",
        sa.Column("idx", sa.SmallInteger, autoincrement=False, nullable=False),
        sa.Column("public_key", sa.LargeBinary, nullable=False),
        sa.Column("blocks_mined", sa.BigInteger, server_default=sa.text("0"), nullable=False),
        sa.Column("total_rewards", MINOR_UNITS, server_default=sa.text("0"), nullable=False),
        sa.Column("is_active", sa.Boolean, server_default=sa.true(), nullable=False),
        sa.PrimaryKeyConstraint("idx", name="pk_miners"),
        check("miners", "blocks_mined_not_negative", "blocks_mined >= 0"),
        check("miners", "public_key_length", "octet_length(public_key) = 32"),
        check("miners", "total_rewards_not_negative", "total_rewards >= 0"),
        foreign_key("miners", "idx", "banks.id"),
    )


def create_blocks() -> None:
    op.create_table(
        "blocks",
        sa.Column("block_hash", sa.LargeBinary, nullable=False),
        sa.Column("block_number", sa.BigInteger, nullable=False),
        sa.Column("previous_hash", sa.LargeBinary, nullable=True),
        sa.Column("merkle_root", sa.LargeBinary, nullable=False),
        sa.Column("timestamp", TIMESTAMP, nullable=False),
        sa.Column("miner_idx", sa.SmallInteger, nullable=True),
        sa.Column("state_root", sa.LargeBinary, nullable=False),
        sa.Column("transaction_count", sa.Integer, nullable=False),
        sa.Column("header", sa.LargeBinary, nullable=False),
        sa.Column("contents", sa.LargeBinary, nullable=False),
        sa.Column("seal", sa.LargeBinary, nullable=True),
        sa.Column("created_at", TIMESTAMP, server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("block_hash", name="pk_blocks"),
        check("blocks", "block_hash_length", "octet_length(block_hash) = 32"),
        check("blocks", "block_number_not_negative", "block_number >= 0"),
        check("blocks", "merkle_root_length", "octet_length(merkle_root) = 32"),
        check("blocks", "miner_unless_genesis", "(block_number = 0) = (miner_idx IS NULL)"),
        check("blocks", "parent_unless_genesis", "(block_number = 0) = (previous_hash IS NULL)"),
        check("blocks", "seal_unless_genesis", "(block_number = 0) = (seal IS NULL)"),
        check("blocks", "state_root_length", "octet_length(state_root) = 32"),
        check("blocks", "transaction_count_not_negative", "transaction_count >= 0"),
        foreign_key("blocks", "miner_idx", "miners.idx"),
        foreign_key("blocks", "previous_hash", "blocks.block_hash"),
        unique("blocks", "block_number"),
        unique("blocks", "previous_hash"),
    )
    op.create_index("ix_blocks_miner_idx", "blocks", ["miner_idx"])
    op.create_table(
        "transaction_batches",
        sa.Column("batch_id", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("block_hash", sa.LargeBinary, nullable=False),
        sa.Column("merkle_root", sa.LargeBinary, nullable=False),
        sa.Column("created_at", TIMESTAMP, server_default=sa.func.now(), nullable=False),
        sa.Column("approved_banks", sa.SmallInteger, nullable=True),
        sa.Column("rejected_banks", sa.SmallInteger, nullable=True),
        sa.Column("status", sa.Text, server_default=sa.text("'pending'"), nullable=False),
        sa.PrimaryKeyConstraint("batch_id", name="pk_transaction_batches"),
        check(
            "transaction_batches",
            "counted_unless_pending",
            "(status = 'pending') = (approved_banks IS NULL) AND "
            "(status = 'pending') = (rejected_banks IS NULL)",
        ),
        check(
            "transaction_batches",
            "counts_not_negative",
            "approved_banks >= 0 AND rejected_banks >= 0",
        ),
        check("transaction_batches", "merkle_root_length", "octet_length(merkle_root) = 32"),
        check(
            "transaction_batches",
            "status_known",
            "status IN ('pending', 'approved', 'rejected')",
        ),
        foreign_key("transaction_batches", "batch_id", "blocks.block_number"),
        foreign_key("transaction_batches", "block_hash", "blocks.block_hash"),
        unique("transaction_batches", "block_hash"),
    )


def create_voting_records() -> None:
    op.create_table(
        "bank_voting_records",
        sa.Column("vote_id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("bank_id", sa.SmallInteger, nullable=True),
        sa.Column("batch_id", sa.BigInteger, nullable=False),
        sa.Column("decision", sa.Text, nullable=False),
        sa.Column("tag", sa.LargeBinary, nullable=False),
        sa.Column("timestamp", TIMESTAMP, nullable=False),
        sa.Column("group_signature", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("vote_id", name="pk_bank_voting_records"),
        check("bank_voting_records", "decision_known", "decision IN ('approve', 'reject')"),
        check("bank_voting_records", "tag_present", "octet_length(tag) > 0"),
        foreign_key("bank_voting_records", "bank_id", "banks.id"),
        foreign_key("bank_voting_records", "batch_id", "transaction_batches.batch_id"),
        unique("bank_voting_records", "batch_id", "tag"),
    )
    op.create_index("ix_bank_voting_records_bank_id", "bank_voting_records", ["bank_id"])


def create_transactions() -> None:
    op.create_table(
        "transaction_bodies",
        sa.Column("transaction_id", sa.LargeBinary, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("created_at", TIMESTAMP, server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("transaction_id", name="pk_transaction_bodies"),
        check("transaction_bodies", "transaction_id_length", "octet_length(transaction_id) = 32"),
    )
    op.create_table(
        "transactions",
        sa.Column("transaction_id", sa.LargeBinary, nullable=False),
        sa.Column("sequence_number", sa.BigInteger, nullable=False),
        sa.Column("batch_id", sa.BigInteger, nullable=False),
        sa.Column("position", sa.SmallInteger, nullable=False),
        sa.Column("kind", sa.SmallInteger, nullable=False),
        sa.Column("asset", sa.LargeBinary, nullable=False),
        sa.Column("fee", MINOR_UNITS, nullable=False),
        sa.Column("redeem", MINOR_UNITS, nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("timestamp", TIMESTAMP, nullable=False),
        sa.Column("status", sa.Text, server_default=sa.text("'pending'"), nullable=False),
        sa.PrimaryKeyConstraint("transaction_id", name="pk_transactions"),
        check("transactions", "asset_length", "octet_length(asset) = 16"),
        check("transactions", "fee_not_negative", "fee >= 0"),
        check("transactions", "kind_known", "kind IN (1, 2, 4)"),
        check("transactions", "leaf_hash_length", "octet_length(leaf_hash) = 32"),
        check("transactions", "redeem_not_negative", "redeem >= 0"),
        check("transactions", "sequence_number_not_negative", "sequence_number >= 0"),
        check(
            "transactions",
            "status_known",
            "status IN ('pending', 'approved', 'rejected', 'completed')",
        ),
        foreign_key("transactions", "batch_id", "transaction_batches.batch_id"),
        foreign_key("transactions", "transaction_id", "transaction_bodies.transaction_id"),
        unique("transactions", "batch_id", "position"),
        unique("transactions", "sequence_number"),
    )


def create_notes() -> None:
    op.create_table(
        "bins",
        sa.Column("bin_id", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("asset", sa.LargeBinary, nullable=False),
        sa.Column("opened_at", TIMESTAMP, nullable=False),
        sa.Column("closed_at_height", sa.BigInteger, nullable=True),
        sa.Column("closed_sequence", sa.BigInteger, nullable=True),
        sa.Column("note_count", sa.SmallInteger, nullable=True),
        sa.Column("digest", sa.LargeBinary, nullable=True),
        sa.PrimaryKeyConstraint("bin_id", name="pk_bins"),
        check("bins", "asset_length", "octet_length(asset) = 16"),
        check("bins", "bin_id_not_negative", "bin_id >= 0"),
        check(
            "bins",
            "closed_whole",
            "(closed_at_height IS NULL) = (digest IS NULL) AND "
            "(closed_at_height IS NULL) = (note_count IS NULL) AND "
            "(closed_at_height IS NULL) = (closed_sequence IS NULL)",
        ),
        check("bins", "digest_length", "octet_length(digest) = 32"),
        check("bins", "note_count_range", "note_count BETWEEN 1 AND 256"),
        foreign_key("bins", "closed_at_height", "blocks.block_number"),
        unique("bins", "closed_sequence"),
    )
    op.create_index("ix_bins_closed_at_height", "bins", ["closed_at_height"])
    op.create_table(
        "notes",
        sa.Column("sequence", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("one_time_key", sa.LargeBinary, nullable=False),
        sa.Column("commitment", sa.LargeBinary, nullable=False),
        sa.Column("ephemeral_key", sa.LargeBinary, nullable=False),
        sa.Column("view_tag", sa.SmallInteger, nullable=False),
        sa.Column("ciphertext", sa.LargeBinary, nullable=False),
        sa.Column("bin_id", sa.BigInteger, nullable=False),
        sa.Column("position", sa.SmallInteger, nullable=False),
        sa.Column("transaction_sequence", sa.BigInteger, nullable=False),
        sa.Column("output_index", sa.SmallInteger, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_notes"),
        check("notes", "ciphertext_length", "octet_length(ciphertext) = 56"),
        check("notes", "commitment_length", "octet_length(commitment) = 96"),
        check("notes", "ephemeral_key_length", "octet_length(ephemeral_key) = 32"),
        check("notes", "one_time_key_length", "octet_length(one_time_key) = 96"),
        check("notes", "sequence_not_negative", "sequence >= 0"),
        foreign_key("notes", "bin_id", "bins.bin_id"),
        foreign_key("notes", "transaction_sequence", "transactions.sequence_number"),
        unique("notes", "bin_id", "position"),
        unique("notes", "one_time_key"),
        unique("notes", "transaction_sequence", "output_index"),
    )
    op.create_table(
        "nullifiers",
        sa.Column("sequence", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("nullifier", sa.LargeBinary, nullable=False),
        sa.Column("transaction_sequence", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_nullifiers"),
        check("nullifiers", "nullifier_length", "octet_length(nullifier) = 96"),
        check("nullifiers", "sequence_not_negative", "sequence >= 0"),
        foreign_key("nullifiers", "transaction_sequence", "transactions.sequence_number"),
        unique("nullifiers", "nullifier"),
    )
    op.create_index("ix_nullifiers_transaction_sequence", "nullifiers", ["transaction_sequence"])


def create_accounts() -> None:
    op.create_table(
        "treasury",
        sa.Column("record", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("bank_id", sa.SmallInteger, nullable=True),
        sa.Column("fiscal_year", sa.BigInteger, nullable=False),
        sa.Column("amount", MINOR_UNITS, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("block_number", sa.BigInteger, nullable=False),
        sa.Column("timestamp", TIMESTAMP, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("record", name="pk_treasury"),
        check("treasury", "amount_not_negative", "amount >= 0"),
        check("treasury", "record_not_negative", "record >= 0"),
        check("treasury", "type_known", "type IN ('reward', 'penalty', 'stake', 'fee')"),
        foreign_key("treasury", "bank_id", "banks.id"),
        foreign_key("treasury", "block_number", "blocks.block_number"),
    )
    op.create_index("ix_treasury_bank_id_fiscal_year", "treasury", ["bank_id", "fiscal_year"])
    op.create_index("ix_treasury_block_number", "treasury", ["block_number"])
    op.create_table(
        "account_entries",
        sa.Column("entry", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("bank_id", sa.SmallInteger, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("asset", sa.LargeBinary, nullable=False),
        sa.Column("amount", MINOR_UNITS, nullable=False),
        sa.Column("transaction_sequence", sa.BigInteger, nullable=True),
        sa.Column("block_number", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("entry", name="pk_account_entries"),
        check("account_entries", "amount_not_negative", "amount >= 0"),
        check("account_entries", "asset_length", "octet_length(asset) = 16"),
        check("account_entries", "entry_not_negative", "entry >= 0"),
        check("account_entries", "kind_known", "kind IN ('redeem', 'payout', 'creator-fee')"),
        foreign_key("account_entries", "bank_id", "banks.id"),
        foreign_key("account_entries", "block_number", "blocks.block_number"),
        foreign_key("account_entries", "transaction_sequence", "transactions.sequence_number"),
    )
    op.create_index("ix_account_entries_bank_id_entry", "account_entries", ["bank_id", "entry"])
    op.create_index("ix_account_entries_block_number", "account_entries", ["block_number"])
    op.create_index(
        "ix_account_entries_transaction_sequence", "account_entries", ["transaction_sequence"]
    )


def create_state() -> None:
    op.create_table(
        "ledger_identity",
        sa.Column("singleton", sa.Boolean, server_default=sa.true(), nullable=False),
        sa.Column("chain_id", sa.LargeBinary, nullable=False),
        sa.Column("bank_id", sa.SmallInteger, nullable=False),
        sa.Column("base_asset", sa.LargeBinary, nullable=False),
        sa.Column("base_asset_decimals", sa.SmallInteger, nullable=False),
        sa.Column("created_at", TIMESTAMP, server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("singleton", name="pk_ledger_identity"),
        check("ledger_identity", "base_asset_decimals_not_negative", "base_asset_decimals >= 0"),
        check("ledger_identity", "base_asset_length", "octet_length(base_asset) = 16"),
        check("ledger_identity", "chain_id_length", "octet_length(chain_id) = 32"),
        check("ledger_identity", "singleton_true", "singleton"),
        foreign_key("ledger_identity", "bank_id", "banks.id"),
    )
    op.create_index("ix_ledger_identity_bank_id", "ledger_identity", ["bank_id"])
    op.create_table(
        "ledger_state",
        sa.Column("singleton", sa.Boolean, server_default=sa.true(), nullable=False),
        sa.Column("block_hash", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.LargeBinary, nullable=False),
        sa.Column("account_entry_count", sa.BigInteger, nullable=False),
        sa.Column("treasury_count", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("singleton", name="pk_ledger_state"),
        check("ledger_state", "account_entry_count_not_negative", "account_entry_count >= 0"),
        check("ledger_state", "singleton_true", "singleton"),
        check("ledger_state", "treasury_count_not_negative", "treasury_count >= 0"),
        foreign_key("ledger_state", "block_hash", "blocks.block_hash"),
    )
    op.create_index("ix_ledger_state_block_hash", "ledger_state", ["block_hash"])


def create_consensus() -> None:
    op.create_table(
        "consensus_record",
        sa.Column("singleton", sa.Boolean, server_default=sa.true(), nullable=False),
        sa.Column("height", sa.BigInteger, nullable=False),
        sa.Column("view", sa.BigInteger, nullable=False),
        sa.Column("step", sa.BigInteger, nullable=False),
        sa.Column("record", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("singleton", name="pk_consensus_record"),
        check("consensus_record", "height_not_negative", "height >= 0"),
        check("consensus_record", "singleton_true", "singleton"),
        check("consensus_record", "step_not_negative", "step >= 0"),
        check("consensus_record", "view_not_negative", "view >= 0"),
    )
    op.create_table(
        "consensus_bodies",
        sa.Column("block_id", sa.LargeBinary, nullable=False),
        sa.Column("height", sa.BigInteger, nullable=False),
        sa.Column("block", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("block_id", name="pk_consensus_bodies"),
        check("consensus_bodies", "block_id_length", "octet_length(block_id) = 32"),
        check("consensus_bodies", "height_not_negative", "height >= 0"),
    )
