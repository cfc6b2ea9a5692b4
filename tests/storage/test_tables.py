"""The catalog: models and migration agree, and the database itself enforces its rules."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from node.storage.database import Database
from node.storage.migrations import migrate
from node.storage.tables import Base
from tests.storage.conftest import Query

CATALOG = """
SELECT 'column', c.relname, a.attname, concat_ws(' ', format_type(a.atttypid, a.atttypmod),
       a.attnotnull, a.attstorage, a.attidentity, pg_get_expr(d.adbin, d.adrelid))
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'v') AND a.attnum > 0
  AND NOT a.attisdropped
UNION ALL SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL SELECT 'index', tablename, indexname, indexdef FROM pg_indexes
WHERE schemaname = 'public'
UNION ALL SELECT 'options', relname, relkind::text, reloptions::text FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND reloptions IS NOT NULL
UNION ALL SELECT 'view', viewname, '', definition FROM pg_views WHERE schemaname = 'public'
UNION ALL SELECT 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(oid)
FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT 'function', proname, '', prosrc FROM pg_proc
WHERE pronamespace = 'public'::regnamespace
"""
"""Everything that a schema consists of, written out by PostgreSQL itself."""

FOREIGN_KEYS_WITHOUT_INDEX = """
SELECT conrelid::regclass::text, conname FROM pg_constraint c
WHERE contype = 'f' AND connamespace = 'public'::regnamespace AND NOT EXISTS (
    SELECT FROM pg_index i WHERE i.indrelid = c.conrelid
    AND (i.indkey::int2[])[0:cardinality(c.conkey) - 1] @> c.conkey)
