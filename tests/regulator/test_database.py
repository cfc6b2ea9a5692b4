"""The regulator's database: what cannot be changed, what notices a change, who may connect."""

from __future__ import annotations

import json
from collections.abc import Callable

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from node.ledger.types import BankIndex, BlockId, FiscalYear, Height, TimeMs
from node.storage.regulator import audit_log
from node.storage.regulator.database import AuditLogBroken, RegulatorDatabase, migrate
from node.storage.regulator.records import Alarm, FollowedBlock, FollowedSet
from node.storage.regulator.tables import APPEND_ONLY, METADATA


def block(height: int, *, drawn: bool = False) -> FollowedBlock:
    return FollowedBlock(
        height=Height(height),
        block_id=BlockId(bytes((height,)) * 32),
        header=b"header",
        fiscal_year=FiscalYear(2026),
        drawn=drawn,
    )


def test_the_tables_are_those_of_the_migration(regulator_url: str) -> None:
    url = regulator_url.replace("postgresql://", "postgresql+psycopg://")
    with create_engine(url, poolclass=NullPool).connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, METADATA) == []
    migrate(regulator_url)


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize(
    "statement", ["UPDATE {} SET time_ms = 0", "DELETE FROM {}", "TRUNCATE {} CASCADE"]
)
async def test_idx_80_records_can_neither_be_changed_nor_removed(
    database: RegulatorDatabase, regulator_url: str, table: str, statement: str
) -> None:
    await database.add_challenge(Height(1), BankIndex(0), "odd")
    with (
        psycopg.connect(regulator_url) as connection,
        pytest.raises(psycopg.errors.RestrictViolation) as refused,
    ):
        connection.execute(statement.format(table))
    assert refused.value.diag.message_primary == (
        f"{table} is append-only: {statement.split()[0]} is refused"
    )


async def test_idx_79_every_act_is_a_row_chained_to_the_one_before(
    database: RegulatorDatabase,
) -> None:
    await database.add_challenge(Height(1), BankIndex(3), "odd")
    await database.raise_alarm(Alarm("kind", "text", None, Height(1), None, TimeMs(5)))
    await database.audit("opening", "officer/olga", {"tag": "00"})

    assert await database.check_audit_log() == 3
    rows = await database.audit_rows()
    assert [(row.sequence, row.action, row.actor) for row in rows] == [
        (1, "challenge", "bank/3"),
        (2, "alarm", "regulator"),
        (3, "opening", "officer/olga"),
    ]
    assert [row.previous_hash for row in rows[1:]] == [row.hash for row in rows[:-1]]
    assert json.loads(rows[2].event_data) == {"tag": "00"}


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ("UPDATE audit_log SET actor = 'nobody' WHERE sequence = 2", "row 2 of the audit log was"),
        ("UPDATE audit_log SET event_data = '{ }' WHERE sequence = 1", "row 1 of the audit log"),
        ("DELETE FROM audit_log WHERE sequence = 2", "the audit log breaks off before row 3"),
        ("DELETE FROM audit_log WHERE sequence = 1", "the audit log breaks off before row 2"),
    ],
)
@pytest.mark.parametrize("page_rows", [1, 2, 1_000])
async def test_a_change_by_who_takes_the_guard_off_is_noticed(
    database: RegulatorDatabase,
    regulator_url: str,
    damage: str,
    says: str,
    page_rows: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(audit_log, "PAGE_ROWS", page_rows)
    for number in range(3):
        await database.audit("opening", "officer/olga", {"number": number})
    with psycopg.connect(regulator_url) as connection:
        connection.execute("ALTER TABLE audit_log DISABLE TRIGGER USER")
        connection.execute(damage)
        connection.execute("ALTER TABLE audit_log ENABLE TRIGGER USER")

    with pytest.raises(AuditLogBroken, match=says):
        await database.check_audit_log()


async def test_a_block_and_the_record_that_it_brings_are_taken_together(
    database: RegulatorDatabase,
) -> None:
    first = FollowedSet(Height(1), bytes(32), b"set")
    await database.follow(block(0), None, first)
    await database.follow(block(1, drawn=True), None, None)
    await database.follow(block(2), None, None)

    assert await database.tip() == block(2)
    assert await database.drawn_pending(5) == (block(1, drawn=True),)
    assert await database.drawn_pending(5, from_height=2) == ()
    assert await database.active_sets() == (first,)
    assert await database.counts() == (1, 0)


def test_no_bank_reaches_the_regulators_database(
    make_database_url: Callable[[], str], reused_url: str
) -> None:
    bank = psycopg.conninfo.conninfo_to_dict(make_database_url())
    regulator = psycopg.conninfo.conninfo_to_dict(reused_url)
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(**{**bank, "dbname": regulator["dbname"]})
