"""Base class, column types and naming shared by all tables."""

from __future__ import annotations

from typing import Any

from sqlalchemy import CheckConstraint, Dialect, LargeBinary, MetaData, Numeric, event
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.schema import DDL, SchemaItem
from sqlalchemy.types import TypeDecorator

NAMING = {
    "pk": "pk_%(table_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}
"""One rule for every constraint's name, so that an error names what it violated."""


class Base(DeclarativeBase):
    """All tables of a bank's database."""

    metadata = MetaData(naming_convention=NAMING)


class MinorUnits(TypeDecorator[int]):
    """An amount as an integer in minor units of its asset.

    NUMERIC(39, 0) and not BIGINT: the ledger has amounts of u64 and sums of u128, and a valid one
    must not be what stops a bank from applying a block.
    """

    impl = Numeric(39, 0)
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:
        return None if value is None else int(value)


def fixed_length(column: str, length: int) -> CheckConstraint:
    """Return the check that a byte string has exactly `length` bytes."""
    return CheckConstraint(f"octet_length({column}) = {length}", name=f"{column}_length")


def one_of(column: str, *values: str) -> CheckConstraint:
    """Return the check that a text column holds one of `values`."""
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=f"{column}_known")


def not_negative(column: str) -> CheckConstraint:
    """Return the check that a number is zero or more."""
    return CheckConstraint(f"{column} >= 0", name=f"{column}_not_negative")


def only_row() -> CheckConstraint:
    """Return the check that makes a table hold at most one row."""
    return CheckConstraint("singleton", name="singleton_true")


def after_create(target: SchemaItem, statement: str) -> None:
    """Run a statement after SQLAlchemy created `target`, for what it has no construct for."""
    # A percent sign would be taken for a parameter of the statement's template.
    ddl = DDL(statement.replace("%", "%%"))  # type: ignore[no-untyped-call]
    event.listen(target, "after_create", ddl)


def store_uncompressed(table: str, *columns: str) -> None:
    """Store incompressible bytes as they are: compression would cost time and save nothing."""
    for column in columns:
        after_create(
            Base.metadata.tables[table],
            f"ALTER TABLE {table} ALTER COLUMN {column} SET STORAGE EXTERNAL",
        )


def keep_inline(table: str) -> None:
    """Keep rows up to a page in the table itself instead of cutting them into TOAST chunks."""
    after_create(
        Base.metadata.tables[table], f"ALTER TABLE {table} SET (toast_tuple_target = 8160)"
    )


Bytes = LargeBinary
"""BYTEA."""