"""

COLUMNS = """
SELECT column_name, data_type, is_nullable FROM information_schema.columns
WHERE table_schema = 'public' AND table_name = %s ORDER BY ordinal_position
"""


def catalog(url: str) -> set[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        rows = connection.execute(CATALOG).fetchall()
    return {row for row in rows if "alembic_version" not in (row[1], row[2])}


def engine_of(url: str) -> object:
    return create_engine(url.replace("postgresql://", "postgresql+psycopg://"), poolclass=NullPool)


def test_models_and_migrations_make_the_same_catalog(
    make_database_url: Callable[[], str],
) -> None:
    """IDX-01, IDX-88."""
    migrated, created = make_database_url(), make_database_url()
    migrate(migrated)
    Base.metadata.create_all(engine_of(created))

    assert catalog(migrated) == catalog(created)


def test_alembic_finds_no_difference(migrated_url: str) -> None:
    """IDX-88."""
    with engine_of(migrated_url).connect() as connection:
        context = MigrationContext.configure(connection)

        assert compare_metadata(context, Base.metadata) == []


def test_every_foreign_key_leads_an_index(query: Query) -> None:
    """IDX-89: PostgreSQL does not index foreign keys by itself."""
    assert query(FOREIGN_KEYS_WITHOUT_INDEX) == []


def test_the_tables(query: Query) -> None:
    """IDX-06."""
    assert query("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1") == [
        ("account_entries",),
        ("alembic_version",),
        ("ballot_conflicts",),
        ("bank_voting_records",),
        ("banks",),
        ("bins",),
        ("blocks",),
        ("consensus_bodies",),
        ("consensus_record",),
        ("evidence",),
        ("integrity_findings",),
        ("ledger_identity",),
        ("ledger_state",),
        ("miners",),
        ("notes",),
        ("nullifiers",),
        ("set_changes",),
        ("settlement_shares",),
        ("settlements",),
        ("snapshot_origin",),
        ("transaction_batches",),
        ("transaction_bodies",),
        ("transactions",),
        ("treasury",),
    ]


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        (
            "blocks",
            [
                ("block_hash", "bytea", "NO"),
                ("block_number", "bigint", "NO"),
                ("previous_hash", "bytea", "YES"),
                ("merkle_root", "bytea", "NO"),
                ("timestamp", "timestamp with time zone", "NO"),
                ("miner_idx", "smallint", "YES"),
                ("state_root", "bytea", "NO"),
                ("transaction_count", "integer", "NO"),
                ("header", "bytea", "NO"),
                ("contents", "bytea", "NO"),
                ("seal", "bytea", "YES"),
                ("created_at", "timestamp with time zone", "NO"),
                ("seal_digest", "bytea", "YES"),
            ],
        ),
        (
            "transaction_batches",
            [
                ("batch_id", "bigint", "NO"),
                ("block_hash", "bytea", "NO"),
                ("merkle_root", "bytea", "NO"),
                ("created_at", "timestamp with time zone", "NO"),
                ("approved_banks", "smallint", "YES"),
                ("rejected_banks", "smallint", "YES"),
                ("status", "text", "NO"),
            ],
        ),
        (
            "transactions",
            [
                ("transaction_id", "bytea", "NO"),
                ("sequence_number", "bigint", "NO"),
                ("batch_id", "bigint", "NO"),
                ("position", "smallint", "NO"),
                ("kind", "smallint", "NO"),
                ("asset", "bytea", "YES"),
                ("fee", "numeric", "NO"),
                ("redeem", "numeric", "NO"),
                ("leaf_hash", "bytea", "NO"),
                ("size", "integer", "NO"),
                ("timestamp", "timestamp with time zone", "NO"),
                ("status", "text", "NO"),
            ],
        ),
        (
            "bank_voting_records",
            [
                ("vote_id", "bigint", "NO"),
                ("bank_id", "smallint", "YES"),
                ("batch_id", "bigint", "NO"),
                ("decision", "text", "NO"),
                ("tag", "bytea", "NO"),
                ("timestamp", "timestamp with time zone", "NO"),
                ("group_signature", "bytea", "NO"),
            ],
        ),
        (
            "miners",
            [
                ("idx", "smallint", "NO"),
                ("public_key", "bytea", "NO"),
                ("blocks_mined", "bigint", "NO"),
                ("total_rewards", "numeric", "NO"),
                ("is_active", "boolean", "NO"),
            ],
        ),
        (
            "treasury",
            [
                ("record", "bigint", "NO"),
                ("bank_id", "smallint", "YES"),
                ("fiscal_year", "bigint", "NO"),
                ("amount", "numeric", "NO"),
                ("type", "text", "NO"),
                ("block_number", "bigint", "NO"),
                ("timestamp", "timestamp with time zone", "NO"),
                ("reason", "text", "NO"),
            ],
        ),
    ],
)
def test_columns(table: str, columns: list[tuple[str, str, str]], query: Query) -> None:
    """IDX-18, 39, 41, 54, 56, 58; FLAW-07: no column can hold an amount, sender or receiver."""
    assert query(COLUMNS, table) == columns


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("UPDATE banks SET type = 'cooperative'", "ck_banks_type_known"),
        ("UPDATE banks SET name = 'Bank 1'", "uq_banks_name"),
        ("UPDATE banks SET stake = -1", "ck_banks_stake_not_negative"),
        ("UPDATE blocks SET seal = NULL, seal_digest = NULL", "ck_blocks_seal_if_whole"),
        ("UPDATE blocks SET block_number = 9 WHERE block_number > 0", "uq_blocks_block_number"),
        ("UPDATE blocks SET miner_idx = 77 WHERE block_number > 0", "fk_blocks_miner_idx"),
        ("UPDATE nullifiers SET nullifier = 'short'", "ck_nullifiers_nullifier_length"),
        (
            "INSERT INTO nullifiers SELECT 99, nullifier, transaction_sequence FROM nullifiers",
            "uq_nullifiers_nullifier",
        ),
        ("UPDATE notes SET bin_id = 999 WHERE sequence = 0", "fk_notes_bin_id"),
        ("UPDATE bins SET digest = NULL", "ck_bins_closed_whole"),
        ("DELETE FROM transaction_bodies", "fk_transactions_transaction_id"),
        ("INSERT INTO ledger_identity SELECT false, '', 0, '', 2", None),
        (
            "INSERT INTO ledger_identity SELECT * FROM ledger_identity",
            "pk_ledger_identity",
        ),
        ("UPDATE blocks SET seal_digest = NULL", "ck_blocks_seal_digest_beside_seal"),
        ("UPDATE treasury SET type = 'gift'", "ck_treasury_type_known"),
        (
            "UPDATE treasury SET amount = -1 WHERE type = 'fee'",
            "ck_treasury_negative_only_for_stake_and_carry",
        ),
        ("UPDATE treasury SET bank_id = 1 WHERE type = 'fee'", "ck_treasury_bank_of_what_has_one"),
        (
            "UPDATE treasury SET type = 'reward' WHERE type = 'fee'",
            "ck_treasury_bank_of_what_has_one",
        ),
        ("UPDATE treasury SET bank_id = NULL", "ck_treasury_bank_of_what_has_one"),
        (
            "UPDATE bank_voting_records SET bank_id = 1",
            "ck_bank_voting_records_bank_unknown",
        ),
        (
            "UPDATE bank_voting_records SET decision = 'abstain'",
            "ck_bank_voting_records_decision_known",
        ),
        (
            "UPDATE bank_voting_records SET tag = 'short'",
            "ck_bank_voting_records_tag_length",
        ),
        (
            "UPDATE bank_voting_records SET tag = (SELECT min(tag) FROM bank_voting_records)",
            "uq_bank_voting_records_batch_id_tag",
        ),
        (
            "INSERT INTO settlements VALUES (2026, 6, 9, 10, 11, 0, 0, sha256('') || sha256('')"
            " || sha256('') || sha256('') || sha256('') || sha256(''))",
            "ck_settlements_carried_within_pot",
        ),
        (
            "INSERT INTO settlements VALUES (2026, 6, 9, 10, 10, 0, 0, '')",
            "ck_settlements_ciphertext_sum_length",
        ),
        (
            "INSERT INTO ballot_conflicts"
            " SELECT 0, 1, 0, tag, 'b', 'a' FROM bank_voting_records LIMIT 1",
            "ck_ballot_conflicts_first_before_second",
        ),
        (
            "UPDATE transaction_batches SET status = 'approved', approved_banks = NULL",
            "ck_transaction_batches_counted_unless_pending",
        ),
    ],
)
async def test_the_database_refuses(
    statement: str, constraint: str | None, full_database: Database, query: Query
) -> None:
    """IDX-22, 51, 54, 55, 58, 90."""
    with pytest.raises(psycopg.IntegrityError) as refused:
        query(statement)

    if constraint is not None:
        assert refused.value.diag.constraint_name == constraint


async def test_transaction_status_takes_legal_steps_only(
    full_database: Database, query: Query
) -> None:
    """IDX-25."""
    changed = "UPDATE transactions SET status = %s WHERE sequence_number = 0"
    query("ALTER TABLE transactions DISABLE TRIGGER transactions_status_transition")
    query(changed, "pending")
    query("ALTER TABLE transactions ENABLE TRIGGER transactions_status_transition")

    for illegal in ("completed", "nonsense"):
        with pytest.raises(psycopg.errors.CheckViolation):
            query(changed, illegal)
    query(changed, "approved")
    query(changed, "completed")
    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        query(changed, "pending")

    message = refused.value.diag.message_primary
    assert message == "a transaction does not go from completed to pending"


async def test_defaults_are_evaluated_for_each_row(database: Database, query: Query) -> None:
    """IDX-90."""
    query("INSERT INTO transaction_bodies VALUES (%s, '')", b"a" * 32)
    query("INSERT INTO transaction_bodies VALUES (%s, '')", b"b" * 32)

    assert query("SELECT count(DISTINCT created_at) FROM transaction_bodies") == [(2,)]


async def test_amounts_in_major_units(full_database: Database, query: Query) -> None:
    """IDX-51, IDX-58: two decimals for people, integers for machines."""
    assert query("SELECT stake::text FROM banks_in_major_units ORDER BY id") == [
        ("450.00",),
        ("450.01",),
        ("450.02",),
        ("450.03",),
    ]
    assert query(
        "SELECT type, bank_id, amount::text FROM treasury_in_major_units ORDER BY record"
    ) == [
        ("stake", 0, "450.00"),
        ("stake", 1, "450.01"),
        ("stake", 2, "450.02"),
        ("stake", 3, "450.03"),
        ("fee", None, "1.34"),
        ("fee", None, "0.67"),
    ]
