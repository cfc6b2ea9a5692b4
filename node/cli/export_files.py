"""Writing the files of an export: rows go out as they come, and memory stays flat.

Everything is written into a directory beside the wanted one, which gets its name at the end: what
is there is whole. JSON lines depend on the ledger and the range alone, not on the bank that was
asked, the machine or the time; Parquet files also on the version of pyarrow.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Protocol, Self

from node.cli.export_rows import BlockRows, Row
from node.cli.export_schema import TABLES, ColumnType, Table
from node.cli.failure import EXIT_USAGE, CommandFailed

JSON_LINES = "jsonl"
PARQUET = "parquet"
FORMATS = (JSON_LINES, PARQUET)
MANIFEST = "manifest.json"

ROW_GROUP_ROWS = 20_000
"""Rows of a table that wait in memory for a Parquet row group."""
MONEY_LIMIT = 1 << 63
_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """One finished file."""

    name: str
    size_bytes: int
    sha256: str

    def to_json_object(self) -> dict[str, object]:
        return {"name": self.name, "size_bytes": self.size_bytes, "sha256": self.sha256}


class TableWriter(Protocol):
    """Takes the rows of one table, in order."""

    def write(self, rows: Sequence[Row]) -> None: ...

    def close(self) -> None: ...


class _JsonLines:
    def __init__(self, path: Path, table: Table) -> None:
        self._times = [c.name for c in table.columns if c.type is ColumnType.TIME]
        self._names = [column.name for column in table.columns]
        self._file: BinaryIO = path.open("xb")

    def write(self, rows: Sequence[Row]) -> None:
        for row in rows:
            shown = {name: row[name] for name in self._names}
            for name in self._times:
                shown[name] = _iso_time(row[name])
            self._file.write(json.dumps(shown, separators=(",", ":")).encode() + b"\n")

    def close(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


class _Parquet:
    def __init__(self, path: Path, table: Table) -> None:
        # Half a second to import, and megabytes that no other command needs.
        self._arrow: Any = importlib.import_module("pyarrow")
        parquet: Any = importlib.import_module("pyarrow.parquet")
        self._schema = self._arrow.schema(
            [
                self._arrow.field(
                    column.name, _arrow_type(self._arrow, column.type), nullable=column.nullable
                )
                for column in table.columns
            ]
        )
        self._writer = parquet.ParquetWriter(path, self._schema, compression="zstd")
        self._waiting: list[Row] = []

    def write(self, rows: Sequence[Row]) -> None:
        self._waiting.extend(rows)
        while len(self._waiting) >= ROW_GROUP_ROWS:
            self._flush(self._waiting[:ROW_GROUP_ROWS])
            del self._waiting[:ROW_GROUP_ROWS]

    def close(self) -> None:
        if self._waiting:
            self._flush(self._waiting)
            self._waiting = []
        self._writer.close()

    def _flush(self, rows: Sequence[Row]) -> None:
        self._writer.write_table(self._arrow.Table.from_pylist(list(rows), schema=self._schema))


def _arrow_type(arrow: Any, kind: ColumnType) -> Any:
    approvals = arrow.struct(
        [
            arrow.field("bank", arrow.string(), nullable=False),
            arrow.field("count", arrow.uint64(), nullable=False),
        ]
    )
    types = {
        ColumnType.UINT16: arrow.uint16(),
        ColumnType.UINT32: arrow.uint32(),
        ColumnType.UINT64: arrow.uint64(),
        ColumnType.INT32: arrow.int32(),
        ColumnType.MONEY: arrow.int64(),
        ColumnType.BOOLEAN: arrow.bool_(),
        ColumnType.TEXT: arrow.string(),
        ColumnType.HEX: arrow.string(),
        ColumnType.TIME: arrow.timestamp("ms", tz="UTC"),
        ColumnType.UINT64_LIST: arrow.list_(arrow.uint64()),
        ColumnType.HEX_LIST: arrow.list_(arrow.string()),
        ColumnType.APPROVALS: arrow.list_(approvals),
    }
    return types[kind]


def _iso_time(value: object) -> str:
    assert isinstance(value, int), "times of rows are milliseconds"
    moment = datetime.fromtimestamp(value // 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value % 1000:03d}Z"


class ExportDirectory:
    """A directory of files that appears under its name when everything is written.

    A context manager: what is not published is removed.
    """

    def __init__(self, target: Path, formats: Sequence[str]) -> None:
        """Raises `CommandFailed` if the target exists or cannot be made."""
        self.target = target
        self._place = target.parent / f".{target.name}.{os.getpid()}.partial"
        self._rows: dict[str, int] = {table.name: 0 for table in TABLES}
        self._money = {
            table.name: [c.name for c in table.columns if c.type is ColumnType.MONEY]
            for table in TABLES
        }
        self._formats = tuple(formats)
        require_absent(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self._place, ignore_errors=True)
        self._place.mkdir()
        self._writers: dict[tuple[str, str], TableWriter] = {}

    def __enter__(self) -> Self:
        makers: dict[str, Callable[[Path, Table], TableWriter]] = {
            JSON_LINES: _JsonLines,
            PARQUET: _Parquet,
        }
        for table in TABLES:
            for kind in self._formats:
                path = self._place / f"{table.name}.{kind}"
                self._writers[table.name, kind] = makers[kind](path, table)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        shutil.rmtree(self._place, ignore_errors=True)

    def write(self, rows: BlockRows) -> None:
        """Append the rows of a block; raises `CommandFailed` for an amount that INT_64 lacks."""
        for table in TABLES:
            found = rows.of(table.name)
            for name in self._money[table.name]:
                _require_amounts([row[name] for row in found])
            self._rows[table.name] += len(found)
            for kind in self._formats:
                self._writers[table.name, kind].write(found)

    def publish(self, facts: Mapping[str, object]) -> dict[str, object]:
        """Finish the files, add the manifest, give the directory its name; return the manifest."""
        for writer in self._writers.values():
            writer.close()
        manifest: dict[str, object] = {
            **facts,
            "tables": {
                table.name: {
                    "rows": self._rows[table.name],
                    "files": {
                        kind: self._written(f"{table.name}.{kind}").to_json_object()
                        for kind in self._formats
                    },
                }
                for table in TABLES
            },
        }
        text = json.dumps(manifest, indent=2) + "\n"
        (self._place / MANIFEST).write_text(text, encoding="utf-8")
        require_absent(self.target)
        self._place.rename(self.target)
        return manifest

    def _written(self, name: str) -> WrittenFile:
        path, digest = self._place / name, hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(_READ_BYTES):
                digest.update(chunk)
        return WrittenFile(name, path.stat().st_size, digest.hexdigest())


def require_absent(target: Path) -> None:
    """Raise `CommandFailed` if there is something at the target already."""
    if target.exists() or target.is_symlink():
        raise CommandFailed(
            f"{target} exists already",
            "choose another --out; an export never changes what is there",
            EXIT_USAGE,
        )


def _require_amounts(amounts: Sequence[object]) -> None:
    for amount in amounts:
        if isinstance(amount, int) and not -MONEY_LIMIT <= amount < MONEY_LIMIT:
            raise CommandFailed(
                f"an amount of {amount} minor units does not fit into 64 bits with a sign",
                "leave its block out with --from and --to",
            )
